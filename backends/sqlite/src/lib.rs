//! The SQLite store of `msal-cache`: a row for each token, in one database that threads and
//! processes share.
//!
//! [`SqliteStore`] is the store; [`Builder`] has its options. The types of `rusqlite` don't
//! occur in this interface, so its version is nobody's concern.
//!
//! # What holds
//!
//! - **A commit** is one `BEGIN IMMEDIATE` transaction, and on the disk when it returns
//!   ([`Synchronous`]). A process that is killed leaves all of it or nothing.
//! - **Reading** takes one statement: a partition that is still at the revision you know costs
//!   one indexed look-up, a listing of any size is one query.
//! - **Waiting**: a database that others are busy with is tried again until a deadline, then the
//!   answer is [`Error::Locked`](msal_cache_core::Error::Locked).
//! - **Revisions** are drawn at random for each process and counted within it, and kept in the
//!   rows. So they don't return, also when a backup is put back.
//! - **Permissions** of the database and of the files beside it are checked on opening, and are
//!   0600 from the first moment on whatever the umask is ([`Permissions`]).
//! - **A database that isn't ours**, is of a newer version or is damaged is an error, and is left
//!   as it is.
//! - **What is deleted** is overwritten in the database (`secure_delete`). The write-ahead log is
//!   emptied when a partition is: nothing of a user who signs out stays in it, unless readers are
//!   in the way for a second. The memory of SQLite is not wiped.
//!
//! # Files
//!
//! | name | what |
//! |---|---|
//! | `<path>` | the database; created by [`Builder::open`], with its folder (mode 0700) |
//! | `<path>-wal`, `<path>-shm` | the write-ahead log and its index, while somebody has it open |
//! | `<path>-journal` | without a write-ahead log: a commit that is under way |
//! | `<path>.refresh-<hash>` | the guard of a refresh that is under way |
//!
//! They belong together: copy a database with SQLite's own means, and neither rename nor delete
//! it while it is open. A store whose database was taken away refuses to write.
//!
//! # Journals
//!
//! On local disks the store uses a write-ahead log, so readers and the writer don't wait for each
//! other. It needs memory that all processes share; on a network file system there is none, and
//! the store uses a rollback journal ([`Journal`]).
//!
//! # Read-only media
//!
//! A database that can't be written can be read, and a commit is
//! [`Error::ReadOnly`](msal_cache_core::Error::ReadOnly). Where the files of the write-ahead log
//! can't be created either, each read opens the database anew and is repeated if the file was
//! changed meanwhile. One thing can't be read there: a log that a killed writer left behind,
//! until somebody who may write has opened the database.
//!
//! # Systems
//!
//! Developed and tested on Linux. What macOS and the BSDs need is nearly the same code. The
//! Windows part is written from the documentation and has not been run.

#![forbid(unsafe_code)]

mod builder;
mod database;
mod error;
mod migration;
mod place;
mod platform;
mod pool;
mod read;
mod schema;
mod store;
mod transaction;
mod wait;
mod write;

pub use builder::{Builder, Journal, Synchronous};
pub use msal_cache_disk::Permissions;
pub use store::SqliteStore;
