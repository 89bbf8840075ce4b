//! Fault injection: each function of [`disk`](crate::disk) passes here first. Tests can make it
//! fail here; in other builds nothing of this remains.

#[cfg(not(all(test, unix)))]
mod system {
    use std::io;
    use std::path::Path;

    use crate::call::Call;

    /// Returns the error with which the call fails.
    #[inline]
    #[expect(clippy::unnecessary_wraps, reason = "tests inject errors here")]
    pub(crate) fn pass(_: Call, _: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Returns the part of `bytes` that is written, and the result of the call after that.
    #[inline]
    pub(crate) fn pass_bytes<'a>(_: Call, _: &Path, bytes: &'a [u8]) -> (&'a [u8], io::Result<()>) {
        (bytes, Ok(()))
    }
}

#[cfg(not(all(test, unix)))]
pub(crate) use system::*;

#[cfg(all(test, unix))]
pub(crate) use crate::fault_plan::{pass, pass_bytes};
