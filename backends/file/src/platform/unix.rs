//! Linux, macOS and the BSDs.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::fingerprint::Fingerprint;

/// What is known of a file by a `stat`.
pub(crate) fn fingerprint(file: &Metadata) -> Fingerprint {
    let nanoseconds =
        |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Fingerprint {
        identity: (file.dev(), file.ino()),
        size: file.size(),
        modified: nanoseconds(file.mtime(), file.mtime_nsec()),
        changed: nanoseconds(file.ctime(), file.ctime_nsec()),
        access: (file.mode() & 0o7777, file.uid()),
    }
}

/// Opens a file to read. Something else than a file, put there meanwhile, doesn't block: opening
/// a pipe would wait for its other end.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK)).open(path)
}

/// Opens a file of this crate's own beside the cache, never through a symbolic link.
pub(crate) fn open_own(path: &Path, write: bool) -> io::Result<File> {
    let flags = flags(OFlags::NONBLOCK | OFlags::NOFOLLOW);
    OpenOptions::new().read(true).write(write).custom_flags(flags).open(path)
}

/// Whether a rename failed only because another process looks at the file this moment.
pub(crate) fn is_passing(_: &io::Error) -> bool {
    false
}

/// Whether a rename failed because a mount lies on the very file.
pub(crate) fn is_mount(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::BUSY | Errno::XDEV))
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}
