//! The server as the store of the tests that run on each store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use msal_cache::TokenCache;
use msal_cache::clock::ManualClock;
use msal_cache::postgres::PostgresStore;
use msal_cache::redis::RedisStore;
use msal_cache::store::{Blocking, CacheStore};

use crate::common::over;

/// An empty cache over a store, and its clock.
pub(crate) type Opened = (TokenCache<Box<dyn CacheStore>>, Arc<ManualClock>);

/// Opens a new, separate cache.
pub(crate) type Open = fn() -> Opened;

/// A server, with its address without the name of a cache.
#[derive(Debug)]
pub(crate) enum Server {
    Postgres(String),
    Redis(String),
}

impl Server {
    /// The server that a script in `tests/servers` has started.
    pub(crate) fn started() -> Self {
        let url = |name| std::env::var(format!("MSAL_CACHE_{name}_URL")).ok();
        match (url("POSTGRES"), url("REDIS")) {
            (Some(url), None) => Self::Postgres(url),
            (None, Some(url)) => Self::Redis(url),
            _ => panic!("run the tests by tests/servers/postgres or tests/servers/redis"),
        }
    }

    pub(crate) fn url(&self) -> &str {
        let (Self::Postgres(url) | Self::Redis(url)) = self;
        url
    }
}

/// The name of a cache that no other test uses.
pub(crate) fn unused_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("app-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A store, as another process opens it.
pub(crate) fn open(name: &str) -> Box<dyn CacheStore> {
    match Server::started() {
        Server::Postgres(url) => {
            // Many tests run at the same time.
            let builder = PostgresStore::builder(url).name(name).pool_size(3);
            Box::new(Blocking::connect(builder.connect()).unwrap())
        }
        Server::Redis(url) => {
            Box::new(Blocking::connect(RedisStore::builder(url).name(name).connect()).unwrap())
        }
    }
}

pub(crate) fn server() -> Opened {
    over(open(&unused_name()))
}

/// All stores.
pub(crate) const EVERY: &[Open] = &[server];

/// Defines a test for each case, as the macro for all stores does.
macro_rules! on_every_store {
    ($($case:ident)*) => {
        mod server {
            $(
                #[test]
                fn $case() {
                    super::$case(crate::stores::server);
                }
            )*
        }
    };
}
pub(crate) use on_every_store;
