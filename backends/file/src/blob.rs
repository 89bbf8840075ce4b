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
use crate::reading::{Reading, check, look, read};
use crate::replace::replace;
use crate::watch::watch;
use crate::{disk, folder, journal, leftovers};

/// The text of one file, read and swapped as a whole. [`FileStore`](crate::FileStore) is built on
/// it; use it for a wrapper that stores another text than the document itself, such as an encrypted
/// one. See [`FileStoreBuilder::open_blob`](crate::FileStoreBuilder::open_blob).
pub struct FileBlob {
    path: PathBuf,
    options: FileOptions,
    lock: FileLock,
    contents: Mutex<KnownContents>,
    /// Whether this handle has removed the temporary files of dead processes.
    swept: AtomicBool,
}

impl FileBlob {
    /// `path` is absolute and names a file.
    pub(crate) fn open(path: PathBuf, options: FileOptions) -> Result<Self> {
        let lock = FileLock::of(&path, options.lock_timeouts, options.java);
        let blob = Self { path, options, lock, contents: Mutex::default(), swept: false.into() };
        let found = look(&blob.path)?;
        blob.check_folders()?;
        if found.is_some() {
            let file = disk::open_to_read(&blob.path).map_err(io("read", &blob.path))?;
            check(blob.options.permissions, &blob.path, &file)?;
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
            journal::recover(held.file())?;
            if !self.swept.swap(true, Ordering::Relaxed) {
                leftovers::sweep(held.file());
                held.lock_files().for_each(leftovers::sweep_lock);
            }
        }
        Ok(held)
    }

    /// Checks the folder of each name in the chain of symbolic links: a user who can write to one
    /// can replace the file.
    fn check_folders(&self) -> Result<()> {
        let names = disk::link_chain(&self.path).map_err(io("resolve", &self.path))?;
        names.iter().try_for_each(|name| self.options.permissions.check_folder(folder::of(name)))
    }
}

impl BlobStore for FileBlob {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        let hold = self.lock.current_hold();
        let Some(fingerprint) = look(&self.path)? else { return Ok(Blob::Absent) };
        let mut contents = self.contents.lock();
        contents.looked(fingerprint, Instant::now());
        if known.is_some_and(|known| contents.is_still(known, fingerprint)) {
            return Ok(Blob::Unchanged);
        }
        // Released, so that threads read at the same time.
        drop(contents);
        self.check_folders()?;
        // A content that was read before the lock was taken isn't read again, if the open file
        // shows that there was no write since.
        let is_known = |opened| {
            let confirmed = known.zip(hold);
            confirmed.is_some_and(|(known, hold)| self.contents.lock().confirm(known, opened, hold))
        };
        Ok(match read(&self.path, self.options.permissions, self.options.max_size, is_known)? {
            Reading::Absent => Blob::Absent,
            Reading::Known => Blob::Unchanged,
            Reading::Whole { bytes, fingerprint, since } => {
                Blob::Present(self.contents.lock().read(fingerprint, since, hold), bytes)
            }
            // A revision of its own: no content is known that a write could replace.
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
            Some(now) => self.contents.lock().may_replace(expected, now, held.number()),
        };
        if !as_expected {
            return Err(Error::Conflict);
        }
        if found.is_none() {
            self.check_folders()?;
        }
        let written = replace(held.file(), bytes, found, &held)?;
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
