//! The blocking API of `msal-cache`, implemented by its async API and a store that suspends. Tests
//! that are compiled with this crate instead of `msal_cache` run the same steps asynchronously.

#![allow(missing_docs, reason = "each method calls the one of the same name")]

mod cache;
mod client;
pub mod http;
mod waits;

pub use cache::{TokenCache, TokenCacheBuilder};
pub use client::Client;
pub use msal_cache::{
    AccountInfo, AcquireError, AcquiredToken, Authority, CredentialType, Entry, Error, Event,
    Fields, Limits, Memory, Profile, Query, Result, Secret, SilentRequest, account, acquire,
    authority, check, clock, cloud, endpoint, entry, outage, plan, store,
};

pub use msal_cache_file::FileStore;
pub use msal_cache_sqlite::SqliteStore;

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("threads can be started")
});

/// Waits for a future, on a thread that runs no tasks.
fn wait<T>(step: impl Future<Output = T>) -> T {
    RUNTIME.block_on(step)
}
