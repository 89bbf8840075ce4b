//! Linux, macOS and the BSDs.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Fault;
use crate::fingerprint::Fingerprint;

/// Permission bits of everything that holds secrets: read and written by the owner.
const PRIVATE: u32 = 0o600;

/// The same for the folders that are created for it.
const PRIVATE_FOLDER: u32 = 0o700;

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

/// Whether others than this user have access to a file.
pub(crate) fn fault(file: &Metadata) -> Option<Fault> {
    let (theirs, ours) = (file.uid(), rustix::process::geteuid().as_raw());
    if theirs != ours {
        return Some(Fault::Owner { theirs, ours });
    }
    let mode = file.mode() & 0o7777;
    (mode & 0o077 != 0).then_some(Fault::Mode(mode))
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

/// Creates a file that wasn't there, for this user alone.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(PRIVATE).open(path)
}

/// Gives a file the permission bits of a secret, which the umask may have narrowed or its
/// creator left wide.
pub(crate) fn make_private(file: &File) -> io::Result<()> {
    if file.metadata()?.mode() & 0o7777 == PRIVATE {
        return Ok(());
    }
    file.set_permissions(Permissions::from_mode(PRIVATE))
}

/// Creates one folder for this user alone, also where the umask would take this user's rights.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE_FOLDER).create(path)?;
    if path.metadata()?.mode() & 0o777 == PRIVATE_FOLDER {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(PRIVATE_FOLDER))
}

/// Makes what was created, renamed and removed in a folder last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some network file systems can't flush a folder, and keep the order by themselves.
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL)) => Ok(()),
        done => done,
    }
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
