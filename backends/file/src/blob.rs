use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use msal_cache_core::{Blob, BlobStore, Error, Hold, Partition, RefreshGuard, Result, Revision};
use msal_cache_disk::{GuardFile, referent};
use parking_lot::Mutex;

use crate::builder::FileOptions;
use crate::contents::KnownContents;
use crate::error::io;
use crate::lock::{FileLock, HeldLock};
use crate::quarantine::{OnCorrupt, set_aside};
use crate::reading::{Reading, check, look, read};
use crate::replace::replace;
use crate::{disk, folder, journal, leftovers};

/// The text of one file, read and swapped as a whole: what [`FileStore`](crate::FileStore) is
/// made of, for a wrapper that stores another text than the document itself, such as an
/// encrypted one. See [`FileStoreBuilder::open_blob`](crate::FileStoreBuilder::open_blob).
pub struct FileBlob {
    path: PathBuf,
    options: FileOptions,
    lock: FileLock,
    seen: Mutex<KnownContents>,
    swept: AtomicBool,
}

impl FileBlob {
    /// `path` is absolute and names a file.
    pub(crate) fn open(path: PathBuf, options: FileOptions) -> Result<Self> {
        let lock = FileLock::of(&path, options.lock_timeouts, options.java);
        let blob = Self { path, options, lock, seen: Mutex::default(), swept: false.into() };
        let found = look(&blob.path)?;
        blob.check_folders()?;
        if found.is_some() {
            let file = disk::open_to_read(&blob.path).map_err(io("read", &blob.path))?;
            check(blob.options.permissions, &blob.path, &file)?;
        }
        Ok(blob)
    }

    /// The path of the file, absolute, symbolic links unresolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock; puts in order first what a dead process has left.
    fn enter(&self) -> Result<HeldLock> {
        let held = self.lock.enter()?;
        if held.is_new() {
            journal::recover(held.file())?;
            if !self.swept.swap(true, Ordering::Relaxed) {
                leftovers::sweep(held.file());
                held.lock_files().for_each(leftovers::sweep_lock);
            }
        }
        Ok(held)
    }

    /// Who can write to a folder that the path leads through can put another file there.
    fn check_folders(&self) -> Result<()> {
        let names = disk::names(&self.path).map_err(io("resolve", &self.path))?;
        let folders = names.iter().map(|name| folder::of(name));
        folders.into_iter().try_for_each(|folder| self.options.permissions.check_folder(folder))
    }
}

impl BlobStore for FileBlob {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        let hold = self.lock.current_hold();
        let Some(fingerprint) = look(&self.path)? else { return Ok(Blob::Absent) };
        let mut seen = self.seen.lock();
        seen.look(fingerprint, Instant::now());
        if known.is_some_and(|known| seen.is_still(known, fingerprint)) {
            return Ok(Blob::Unchanged);
        }
        // Others read at the same time; only what they have seen is kept one at a time.
        drop(seen);
        self.check_folders()?;
        // With the lock, what was read before it was taken needn't be read again, where the open
        // file shows that nothing was written since.
        let is_known = |opened| {
            let confirmed = known.zip(hold);
            confirmed.is_some_and(|(known, hold)| self.seen.lock().confirm(known, opened, hold))
        };
        Ok(match read(&self.path, self.options.permissions, self.options.max_size, is_known)? {
            Reading::Absent => Blob::Absent,
            Reading::Known => Blob::Unchanged,
            Reading::Whole { bytes, fingerprint, since } => {
                Blob::Present(self.seen.lock().read(fingerprint, since, hold), bytes)
            }
            // Nobody can say what stands there, so nobody may replace it.
            Reading::Torn(bytes) => Blob::Present(Revision::unique(), bytes),
        })
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
            Some(now) => self.seen.lock().may_replace(expected, now, held.hold()),
        };
        if !as_expected {
            return Err(Error::Conflict);
        }
        if found.is_none() {
            self.check_folders()?;
        }
        let written = replace(held.file(), bytes, found, &held)?;
        Ok(match written {
            Some(it) => self.seen.lock().wrote(it.fingerprint, it.marked, held.hold()),
            None => Revision::unique(),
        })
    }

    fn hold(&self) -> Result<Hold<'_>> {
        Ok(Hold::new(self.enter()?))
    }

    fn quarantine(&self, unreadable: Revision) -> Result<bool> {
        if self.options.on_corrupt == OnCorrupt::Error {
            return Ok(false);
        }
        let held = self.enter()?;
        let Some(now) = look(held.file())? else { return Err(Error::Conflict) };
        if !self.seen.lock().may_replace(unreadable, now, held.hold()) || !held.is_ours() {
            return Err(Error::Conflict);
        }
        set_aside(held.file(), now)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        // No other library knows it, so one name is enough, the file's own.
        let file = referent(&self.path).map_err(io("resolve", &self.path))?;
        Ok(RefreshGuard::new(GuardFile::take(&file, partition, wait)?))
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
