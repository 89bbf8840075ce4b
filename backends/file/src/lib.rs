//! The file store of [`msal-cache`](https://docs.rs/msal-cache): the JSON file that all MSAL
//! libraries read and write, at a path of your choice.
//!
//! [`FileStore`] is the store, and [`FileStoreBuilder`] sets its options. [`FileBlob`] is the text
//! of the file without its meaning, for a wrapper that stores another text, such as an encrypted
//! one.
//!
//! # Guarantees
//!
//! - **Reading** takes no lock and writes nothing, so it works on read-only media. Checking an
//!   unchanged file costs one `stat`.
//! - **Writing** replaces the file atomically: a new file is written beside it, flushed to the disk
//!   and renamed. A process that is killed leaves the old file or the new one. The replaced file is
//!   compared with the one that was read; if it differs, it is put back and the write is repeated.
//! - **The lock** is `<path>.lockfile`, as in the other MSAL libraries, beside each name in the
//!   chain of symbolic links that starts at the path. The lock of a killed process is taken over
//!   without delay, that of another library after a grace period of ten seconds.
//! - **Permissions** are checked whenever a changed file is read and with each write: it must be a
//!   regular file of this user that no other user can access, and on the way to it no other user
//!   can replace anything ([`Permissions`]).
//! - **A file that isn't a token cache** is renamed before the next write that adds a record, and
//!   never deleted ([`OnCorrupt`]).
//!
//! The guide [`docs::guarantees`](https://docs.rs/msal-cache/latest/msal_cache/docs/guarantees/) of
//! `msal-cache` lists what these guarantee against which other library, and what they don't.
//!
//! # Files beside the cache
//!
//! | name | purpose |
//! |---|---|
//! | `<path>.lockfile` | the lock, during a write |
//! | `.lockfile` | the lock of MSAL Java, on request |
//! | `<path>.refresh-<hash>` | the guard of a refresh in progress |
//! | `.<name>.XXXXXX.tmp` | a write in progress; the file of a killed process is removed by the next write |
//! | `<name>.corrupt-<n>` | a file that couldn't be read as a token cache |
//! | `<name>.journal` | a write in progress into a file that can't be replaced, because it is a mount point |
//!
//! # Changes
//!
//! With the feature `watch`, [`CacheStore::watch`](msal_cache_core::CacheStore::watch) reports changes by
//! the notifications of the system, and looks at the file every two seconds as well, since a change by
//! another machine may not be reported. Without it, or where the system can't notify, it looks five
//! times a second.
//!
//! # Systems
//!
//! Developed and tested on Linux. macOS and the BSDs use the same code. The Windows part is written
//! from the documentation and has not been run.

mod blob;
mod builder;
mod call;
#[cfg_attr(windows, expect(dead_code, reason = "no clock is read there"))]
mod clock;
mod contents;
mod disk;
#[cfg(all(test, unix))]
mod fault_plan;
#[cfg(all(test, unix))]
mod faults;
mod fingerprint;
mod journal;
mod leftovers;
mod location;
mod lock;
mod new_file;
mod options;
mod platform;
mod quarantine;
mod reading;
mod replace;
mod seam;
mod store;
mod watch;

pub(crate) use msal_cache_disk::{error, folder};

pub use blob::FileBlob;
pub use builder::FileStoreBuilder;
pub use location::{Cae, Location};
pub use lock::LockHolder;
pub use msal_cache_disk::Permissions;
pub use options::OnCorrupt;
pub use store::FileStore;
