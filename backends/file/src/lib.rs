//! The file store of `msal-cache`: the JSON file that all MSAL libraries read and write, at the
//! path that you name.
//!
//! [`FileStore`] is the store; [`FileStoreBuilder`] has its options. [`FileBlob`] is the file alone, for
//! a wrapper that changes its text, such as one that encrypts.
//!
//! # What holds
//!
//! - **Reading** takes no lock and writes nothing, so it works on read-only media. An unchanged
//!   file costs one `stat`.
//! - **Writing** replaces the file atomically: a new file beside it, flushed to the disk, takes
//!   its name. A process that is killed leaves the old file or the new one. What was replaced is
//!   compared with what was read, and is back in its place if it was something else.
//! - **The lock** is `<path>.lockfile`, the name that the other MSAL libraries use, at each name
//!   that the path leads through. A holder that was killed delays nobody; one of another library
//!   is given ten seconds of grace.
//! - **Permissions** are checked whenever the file is read: a regular file of this user that
//!   nobody else can open, in a folder in which nobody else can replace it ([`Permissions`]).
//! - **A file that can't be read as a cache** is moved aside before the next write that adds
//!   something, and never deleted ([`OnCorrupt`]).
//!
//! What that guarantees against which other library, and what not, is in the README of
//! `msal-cache`.
//!
//! # Files beside the cache
//!
//! | name | what |
//! |---|---|
//! | `<path>.lockfile` | the lock, while somebody writes |
//! | `.lockfile` | Java's lock, where it is asked for |
//! | `<path>.refresh-<hash>` | the guard of a refresh that is under way |
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
mod clock;
mod contents;
mod disk;
#[cfg(all(test, unix))]
mod faults;
mod fingerprint;
mod journal;
mod leftovers;
mod location;
mod lock;
mod platform;
mod quarantine;
mod reading;
mod replace;
mod seam;
mod store;

pub(crate) use msal_cache_disk::{error, folder};

pub use blob::FileBlob;
pub use builder::FileStoreBuilder;
pub use location::{Cae, Location};
pub use lock::LockHolder;
pub use msal_cache_disk::Permissions;
pub use quarantine::OnCorrupt;
pub use store::FileStore;
