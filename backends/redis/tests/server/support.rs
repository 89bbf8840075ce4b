//! The server, and raw access to it.

use std::sync::atomic::{AtomicU64, Ordering};

use msal_cache_core::{
    Batch, Blocking, CredentialType, Expect, Json, Load, Partition, Record, Snapshot,
};
use msal_cache_redis::RedisStore;
use redis::{Cmd, Connection, FromRedisValue};

/// The address of the server under test.
pub(crate) fn url() -> String {
    std::env::var("MSAL_CACHE_REDIS_URL")
        .expect("MSAL_CACHE_REDIS_URL is not set: run the tests by tests/servers/redis")
}

/// The name of a cache that no other test uses.
pub(crate) fn unused_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn open(name: &str) -> Blocking<RedisStore> {
    Blocking::connect(RedisStore::builder(url()).name(name).connect()).unwrap()
}

pub(crate) fn raw() -> Connection {
    redis::Client::open(url()).unwrap().get_connection().unwrap()
}

/// Runs a command, whose words are separated by spaces.
pub(crate) fn run<T: FromRedisValue>(words: &str) -> T {
    words
        .split(' ')
        .fold(Cmd::new(), |mut cmd, word| {
            cmd.arg(word);
            cmd
        })
        .query(&mut raw())
        .unwrap()
}

pub(crate) fn token(user: &str, key: &str, secret: &str) -> Record {
    let value = format!(r#"{{"home_account_id":"{user}","client_id":"c","secret":"{secret}"}}"#);
    Record::new(CredentialType::RefreshToken, key, Json::new(value).unwrap())
}

/// A batch that puts records, whatever is stored.
pub(crate) fn puts(expect: Expect, records: &[Record]) -> Batch {
    let mut batch = Batch::new();
    for record in records {
        batch.change(Partition::of(record), expect).put(record.clone());
    }
    batch
}

pub(crate) fn snapshot(load: Load) -> Snapshot {
    match load {
        Load::Snapshot(snapshot) => snapshot,
        Load::Unchanged => panic!("unchanged, although no revision is known"),
    }
}
