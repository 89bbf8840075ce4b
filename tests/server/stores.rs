//! The server as the store of the tests that run on each store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use msal_cache::TokenCache;
use msal_cache::clock::ManualClock;
use msal_cache::redis::RedisStore;
use msal_cache::store::{Blocking, CacheStore};

use crate::common::over;

/// An empty cache over a store, and its clock.
pub(crate) type Opened = (TokenCache<Box<dyn CacheStore>>, Arc<ManualClock>);

/// Opens a new, separate cache.
pub(crate) type Open = fn() -> Opened;

/// The address of the server, without the name of a cache.
pub(crate) fn url() -> String {
    let variable = "MSAL_CACHE_REDIS_URL";
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run the tests by tests/servers/redis"))
}

/// The name of a cache that no other test uses.
pub(crate) fn unused_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("app-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A store, as another process opens it.
pub(crate) fn open(name: &str) -> Blocking<RedisStore> {
    Blocking::connect(RedisStore::builder(url()).name(name).connect()).unwrap()
}

pub(crate) fn server() -> Opened {
    over(Box::new(open(&unused_name())))
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
