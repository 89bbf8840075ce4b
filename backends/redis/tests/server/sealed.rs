//! The conformance suite on records that are encrypted.

use std::ffi::{OsStr, OsString};

use msal_cache_core::Blocking;
use msal_cache_core::conformance::{Guarding, Harness, Persistent, Processes};
use msal_cache_redis::RedisStore;
use msal_cache_sealed::{Key, KeyRing, Sealed};

use crate::support::{raw, token, unused_name, url};

/// The same keys in each process of a test.
fn keys() -> KeyRing {
    let key = |byte| Key::from_bytes(&[byte; 32]).unwrap();
    KeyRing::new([(1, key(1)), (7, key(7))]).unwrap()
}

fn open<const HIDDEN: bool>(name: &str) -> Blocking<Sealed<RedisStore>> {
    let connected = async {
        let store = RedisStore::builder(url()).name(name).connect().await?;
        let sealed = Sealed::new(store, "conformance", keys());
        Ok(if HIDDEN { sealed.hide_names() } else { sealed })
    };
    Blocking::connect(connected).unwrap()
}

struct Place<const HIDDEN: bool>(String);

impl<const HIDDEN: bool> Harness for Place<HIDDEN> {
    type Store = Blocking<Sealed<RedisStore>>;

    fn new() -> Self {
        Self(unused_name())
    }

    fn open(&self) -> Self::Store {
        open::<HIDDEN>(&self.0)
    }
}

impl<const HIDDEN: bool> Persistent for Place<HIDDEN> {}

impl<const HIDDEN: bool> Guarding for Place<HIDDEN> {}

impl<const HIDDEN: bool> Processes for Place<HIDDEN> {
    fn address(&self) -> OsString {
        self.0.clone().into()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        open::<HIDDEN>(address.to_str().unwrap())
    }
}

// With hidden names: on a PostgreSQL server.
mod legible_names {
    msal_cache_core::conformance!(super::Place<false>: Persistent, Guarding, Processes);
}

/// Everything that the server has of one cache, as it stores it.
fn dump(name: &str) -> Vec<u8> {
    let mut connection = raw();
    let keys: Vec<Vec<u8>> =
        redis::cmd("KEYS").arg(format!("*{name}*")).query(&mut connection).unwrap();
    assert!(!keys.is_empty());
    let mut all = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query(&mut connection).unwrap();
        let fields: Vec<Vec<u8>> = match kind.as_str() {
            "hash" => redis::cmd("HGETALL").arg(&key).query(&mut connection).unwrap(),
            "set" => redis::cmd("SMEMBERS").arg(&key).query(&mut connection).unwrap(),
            "zset" => redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).query(&mut connection).unwrap(),
            "string" => vec![redis::cmd("GET").arg(&key).query(&mut connection).unwrap()],
            other => panic!("the test can't read a {other}"),
        };
        all.extend(key);
        all.extend(fields.concat());
    }
    all
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn p17_no_token_and_no_hidden_name_is_legible_on_the_server() {
    use msal_cache_core::{Batch, CacheStore, Expect};
    fn put(store: &impl CacheStore) {
        let record = token("user-canary", "key-canary", "secret-canary");
        let mut batch = Batch::new();
        batch.change(record.partition(), Expect::Any).put(record.clone());
        store.commit(&batch).unwrap();
    }
    let [plain, sealed, hidden] = [unused_name(), unused_name(), unused_name()];
    put(&crate::support::open(&plain));
    put(&open::<false>(&sealed));
    put(&open::<true>(&hidden));
    // The search finds what is there.
    assert!(contains(&dump(&plain), "secret-canary") && contains(&dump(&plain), "key-canary"));
    assert!(!contains(&dump(&sealed), "secret-canary") && contains(&dump(&sealed), "key-canary"));
    assert!(!contains(&dump(&hidden), "canary"));
}
