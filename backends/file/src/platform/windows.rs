//! Windows, written from the documentation of the standard library and of `CreateFileW`. It has
//! not been run.
//!
//! The standard library reads neither access lists nor owners: files get the rights that their
//! folder hands down, which under a user's profile are that user's, and no permission is checked.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::MetadataExt;
use std::path::Path;

use super::Fault;
use crate::fingerprint::Fingerprint;

/// `ERROR_ACCESS_DENIED`, which also stands for a file that is about to be deleted.
const ACCESS_DENIED: i32 = 5;
/// `ERROR_SHARING_VIOLATION`.
const SHARING_VIOLATION: i32 = 32;
/// `ERROR_LOCK_VIOLATION`.
const LOCK_VIOLATION: i32 = 33;

/// What is known of a file. The number of a file is not in the stable standard library; its
/// creation time has to do. Times are in units of 100 nanoseconds since 1601.
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

/// Nothing is known about the access of others.
pub(crate) fn fault(_: &Metadata) -> Option<Fault> {
    None
}

/// Opens a file to read. The standard library shares it for reading, writing and deleting, so a
/// reader holds off no writer.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Opens a file of this crate's own beside the cache.
pub(crate) fn open_own(path: &Path, write: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(write).open(path)
}

/// Creates a file that wasn't there.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// The rights are those of the folder.
#[expect(clippy::unnecessary_wraps, reason = "the face is that of the other systems")]
pub(crate) fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

/// Creates one folder.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().create(path)
}

/// A folder can't be flushed; the file system's own journal keeps the order.
#[expect(clippy::unnecessary_wraps, reason = "the face is that of the other systems")]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether a rename failed only because another process, often a virus scanner, has the file
/// open this moment.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ACCESS_DENIED | SHARING_VIOLATION | LOCK_VIOLATION))
}

/// There are no mounts on single files.
pub(crate) fn is_mount(_: &io::Error) -> bool {
    false
}
