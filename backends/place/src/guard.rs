//! The guard of a partition, where the store is a file.
//!
//! It is a file of its own beside the store, locked by the system: not the lock of the store,
//! since a request to a server takes seconds and nobody may be kept from reading and writing for
//! so long; and not one file for all partitions, since two users' refreshes have nothing to do
//! with each other. The system lets the lock go when its process ends, however it ends.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{Error, Partition, Result};

use crate::error::{absent, io, writing};
use crate::{folder, platform};

/// Pauses grow from one millisecond to this. Others hold the guard for the time of a request.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// The guard of a partition of the store at a path: a locked file `<path>.refresh-<hash>`, held
/// until this is dropped, and removed then. The name doesn't tell whose partition it is.
///
/// A process that is killed leaves the file behind, empty and unlocked; the next refresh of the
/// partition takes it over at once.
pub struct Guard {
    path: PathBuf,
    /// Holds the lock, and lets it go when it is closed.
    file: File,
}

impl Guard {
    /// Takes the guard, or waits for it up to `wait`.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] where another one still holds it then, [`Error::ReadOnly`] and
    /// [`Error::Io`] where the file can't be created or locked.
    pub fn take(store: &Path, partition: &Partition, wait: Duration) -> Result<Self> {
        let path = folder::beside(store, &format!(".refresh-{}", partition.digest()));
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(file) = try_take(&path)? {
                return Ok(Self { path, file });
            }
            let waited = started.elapsed();
            if waited >= wait {
                return Err(Error::Locked { path, holder: None, waited });
            }
            thread::sleep(pause.min(wait.saturating_sub(waited)));
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

impl Drop for Guard {
    /// Removed while it is locked: whoever has opened it by now finds that its name is gone, and
    /// begins again.
    fn drop(&mut self) {
        if stands_at(&self.path, &self.file) {
            // One that stays behind is taken over by the next.
            let _ = platform::remove_open(&self.path);
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.path).finish()
    }
}

/// One attempt.
fn try_take(path: &Path) -> Result<Option<File>> {
    let Some(file) = open(path)? else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(stands_at(path, &file).then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(io("lock", path)(error)),
    }
}

/// The file, created if it is missing; `None` where it has come or gone at this moment.
fn open(path: &Path) -> Result<Option<File>> {
    let created = match platform::create_new(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = folder::of(path);
            folder::create(folder).map_err(writing("create", folder))?;
            platform::create_new(path)
        }
        created => created,
    };
    match created {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // A link is nobody's guard, and opening what it names could create something there.
            let found = absent(path.symlink_metadata()).map_err(io("look at", path))?;
            match found {
                Some(found) if !found.is_file() => {
                    let reason = "something else than a file is there";
                    Err(io("lock", path)(std::io::Error::new(ErrorKind::AlreadyExists, reason)))
                }
                Some(_) => {
                    let file = OpenOptions::new().read(true).write(true).open(path);
                    absent(file).map_err(io("open", path))
                }
                None => Ok(None),
            }
        }
        Err(error) => Err(writing("create", path)(error)),
    }
}

/// Whether the open file is the one that stands under the name.
fn stands_at(path: &Path, file: &File) -> bool {
    match (path.symlink_metadata(), file.metadata()) {
        (Ok(named), Ok(open)) => platform::is_same_file(&named, &open),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn alice() -> Partition {
        Partition::user("alice")
    }

    #[test]
    fn one_partition_has_one_guard_and_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let store = place.path().join("new/cache.json");
        let held = Guard::take(&store, &alice(), Duration::ZERO).unwrap();
        assert!(!held.path.display().to_string().contains("alice"), "{held:?}");
        assert!(held.path.display().to_string().contains("cache.json.refresh-"), "{held:?}");
        let error = Guard::take(&store, &alice(), Duration::from_millis(5)).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        let other = Guard::take(&store, &Partition::user("bob"), Duration::ZERO).unwrap();
        drop((held, other));
        assert_eq!(fs::read_dir(place.path().join("new")).unwrap().count(), 0);
        assert!(Guard::take(&store, &alice(), Duration::ZERO).is_ok());
    }

    #[test]
    fn what_a_dead_process_left_is_taken_over_at_once() {
        let place = tempfile::tempdir().unwrap();
        let store = place.path().join("cache.json");
        let left = Guard::take(&store, &alice(), Duration::ZERO).unwrap().path.clone();
        fs::write(&left, "").unwrap();
        let held = Guard::take(&store, &alice(), Duration::ZERO).unwrap();
        assert_eq!(held.path, left);
    }

    #[test]
    fn many_threads_never_hold_it_at_once() {
        let place = tempfile::tempdir().unwrap();
        let store = place.path().join("cache.json");
        let inside = std::sync::atomic::AtomicUsize::new(0);
        let count = |by: usize| inside.fetch_add(by, std::sync::atomic::Ordering::SeqCst);
        thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    for _ in 0..25 {
                        let held = Guard::take(&store, &alice(), Duration::from_secs(60)).unwrap();
                        assert_eq!(count(1), 0);
                        thread::yield_now();
                        count(usize::MAX);
                        drop(held);
                    }
                });
            }
        });
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_its_place_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let store = place.path().join("cache.json");
        let name = format!("cache.json.refresh-{}", alice().digest());
        std::os::unix::fs::symlink("elsewhere", place.path().join(name)).unwrap();
        assert!(Guard::take(&store, &alice(), Duration::ZERO).is_err());
        assert!(!place.path().join("elsewhere").exists());
    }
}
