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

/// Whether this process may create files in a folder: its permissions allow it, and the file system
/// isn't read-only.
pub(crate) fn can_create_in(folder: &Path) -> bool {
    rustix::fs::accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// A path for a URI of SQLite.
pub(crate) fn uri(path: &Path) -> String {
    super::escape(path.as_os_str().as_bytes())
}
