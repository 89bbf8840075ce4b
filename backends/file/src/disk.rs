//! The calls to the file system that reading and writing consist of, each by its own name, so
//! that what happens when one of them fails can be tried one by one.

use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use tempfile::{NamedTempFile, PersistError, TempPath};

use crate::seam::{Call, pass, pass_bytes};
use crate::{folder, platform};

/// Random characters in the name of a temporary file.
pub(crate) const RANDOM: usize = 6;

/// What the name of a temporary file ends with.
pub(crate) const SUFFIX: &str = ".tmp";

/// What the name of a temporary file for `path` begins with, where `path` names a file.
pub(crate) fn prefix(path: &Path) -> Option<std::ffi::OsString> {
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(path.file_name()?);
    prefix.push(".");
    Some(prefix)
}

/// What is at `path`, symbolic links followed.
pub(crate) fn look(path: &Path) -> io::Result<Metadata> {
    pass(Call::Look, path)?;
    path.metadata()
}

/// What is at `path`, which may be a symbolic link.
pub(crate) fn look_at_name(path: &Path) -> io::Result<Metadata> {
    pass(Call::Look, path)?;
    path.symlink_metadata()
}

/// The path, what each symbolic link in turn names, and at last the file itself.
pub(crate) fn names(path: &Path) -> io::Result<Vec<PathBuf>> {
    pass(Call::Look, path)?;
    msal_cache_disk::link_chain(path)
}

/// What is known of an open file, which was opened at `path`.
pub(crate) fn look_at_open(file: &File, path: &Path) -> io::Result<Metadata> {
    pass(Call::Look, path)?;
    file.metadata()
}

/// Opens a file to read.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    pass(Call::Open, path)?;
    platform::open_to_read(path)
}

/// Opens a file to write into it.
pub(crate) fn open_to_write(path: &Path) -> io::Result<File> {
    pass(Call::Open, path)?;
    OpenOptions::new().write(true).open(path)
}

/// Whether the `flock` of a file is to be had now.
#[cfg(unix)]
pub(crate) fn try_flock(file: &File, path: &Path) -> io::Result<bool> {
    pass(Call::Lock, path)?;
    platform::try_flock(file)
}

/// Opens a file of this crate's own beside the cache, never through a symbolic link.
pub(crate) fn open_own(path: &Path, write: bool) -> io::Result<File> {
    pass(Call::Open, path)?;
    platform::open_own(path, write)
}

/// Reads once, behind what `bytes` holds, as much as it has room for. Returns how much; 0 at the
/// end of the file.
pub(crate) fn read(file: &mut File, path: &Path, bytes: &mut Vec<u8>) -> io::Result<usize> {
    pass(Call::Read, path)?;
    platform::read(file, bytes)
}

/// Creates `.<name>.XXXXXX.tmp` beside `path`, for this user alone. Dropping it removes it.
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

/// Creates a file that wasn't there, for this user alone.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    pass(Call::Create, path)?;
    platform::create_new(path)
}

/// Creates the folder of `path` and what is missing above it, for this user alone.
pub(crate) fn create_folder_of(path: &Path) -> io::Result<()> {
    pass(Call::CreateFolder, path)?;
    folder::create(folder::of(path))
}

/// Gives the file at `path` a second, temporary name beside it. Dropping that removes it, and
/// leaves the file under its first name.
pub(crate) fn keep(path: &Path) -> io::Result<TempPath> {
    let prefix = prefix(path).ok_or(io::ErrorKind::InvalidFilename)?;
    let kept = tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(RANDOM)
        .suffix(SUFFIX)
        .make_in(folder::of(path), |name| link(path, name))?;
    Ok(kept.into_temp_path())
}

/// Gives a file a second name, which must be free.
pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    pass(Call::Link, to)?;
    fs::hard_link(from, to)
}

/// Writes all of it to a file that was opened at `path`.
pub(crate) fn write(file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (part, outcome) = pass_bytes(Call::Write, path, bytes);
    file.write_all(part).and(outcome)
}

/// Makes the content of a file last.
pub(crate) fn sync(file: &File, path: &Path) -> io::Result<()> {
    pass(Call::Sync, path)?;
    file.sync_all()
}

/// Cuts a file off.
pub(crate) fn set_len(file: &File, path: &Path, size: u64) -> io::Result<()> {
    pass(Call::SetLen, path)?;
    file.set_len(size)
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    pass(Call::Remove, path)?;
    fs::remove_file(path)
}

/// Puts a temporary file in the place of `path`. On Windows a process that has the old file open
/// can be in the way for a moment; elsewhere nobody is.
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

/// Gives a temporary file the name `path`, which must be free.
pub(crate) fn rename_new(file: NamedTempFile, path: &Path) -> Result<File, PersistError> {
    match pass(Call::Rename, path) {
        Ok(()) => file.persist_noclobber(path),
        Err(error) => Err(PersistError { error, file }),
    }
}

/// Moves a file to where nothing is, or nothing worth keeping.
pub(crate) fn move_over(from: &Path, to: &Path) -> io::Result<()> {
    pass(Call::Rename, from)?;
    fs::rename(from, to)
}

/// Lets two files change their names, in one step.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    pass(Call::Exchange, other)?;
    platform::exchange(one, other)
}

/// Makes what was renamed and removed in the folder of `path` last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    pass(Call::SyncFolder, path)?;
    platform::sync_folder(folder::of(path))
}

/// Sets the time of the last change to the present, rounded up to a whole millisecond. Returns
/// the time that was set, in nanoseconds since the epoch.
///
/// MSAL Python and Node take a file for unchanged if it is older than their last look by the
/// clock on the wall. The kernel stamps files with a clock that can be 4 ms behind it, and a
/// temporary file has the time before its rename.
pub(crate) fn touch(file: &File, path: &Path) -> io::Result<i128> {
    pass(Call::SetTime, path)?;
    let now = SystemTime::now();
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    let fraction = since_epoch.subsec_nanos() % 1_000_000;
    let up = Duration::from_nanos(u64::from((1_000_000 - fraction) % 1_000_000));
    file.set_times(FileTimes::new().set_modified(now + up))?;
    i128::try_from((since_epoch + up).as_nanos()).map_err(io::Error::other)
}
