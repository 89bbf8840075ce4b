//! Where the stores of `msal-cache` keep what they keep on a disk: paths, private folders and the
//! permissions of files that hold secrets.
//!
//! Apps depend on `msal-cache`, which re-exports [`Permissions`]. This crate is for stores that
//! put something on a disk: those of `msal-cache` use it, and one of your own may. So all of them
//! refuse, repair and create the same way, and say the same when they can't.

#![forbid(unsafe_code)]

pub mod error;
pub mod folder;
mod guard;
mod path;
mod permissions;
pub mod platform;

pub use guard::Guard;
pub use path::{absolute, names, referent};
pub use permissions::{Permissions, not_a_file};
