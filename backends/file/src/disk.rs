//! The calls to the file system that a write consists of, each by its own name, so that what
//! happens when one of them fails can be tried one by one.

use std::fs::{self, File, FileTimes};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use tempfile::{NamedTempFile, PersistError};

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

/// Creates `.<name>.XXXXXX.tmp` beside `path`, for this user alone. Dropping it removes it.
pub(crate) fn create_temporary(path: &Path) -> io::Result<NamedTempFile> {
    let prefix = prefix(path).ok_or(io::ErrorKind::InvalidFilename)?;
    let file = tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(RANDOM)
        .suffix(SUFFIX)
        .tempfile_in(folder::of(path))?;
    platform::make_private(file.as_file())?;
    Ok(file)
}

/// Gives the file at `path` a second, temporary name beside it. Dropping that removes it, and
/// leaves the file under its first name.
pub(crate) fn keep(path: &Path) -> io::Result<NamedTempFile<()>> {
    let prefix = prefix(path).ok_or(io::ErrorKind::InvalidFilename)?;
    tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(RANDOM)
        .suffix(SUFFIX)
        .make_in(folder::of(path), |name| fs::hard_link(path, name))
}

/// Writes all of it.
pub(crate) fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}

/// Makes the content of a file last.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Cuts a file off.
pub(crate) fn set_len(file: &File, size: u64) -> io::Result<()> {
    file.set_len(size)
}

/// Puts a temporary file in the place of `path`. On Windows a process that has the old file open
/// can be in the way for a moment; elsewhere nobody is.
pub(crate) fn rename<F>(mut file: NamedTempFile<F>, path: &Path) -> Result<F, PersistError<F>> {
    for pause in [1, 2, 5, 10, 20, 50, 100] {
        match file.persist(path) {
            Err(error) if platform::is_passing(&error.error) => {
                file = error.file;
                thread::sleep(Duration::from_millis(pause));
            }
            done => return done,
        }
    }
    file.persist(path)
}

/// Makes what was renamed and removed in the folder of `path` last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    platform::sync_folder(folder::of(path))
}

/// Sets the time of the last change to the present, rounded up to a whole millisecond. Returns
/// the time that was set, in nanoseconds since the epoch.
///
/// MSAL Python and Node take a file for unchanged if it is older than their last look by the
/// clock on the wall. The kernel stamps files with a clock that can be 4 ms behind it, and a
/// temporary file has the time before its rename.
pub(crate) fn touch(file: &File) -> io::Result<i128> {
    let now = SystemTime::now();
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    let fraction = since_epoch.subsec_nanos() % 1_000_000;
    let up = Duration::from_nanos(u64::from((1_000_000 - fraction) % 1_000_000));
    file.set_times(FileTimes::new().set_modified(now + up))?;
    i128::try_from((since_epoch + up).as_nanos()).map_err(io::Error::other)
}
