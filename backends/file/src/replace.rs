//! The atomic replacement of a file: all of its steps in one place, so that none is forgotten.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use msal_cache_core::{Error, Result, event};
use tempfile::TempPath;

use crate::error::{io, writing};
use crate::fingerprint::Fingerprint;
use crate::lock::HeldLock;
use crate::{disk, folder, journal, platform};

/// A file as a write has left it.
pub(crate) struct WrittenFile {
    pub(crate) fingerprint: Fingerprint,
    /// It carries the time that this write gave it, and so differs in a `stat` from whatever
    /// another writer may leave in the same tick of the file system's clock.
    pub(crate) marked: bool,
}

/// Replaces the file at `path`, which is no symbolic link and looks as `expected`, by one with
/// these bytes. `None` expects that nothing is there. Returns how the written file looks, where
/// the system tells.
///
/// # Errors
///
/// [`Error::Conflict`] where the lock was lost, or where what stood at `path` turned out to be
/// another file or content. That one is back in its place then.
pub(crate) fn replace(
    path: &Path,
    bytes: &[u8],
    expected: Option<Fingerprint>,
    lock: &HeldLock,
) -> Result<Option<WrittenFile>> {
    let folder = folder::of(path);
    let created = match disk::create_temporary(path) {
        // The folder of the file need not be that of the lock, where the path is a link.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk::create_folder_of(path).map_err(writing("create", folder))?;
            disk::create_temporary(path)
        }
        created => created,
    };
    let mut temporary = created.map_err(writing("create a file in", folder))?;
    let name = temporary.path().to_owned();
    disk::write(temporary.as_file_mut(), &name, bytes).map_err(writing("write", &name))?;
    // Also before the rename: whoever dies right after it leaves a file that pollers of its time
    // take for a new one.
    let _ = disk::touch(temporary.as_file(), &name);
    disk::sync(temporary.as_file(), &name).map_err(io("flush", &name))?;
    if !lock.is_ours() {
        return Err(Error::Conflict);
    }
    let Some(expected) = expected else {
        let file =
            disk::rename_new(temporary, path).map_err(|refused| told(refused.error, path))?;
        finish(path).inspect_err(|_| {
            if stands(path, &file) {
                let _ = disk::remove(path);
            }
        })?;
        return Ok(stamp(path, &file));
    };
    let (file, name) = temporary.into_parts();
    let old = match put(name, path, expected) {
        Err(PutError::IsMount) => {
            event!(debug, path = %path.display(), "the file is a mount point: writing into it");
            let file = journal::write(path, bytes, expected)?;
            return Ok(stamp(path, &file));
        }
        Err(PutError::Error(error)) => return Err(error),
        Ok(old) => old,
    };
    if let Err(error) = finish(path) {
        old.restore(path, &file);
        return Err(error);
    }
    let written = stamp(path, &file);
    // Whoever doesn't heed the lock may have had the old file open, and written into it.
    if old.has_changed(expected) {
        old.restore(path, &file);
        return Err(Error::Conflict);
    }
    if !lock.is_ours() && !stands(path, &file) {
        return Err(Error::Conflict);
    }
    Ok(written)
}

enum PutError {
    /// `path` is itself a mount, and nothing can take its place.
    IsMount,
    Error(Error),
}

/// What stood at `path`, under a temporary name, until it is certain that it may go.
#[derive(Debug)]
enum OldFile {
    /// The two have changed names.
    Exchanged(TempPath),
    /// It had two names, and has lost one.
    Kept(TempPath),
    /// It is gone: the file system can do neither.
    Gone,
}

/// Puts the file `new` in the place of the one at `path`.
///
/// Where the system can exchange two files in one step, what was replaced is known for certain.
/// Elsewhere it is looked at just before.
fn put(new: TempPath, path: &Path, expected: Fingerprint) -> Result<OldFile, PutError> {
    let refuse = |error| PutError::Error(told(error, path));
    match disk::exchange(&new, path) {
        Ok(()) => {
            let old = OldFile::Exchanged(new);
            if old.has_changed(expected) {
                old.exchange_back(path);
                return Err(PutError::Error(Error::Conflict));
            }
            return Ok(old);
        }
        Err(error) if platform::is_mount(&error) => return Err(PutError::IsMount),
        Err(error) if !platform::is_unsupported(&error) => return Err(refuse(error)),
        Err(_) => {}
    }
    let old = match disk::keep(path) {
        Ok(kept) => OldFile::Kept(kept),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(refuse(error)),
        Err(_) => OldFile::Gone,
    };
    let is_expected = match &old {
        OldFile::Gone => disk::look(path).is_ok_and(|it| is_replaced(expected, &it)),
        kept => !kept.has_changed(expected),
    };
    if !is_expected {
        return Err(PutError::Error(Error::Conflict));
    }
    match disk::rename(new, path) {
        Ok(()) => Ok(old),
        Err(refused) if platform::is_mount(&refused.error) => Err(PutError::IsMount),
        Err(refused) => Err(refuse(refused.error)),
    }
}

