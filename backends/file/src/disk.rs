//! The calls to the file system of which reading and writing consist. Each is a function of its
//! own, so that tests can make each one fail.

use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use tempfile::{NamedTempFile, PersistError, TempPath};

use crate::call::Call;
use crate::seam::{pass, pass_bytes};
use crate::{folder, platform};

/// The number of random characters in the name of a temporary file.
pub(crate) const RANDOM: usize = 6;

/// The end of the name of a temporary file.
pub(crate) const SUFFIX: &str = ".tmp";

/// The start of the name of a temporary file for `path`; `None` where `path` has no file name.
pub(crate) fn prefix(path: &Path) -> Option<std::ffi::OsString> {
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(path.file_name()?);
    prefix.push(".");
    Some(prefix)
}

/// The metadata of the file at `path`, following symbolic links.
pub(crate) fn look(path: &Path) -> io::Result<Metadata> {
    pass(Call::Look, path)?;
    path.metadata()
}

/// The metadata of the file or symbolic link at `path`.
pub(crate) fn look_at_name(path: &Path) -> io::Result<Metadata> {
    pass(Call::Look, path)?;
    path.symlink_metadata()
}

/// The path, then the target of each symbolic link in turn.
pub(crate) fn link_chain(path: &Path) -> io::Result<Vec<PathBuf>> {
    pass(Call::Look, path)?;
    msal_cache_disk::link_chain(path)
}

/// The metadata of an open file, which was opened at `path`.
pub(crate) fn look_at_open(file: &File, path: &Path) -> io::Result<Metadata> {
    pass(Call::Look, path)?;
    file.metadata()
}

/// Opens a file for reading.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    pass(Call::Open, path)?;
    platform::open_to_read(path)
}

/// Opens a file for writing into it.
pub(crate) fn open_to_write(path: &Path) -> io::Result<File> {
    pass(Call::Open, path)?;
    OpenOptions::new().write(true).open(path)
}

/// Tries to take the `flock` of a file.
#[cfg(unix)]
pub(crate) fn try_flock(file: &File, path: &Path) -> io::Result<bool> {
    pass(Call::Lock, path)?;
    platform::try_flock(file)
}

/// Opens a file that this crate keeps beside the cache; not through a symbolic link.
pub(crate) fn open_own(path: &Path, write: bool) -> io::Result<File> {
    pass(Call::Open, path)?;
    platform::open_own(path, write)
}

/// Reads once and appends to `bytes`, up to its capacity. Returns the number of bytes; 0 at the end
/// of the file.
pub(crate) fn read(file: &mut File, path: &Path, bytes: &mut Vec<u8>) -> io::Result<usize> {
    pass(Call::Read, path)?;
    platform::read(file, bytes)
}

/// Creates `.<name>.XXXXXX.tmp` beside `path`, accessible to this user only. Dropping the handle
/// removes the file.
pub(crate) fn create_temporary(path: &Path) -> io::Result<NamedTempFile> {
    pass(Call::Create, path)?;
    let prefix = prefix(path).ok_or(io::ErrorKind::InvalidFilename)?;
    let file = tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(RANDOM)
        .suffix(SUFFIX)
        .tempfile_in(folder::of(path))?;
    platform::make_private(file.as_file())?;
    Ok(file)
}

/// Creates a new file, accessible to this user only.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    pass(Call::Create, path)?;
    platform::create_new(path)
}

/// Creates the folder of `path` and its missing parents, accessible to this user only.
pub(crate) fn create_folder_of(path: &Path) -> io::Result<()> {
    pass(Call::CreateFolder, path)?;
    folder::create(folder::of(path))
}

/// Links the file at `path` to a second, temporary name beside it. Dropping the handle removes the
/// second name only.
pub(crate) fn keep(path: &Path) -> io::Result<TempPath> {
    let prefix = prefix(path).ok_or(io::ErrorKind::InvalidFilename)?;
    let kept = tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(RANDOM)
        .suffix(SUFFIX)
        .make_in(folder::of(path), |name| link(path, name))?;
    Ok(kept.into_temp_path())
}

