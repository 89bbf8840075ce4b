//! Linux, macOS and the BSDs.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::io::Errno;

use super::exposure::Exposure;

/// Permission bits of files that hold secrets.
const PRIVATE: u32 = 0o600;

/// Permission bits of folders that are created for such files.
const PRIVATE_FOLDER: u32 = 0o700;

/// Whether users other than this one have access to a file.
pub fn exposure(file: &Metadata) -> Option<Exposure> {
    let (theirs, ours) = (file.uid(), rustix::process::geteuid().as_raw());
    if theirs != ours {
        return Some(Exposure::Owner { theirs, ours });
    }
    let mode = file.mode() & 0o7777;
    (mode & 0o077 != 0).then_some(Exposure::Mode(mode))
}

/// Whether users other than this one and root can replace the files in a folder.
pub fn folder_exposure(folder: &Metadata) -> Option<Exposure> {
    let (theirs, ours) = (folder.uid(), rustix::process::geteuid().as_raw());
    if theirs != ours && theirs != 0 && ours != 0 {
        return Some(Exposure::Owner { theirs, ours });
    }
    let mode = folder.mode() & 0o7777;
    let (sticky, by_others, by_group) = (mode & 0o1000, mode & 0o002, mode & 0o020);
    let by_foreign_group = by_group != 0 && folder.gid() != theirs;
    (sticky == 0 && (by_others != 0 || by_foreign_group)).then_some(Exposure::Mode(mode))
}

/// Leaves the right to write to a folder to its owner only.
///
/// # Errors
///
/// The error of the system.
pub fn close_folder(folder: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(mode & !0o022))
}

/// Creates a new file, accessible to this user only. The umask may remove rights of this user,
/// too; [`make_private`] restores them.
///
/// # Errors
///
/// The error of the system; `AlreadyExists` also for a symbolic link.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(PRIVATE).open(path)
}

/// Sets the permission bits of an open file to those of a secret.
///
/// # Errors
///
/// The error of the system.
pub fn make_private(file: &File) -> io::Result<()> {
    if file.metadata()?.mode() & 0o7777 == PRIVATE {
        return Ok(());
    }
    file.set_permissions(Permissions::from_mode(PRIVATE))
}

/// Sets the permission bits of a file by its name, for a file that must not be opened: closing one
/// releases every POSIX lock that this process holds on it.
///
/// # Errors
///
/// The error of the system.
pub fn make_private_by_name(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(PRIVATE))
}

/// Creates one folder, accessible to this user only, whatever the umask.
///
/// # Errors
///
/// The error of the system.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE_FOLDER).create(path)?;
    if path.metadata()?.mode() & 0o777 == PRIVATE_FOLDER {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(PRIVATE_FOLDER))
}

/// Flushes the entries of a folder to the disk.
///
/// # Errors
///
/// The error of the system, except that of a file system that can't flush folders.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some network file systems can't flush a folder, and keep the order by themselves.
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL)) => Ok(()),
        done => done,
    }
}

/// Whether two files are the same one. At least one of them must be open: the inode number of an
/// open file isn't reused.
pub fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Removes a file that this process has open, and others may have, too. They find by
/// [`is_same_file`] that theirs has lost its name.
///
/// # Errors
///
/// The error of the system.
pub fn remove_open(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}
