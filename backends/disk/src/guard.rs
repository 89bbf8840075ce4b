//! The guard of a partition, for stores that are files.
//!
//! The guard is a locked file of its own beside the store. It is not the lock of the store, because
//! a token request takes seconds and must not block other readers and writers that long. Each
//! partition has its own guard file, because refreshes of different users are independent. The
//! system releases the lock when the process ends, however it ends.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{Error, Partition, Result};

use crate::error::{absent, io, writing};
use crate::{Permissions, folder, platform};

/// Pauses between attempts grow from one millisecond to this. The holder usually waits for a
/// server.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// The guard of one partition of a store, or of a file that is replaced: the file
/// `<path>.refresh-<hash>`, or one that the caller names, locked until this is dropped and removed
/// then. The hash doesn't reveal the partition.
///
/// It is `Send + 'static`, so it can be moved to another thread and dropped there. A process that
/// is killed leaves the file behind, empty and unlocked; the next holder takes it over without
/// waiting.
pub struct GuardFile {
    path: PathBuf,
    /// Closing it releases the lock.
    file: File,
}

impl GuardFile {
    /// Takes the guard, waiting for up to `wait`. `store` isn't a symbolic link.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] where another holder keeps it that long; [`Error::Insecure`] where the
    /// folder isn't safe; [`Error::ReadOnly`] and [`Error::Io`] where the file can't be created or
    /// locked.
    pub fn take(
        store: &Path,
        permissions: Permissions,
        partition: &Partition,
        wait: Duration,
    ) -> Result<Self> {
        permissions.check_names(&[store.to_owned()])?;
        Self::lock(folder::beside(store, &format!(".refresh-{}", partition.digest())), wait)
    }

    /// Takes a guard that has this file, waiting for up to `wait`. The caller has checked the folder.
    ///
    /// # Errors
    ///
    /// As for [`take`](Self::take).
    pub fn lock(path: PathBuf, wait: Duration) -> Result<Self> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(file) = try_take(&path)? {
                return Ok(Self { path, file });
            }
            let waited = started.elapsed();
            if waited >= wait {
                let holder = platform::foreign_owner(&path)
                    .map(|owner| format!("a process of user {owner}"));
                return Err(Error::Locked { path, holder, waited });
            }
            thread::sleep(pause.min(wait.saturating_sub(waited)));
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

impl Drop for GuardFile {
    /// Removes the file while it is locked: a waiter that has it open then finds that it has lost
    /// its name, and opens it again.
    fn drop(&mut self) {
        if is_at(&self.path, &self.file) {
            // A file that can't be removed is taken over by the next refresh.
            let _ = platform::remove_open(&self.path);
        }
    }
}

impl fmt::Debug for GuardFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuardFile").field(&self.path).finish()
    }
}

/// Makes one attempt; `None` where another holder has the guard.
fn try_take(path: &Path) -> Result<Option<File>> {
    let Some(file) = open(path)? else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(is_at(path, &file).then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(io("lock", path)(error)),
    }
}

/// Opens the file, or creates it if it is missing; `None` where another process creates or removes
/// it at the same time.
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
            // A symbolic link is refused: opening it could create its target.
            let found = absent(path.symlink_metadata()).map_err(io("look at", path))?;
            match found {
                Some(found) if !found.is_file() => {
                    let reason = "it is not a regular file";
                    Err(io("lock", path)(std::io::Error::new(ErrorKind::AlreadyExists, reason)))
                }
                // The file of another user can't be opened, and counts as held: its lock can't be
                // examined.
                Some(_) => match absent(platform::open_own(path, true)) {
                    Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
                    opened => opened.map_err(io("open", path)),
                },
                None => Ok(None),
            }
        }
        Err(error) => Err(writing("create", path)(error)),
    }
}

/// Whether `path` still names the open file.
fn is_at(path: &Path, file: &File) -> bool {
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
    fn a_partition_has_one_guard_which_leaves_no_file_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("new/cache.json");
        let held = GuardFile::take(&store, Permissions::Refuse, &alice(), Duration::ZERO).unwrap();
        assert!(!held.path.display().to_string().contains("alice"), "{held:?}");
        assert!(held.path.display().to_string().contains("cache.json.refresh-"), "{held:?}");
        let error =
            GuardFile::take(&store, Permissions::Refuse, &alice(), Duration::from_millis(5))
                .unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        let other =
            GuardFile::take(&store, Permissions::Refuse, &Partition::user("bob"), Duration::ZERO)
                .unwrap();
        drop((held, other));
        assert_eq!(fs::read_dir(dir.path().join("new")).unwrap().count(), 0);
        assert!(GuardFile::take(&store, Permissions::Refuse, &alice(), Duration::ZERO).is_ok());
    }

    #[test]
    fn a_guard_can_be_dropped_on_another_thread() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("cache.json");
        let held = GuardFile::take(&store, Permissions::Refuse, &alice(), Duration::ZERO).unwrap();
        thread::spawn(move || drop(held)).join().unwrap();
        assert!(GuardFile::take(&store, Permissions::Refuse, &alice(), Duration::ZERO).is_ok());
    }

    #[test]
    fn the_file_of_a_dead_process_is_taken_over_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("cache.json");
        let left = GuardFile::take(&store, Permissions::Refuse, &alice(), Duration::ZERO)
            .unwrap()
            .path
            .clone();
        fs::write(&left, "").unwrap();
        let held = GuardFile::take(&store, Permissions::Refuse, &alice(), Duration::ZERO).unwrap();
        assert_eq!(held.path, left);
    }

    #[test]
    fn threads_never_hold_the_guard_at_the_same_time() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("cache.json");
        let inside = std::sync::atomic::AtomicUsize::new(0);
        let count = |by: usize| inside.fetch_add(by, std::sync::atomic::Ordering::SeqCst);
        thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    for _ in 0..25 {
                        let wait = Duration::from_secs(60);
                        let held =
                            GuardFile::take(&store, Permissions::Refuse, &alice(), wait).unwrap();
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
    fn a_symbolic_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("cache.json");
        let name = format!("cache.json.refresh-{}", alice().digest());
        std::os::unix::fs::symlink("elsewhere", dir.path().join(name)).unwrap();
        assert!(GuardFile::take(&store, Permissions::Refuse, &alice(), Duration::ZERO).is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }
}
