//! Windows, written from the documentation of the standard library and of `CreateFileW`. It has
//! not been run.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::windows::fs::MetadataExt;
use std::path::Path;

use crate::fingerprint::Fingerprint;

/// `ERROR_ACCESS_DENIED`, which is also returned for a file that is about to be deleted.
const ACCESS_DENIED: i32 = 5;
/// `ERROR_SHARING_VIOLATION`.
const SHARING_VIOLATION: i32 = 32;
/// `ERROR_LOCK_VIOLATION`.
const LOCK_VIOLATION: i32 = 33;

/// The fingerprint of a file with this metadata. The standard library has no stable file number, so
/// the time of creation is the identity. Times are in units of 100 nanoseconds since 1601.
pub(crate) fn fingerprint(file: &Metadata) -> Fingerprint {
    let nanoseconds = |time: u64| i128::from(time) * 100;
    Fingerprint {
        identity: (0, file.creation_time()),
        size: file.file_size(),
        modified: nanoseconds(file.last_write_time()),
        changed: nanoseconds(file.last_write_time()),
        access: (file.file_attributes(), 0),
    }
}

/// Opens a file for reading. The standard library shares it for reading, writing and deleting, so
/// readers don't block writers.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Reads into the spare capacity of `bytes`.
pub(crate) fn read(file: &File, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let room = bytes.capacity() - bytes.len();
    file.take(u64::try_from(room).unwrap_or(u64::MAX)).read_to_end(bytes)
}

/// Whether a rename failed only because another process, often a virus scanner, has the file open
/// at this moment.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ACCESS_DENIED | SHARING_VIOLATION | LOCK_VIOLATION))
}

/// This system can't exchange the names of two files.
pub(crate) fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a call failed because the system doesn't support it.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// Whether linking failed because the file system has no hard links.
pub(crate) fn lacks_links(error: &io::Error) -> bool {
    is_unsupported(error)
}

/// A single file can't be a mount point.
pub(crate) fn is_mount(_: &io::Error) -> bool {
    false
}
