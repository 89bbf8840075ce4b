//! Where a test makes the system fail: every function of [`disk`](crate::disk) passes here
//! first. Outside of tests nothing is left of it.

/// What the file store asks of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Call {
    Look,
    Open,
    Read,
    Create,
    CreateFolder,
    #[cfg_attr(windows, expect(dead_code, reason = "to have the file open is the lock there"))]
    Lock,
    Write,
    Sync,
    SetLen,
    SetTime,
    Link,
    Rename,
    Exchange,
    Remove,
    SyncFolder,
}

#[cfg(not(all(test, unix)))]
mod system {
    use std::io;
    use std::path::Path;

    use super::Call;

    #[inline]
    #[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
    pub(crate) fn pass(_: Call, _: &Path) -> io::Result<()> {
        Ok(())
    }

    /// How much of `bytes` is written, and what the system says after that.
    #[inline]
    pub(crate) fn pass_bytes<'a>(_: Call, _: &Path, bytes: &'a [u8]) -> (&'a [u8], io::Result<()>) {
        (bytes, Ok(()))
    }
}

#[cfg(not(all(test, unix)))]
pub(crate) use system::*;

#[cfg(all(test, unix))]
pub(crate) use crate::faults::{pass, pass_bytes};
