//! File systems on macOS.

use std::io;
use std::path::Path;

/// `MNT_LOCAL` of `sys/mount.h`: the file system is stored on this machine.
const LOCAL: u32 = 0x1000;

/// Whether only processes on this machine can open the files of a folder.
pub(crate) fn is_local(folder: &Path) -> io::Result<bool> {
    Ok(rustix::fs::statfs(folder)?.f_flags & LOCAL != 0)
}
