//! System calls whose details differ between systems.

mod exposure;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub use exposure::Exposure;
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
