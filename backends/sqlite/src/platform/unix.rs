//! Linux, macOS and the BSDs.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

use super::Fault;

/// Permission bits of everything that holds secrets: read and written by the owner.
const PRIVATE: u32 = 0o600;

/// The same for the folders that are created for it.
const PRIVATE_FOLDER: u32 = 0o700;

/// Tells one file from another at the same path.
pub(crate) type Identity = (u64, u64);

/// Tells which file this is.
pub(crate) fn identity(file: &Metadata) -> Identity {
    (file.dev(), file.ino())
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

/// Creates an empty file that wasn't there, for this user alone and also where the umask would
/// take this user's rights.
pub(crate) fn create_new(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    if file.metadata()?.mode() & 0o7777 == PRIVATE {
        return Ok(());
    }
    file.set_permissions(Permissions::from_mode(PRIVATE))
}

/// Gives a file the permission bits of a secret.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(PRIVATE))
}

/// Creates one folder for this user alone, also where the umask would take this user's rights.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE_FOLDER).create(path)?;
    if path.metadata()?.mode() & 0o777 == PRIVATE_FOLDER {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(PRIVATE_FOLDER))
}

/// Makes what was created in a folder last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some network file systems can't flush a folder, and keep the order by themselves.
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL)) => Ok(()),
        done => done,
    }
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
