//! What differs between systems, behind one face.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;

/// Why a file is not safe for secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Others than the owner have access, by these permission bits.
    #[cfg_attr(windows, expect(dead_code, reason = "the standard library reads no access lists"))]
    Mode(u32),
    /// It belongs to another user.
    #[cfg_attr(windows, expect(dead_code, reason = "the standard library reads no owners"))]
    Owner {
        /// Whose it is.
        theirs: u32,
        /// As whom this process runs.
        ours: u32,
    },
}
