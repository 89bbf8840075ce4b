//! Linux, macOS and the BSDs.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};

/// Identifies a file, independently of its path: device and inode.
pub(crate) type FileId = (u64, u64);

/// The identity of a file.
pub(crate) fn file_id(file: &Metadata) -> FileId {
    (file.dev(), file.ino())
}

/// The number of names (hard links) of a file.
pub(crate) fn names(file: &Metadata) -> u64 {
    file.nlink()
}

/// Whether a file is itself a mount point, as far as the system tells.
#[cfg(target_os = "linux")]
pub(crate) fn is_mount_point(file: &Path) -> bool {
    use rustix::fs::{StatxAttributes, StatxFlags, statx};
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    statx(CWD, file, flags, StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whether a file is itself a mount point. Other systems can't mount a single file.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_mount_point(_: &Path) -> bool {
    false
}

/// Whether this process may create files in a folder: its permissions allow it, and the file system
/// isn't read-only.
pub(crate) fn can_create_in(folder: &Path) -> bool {
    rustix::fs::accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// A path for a URI of SQLite.
pub(crate) fn uri(path: &Path) -> String {
    super::escape(path.as_os_str().as_bytes())
}
