//! Windows. Written from the documentation; it has not been run.

use std::fs::Metadata;
use std::io;
use std::path::{Component, Path, Prefix};

/// Tells one file from another at the same path. A file that is open can't be replaced here.
pub(crate) type Identity = ();

/// Tells which file this is.
pub(crate) fn identity(_: &Metadata) -> Identity {}

/// Whether this process may create files in a folder. Said to be so, as only trying would tell.
pub(crate) fn can_create_in(_: &Path) -> bool {
    true
}

/// Whether processes on this machine alone can have the files of a folder open: not where the
/// path names a server. A drive letter for a share isn't noticed.
pub(crate) fn is_local(folder: &Path) -> io::Result<bool> {
    Ok(!matches!(
        folder.components().next(),
        Some(Component::Prefix(prefix))
            if matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..))
    ))
}

/// The path as SQLite takes it in a URI: `/C:/folder/name`.
pub(crate) fn uri(path: &Path) -> String {
    let path = path.to_string_lossy().replace('\\', "/");
    format!("/{}", super::escape(path.as_bytes()))
}