/// Links a file to a second name, which must be free.
pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    pass(Call::Link, to)?;
    fs::hard_link(from, to)
}

/// Writes all bytes to a file that was opened at `path`.
pub(crate) fn write(file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (part, outcome) = pass_bytes(Call::Write, path, bytes);
    file.write_all(part).and(outcome)
}

/// Flushes a file to the disk.
pub(crate) fn sync(file: &File, path: &Path) -> io::Result<()> {
    pass(Call::Sync, path)?;
    file.sync_all()
}

/// Sets the size of a file.
pub(crate) fn set_len(file: &File, path: &Path, size: u64) -> io::Result<()> {
    pass(Call::SetLen, path)?;
    file.set_len(size)
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    pass(Call::Remove, path)?;
    fs::remove_file(path)
}

/// Renames a temporary file to `path`, replacing the file there. On Windows this fails while
/// another process has the old file open, so it is tried several times.
pub(crate) fn rename(mut file: TempPath, path: &Path) -> Result<(), tempfile::PathPersistError> {
    for pause in [1, 2, 5, 10, 20, 50, 100, 0] {
        if let Err(error) = pass(Call::Rename, path) {
            return Err(tempfile::PathPersistError { error, path: file });
        }
        match file.persist(path) {
            Err(error) if pause > 0 && platform::is_passing(&error.error) => {
                file = error.path;
                thread::sleep(Duration::from_millis(pause));
            }
            done => return done,
        }
    }
    Ok(())
}

/// Renames a temporary file to `path`, which must be free. Where the file system can check that
/// neither by the rename nor by a link, it is checked just before; the caller has the lock.
pub(crate) fn rename_new(file: NamedTempFile, path: &Path) -> Result<File, PersistError> {
    let renamed = match pass(Call::Rename, path).and_then(|()| pass(Call::Link, path)) {
        Ok(()) => file.persist_noclobber(path),
        Err(error) => Err(PersistError { error, file }),
    };
    match renamed {
        Err(refused) if platform::lacks_links(&refused.error) => {
            if let Err(error) = check_free(path) {
                return Err(PersistError { error, file: refused.file });
            }
            refused.file.persist(path)
        }
        renamed => renamed,
    }
}

/// Renames a file back to `path`, if that is free.
pub(crate) fn put_back(from: &Path, path: &Path) -> io::Result<()> {
    match link(from, path) {
        Ok(()) => remove(from),
        Err(error) if platform::lacks_links(&error) => {
            check_free(path)?;
            move_over(from, path)
        }
        Err(error) => Err(error),
    }
}

fn check_free(path: &Path) -> io::Result<()> {
    match look_at_name(path) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Renames a file, replacing a file that isn't needed.
pub(crate) fn move_over(from: &Path, to: &Path) -> io::Result<()> {
    pass(Call::Rename, from)?;
    fs::rename(from, to)
}

/// Exchanges the names of two files atomically.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    pass(Call::Exchange, other)?;
    platform::exchange(one, other)
}

/// Flushes the entries of the folder of `path` to the disk.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    pass(Call::SyncFolder, path)?;
    platform::sync_folder(folder::of(path))
}

/// Sets the time of modification to the current time, rounded up to a whole millisecond. Returns
/// the time that was set, in nanoseconds since the epoch.
///
/// MSAL Python and Node consider a file unchanged if its time is before their last look, by the
/// wall clock. The clock with which the kernel stamps files can be 4 ms behind that, and the stamp
/// of a temporary file is from before its rename.
pub(crate) fn touch(file: &File, path: &Path) -> io::Result<i128> {
    pass(Call::SetTime, path)?;
    let now = SystemTime::now();
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    let fraction = since_epoch.subsec_nanos() % 1_000_000;
    let up = Duration::from_nanos(u64::from((1_000_000 - fraction) % 1_000_000));
    file.set_times(FileTimes::new().set_modified(now + up))?;
    i128::try_from((since_epoch + up).as_nanos()).map_err(io::Error::other)
}
