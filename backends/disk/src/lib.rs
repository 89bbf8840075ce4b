//! What the stores of [`msal-cache`](https://docs.rs/msal-cache) that keep a file on disk have in
//! common: paths, private folders, permissions of files that hold secrets, and the guard file of a
//! refresh.
//!
//! **This crate is an implementation detail of `msal-cache`.** It has no stable interface of its
//! own: any release may change it. Apps depend on `msal-cache`, which re-exports [`Permissions`].

#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod folder;
mod guard;
mod path;
mod permissions;
#[doc(hidden)]
pub mod platform;
mod trust;

pub use guard::GuardFile;
pub use path::{absolute, link_chain, referent};
pub use permissions::Permissions;
pub use trust::{FolderUse, not_a_file};
