//! Windows. The code follows the documentation and has not been run.

use std::fs::Metadata;
use std::io;
use std::path::{Component, Path, Prefix};

/// Identifies a file. Nothing is needed on Windows, where an open file can't be replaced.
pub(crate) type FileId = ();

/// The identity of a file.
pub(crate) fn file_id(_: &Metadata) -> FileId {}

/// The number of names of a file. Unknown here.
pub(crate) fn names(_: &Metadata) -> u64 {
    1
}

/// Whether a file is itself a mount point.
pub(crate) fn is_mount_point(_: &Path) -> bool {
    false
}

/// Whether this process may create files in a folder. True, since only an attempt could show it.
pub(crate) fn can_create_in(_: &Path) -> bool {
    true
}

/// Whether only processes on this machine can open the files of a folder. False for a path that
/// names a server. A drive letter of a network share is not recognized.
pub(crate) fn is_local(folder: &Path) -> io::Result<bool> {
    Ok(!matches!(
        folder.components().next(),
        Some(Component::Prefix(prefix))
            if matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..))
    ))
}

/// A path for a URI of SQLite: `/C:/folder/name`.
pub(crate) fn uri(path: &Path) -> String {
    let path = path.to_string_lossy().replace('\\', "/");
    format!("/{}", super::escape(path.as_bytes()))
}
