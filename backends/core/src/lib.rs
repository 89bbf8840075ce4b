//! The storage contract of [`msal-cache`](https://docs.rs/msal-cache): what a store of tokens
//! has to do, and the stores that need nothing but memory.
//!
//! Apps depend on `msal-cache`, which re-exports what is here. This crate is for those who write
//! a store: it is small, knows nothing of scopes and accounts, and changes rarely.
//!
//! # Two doors
//!
//! - [`BlobStore`]: one string that can be read and swapped. [`Document`] makes a [`CacheStore`]
//!   of it, holding the JSON document that all MSAL libraries read. The file store is one.
//! - [`CacheStore`]: records in partitions, for what can do better than rewrite one string: a
//!   database, a server. [`Memory`] is one.
//!
//! # The contract, and why it is as it is
//!
//! **A commit is data.** A [`Batch`] says what is expected and what to do; no code of the cache
//! runs inside the store. So a commit can be tried again after a conflict, logged (it prints no
//! secret), wrapped by a store that counts or fails on purpose, and sent over a network. Nothing
//! in the contract borrows from the store, so an asynchronous twin is the same verbs returning
//! futures.
//!
//! **The unit is a partition.** A [`Partition`] is everything of one user, or one client's own
//! tokens in one tenant, or the metadata of all clients. It is what one token response changes,
//! and small. Checking a revision of it notices a record that somebody else has *added*, which a
//! check of single records can't; and users don't disturb each other. It is one range of an index
//! in SQL and one hash in Redis. Where a record belongs follows from the record
//! ([`Partition::of`]), so a store neither decides it nor can get it wrong unnoticed.
//!
//! **A batch may span partitions**, because a first sign-in writes the user's records and the
//! metadata of the client, and an import writes everything: all or nothing, in one step. In SQL
//! that is one transaction, on a document one swap, on Redis one script. Where a server can't
//! span two places in one step, as Redis Cluster can't across slots, a store keeps one cache in
//! one place (a hash tag). The cache leaves metadata that says nothing new out of a batch, so
//! nearly every batch names one partition.
//!
//! **Expectations are optional.** A token response may be written whatever stands there
//! ([`Expect::Any`]), so it conflicts once at most: first the cache expects the [`Revision`] that
//! it knows, and if that holds, it knows what stands there afterwards too, and reads neither
//! before nor after. What follows from reading, such as deleting an expired token, always expects
//! the revision that was read. A conflict is an error of its own, and
//! [`retry()`] is the one place where plans are made again.
//!
//! **Reading is conditional.** `load` and `list` take the revision that the caller knows and may
//! answer [`Load::Unchanged`]. The cache keeps what it has decoded, so a look-up in an unchanged
//! file costs a `stat`, in a database one indexed look-up, and copies nothing. A revision
//! is opaque and never returns for other contents; a clock can't promise that.
//!
//! **A listing is one question.** `list` reads a section across partitions, since "all accounts"
//! asked user by user would be 10,000 queries. It has a revision too, that of the whole store.
//!
//! **Sweeping is a verb.** `purge` could be a listing and deletes; but then it would read
//! everything, and could delete a token that was renewed in between. As a verb it is one indexed
//! `DELETE`, and the store checks and deletes in one step. [`Record::expires_on`] gives the
//! column.
//!
//! **Values are text.** [`Json`] is kept as it was written; what the cache doesn't know, it
//! can't lose.
//!
//! **One refresh at a time is a guard, and no lock.** A refresh token may be good for one use, so
//! two processes must not spend it at once; but a request takes seconds, and nobody may be kept
//! from reading and writing for so long. So [`CacheStore::guard`] holds off only those who ask
//! for the guard of the same partition too. It is not a record with a deadline in the store: that
//! would cost two commits for each refresh, leave its traces in a file that other libraries read,
//! and either outlive a holder that died or end under one that is slow. It ends with its process.
//!
//! **No verb of [`CacheStore`] has a body.** A body that is wrong for one store is worse than a
//! compiler's error. The guard has one: it holds nobody off, which costs a request too many at
//! worst, and never a record. [`BlobStore`] has four, which are right for every string.
//!
//! # A store of your own
//!
//! Whether it keeps these promises, the feature `conformance` finds out: it brings them as tests
//! in a module of that name, one for each promise, to be run on any store.

#![forbid(unsafe_code)]

mod batch;
mod blob;
#[cfg(feature = "conformance")]
pub mod conformance;
mod credential_type;
mod document;
mod draft;
mod error;
mod ext_cache_key;
mod forward;
mod guards;
mod index;
mod json;
mod memory;
mod name;
pub mod notice;
mod object;
mod out;
mod parse;
mod partition;
mod record;
mod retry;
mod revision;
mod scan;
mod store;
mod text;
mod trace;
mod wipe;

pub use batch::{Batch, Change, Expect, Op};
pub use blob::{Blob, BlobStore, Bytes, Hold};
pub use credential_type::CredentialType;
pub use document::{Document, compose, decompose};
pub use error::{Error, Result};
pub use ext_cache_key::ext_cache_key;
pub use guards::Guards;
pub use json::Json;
pub use memory::Memory;
pub use name::quoted_name;
pub use object::{Scalar, for_each_member, seconds};
pub use partition::{Partition, ext_cache_key_in};
pub use record::Record;
pub use retry::retry;
pub use revision::Revision;
pub use store::{CacheStore, Load, Snapshot};
