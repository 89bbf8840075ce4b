//! What macOS says of a file system.

use std::io;
use std::path::Path;

/// `MNT_LOCAL` of `sys/mount.h`: stored on this machine.
const LOCAL: u32 = 0x1000;

/// Whether processes on this machine alone can have the files of a folder open.
pub(crate) fn is_local(folder: &Path) -> io::Result<bool> {
    Ok(rustix::fs::statfs(folder)?.f_flags & LOCAL != 0)
}