/// What a failed rename tells the caller.
fn told(error: io::Error, path: &Path) -> Error {
    match error.kind() {
        // The temporary file was swept away by the next owner of a lock that was lost, what was
        // to be replaced is gone, or somebody was first.
        io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists => Error::Conflict,
        _ => writing("replace", path)(error),
    }
}

impl OldFile {
    /// Whether this isn't what was to be replaced, or not any more.
    fn has_changed(&self, expected: Fingerprint) -> bool {
        match self {
            Self::Exchanged(name) | Self::Kept(name) => {
                disk::look_at_name(name).is_ok_and(|found| !is_replaced(expected, &found))
            }
            Self::Gone => false,
        }
    }

    /// Undoes the replacement as far as that can be done: the caller is told anyhow. What
    /// somebody else has put there meanwhile stays.
    fn restore(self, path: &Path, new: &File) {
        if stands(path, new) {
            match self {
                Self::Exchanged(_) => self.exchange_back(path),
                Self::Kept(kept) => drop(disk::rename(kept, path)),
                Self::Gone => {}
            }
        }
    }

    /// Exchanges the two again; once more, if that brought out what a third party had put there
    /// in between.
    fn exchange_back(&self, path: &Path) {
        let Self::Exchanged(name) = self else { return };
        let ours = disk::look(path).ok();
        if disk::exchange(name, path).is_err() {
            return;
        }
        let identity = |found: &Metadata| platform::fingerprint(found).identity;
        let out = disk::look_at_name(name).ok();
        if ours.is_some_and(|ours| out.is_some_and(|out| identity(&ours) != identity(&out))) {
            let _ = disk::exchange(name, path);
        }
    }
}

/// Whether `found` is the file that was to be replaced.
fn is_replaced(expected: Fingerprint, found: &Metadata) -> bool {
    platform::fingerprint(found).without_change() == expected.without_change()
}

/// Makes the replacement last.
fn finish(path: &Path) -> Result<()> {
    disk::sync_folder(path).map_err(io("flush the folder of", path))
}

/// Gives a written file its time. A file system that keeps another time, or none, or tells none,
/// is no reason to fail: the write has been made.
fn stamp(path: &Path, file: &File) -> Option<WrittenFile> {
    let set = disk::touch(file, path).ok();
    let found = disk::look_at_open(file, path).ok()?;
    let fingerprint = platform::fingerprint(&found);
    Some(WrittenFile { fingerprint, marked: set == Some(fingerprint.modified) })
}

