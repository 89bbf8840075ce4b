//! The conformance suite.

use std::ffi::{OsStr, OsString};

use msal_cache_core::conformance::{Faults, Guarding, Harness, Persistent, Processes};
use msal_cache_core::{Blocking, CacheStore};
use msal_cache_redis::RedisStore;

use crate::support::{open, run, unused_name, url};

struct Place(String);

impl Harness for Place {
    type Store = Blocking<RedisStore>;

    fn new() -> Self {
        Self(unused_name())
    }

    fn open(&self) -> Self::Store {
        open(&self.0)
    }
}

impl Persistent for Place {}

impl Guarding for Place {}

impl Processes for Place {
    fn address(&self) -> OsString {
        self.0.clone().into()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        open(address.to_str().unwrap())
    }
}

impl Faults for Place {
    /// A user whose permission to write a field is withdrawn after the connection was made.
    fn open_failing(&self) -> Vec<Box<dyn CacheStore>> {
        run::<()>(&format!("ACL SETUSER {} on >secret +@all allkeys", self.0));
        let address = url().replace("redis://", &format!("redis://{}:secret@", self.0));
        let store = RedisStore::builder(address).name(&self.0).connect();
        let store = Blocking::connect(store).unwrap();
        run::<()>(&format!("ACL SETUSER {} -hset", self.0));
        vec![Box::new(store)]
    }
}

msal_cache_core::conformance!(Place: Persistent, Guarding, Processes, Faults);
