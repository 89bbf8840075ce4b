//! Where the app keeps its tokens: a file of SQLite, or a server that several machines share.

#[cfg(feature = "postgres")]
use msal_cache::postgres::PostgresStore;
#[cfg(feature = "redis")]
use msal_cache::redis::RedisStore;
use msal_cache::store::{BoxedCacheStore, Offload};
use msal_cache::{AsyncTokenCache, SqliteStore};

use crate::Failure;

/// Opens the cache at an address of PostgreSQL, Redis or Valkey, or at a path.
pub(crate) async fn open(address: &str) -> Result<AsyncTokenCache<BoxedCacheStore>, Failure> {
    let store: BoxedCacheStore = match address.split_once("://") {
        #[cfg(feature = "postgres")]
        Some(("postgres" | "postgresql", _)) => Box::new(PostgresStore::connect(address).await?),
        #[cfg(feature = "redis")]
        Some(("redis" | "rediss" | "valkey" | "valkeys", _)) => {
            Box::new(RedisStore::connect(address).await?)
        }
        Some((scheme, _)) => return Err(format!("this build has no store for {scheme}://").into()),
        None => {
            let path = address.to_owned();
            // The statements of a blocking store run on tokio's threads for blocking work.
            let store = tokio::task::spawn_blocking(move || SqliteStore::open(path)).await??;
            Box::new(Offload::new(store))
        }
    };
    Ok(AsyncTokenCache::new(store))
}
