//! System calls whose details differ between systems.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub(crate) use msal_cache_disk::platform::*;
#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;
