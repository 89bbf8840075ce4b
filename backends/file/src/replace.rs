//! The atomic replacement of a file, with all its steps in one place.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use msal_cache_core::{Error, Result, event};
use msal_cache_disk::Permissions;
use tempfile::TempPath;

use crate::error::{io, writing};
use crate::fingerprint::Fingerprint;
use crate::lock::HeldLock;
use crate::new_file::check_new;
use crate::{disk, folder, journal, platform};

/// The state of a file after a write.
pub(crate) struct WrittenFile {
    pub(crate) fingerprint: Fingerprint,
    /// Whether the file has the time stamp that this write gave it. If so, its fingerprint differs
    /// from that of any other write within the same tick of the file system's clock.
    pub(crate) marked: bool,
}

/// Replaces the file at `path`, which isn't a symbolic link and has the fingerprint `expected`, by
/// a file with these bytes. `None` expects that there is no file. Returns the state of the written
/// file, where the system reports it.
///
/// # Errors
///
/// [`Error::Conflict`] where the lock was lost, or where the file at `path` was another one or had
/// another content. That file is put back.
pub(crate) fn replace(
    path: &Path,
    permissions: Permissions,
    bytes: &[u8],
    expected: Option<Fingerprint>,
    lock: &HeldLock,
) -> Result<Option<WrittenFile>> {
    let folder = folder::of(path);
    let created = match disk::create_temporary(path) {
        // Where the path is a symbolic link, the file is in another folder than the lock.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk::create_folder_of(path).map_err(writing("create", folder))?;
            disk::create_temporary(path)
        }
        created => created,
    };
    let mut temporary = created.map_err(writing("create a file in", folder))?;
    let name = temporary.path().to_owned();
    check_new(temporary.as_file(), path, permissions)?;
    disk::write(temporary.as_file_mut(), &name, bytes).map_err(writing("write", &name))?;
    // The time is set again after the rename. If this process dies in between, programs that watch
    // the time of the file still notice it.
    let _ = disk::touch(temporary.as_file(), &name);
    disk::sync(temporary.as_file(), &name).map_err(io("flush", &name))?;
    if !lock.is_ours() {
        return Err(Error::Conflict);
    }
    let Some(expected) = expected else {
        let file = disk::rename_new(temporary, path)
            .map_err(|refused| rename_error(refused.error, path))?;
        finish(path).inspect_err(|_| {
            if is_at(path, &file) {
                let _ = disk::remove(path);
            }
        })?;
        return Ok(stamp(path, &file));
    };
    let (file, name) = temporary.into_parts();
    let old = match put(name, path, expected) {
        Err(PutError::IsMount) => {
            event!(debug, path = %path.display(), "the file is a mount point: writing into it");
            let file = journal::write(path, permissions, bytes, expected)?;
            return Ok(stamp(path, &file));
        }
        Err(PutError::Other(error)) => return Err(error),
        Ok(old) => old,
    };
    if let Err(error) = finish(path) {
        old.restore(path, &file);
        return Err(error);
    }
    let written = stamp(path, &file);
    // A program that ignores the lock may have had the old file open, and written into it.
    if old.has_changed(expected) {
        old.restore(path, &file);
        return Err(Error::Conflict);
    }
    if !lock.is_ours() && !is_at(path, &file) {
        return Err(Error::Conflict);
    }
    Ok(written)
}

/// Why a file wasn't put in the place of another one.
enum PutError {
    /// `path` is a mount point, so the file can't be replaced.
    IsMount,
    Other(Error),
}

/// The replaced file, under a temporary name until it may be removed.
#[derive(Debug)]
enum OldFile {
    /// It has exchanged names with the new file.
    Exchanged(TempPath),
    /// It was linked to a second name before it lost its first one.
    Linked(TempPath),
    /// It is lost, because the file system can neither exchange nor link files.
    Lost,
}

