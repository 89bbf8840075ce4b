//! Windows. Written from the documentation; it has not been run.

use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::path::{Component, Path, Prefix};

use super::Fault;

/// Tells one file from another at the same path. A file that is open can't be replaced here.
pub(crate) type Identity = ();

/// Tells which file this is.
pub(crate) fn identity(_: &Metadata) -> Identity {}

/// Whether others than this user have access to a file: that of the folder is inherited.
pub(crate) fn fault(_: &Metadata) -> Option<Fault> {
    None
}

/// Creates an empty file that wasn't there.
pub(crate) fn create_new(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path).map(drop)
}

/// Gives a file the rights of a secret, which it has already.
pub(crate) fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Creates one folder.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Makes what was created in a folder last: NTFS does by itself.
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

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
