//! Documents in a file, with different locks.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use msal_cache_core::conformance::{Harness, Persistent, Processes};
use msal_cache_core::{Blob, BlobStore, Document, Error, Result, Revision};

/// How a file is locked, read and replaced.
pub(crate) trait Locking: Send + Sync + 'static {
    fn revision(bytes: &[u8]) -> Revision {
        Revision::of_contents([bytes])
    }

    fn is_unchanged(known: Revision, now: Revision) -> bool {
        known == now
    }

    /// Prepares a place before it is opened.
    fn prepare(_path: &Path) {}

    /// Replaces the file with `replace`, which checks the file first.
    fn swap(path: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()>;
}

/// What is checked before the file is replaced.
#[derive(PartialEq)]
pub(crate) enum Check {
    Nothing,
    Revision,
}

macro_rules! lockings {
    ($($(#[$doc:meta])* $name:ident { $($body:tt)* })*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Locking for $name { $($body)* }
    )*};
}

lockings! {
    /// Correct.
    Locks {
        fn swap(path: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            let lock = File::create(path.with_extension("lock")).map_err(io)?;
            lock.lock().map_err(io)?;
            replace(Check::Revision)
        }
    }

    /// No lock and no check: the last writer wins.
    ChecksNothing {
        fn swap(_: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            replace(Check::Nothing)
        }
    }

    /// A check without a lock.
    ChecksWithoutALock {
        fn swap(_: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            replace(Check::Revision)
        }
    }

    /// A lock within this process.
    LocksItsProcessOnly {
        fn swap(_: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            static LOCK: Mutex<()> = Mutex::new(());
            let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
            replace(Check::Revision)
        }
    }

    /// A lock without a check: a file that was read once counts as unchanged.
    ReadsOnce {
        fn is_unchanged(_: Revision, _: Revision) -> bool {
            true
        }

        fn swap(path: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            Locks::swap(path, |_| replace(Check::Nothing))
        }
    }

    /// A lock, and a revision that is the length of the file.
    UsesTheLengthAsRevision {
        fn revision(bytes: &[u8]) -> Revision {
            Revision::from_u128(bytes.len() as u128)
        }

        fn swap(path: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            Locks::swap(path, replace)
        }
    }

    /// A lock, and a file that is created some time after it was found absent.
    EmptiesANewPlace {
        fn prepare(path: &Path) {
            static OPENED: AtomicU64 = AtomicU64::new(0);
            if !path.exists() {
                let moment = OPENED.fetch_add(1, Ordering::SeqCst) % 8;
                thread::sleep(Duration::from_millis(5 + moment));
                fs::write(path, "{}").unwrap();
            }
        }

        fn swap(path: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            Locks::swap(path, replace)
        }
    }

    /// A lock, and a file that one handle creates while other handles fail.
    CreatesAPlaceAlone {
        fn prepare(path: &Path) {
            if !path.exists() {
                let new = path.with_extension("new");
                File::create_new(&new).expect("another handle creates the place");
                thread::sleep(Duration::from_millis(1));
                fs::write(&new, "{}").and_then(|()| fs::rename(&new, path)).unwrap();
            }
        }

        fn swap(path: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            Locks::swap(path, replace)
        }
    }
}

fn io(error: std::io::Error) -> Error {
    Error::backend("file", error)
}

pub(crate) struct Blobs<M>(PathBuf, PhantomData<M>);

impl<M: Locking> Blobs<M> {
    fn now(&self) -> Result<Option<(Revision, Vec<u8>)>> {
        match fs::read(&self.0) {
            Ok(bytes) => Ok(Some((M::revision(&bytes), bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(error)),
        }
    }
}

impl<M: Locking> BlobStore for Blobs<M> {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        Ok(match self.now()? {
            None => Blob::Absent,
            Some((now, _)) if known.is_some_and(|known| M::is_unchanged(known, now)) => {
                Blob::Unchanged
            }
            Some((now, bytes)) => Blob::Present(now, bytes.into()),
        })
    }

    fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        M::swap(&self.0, |check| {
            let now = self.now()?.map_or(Revision::ABSENT, |(revision, _)| revision);
            if check == Check::Revision && now != expected {
                return Err(Error::Conflict);
            }
            // Gives writers without a lock time to interfere.
            thread::sleep(Duration::from_micros(200));
            let new = self.0.with_extension(format!("{:?}", Revision::unique()));
            fs::write(&new, bytes).and_then(|()| fs::rename(&new, &self.0)).map_err(io)
        })?;
        Ok(M::revision(bytes))
    }
}

impl<M> fmt::Debug for Blobs<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blobs")
    }
}

pub(crate) struct Folder<M>(tempfile::TempDir, PhantomData<M>);

impl<M: Locking> Harness for Folder<M> {
    type Store = Document<Blobs<M>>;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), PhantomData)
    }

    fn open(&self) -> Self::Store {
        Self::open_at(self.0.path().as_os_str())
    }
}

impl<M: Locking> Persistent for Folder<M> {}

impl<M: Locking> Processes for Folder<M> {
    fn address(&self) -> OsString {
        self.0.path().into()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        let path = Path::new(address).join("cache.json");
        M::prepare(&path);
        Document::new(Blobs(path, PhantomData))
    }
}
