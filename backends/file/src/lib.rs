//! The file store of `msal-cache`: the JSON file that all MSAL libraries read and write, at the
//! path that you name.
//!
//! [`FileStore`] is the store; [`Builder`] has its options. [`FileBlob`] is the file alone, for
//! a wrapper that changes its text, such as one that encrypts.
//!
//! # What holds
//!
//! - **Reading** takes no lock and writes nothing, so it works on read-only media. An unchanged
//!   file costs one `stat`.
//! - **Writing** replaces the file atomically: a new file beside it, flushed to the disk, then
//!   renamed over it. A process that is killed leaves the old file or the new one.
//! - **The lock** is `<path>.lockfile`, the name that the other MSAL libraries use. A holder that
//!   was killed delays nobody; one of another library is given ten seconds of grace.
//! - **Permissions** are checked whenever the file is read: a regular file of this user that
//!   nobody else can open ([`Permissions`]).
//! - **A file that can't be read as a cache** is moved aside before the next write and never
//!   deleted ([`OnCorrupt`]).
//!
//! # Files beside the cache
//!
//! | name | what |
//! |---|---|
//! | `<path>.lockfile` | the lock, while somebody writes |
//! | `.<name>.XXXXXX.tmp` | a write that is under way; one of a killed process is removed later |
//! | `<name>.corrupt-<n>` | a file that could not be read, set aside |
//! | `<name>.journal` | a write into a file that can't be renamed over, while it is under way |
//!
//! # Systems
//!
//! Developed and tested on Linux. What macOS and the BSDs need is the same code. The Windows part
//! is written from the documentation and has not been run.

mod blob;
mod builder;
mod disk;
mod fingerprint;
mod journal;
mod leftovers;
mod location;
mod lock;
mod platform;
mod quarantine;
mod reading;
mod replace;
mod seen;
mod store;
mod trace;

pub(crate) use msal_cache_place::{error, folder};

pub use blob::FileBlob;
pub use builder::Builder;
pub use location::{Cae, Location};
pub use msal_cache_place::Permissions;
pub use quarantine::OnCorrupt;
pub use store::FileStore;
