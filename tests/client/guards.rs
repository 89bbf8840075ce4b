//! The refresh guard between two handles on one store, as in two processes.

use std::path::Path;
use std::time::Duration;

use msal_cache::store::{CacheStore, Partition};
use msal_cache::{Error, TokenCache};

use crate::common::{over, sign_in};

fn two_handles_exclude_each_other<S: CacheStore>(open: impl Fn(&Path) -> S) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("cache");
    let (one, other) = (open(&place), open(&place));
    let (alice, bob) = (Partition::user("alice.tenant"), Partition::user("bob.tenant"));
    let held = one.guard(&alice, Duration::ZERO).unwrap();
    for wait in [0, 5] {
        let error = other.guard(&alice, Duration::from_millis(wait)).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }) && error.is_retryable(), "{error}");
        assert!(!error.to_string().contains("alice"), "{error}");
    }
    // The guard blocks nothing else.
    assert!(other.guard(&bob, Duration::ZERO).is_ok());
    let (cache, _): (TokenCache<S>, _) = over(other);
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    assert!(!cache.entries(None).unwrap().is_empty());
    drop(held);
    drop(cache.store().guard(&alice, Duration::ZERO).unwrap());
    let names = std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name());
    let left: Vec<_> = names.filter(|it| it.to_string_lossy().contains("refresh")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[cfg(feature = "file")]
#[test]
fn file_handles_exclude_each_other() {
    two_handles_exclude_each_other(|place| msal_cache::FileStore::open(place).unwrap());
}

#[cfg(feature = "sqlite")]
#[test]
fn database_handles_exclude_each_other() {
    two_handles_exclude_each_other(|place| msal_cache::SqliteStore::open(place).unwrap());
}
