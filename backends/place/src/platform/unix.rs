//! Linux, macOS and the BSDs.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::io::Errno;

use super::Fault;

/// Permission bits of everything that holds secrets: read and written by the owner.
const PRIVATE: u32 = 0o600;

/// The same for the folders that are created for it.
const PRIVATE_FOLDER: u32 = 0o700;

/// Whether others than this user have access to a file.
pub fn fault(file: &Metadata) -> Option<Fault> {
    let (theirs, ours) = (file.uid(), rustix::process::geteuid().as_raw());
    if theirs != ours {
        return Some(Fault::Owner { theirs, ours });
    }
    let mode = file.mode() & 0o7777;
    (mode & 0o077 != 0).then_some(Fault::Mode(mode))
}

/// Whether others than this user and the system's can replace what is in a folder.
pub fn folder_fault(folder: &Metadata) -> Option<Fault> {
    let (theirs, ours) = (folder.uid(), rustix::process::geteuid().as_raw());
    if theirs != ours && theirs != 0 && ours != 0 {
        return Some(Fault::Owner { theirs, ours });
    }
    let mode = folder.mode() & 0o7777;
    let (sticky, by_others, by_group) = (mode & 0o1000, mode & 0o002, mode & 0o020);
    let by_strangers = by_group != 0 && folder.gid() != theirs;
    (sticky == 0 && (by_others != 0 || by_strangers)).then_some(Fault::Mode(mode))
}

/// Takes the right to write to a folder from everybody but its owner.
///
/// # Errors
///
/// Those of the system.
pub fn close_folder(folder: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(mode & !0o022))
}

/// Creates a file that wasn't there, for this user alone. The umask may have taken rights of this
/// user too: [`make_private`] gives them back.
///
/// # Errors
///
/// Those of the system; `AlreadyExists` where something is there, a symbolic link included.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(PRIVATE).open(path)
}

/// Gives an open file the permission bits of a secret, which the umask may have narrowed or its
/// creator left wide.
///
/// # Errors
///
/// Those of the system.
pub fn make_private(file: &File) -> io::Result<()> {
    if file.metadata()?.mode() & 0o7777 == PRIVATE {
        return Ok(());
    }
    file.set_permissions(Permissions::from_mode(PRIVATE))
}

/// The same by name, for a file that must not be opened: closing one drops every POSIX lock that
/// this process holds on it.
///
/// # Errors
///
/// Those of the system.
pub fn make_private_by_name(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(PRIVATE))
}

/// Creates one folder for this user alone, also where the umask would take this user's rights.
///
/// # Errors
///
/// Those of the system.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE_FOLDER).create(path)?;
    if path.metadata()?.mode() & 0o777 == PRIVATE_FOLDER {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(PRIVATE_FOLDER))
}

/// Makes what was created, renamed and removed in a folder last.
///
/// # Errors
///
/// Those of the system. That a network file system can't flush a folder is none.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some network file systems can't flush a folder, and keep the order by themselves.
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL)) => Ok(()),
        done => done,
    }
}

/// Whether two files are one, of which at least one is open: the inode of an open file isn't
/// given to another.
pub fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Removes a file that this process, and maybe others, have open. They see by
/// [`is_same_file`] that theirs has lost its name.
///
/// # Errors
///
/// Those of the system.
pub fn remove_open(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}
