//! Documents in a real file, with other ideas of a lock.

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

/// How a file is read and replaced.
pub(crate) trait Manner: Send + Sync + 'static {
    fn revision(bytes: &[u8]) -> Revision {
        Revision::of_contents([bytes])
    }

    fn is_unchanged(known: Revision, now: Revision) -> bool {
        known == now
    }

    /// Prepares a place before it is opened.
    fn prepare(_path: &Path) {}

    /// Replaces the file by means of `replace`, which checks first what it is told to.
    fn swap(path: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()>;
}

/// What is checked before the file is replaced.
#[derive(PartialEq)]
pub(crate) enum Check {
    Nothing,
    ThatItIsAsExpected,
}

macro_rules! manners {
    ($($(#[$doc:meta])* $name:ident { $($body:tt)* })*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Manner for $name { $($body)* }
    )*};
}

manners! {
    /// As it should be.
    Locks {
        fn swap(path: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            let lock = File::create(path.with_extension("lock")).map_err(io)?;
            lock.lock().map_err(io)?;
            replace(Check::ThatItIsAsExpected)
        }
    }

    /// A file without a lock, in which the last writer wins.
    ChecksNothing {
        fn swap(_: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            replace(Check::Nothing)
        }
    }

    /// A file without a lock, whose writers look first.
    ChecksWithoutALock {
        fn swap(_: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            replace(Check::ThatItIsAsExpected)
        }
    }

    /// A lock that other processes don't see.
    LocksItsProcessOnly {
        fn swap(_: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            static LOCK: Mutex<()> = Mutex::new(());
            let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
            replace(Check::ThatItIsAsExpected)
        }
    }

    /// A lock without a second look: what was read once is written upon.
    ReadsOnce {
        fn is_unchanged(_: Revision, _: Revision) -> bool {
            true
        }

        fn swap(path: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            Locks::swap(path, |_| replace(Check::Nothing))
        }
    }

    /// A lock, and a file that counts as the same while it is as long.
    TakesTheLengthForARevision {
        fn revision(bytes: &[u8]) -> Revision {
            Revision::from_u128(bytes.len() as u128)
        }

        fn swap(path: &Path, replace: impl FnOnce(Check) -> Result<()>) -> Result<()> {
            Locks::swap(path, replace)
        }
    }

    /// A lock, and a file that is created where it was absent a moment ago.
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

    /// A lock, and a file that one handle creates while others fail.
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

impl<M: Manner> Blobs<M> {
    fn now(&self) -> Result<Option<(Revision, Vec<u8>)>> {
        match fs::read(&self.0) {
            Ok(bytes) => Ok(Some((M::revision(&bytes), bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(error)),
        }
    }
}

impl<M: Manner> BlobStore for Blobs<M> {
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
            if check == Check::ThatItIsAsExpected && now != expected {
                return Err(Error::Conflict);
            }
            // Whoever has no lock is given the time to be disturbed.
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

impl<M: Manner> Harness for Folder<M> {
    type Store = Document<Blobs<M>>;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), PhantomData)
    }

    fn open(&self) -> Self::Store {
        Self::open_at(self.0.path().as_os_str())
    }
}

impl<M: Manner> Persistent for Folder<M> {}

impl<M: Manner> Processes for Folder<M> {
    fn address(&self) -> OsString {
        self.0.path().into()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        let path = Path::new(address).join("cache.json");
        M::prepare(&path);
        Document::new(Blobs(path, PhantomData))
    }
}
