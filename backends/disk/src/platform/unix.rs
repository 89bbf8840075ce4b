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

fn is_private(file: &Metadata) -> bool {
    !matches!(exposure(file), Some(Exposure::Mode(_)))
}

/// Leaves the right to write to a folder to its owner only. Returns the mode afterwards.
///
/// # Errors
///
/// The error of the system.
pub fn close_folder(folder: &Path, mode: u32) -> io::Result<u32> {
    let open = File::open(folder)?;
    open.set_permissions(Permissions::from_mode(mode & !0o022))?;
    Ok(open.metadata()?.mode() & 0o7777)
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

/// Opens a file that this crate keeps beside a store; not through a symbolic link, and without
/// waiting for the other end of a pipe.
///
/// # Errors
///
/// The error of the system.
pub fn open_own(path: &Path, write: bool) -> io::Result<File> {
    let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW).bits();
    OpenOptions::new().read(true).write(write).custom_flags(flags.cast_signed()).open(path)
}

/// The owner of a file, if that is another user.
pub fn foreign_owner(path: &Path) -> Option<u32> {
    let owner = path.symlink_metadata().ok()?.uid();
    (owner != rustix::process::geteuid().as_raw()).then_some(owner)
}

/// Gives a new file to the owner and the group of the file that it replaces.
///
/// # Errors
///
/// The error of the system, as for all users but root.
pub fn keep_owner(new: &File, old: &Metadata) -> io::Result<()> {
    std::os::unix::fs::fchown(new, Some(old.uid()), Some(old.gid()))
}

/// Sets the permission bits of an open file to those of a secret. Returns whether no other user has
/// access to it afterwards; some file systems keep no permissions.
///
/// # Errors
///
/// The error of the system.
pub fn make_private(file: &File) -> io::Result<bool> {
    if file.metadata()?.mode() & 0o7777 == PRIVATE {
        return Ok(true);
    }
    file.set_permissions(Permissions::from_mode(PRIVATE))?;
    Ok(is_private(&file.metadata()?))
}

/// The same for a file that must not be opened, since closing one releases every POSIX lock that
/// this process holds on it. A symbolic link is refused.
///
/// # Errors
///
/// The error of the system.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn make_private_unopened(path: &Path) -> io::Result<bool> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Such a descriptor has no access to the file, and closing it releases no lock.
    let file = File::from(openat(CWD, path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    match fs::set_permissions(&name, Permissions::from_mode(PRIVATE)) {
        // Without `/proc`. No other user can replace the file in a folder that was checked.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::set_permissions(path, Permissions::from_mode(PRIVATE))?;
        }
        done => done?,
    }
    Ok(is_private(&file.metadata()?))
}

/// The same for a file that must not be opened, since closing one releases every POSIX lock that
/// this process holds on it.
///
/// # Errors
///
/// The error of the system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn make_private_unopened(path: &Path) -> io::Result<bool> {
    use rustix::fs::{AtFlags, CWD, Mode, chmodat};
    let mode = Mode::RUSR | Mode::WUSR;
    chmodat(CWD, path, mode, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(is_private(&path.symlink_metadata()?))
}

/// Whether the file system of a path is mounted read-only. False where that is unknown.
pub fn is_read_only(path: &Path) -> bool {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether the file system of a path is of a kind that may keep no permissions, depending on how it
/// is mounted. The magic numbers are from `linux/magic.h`, or from the sources of file systems.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn may_keep_no_modes(path: &Path) -> bool {
    const KINDS: [u32; 10] = [
        0x0000_4D44, // FAT
        0x2011_BAB0, // exFAT
        0x5346_544E, // NTFS
        0x7366_746E, // NTFS3
        0x6573_5546, // FUSE: ntfs-3g, bindfs, rclone and others
        0x0102_1997, // 9P, of virtual machines and of WSL
        0xFF53_4D42, // CIFS
        0xFE53_4D42, // SMB2
        0x786F_4256, // shared folders of VirtualBox
        0xBACB_ACBC, // shared folders of VMware
    ];
    rustix::fs::statfs(path).is_ok_and(|found| {
        // Its sign and width depend on the architecture; the magic numbers have 32 bits.
        let kind = i128::from(found.f_type) & 0xFFFF_FFFF;
        KINDS.iter().any(|known| kind == i128::from(*known))
    })
}

/// Whether the file system of a path is of a kind that may keep no permissions. Unknown here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn may_keep_no_modes(_: &Path) -> bool {
    false
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
