//! The atomic replacement of a file: all of its steps in one place, so that none is forgotten.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use msal_cache_core::{Error, Result};
use tempfile::NamedTempFile;

use crate::error::{absent, io, writing};
use crate::fingerprint::Fingerprint;
use crate::lock::Held;
use crate::{disk, folder, journal, platform, trace};

/// A file as a write has left it.
pub(crate) struct Written {
    pub(crate) fingerprint: Fingerprint,
    /// It carries the time that this write gave it, and so differs in a `stat` from whatever
    /// another writer may leave in the same tick of the file system's clock.
    pub(crate) marked: bool,
}

/// Replaces the file at `path`, which is no symbolic link, by one with these bytes.
///
/// # Errors
///
/// [`Error::Conflict`] where the lock was lost before the rename, so that nothing was written,
/// or where after it the file was no longer the one that was written.
pub(crate) fn replace(path: &Path, bytes: &[u8], lock: &Held<'_>) -> Result<Written> {
    let folder = folder::of(path);
    let created = match disk::create_temporary(path) {
        // The folder of the file need not be that of the lock, where the path is a link.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folder::create(folder).map_err(writing("create", folder))?;
            disk::create_temporary(path)
        }
        created => created,
    };
    let mut temporary = created.map_err(writing("create a file in", folder))?;
    disk::write(temporary.as_file_mut(), bytes).map_err(writing("write", temporary.path()))?;
    disk::sync(temporary.as_file()).map_err(io("flush", temporary.path()))?;
    let before = Before::keep(path);
    if !lock.is_ours() {
        return Err(Error::Conflict);
    }
    let file = match disk::rename(temporary, path) {
        Ok(file) => file,
        Err(refused) if platform::is_mount(&refused.error) => {
            drop(refused.file);
            trace::in_place(path);
            return finish(path, &journal::write(path, bytes)?);
        }
        // The lock was lost, and its new owner has swept the temporary file away.
        Err(refused) if refused.error.kind() == io::ErrorKind::NotFound && !lock.is_ours() => {
            return Err(Error::Conflict);
        }
        Err(refused) => return Err(writing("replace", path)(refused.error)),
    };
    let finished = disk::sync_folder(path).map_err(io("flush the folder of", path));
    let written = finished.and_then(|()| finish(path, &file)).inspect_err(|_| {
        if lock.is_ours() {
            before.restore(path);
        }
    })?;
    if !lock.is_ours() && !stands(path, written.fingerprint) {
        return Err(Error::Conflict);
    }
    Ok(written)
}

/// What stood there before the rename, in case that what follows it fails.
enum Before {
    Nothing,
    File(NamedTempFile<()>),
    /// There was a file, on a file system without hard links.
    Unkept,
}

impl Before {
    fn keep(path: &Path) -> Self {
        match absent(disk::keep(path)) {
            Ok(Some(kept)) => Self::File(kept),
            Ok(None) => Self::Nothing,
            Err(_) => Self::Unkept,
        }
    }

    /// Undoes the rename as far as that can be done: the caller is told of the failure anyhow.
    fn restore(self, path: &Path) {
        match self {
            Self::Nothing => drop(fs::remove_file(path)),
            Self::File(kept) => drop(disk::rename(kept, path)),
            Self::Unkept => {}
        }
    }
}

/// Gives a written file its time. A file system that keeps another time, or none, is no reason
/// to fail: the write has been made.
fn finish(path: &Path, file: &File) -> Result<Written> {
    let set = disk::touch(file).ok();
    let found = file.metadata().map_err(io("read", path))?;
    let fingerprint = platform::fingerprint(&found);
    Ok(Written { fingerprint, marked: set == Some(fingerprint.modified) })
}

/// Whether the file at `path` is the one that was written.
fn stands(path: &Path, written: Fingerprint) -> bool {
    path.metadata().is_ok_and(|found| platform::fingerprint(&found).identity == written.identity)
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lock::Lock;

    #[test]
    fn what_stood_there_comes_back() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("cache.json");
        let replaced_and_restored = |before: Before| {
            fs::write(place.path().join("new"), "new").unwrap();
            fs::rename(place.path().join("new"), &path).unwrap();
            before.restore(&path);
        };
        replaced_and_restored(Before::keep(&path));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
        fs::write(&path, "old").unwrap();
        replaced_and_restored(Before::keep(&path));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(Before::keep(&path));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_written_without_the_lock() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("cache.json");
        let lock = Lock::of(&path, Duration::from_secs(1), Duration::from_secs(10));
        let held = lock.enter().unwrap();
        let first = replace(&path, b"first", &held).unwrap();
        assert!(first.marked);
        fs::remove_file(place.path().join("cache.json.lockfile")).unwrap();
        assert!(matches!(replace(&path, b"second", &held), Err(Error::Conflict)));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert!(stands(&path, first.fingerprint));
        drop(held);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "the temporary file is gone");
    }
}