/// Puts the file `new` in the place of the one at `path`.
///
/// Where the system can exchange two files atomically, the replaced file is checked afterwards.
/// Elsewhere it is checked just before.
fn put(new: TempPath, path: &Path, expected: Fingerprint) -> Result<OldFile, PutError> {
    let refuse = |error| PutError::Other(rename_error(error, path));
    match disk::exchange(&new, path) {
        Ok(()) => {
            let old = OldFile::Exchanged(new);
            if old.has_changed(expected) {
                old.exchange_back(path);
                return Err(PutError::Other(Error::Conflict));
            }
            return Ok(old);
        }
        Err(error) if platform::is_mount(&error) => return Err(PutError::IsMount),
        Err(error) if !platform::is_unsupported(&error) => return Err(refuse(error)),
        Err(_) => {}
    }
    let old = match disk::keep(path) {
        Ok(kept) => OldFile::Linked(kept),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(refuse(error)),
        Err(_) => OldFile::Lost,
    };
    let as_expected = match &old {
        OldFile::Lost => disk::look(path).is_ok_and(|it| is_expected(expected, &it)),
        linked => !linked.has_changed(expected),
    };
    if !as_expected {
        return Err(PutError::Other(Error::Conflict));
    }
    match disk::rename(new, path) {
        Ok(()) => Ok(old),
        Err(refused) if platform::is_mount(&refused.error) => Err(PutError::IsMount),
        Err(refused) => Err(refuse(refused.error)),
    }
}

/// Converts the error of a rename to `path`.
fn rename_error(error: io::Error, path: &Path) -> Error {
    match error.kind() {
        // Another process has taken the lock and removed the temporary file, removed the old file,
        // or created one.
        io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists => Error::Conflict,
        _ => writing("replace", path)(error),
    }
}

impl OldFile {
    /// Whether this isn't the file that was to be replaced, or has been written since.
    fn has_changed(&self, expected: Fingerprint) -> bool {
        match self {
            Self::Exchanged(name) | Self::Linked(name) => {
                disk::look_at_name(name).is_ok_and(|found| !is_expected(expected, &found))
            }
            Self::Lost => false,
        }
    }

    /// Undoes the replacement as far as possible; the caller returns an error in any case. A file
    /// that another program has put in the place of the new one is kept.
    fn restore(self, path: &Path, new: &File) {
        if is_at(path, new) {
            match self {
                Self::Exchanged(_) => self.exchange_back(path),
                Self::Linked(name) => drop(disk::rename(name, path)),
                Self::Lost => {}
            }
        }
    }

    /// Exchanges the two files again. If a third file had taken the name meanwhile, it comes out
    /// under the temporary name, and is put back by one more exchange.
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

/// Whether `found` is the file that was to be replaced, unchanged.
fn is_expected(expected: Fingerprint, found: &Metadata) -> bool {
    platform::fingerprint(found).without_change() == expected.without_change()
}

/// Makes the replacement durable.
fn finish(path: &Path) -> Result<()> {
    disk::sync_folder(path).map_err(io("flush the folder of", path))
}

/// Sets the time stamp of a written file and returns its state. The write is complete, so a file
/// system that keeps another time, or doesn't report it, is not an error.
fn stamp(path: &Path, file: &File) -> Option<WrittenFile> {
    let set = disk::touch(file, path).ok();
    let found = disk::look_at_open(file, path).ok()?;
    let fingerprint = platform::fingerprint(&found);
    Some(WrittenFile { fingerprint, marked: set == Some(fingerprint.modified) })
}

/// Whether `path` names this open file.
fn is_at(path: &Path, file: &File) -> bool {
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
    use crate::call::Call;
    use crate::lock::{FileLock, LockTimeouts};
    use crate::{fault_plan, reading};

    struct Fixture {
        folder: tempfile::TempDir,
        path: PathBuf,
        lock: FileLock,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cache.json");
            let (timeout, grace_period) = (Duration::from_secs(1), Duration::from_secs(10));
            let lock = FileLock::of(&path, LockTimeouts { timeout, grace_period }, false);
            Self { folder, path, lock }
        }

        /// Replaces the current file.
        fn replace(&self, bytes: &str) -> Result<Option<WrittenFile>> {
            let held = self.lock.enter().unwrap();
            replace(
                &self.path,
                Permissions::Refuse,
                bytes.as_bytes(),
                reading::look(&self.path).unwrap(),
                &held,
            )
        }

        fn text(&self) -> String {
            fs::read_to_string(&self.path).unwrap()
        }

        /// The number of files in the folder.
        fn files(&self) -> usize {
            fs::read_dir(self.folder.path()).unwrap().count()
        }
    }

