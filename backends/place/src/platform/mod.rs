//! What differs between systems, behind one face.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

/// Why a file is not safe for secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Others than the owner have access, by these permission bits.
    Mode(u32),
    /// It belongs to another user.
    Owner {
        /// Whose it is.
        theirs: u32,
        /// As whom this process runs.
        ours: u32,
    },
}
