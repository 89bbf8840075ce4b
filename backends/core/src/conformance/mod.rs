//! The promises of a [`CacheStore`](crate::CacheStore) as tests, for a store of your own. They need
//! the feature `conformance` in a dev-dependency:
//!
//! ```toml
//! [dev-dependencies]
//! msal-cache-core = { version = "0.1", features = ["conformance"] }
//! ```
//!
//! The cache relies on nothing else: a store that passes all cases is correct. The suite itself is
//! tested with more than a hundred stores that are broken on purpose, each in one way; every one
//! fails.
//!
//! # How to use it
//!
//! Implement a [`Harness`], which creates and opens a place, and pass it to
//! [`conformance!`](crate::conformance!). This is all the code for a store that keeps the document
//! in a variable:
//!
//! ```rust,test_harness
//! use std::sync::{Arc, Mutex};
//!
//! use msal_cache_core::conformance::Harness;
//! use msal_cache_core::{Blob, BlobStore, Document, Error, Result, Revision, conformance};
//!
//! #[derive(Debug)]
//! struct Variable(Mutex<(Revision, Vec<u8>)>);
//!
//! impl BlobStore for Variable {
//!     fn read(&self, known: Option<Revision>) -> Result<Blob> {
//!         let (revision, bytes) = &*self.0.lock().unwrap();
//!         Ok(match *revision {
//!             Revision::ABSENT => Blob::Absent,
//!             revision if known == Some(revision) => Blob::Unchanged,
//!             revision => Blob::Present(revision, bytes.clone().into()),
//!         })
//!     }
//!
//!     fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
//!         let mut held = self.0.lock().unwrap();
//!         if held.0 != expected {
//!             return Err(Error::Conflict);
//!         }
//!         *held = (Revision::unique(), bytes.to_vec());
//!         Ok(held.0)
//!     }
//! }
//!
//! struct Place(Arc<Variable>);
//!
//! impl Harness for Place {
//!     type Store = Document<Arc<Variable>>;
//!
//!     fn new() -> Self {
//!         Self(Arc::new(Variable(Mutex::new((Revision::ABSENT, Vec::new())))))
//!     }
//!
//!     fn open(&self) -> Self::Store {
//!         Document::new(self.0.clone())
//!     }
//! }
//!
//! conformance!(Place);
//! ```
//!
//! Every case is also a function, generic over the harness. [`cases()`] lists them for other test
//! runners.
//!
//! # An async store
//!
//! An [`AsyncCacheStore`](crate::AsyncCacheStore) runs the same suite in its blocking form,
//! `Blocking`, which needs the feature `tokio`. Each handle has a runtime of its own, so a store
//! that connects to a server does so in `Blocking::connect`:
//!
#![cfg_attr(feature = "tokio", doc = "```rust,test_harness")]
#![cfg_attr(not(feature = "tokio"), doc = "```rust,ignore")]
//! use std::sync::Arc;
//!
//! use msal_cache_core::conformance::Harness;
//! use msal_cache_core::{
//!     AsyncCacheStore, Batch, Blocking, CacheStore, CredentialType, Load, Memory, Partition, Result,
//!     Revision, conformance,
//! };
//!
//! /// A client of a server. In this example, the server is a `Memory`.
//! #[derive(Debug)]
//! struct Remote(Arc<Memory>);
//!
//! impl Remote {
//!     async fn connect(server: Arc<Memory>) -> Result<Self> {
//!         Ok(Self(server))
//!     }
//!
//!     /// A round trip.
//!     async fn call<T>(&self, verb: impl FnOnce(&Memory) -> Result<T>) -> Result<T> {
//!         tokio::task::yield_now().await;
//!         verb(&self.0)
//!     }
//! }
//!
//! impl AsyncCacheStore for Remote {
//!     async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
//!         self.call(|server| server.load(partition, known)).await
//!     }
//!
//!     async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
//!         self.call(|server| server.commit(batch)).await
//!     }
//!
//!     async fn list(
//!         &self,
//!         credential_type: Option<&CredentialType>,
//!         known: Option<Revision>,
//!     ) -> Result<Load> {
//!         self.call(|server| server.list(credential_type, known)).await
//!     }
//!
//!     async fn purge(&self, now: i64) -> Result<u64> {
//!         self.call(|server| server.purge(now)).await
//!     }
//! }
//!
//! struct Place(Arc<Memory>);
//!
//! impl Harness for Place {
//!     type Store = Blocking<Remote>;
//!
//!     fn new() -> Self {
//!         Self(Arc::new(Memory::new()))
//!     }
//!
//!     fn open(&self) -> Self::Store {
//!         Blocking::connect(Remote::connect(self.0.clone())).expect("the server answers")
//!     }
//! }
//!
//! conformance!(Place);
//! ```
//!
//! An [`AsyncBlobStore`](crate::AsyncBlobStore) is tested as `Blocking<Document<_>>`.
//!
//! # Abilities
//!
//! An ability that not every place has is a trait of its own. Its cases require the trait, and the
//! macro generates their tests only if the ability is named. So no test passes because it was
//! skipped, and the list of tests shows what was tested.
//!
//! | ability | meaning | cases |
//! |---|---|---|
//! | [`Persistent`] | records outlive the handles | [`persistent_cases`] |
//! | [`Guarding`] | guards exclude each other | [`guarding_cases`] |
//! | [`Faults`] | a commit can be made to fail | [`fault_cases`] |
//! | [`Processes`] | another process can open the place | [`processes_lose_nothing`] |
//!
//! Name every ability that the store has. Without `Persistent`, for example, a store on a disk is
//! tested as if it were a memory.
//!
//! # Caution
//!
//! The cases write to the place of the harness and delete its contents. Never use a place that
//! holds real data.
//!
//! This module is exempt from semantic versioning: with any release, a new case may fail a store
//! that passed before, and cases, abilities and their methods may be added, renamed and removed.
//! The contract itself follows the version number.
#![expect(clippy::missing_panics_doc, reason = "a case panics where a promise is broken")]

mod cases;
mod commits;
mod contents;
mod faults;
mod guarding;
mod harness;
mod identity;
mod listing;
mod opening;
mod order;
mod partitions;
mod processes;
mod purging;
mod reading;
mod reading_many;
mod reopening;
mod revisions;
mod secrets;
mod threads;
mod tools;
mod traffic;
mod verifying;
mod watching;

pub use cases::{Case, cases, fault_cases, guarding_cases, persistent_cases};
pub use commits::*;
pub use contents::*;
pub use faults::*;
pub use guarding::*;
pub use harness::{Faults, Guarding, Harness, Persistent, Processes};
pub use identity::*;
pub use listing::*;
pub use opening::*;
pub use order::*;
pub use partitions::*;
pub use processes::*;
pub use purging::*;
pub use reading::*;
pub use reading_many::*;
pub use reopening::*;
pub use revisions::*;
pub use secrets::*;
pub use threads::*;
pub use verifying::*;
pub use watching::*;
