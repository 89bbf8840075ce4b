//! The storage contract of [`msal-cache`](https://docs.rs/msal-cache): what a store of tokens has
//! to do, and the stores that need only memory.
//!
//! Apps depend on `msal-cache`, which re-exports this crate as `msal_cache::store`. This crate is
//! for those who write a store: it knows nothing of scopes and accounts, and changes rarely.
//!
//! # Two contracts
//!
//! - [`BlobStore`]: one string that can be read and swapped. [`Document`] makes a [`CacheStore`]
//!   of it, with the JSON document that all MSAL libraries read. The file store is one.
//! - [`CacheStore`]: records in partitions, for a store that doesn't have to rewrite one string: a
//!   database, a server. [`Memory`] is one.
//!
//! Each has an async form for a store that waits without blocking a thread: [`AsyncBlobStore`],
//! [`AsyncCacheStore`].
//!
//! | from | to | by |
//! |---|---|---|
//! | blocking | async, without a runtime | [`Ready`] |
//! | blocking | async, on tokio's threads for blocking work | `Offload` (feature `tokio`) |
//! | async | blocking | `Blocking` (feature `tokio`) |
//! | async | chosen at run time | [`BoxedCacheStore`], [`BoxedBlobStore`] |
//!
//! # The contract and its reasons
//!
//! **A commit is data.** A [`Batch`] says what is expected and what to do; no code of the cache
//! runs inside the store. So a commit can be tried again after a conflict, logged (it prints no
//! secret), wrapped by a store that counts or fails on purpose, and sent over a network. Nothing
//! in the contract borrows from the store, so the async form is the same verbs returning futures.
//!
//! **The unit is a partition.** A [`Partition`] is everything of one user, or one client's own
//! tokens in one tenant, or the metadata of all clients. It is small, and one token response
//! changes one. Its revision changes when another writer *adds* a record, which a check of single
//! records can't notice; and writers of different users don't conflict. It is one range of an
//! index in SQL and one hash in Redis. Where a record belongs follows from the record
//! ([`Partition::of`]), so a store doesn't decide it, and the cache notices a store that confuses
//! partitions.
//!
//! **One stored key is one record.** A section and a key name one record in the whole store, as in
//! the JSON document. A put under a key that is stored in another partition moves the key: the
//! other partition loses its record. Names of partitions are in lower case, as stored keys are, so
//! that this is rare.
//!
//! **A batch may span partitions**, because a first sign-in writes the user's records and the
//! metadata of the client, and an import writes everything: all or nothing, in one step. In SQL
//! that is one transaction, in a document one swap, in Redis one script. Where a server can't
//! change two places in one step, as Redis Cluster can't across slots, a store keeps one cache in
//! one place (a hash tag). The cache omits metadata that is stored already, so nearly every batch
//! has one partition.
//!
//! **Expectations are optional.** A token response may be written whatever is stored
//! ([`Expect::Any`]), so it conflicts once at most: first the cache expects the [`Revision`] that
//! it knows, and if that holds, it also knows what is stored afterwards, and reads neither before
//! nor after. A commit that depends on what was read, such as the deletion of an expired token,
//! always expects the revision that was read. A conflict is an error of its own, and [`retry()`] is
//! the only level at which plans are made again.
//!
//! **Reading is conditional.** `load` and `list` take the revision that the caller knows and may
//! return [`Load::Unchanged`]. The cache keeps what it has decoded, so a look-up in an unchanged
//! file costs a `stat`, in a database one indexed look-up, and copies nothing. A revision is
//! opaque and never returns for other contents; a clock can't promise that.
//!
//! **Several partitions are read at one moment.** `load_many` reads what a plan is based on, the
//! user and the metadata of clients, in one round trip.
//!
//! **A listing is one query.** `list` reads a section across partitions, since "all accounts" user
//! by user would be 10,000 queries. It has a revision too, of the whole store.
//!
//! **Purging is a verb.** `purge` could be a listing and deletes; but then it would read
//! everything, and could delete a token that was renewed in between. As a verb it is one indexed
//! `DELETE`, and the store checks and deletes in one step. [`Record::expires_on`] gives the
//! column.
//!
//! **Values are text.** [`Json`] is kept as it was written, so fields that the cache doesn't know
//! aren't lost.
//!
//! **A refresh has a guard, and no lock.** A refresh token may be good for one use, so two
//! processes must not redeem it at the same time; but a request takes seconds, and other readers
//! and writers must not wait that long. So [`CacheStore::guard`] excludes only callers that take
//! the guard of the same partition. It is not a record with a deadline in the store: that would
//! cost two commits for each refresh, leave traces in a file that other libraries read, and
//! either outlive a holder that died or expire while a slow one still needs it. The guard ends
//! with its process.
//!
//! **The verbs that move records have no body.** A body that is wrong for one store is worse than
//! a compiler error. `load_many`, `guard` and `is_unchanged` have one that is correct for every
//! store and costs only time or requests. [`BlobStore`] has four, which are correct for every string.
//!
//! # A store of your own
//!
//! The feature `conformance` brings these promises as tests, in a module of that name: one for
//! each promise, to be run on any store, blocking or async. [`delegate_store!`] forwards the verbs
//! of a store that wraps another one.

#![forbid(unsafe_code)]

mod aio;
mod batch;
mod blob;
mod boxed;
#[cfg(feature = "conformance")]
pub mod conformance;
mod credential_type;
mod credentials;
mod delegate;
mod document;
mod error;
mod ext_cache_key;
mod forward;
mod guard;
mod guards;
mod json;
mod load;
mod local;
mod lock_waits;
mod log;
mod memory;
pub mod notice;
mod partition;
mod placement;
mod ready;
mod record;
mod retry;
mod revision;
#[cfg(feature = "tokio")]
mod runtime;
mod store;
mod verify;
mod watch;
mod wipe;

pub use aio::{AsyncBlobStore, AsyncCacheStore};
pub use batch::{Batch, Change, Expect, Op};
pub use blob::{Blob, BlobStore, Bytes, Hold};
pub use boxed::{
    BoxFuture, BoxedBlobStore, BoxedCacheStore, DynAsyncBlobStore, DynAsyncCacheStore,
};
pub use credential_type::CredentialType;
pub use credentials::Credentials;
pub use document::Document;
pub use error::{Error, Result};
pub use ext_cache_key::ext_cache_key;
pub use guard::RefreshGuard;
pub use guards::Guards;
pub use json::Json;
pub use load::{Load, Snapshot};
pub use memory::Memory;
pub use partition::Partition;
pub use ready::Ready;
pub use record::Record;
pub use retry::retry;
pub use revision::Revision;
#[cfg(feature = "tokio")]
pub use runtime::{Blocking, Offload};
pub use store::CacheStore;
pub use watch::{ChangeSignal, Watch};

/// What the crates of `msal-cache` share with each other. It may change in any release.
#[doc(hidden)]
pub mod internal {
    pub use crate::credentials::CredentialSource;
    pub use crate::document::{compose, decompose};
    pub use crate::json::{
        Pieces, Scalar, StringAt, for_each_member, is_plain, quoted_name, seconds,
    };
    pub use crate::local::{LoadStamp, LocalRevisions, wall_clock};
    pub use crate::lock_waits::{lock_waited, observe_lock_waits};
    pub use crate::placement::ext_cache_key_in;
    pub use crate::ready::now;
    pub use crate::retry::{Next, Retry};
    pub use crate::verify::verify;
    pub use crate::watch::Watchers;
    #[cfg(feature = "tracing")]
    pub use tracing;
}
