//! Linux, macOS and the BSDs.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use fs2::FileExt;
use rustix::buffer::spare_capacity;
use rustix::fs::{FlockOperation, OFlags, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::fingerprint::Fingerprint;

/// The fingerprint of a file with this metadata.
pub(crate) fn fingerprint(file: &Metadata) -> Fingerprint {
    let nanoseconds =
        |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Fingerprint {
        identity: (file.dev(), file.ino()),
        size: file.size(),
        modified: nanoseconds(file.mtime(), file.mtime_nsec()),
        changed: nanoseconds(file.ctime(), file.ctime_nsec()),
        access: (file.mode() & 0o7777, file.uid()),
    }
}

/// Opens a file for reading, without blocking: a pipe that has taken its place would wait for a
/// writer.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK)).open(path)
}

/// Reads once, into the spare capacity of `bytes`, without filling that with zeros first.
pub(crate) fn read(file: &File, bytes: &mut Vec<u8>) -> io::Result<usize> {
    Ok(rustix::io::read(file, spare_capacity(bytes))?)
}

/// Tries to take the `flock` of a file.
pub(crate) fn try_flock(file: &File) -> io::Result<bool> {
    match FileExt::try_lock_exclusive(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tries to take the kind of lock that Java takes: a POSIX lock of this process on the whole file.
pub(crate) fn try_lock_whole(file: &File) -> io::Result<bool> {
    match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether no process has this id, as far as this process can see.
pub(crate) fn is_dead(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

/// Whether a rename failed only because another process has the file open at this moment.
pub(crate) fn is_passing(_: &io::Error) -> bool {
    false
}

/// Exchanges the names of two files atomically.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// This system can't exchange the names of two files.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a call failed because the system or the file system doesn't support it.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    // Not a pattern, because two of these are the same number on some systems.
    let unsupported = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP];
    error.kind() == io::ErrorKind::Unsupported
        || Errno::from_io_error(error).is_some_and(|error| unsupported.contains(&error))
}

/// Whether linking failed because the file system has no hard links.
pub(crate) fn lacks_links(error: &io::Error) -> bool {
    // Not a pattern, because two of these are the same number on some systems.
    let unsupported = [Errno::PERM, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS, Errno::MLINK];
    Errno::from_io_error(error).is_some_and(|error| unsupported.contains(&error))
}

/// Whether a rename failed because the file is a mount point.
pub(crate) fn is_mount(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::BUSY | Errno::XDEV))
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}
