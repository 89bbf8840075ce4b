//! The SQLite store of `msal-cache`: one row for each token, in a database that threads and
//! processes share.
//!
//! [`SqliteStore`] is the store, and [`SqliteStoreBuilder`] has its options. No type of `rusqlite`
//! is in this interface, so a new version of it is not a breaking change.
//!
//! # Guarantees
//!
//! - **A commit** is one `BEGIN IMMEDIATE` transaction, and is durable when it returns
//!   ([`Synchronous`]). If the process is killed, all of it or nothing is stored.
//! - **One key is one record.** A section and a key name one record in the whole database. A put
//!   under a key that another partition holds moves the key, and both partitions get new
//!   revisions.
//! - **A read** is one query. If the partition is still at the known revision, it is one look-up in
//!   an index. A listing is one query at any size. Several partitions are read in one transaction.
//! - **A busy database** is tried again until a deadline. Then the call returns
//!   [`Error::Locked`](msal_cache_core::Error::Locked).
//! - **Revisions** are stored in the rows. Each process draws random bits and counts from there, so
//!   no revision is used twice, also after a backup is restored.
//! - **Permissions** of the database, of the files beside it and of what leads to them are checked
//!   when it is opened and with each write ([`Permissions`]). New files have mode 0600 from the
//!   beginning, whatever the umask is.
//! - **A database that can't be used** because it belongs to another application, has a newer
//!   version or is damaged, is an error, and is not changed.
//! - **A database of an older version** is migrated in one transaction when it is opened. Older
//!   versions of this crate can't write to it afterwards.
//! - **Deleted values** are overwritten in the database (`secure_delete`). When a commit empties a
//!   partition, as a sign-out does, the write-ahead log is emptied too. If readers prevent it for
//!   one second, it is tried again until they have finished. The memory of SQLite is not wiped.
//!
//! # Files
//!
//! | name | content |
//! |---|---|
//! | `<path>` | the database; [`SqliteStoreBuilder::open`] creates it, and its folder with mode 0700 |
//! | `<path>-wal`, `<path>-shm` | the write-ahead log and its index, while the database is open |
//! | `<path>-journal` | the rollback journal of a commit, if there is no write-ahead log |
//! | `<path>.refresh-<hash>` | the guard of a refresh, while it is held |
//!
//! The first three belong together. Copy a database with the means of SQLite, and don't rename or
//! delete it while it is open. If its file is replaced or missing, the store opens the path anew.
//!
//! A database must have one name: one with a second hard link, or that is mounted as a single file,
//! is refused. A child process of a `fork` can use the store: it opens connections of its own.
//!
//! # Journals
//!
//! On a local file system the store uses a write-ahead log, so that readers and the writer don't
//! wait for each other. The log needs memory that is shared between processes, which a network
//! file system doesn't have; there the store uses a rollback journal ([`Journal`]).
//!
//! # Read-only media
//!
//! A database that can't be written can be read, and a commit returns
//! [`Error::ReadOnly`](msal_cache_core::Error::ReadOnly). If the files of the write-ahead log can't
//! be created either, each read opens the database anew, and is repeated if the file changes
//! meanwhile. There a log that a killed writer left behind can't be read until a process that may
//! write has opened the database.
//!
//! # Platforms
//!
//! The crate is developed and tested on Linux. macOS and the BSDs use nearly the same code. The
//! code for Windows follows the documentation and has not been run.

#![forbid(unsafe_code)]

mod builder;
mod database;
mod error;
mod files;
mod migration;
mod opened;
mod platform;
mod pool;
mod read;
mod schema;
mod store;
mod transaction;
mod upkeep;
mod wait;
mod write;

pub use builder::{Journal, SqliteStoreBuilder, Synchronous};
pub use msal_cache_disk::Permissions;
pub use store::SqliteStore;
