use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use msal_cache_core::{
    Blob, BlobStore, ChangeSignal, Error, Hold, Partition, RefreshGuard, Result, Revision, Watch,
};
use msal_cache_disk::{GuardFile, referent};
use parking_lot::Mutex;

use crate::contents::KnownContents;
use crate::error::io;
use crate::lock::{FileLock, HeldLock};
use crate::options::{FileOptions, OnCorrupt};
use crate::quarantine::set_aside;
use crate::reading::{Reading, check, find, look, read};
use crate::replace::replace;
use crate::watch::watch;
use crate::{disk, journal, leftovers};

/// The text of one file, read and swapped as a whole. [`FileStore`](crate::FileStore) is built on
/// it; use it for a wrapper that stores another text than the document itself, such as an encrypted
/// one. See [`FileStoreBuilder::open_blob`](crate::FileStoreBuilder::open_blob).
pub struct FileBlob {
    path: PathBuf,
    options: FileOptions,
    lock: FileLock,
    contents: Mutex<KnownContents>,
    /// When the folders on the way to the file were examined last.
    examined: Mutex<Option<Instant>>,
    /// Whether this handle has removed the lock files of dead waiters.
    swept: AtomicBool,
}

/// For this long, the folders on the way to an unchanged file are not examined again.
const RECENT: Duration = Duration::from_millis(100);

impl FileBlob {
    /// `path` is absolute and names a file.
    pub(crate) fn open(path: PathBuf, options: FileOptions) -> Result<Self> {
        let lock = FileLock::of(&path, options.lock_timeouts, options.java);
        let blob = Self {
            path,
            options,
            lock,
            contents: Mutex::default(),
            examined: Mutex::default(),
            swept: false.into(),
        };
        blob.check_folders(Instant::now())?;
        if let Some(found) = find(&blob.path)? {
            check(blob.options.permissions_of_file(), &blob.path, &found)?;
        }
        Ok(blob)
    }

    /// The path of the file: absolute, with symbolic links unresolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock, and cleans up after dead processes.
    fn enter(&self) -> Result<HeldLock> {
        let held = self.lock.enter()?;
        if held.is_new() {
            // Not before: the wait for the lock ends on time if the file system doesn't respond.
            self.check_folders(Instant::now())?;
            journal::recover(held.file())?;
            // Any process may have been killed since the last write.
            leftovers::sweep(held.file());
            if !self.swept.swap(true, Ordering::Relaxed) {
                held.lock_files().for_each(leftovers::sweep_lock);
            }
        }
        Ok(held)
    }

    /// Checks the folders and the links on the way to the file: who can change one can replace the
    /// file.
    fn check_folders(&self, now: Instant) -> Result<()> {
        let names = disk::link_chain(&self.path).map_err(io("resolve", &self.path))?;
        self.options.permissions.check_names(&names)?;
        *self.examined.lock() = Some(now);
        Ok(())
    }

    /// Checks the folders if that was long ago. For an unchanged file: what was read of it can't
    /// have been replaced.
    fn check_folders_again(&self, now: Instant) -> Result<()> {
        let examined = *self.examined.lock();
        if examined.is_some_and(|then| now.saturating_duration_since(then) < RECENT) {
            return Ok(());
        }
        self.check_folders(now)
    }
}

impl BlobStore for FileBlob {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        let hold = self.lock.current_hold();
        let Some(fingerprint) = look(&self.path)? else { return Ok(Blob::Absent) };
        let now = Instant::now();
        let mut contents = self.contents.lock();
        contents.looked(fingerprint, now);
        let is_unchanged = known.is_some_and(|known| contents.is_still(known, fingerprint));
        // Released, so that threads read at the same time.
        drop(contents);
        if is_unchanged {
            self.check_folders_again(now)?;
            return Ok(Blob::Unchanged);
        }
        self.check_folders(now)?;
        // A content that was read before the lock was taken isn't read again, if the open file
        // shows that there was no write since.
        let is_known = |opened| {
            let confirmed = known.zip(hold);
            confirmed.is_some_and(|(known, hold)| self.contents.lock().confirm(known, opened, hold))
        };
        Ok(
            match read(
                &self.path,
                self.options.permissions_of_file(),
                self.options.max_size,
                is_known,
            )? {
                Reading::Absent => Blob::Absent,
                Reading::Known => Blob::Unchanged,
                Reading::Whole { bytes, fingerprint, since } => {
                    Blob::Present(self.contents.lock().read(fingerprint, since, hold), bytes)
                }
                // A revision of its own: no content is known that a write could replace.
                Reading::Torn(bytes) => Blob::Present(Revision::unique(), bytes),
            },
        )
    }

    fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        let size = bytes.len() as u64;
        if size > self.options.max_size {
            let (path, limit) = (self.path.clone(), self.options.max_size);
            return Err(Error::TooLarge { path, size, limit });
        }
        let held = self.enter()?;
        let found = look(held.file())?;
        let as_expected = match found {
            None => expected == Revision::ABSENT,
            Some(now) => self.contents.lock().may_replace(expected, now, held.number()),
        };
        if !as_expected {
            return Err(Error::Conflict);
        }
        let written =
            replace(held.file(), self.options.permissions_of_file(), bytes, found, &held)?;
        Ok(match written {
            Some(it) => self.contents.lock().wrote(it.fingerprint, it.marked, held.number()),
            None => Revision::unique(),
        })
    }

    fn hold(&self) -> Result<Hold<'_>> {
        Ok(Hold::new(self.enter()?))
    }

    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        let names = disk::link_chain(&self.path).map_err(io("resolve", &self.path))?;
        Ok(watch(names, signal))
    }

    fn quarantine(&self, unreadable: Revision) -> Result<bool> {
        if self.options.on_corrupt == OnCorrupt::Error {
            return Ok(false);
        }
        let held = self.enter()?;
        let Some(now) = look(held.file())? else { return Err(Error::Conflict) };
        let as_expected = self.contents.lock().may_replace(unreadable, now, held.number());
        if !as_expected || !held.is_ours() {
            return Err(Error::Conflict);
        }
        set_aside(held.file(), now)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        // No other library takes it, so it needs no file beside each name of the cache.
        let file = referent(&self.path).map_err(io("resolve", &self.path))?;
        let permissions = self.options.permissions;
        Ok(RefreshGuard::new(GuardFile::take(&file, permissions, partition, wait)?))
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

impl fmt::Debug for FileBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileBlob").field(&self.path).finish()
    }
}