    #[test]
    fn nothing_is_written_without_the_lock() {
        let fixture = Fixture::new();
        let first = fixture.replace("first").unwrap().unwrap();
        assert!(first.marked);
        let held = fixture.lock.enter().unwrap();
        fs::remove_file(fixture.folder.path().join("cache.json.lockfile")).unwrap();
        let found = reading::look(&fixture.path).unwrap();
        assert!(matches!(
            replace(&fixture.path, Permissions::Refuse, b"second", found, &held),
            Err(Error::Conflict)
        ));
        assert_eq!(fixture.text(), "first");
        drop(held);
        assert_eq!(fixture.files(), 1, "the temporary file is removed");
    }

    /// What a program that ignores the lock does between the last look and the rename; and the
    /// text of the file afterwards.
    type ForeignWrite = (fn(&Path), &'static str);

    #[test]
    fn a_file_that_another_program_wrote_meanwhile_is_put_back() {
        let by_rename: ForeignWrite = (
            |path| {
                fs::write(folder::beside(path, ".new"), "others").unwrap();
                fs::rename(folder::beside(path, ".new"), path).unwrap();
            },
            "others",
        );
        let in_place: ForeignWrite = (|path| fs::write(path, "others").unwrap(), "others");
        for (interfere, left) in [by_rename, in_place] {
            for exchanges in [true, false] {
                let fixture = Fixture::new();
                fixture.replace("old").unwrap();
                let held = fixture.lock.enter().unwrap();
                let found = reading::look(&fixture.path).unwrap();
                interfere(&fixture.path);
                if !exchanges {
                    fault_plan::fail_always(&fixture.path, Call::Exchange, Errno::NOSYS);
                }
                let replaced = replace(&fixture.path, Permissions::Refuse, b"new", found, &held);
                assert!(matches!(replaced, Err(Error::Conflict)), "{exchanges}");
                assert_eq!(fixture.text(), left);
                drop(held);
                fault_plan::clear(&fixture.path);
                assert_eq!(fixture.files(), 1);
                fixture.replace("new").unwrap();
                assert_eq!(fixture.text(), "new");
            }
        }
    }

    #[test]
    fn a_file_that_was_created_or_removed_meanwhile_is_a_conflict() {
        let fixture = Fixture::new();
        let held = fixture.lock.enter().unwrap();
        fs::write(&fixture.path, "others").unwrap();
        assert!(matches!(
            replace(&fixture.path, Permissions::Refuse, b"new", None, &held),
            Err(Error::Conflict)
        ));
        assert_eq!(fixture.text(), "others");
        let found = reading::look(&fixture.path).unwrap();
        fs::remove_file(&fixture.path).unwrap();
        for exchanges in [true, false] {
            if !exchanges {
                fault_plan::fail_always(&fixture.path, Call::Exchange, Errno::NOSYS);
            }
            assert!(matches!(
                replace(&fixture.path, Permissions::Refuse, b"new", found, &held),
                Err(Error::Conflict)
            ));
            assert!(!fixture.path.exists());
        }
        fault_plan::clear(&fixture.path);
    }

    #[test]
    fn a_write_into_the_old_file_after_the_rename_is_noticed() {
        let fixture = Fixture::new();
        fixture.replace("old").unwrap();
        let found = reading::look(&fixture.path).unwrap().unwrap();
        let theirs = fs::OpenOptions::new().write(true).open(&fixture.path).unwrap();
        let temporary = disk::create_temporary(&fixture.path).unwrap();
        let (new, name) = temporary.into_parts();
        let Ok(old) = put(name, &fixture.path, found) else { panic!("the file was not put") };
        assert!(!old.has_changed(found));
        std::io::Write::write_all(&mut &theirs, b"longer than old").unwrap();
        assert!(old.has_changed(found));
        old.restore(&fixture.path, &new);
        assert_eq!(fixture.text(), "longer than old");
        assert_eq!(fixture.files(), 1);
    }

    #[test]
    fn a_third_file_is_kept_when_a_replacement_is_undone() {
        let fixture = Fixture::new();
        fixture.replace("old").unwrap();
        let found = reading::look(&fixture.path).unwrap().unwrap();
        let (new, name) = disk::create_temporary(&fixture.path).unwrap().into_parts();
        let Ok(old) = put(name, &fixture.path, found) else { panic!("the file was not put") };
        fs::write(fixture.folder.path().join("third"), "third").unwrap();
        fs::rename(fixture.folder.path().join("third"), &fixture.path).unwrap();
        old.restore(&fixture.path, &new);
        assert_eq!(fixture.text(), "third");
        assert_eq!(fixture.files(), 1);
    }
}
