//! Places on the server: each test has a schema of its own.

use std::error::Error as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use msal_cache_core::{Blocking, Error};
use msal_cache_postgres::{PostgresFailure, PostgresStore, PostgresStoreBuilder};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

pub(crate) fn url() -> String {
    std::env::var("MSAL_CACHE_POSTGRES_URL").expect("run it by tests/servers/postgres")
}

/// A pooler in transaction mode, which refuses the settings of a session.
pub(crate) fn pooler_url() -> String {
    std::env::var("MSAL_CACHE_POSTGRES_POOLER_URL").expect("run it by tests/servers/postgres")
}

/// A pooler in transaction mode, which ignores the settings of a session.
pub(crate) fn ignoring_pooler_url() -> String {
    std::env::var("MSAL_CACHE_POSTGRES_IGNORING_POOLER_URL")
        .expect("run it by tests/servers/postgres")
}

/// The port of the server.
pub(crate) fn port() -> u16 {
    port_of(&url())
}

pub(crate) fn port_of(url: &str) -> u16 {
    let after = url.rsplit_once(':').expect("the address has a port").1;
    after.split('/').next().unwrap().parse().unwrap()
}

/// The failure that an error has as its source.
pub(crate) fn cause(error: &Error) -> &PostgresFailure {
    error.source().and_then(|it| it.downcast_ref()).unwrap_or_else(|| panic!("{error:?}"))
}

/// The name of a schema that no other test uses.
pub(crate) fn new_schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn builder(schema: &str) -> PostgresStoreBuilder {
    // A machine that is busy with other work can keep a server waiting for seconds.
    PostgresStore::builder(url()).schema(schema).pool_size(4).timeout(Duration::from_secs(60))
}

pub(crate) fn open(schema: &str) -> Blocking<PostgresStore> {
    Blocking::connect(builder(schema).connect()).expect("the server answers")
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A connection that isn't the store's.
pub(crate) async fn raw() -> Client {
    let (client, connection) = tokio_postgres::connect(&url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Runs statements on a connection that isn't the store's.
pub(crate) fn execute(sql: &str) {
    runtime().block_on(async { raw().await.batch_execute(sql).await.unwrap() });
}