/// Whether the file at `path` is this one.
fn stands(path: &Path, file: &File) -> bool {
    let (Ok(found), Ok(file)) = (path.metadata(), file.metadata()) else { return false };
    platform::fingerprint(&found).identity == platform::fingerprint(&file).identity
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use rustix::io::Errno;

    use super::*;
    use crate::lock::{FileLock, LockTimeouts};
    use crate::seam::Call;
    use crate::{faults, reading};

    struct Fixture {
        folder: tempfile::TempDir,
        path: PathBuf,
        lock: FileLock,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cache.json");
            let (timeout, grace) = (Duration::from_secs(1), Duration::from_secs(10));
            let lock = FileLock::of(&path, LockTimeouts { timeout, grace }, false);
            Self { folder, path, lock }
        }

        /// Replaces what is there now.
        fn replace(&self, bytes: &str) -> Result<Option<WrittenFile>> {
            let held = self.lock.enter().unwrap();
            replace(&self.path, bytes.as_bytes(), reading::look(&self.path).unwrap(), &held)
        }

        fn text(&self) -> String {
            fs::read_to_string(&self.path).unwrap()
        }

        fn names(&self) -> usize {
            fs::read_dir(self.folder.path()).unwrap().count()
        }
    }

    #[test]
    fn nothing_is_written_without_the_lock() {
        let place = Fixture::new();
        let first = place.replace("first").unwrap().unwrap();
        assert!(first.marked);
        let held = place.lock.enter().unwrap();
        fs::remove_file(place.folder.path().join("cache.json.lockfile")).unwrap();
        let found = reading::look(&place.path).unwrap();
        assert!(matches!(replace(&place.path, b"second", found, &held), Err(Error::Conflict)));
        assert_eq!(place.text(), "first");
        drop(held);
        assert_eq!(place.names(), 1, "the temporary file is gone");
    }

    /// What somebody does who heeds no lock, between the last look and the rename; and what
    /// stands there afterwards.
    type Interloper = (fn(&Path), &'static str);

    #[test]
    fn what_somebody_else_has_put_there_meanwhile_is_back_afterwards() {
        let by_rename: Interloper = (
            |path| {
                fs::write(folder::beside(path, ".new"), "others").unwrap();
                fs::rename(folder::beside(path, ".new"), path).unwrap();
            },
            "others",
        );
        let in_place: Interloper = (|path| fs::write(path, "others").unwrap(), "others");
        for (interfere, left) in [by_rename, in_place] {
            for exchanges in [true, false] {
                let place = Fixture::new();
                place.replace("old").unwrap();
                let held = place.lock.enter().unwrap();
                let found = reading::look(&place.path).unwrap();
                interfere(&place.path);
                if !exchanges {
                    faults::fail_always(&place.path, Call::Exchange, Errno::NOSYS);
                }
                let replaced = replace(&place.path, b"new", found, &held);
                assert!(matches!(replaced, Err(Error::Conflict)), "{exchanges}");
                assert_eq!(place.text(), left);
                drop(held);
                faults::clear(&place.path);
                assert_eq!(place.names(), 1);
                place.replace("new").unwrap();
                assert_eq!(place.text(), "new");
            }
        }
    }

    #[test]
    fn what_is_created_or_removed_meanwhile_is_noticed() {
        let place = Fixture::new();
        let held = place.lock.enter().unwrap();
        fs::write(&place.path, "others").unwrap();
        assert!(matches!(replace(&place.path, b"new", None, &held), Err(Error::Conflict)));
        assert_eq!(place.text(), "others");
        let found = reading::look(&place.path).unwrap();
        fs::remove_file(&place.path).unwrap();
        for exchanges in [true, false] {
            if !exchanges {
                faults::fail_always(&place.path, Call::Exchange, Errno::NOSYS);
            }
            assert!(matches!(replace(&place.path, b"new", found, &held), Err(Error::Conflict)));
            assert!(!place.path.exists());
        }
        faults::clear(&place.path);
    }

    #[test]
    fn a_file_that_was_open_to_somebody_and_written_after_the_rename_is_noticed() {
        let place = Fixture::new();
        place.replace("old").unwrap();
        let found = reading::look(&place.path).unwrap().unwrap();
        let theirs = fs::OpenOptions::new().write(true).open(&place.path).unwrap();
        let temporary = disk::create_temporary(&place.path).unwrap();
        let (new, name) = temporary.into_parts();
        let Ok(old) = put(name, &place.path, found) else { panic!("nobody interfered") };
        assert!(!old.has_changed(found));
        std::io::Write::write_all(&mut &theirs, b"longer than old").unwrap();
        assert!(old.has_changed(found));
        old.restore(&place.path, &new);
        assert_eq!(place.text(), "longer than old");
        assert_eq!(place.names(), 1);
    }

    #[test]
    fn a_third_party_is_not_lost_when_a_replacement_is_undone() {
        let place = Fixture::new();
        place.replace("old").unwrap();
        let found = reading::look(&place.path).unwrap().unwrap();
        let (new, name) = disk::create_temporary(&place.path).unwrap().into_parts();
        let Ok(old) = put(name, &place.path, found) else { panic!("nobody interfered") };
        fs::write(place.folder.path().join("third"), "third").unwrap();
        fs::rename(place.folder.path().join("third"), &place.path).unwrap();
        old.restore(&place.path, &new);
        assert_eq!(place.text(), "third");
        assert_eq!(place.names(), 1);
    }
}
