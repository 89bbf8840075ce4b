//! Linux, macOS and the BSDs.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};

/// Tells one file from another at the same path.
pub(crate) type Identity = (u64, u64);

/// Tells which file this is.
pub(crate) fn identity(file: &Metadata) -> Identity {
    (file.dev(), file.ino())
}

/// Whether this process may create files in a folder: by the rights of the folder, and because
/// the medium isn't read-only.
pub(crate) fn can_create_in(folder: &Path) -> bool {
    rustix::fs::accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// The path as SQLite takes it in a URI. What isn't plainly a part of a name is escaped.
pub(crate) fn uri(path: &Path) -> String {
    super::escape(path.as_os_str().as_bytes())
}
