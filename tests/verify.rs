//! `verify` proves that a place can be written, read back and wiped, and leaves nothing behind.

#[cfg(feature = "file")]
use std::fs;
use std::sync::Mutex;
#[cfg(feature = "file")]
use std::thread;
use std::time::Duration;

#[cfg(feature = "file")]
use msal_cache::TokenCache;
use msal_cache::store::{
    Batch, CacheStore, Change, Document, Json, Load, Op, Partition, Record, RefreshGuard, Revision,
    Snapshot, delegate_store,
};
use msal_cache::{CredentialType, Error, Memory, Result};

use crate::common::{over, sign_in};

/// Verifies an empty cache, and one with a user.
fn is_verified_and_left_alone<S: CacheStore>(store: S) {
    let (cache, _) = over(store);
    cache.verify().unwrap();
    assert!(cache.entries(None).unwrap().is_empty());
    assert!(!cache.has_state_changed());
    cache.add(&sign_in("uid", "User.Read", "1")).unwrap();
    let before = cache.serialize().unwrap();
    cache.verify().unwrap();
    assert!(!cache.has_state_changed());
    assert_eq!(cache.serialize().unwrap(), before);
    let listed = cache.store().list(Some(&CredentialType::AccessToken), None).unwrap();
    let Load::Snapshot(tokens) = listed else { panic!("nothing is known") };
    assert_eq!(tokens.records().len(), 1);
}

#[test]
fn stores_that_work_are_verified_and_left_as_they_were() {
    is_verified_and_left_alone(Memory::new());
    is_verified_and_left_alone(Document::new(crate::your_own_store::Variable::default()));
}

#[cfg(feature = "file")]
#[test]
fn a_file_is_left_byte_for_byte_and_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    is_verified_and_left_alone(msal_cache::FileStore::open(&path).unwrap());
    let written = "{\n    \"Account\": {\n        \"k\": { \"home_account_id\": \"u.t\", \"n\": 1.50 }\n    },\n    \"AccessToken\": {\n        \"t\": { \"home_account_id\": \"u.t\", \"secret\": \"s\" }\n    },\n    \"version\": 3\n}\n";
    fs::write(&path, written).unwrap();
    let cache = TokenCache::new(msal_cache::FileStore::open(&path).unwrap());
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    cache.verify().unwrap();
    let left = fs::read_to_string(&path).unwrap();
    assert_eq!(parsed(&left), parsed(written));
    assert!(left.contains("1.50"), "{left}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(feature = "file")]
#[test]
fn a_file_that_is_no_cache_is_an_error_and_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    fs::write(&path, "{ broken").unwrap();
    let cache = TokenCache::new(
        msal_cache::FileStore::builder(&path)
            .permissions(msal_cache::file::Permissions::Ignore)
            .open()
            .unwrap(),
    );
    assert!(matches!(cache.verify(), Err(Error::Corrupt { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{ broken");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(feature = "file")]
#[test]
fn threads_verify_one_file_while_others_sign_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let open = || TokenCache::new(msal_cache::FileStore::open(&path).unwrap());
    thread::scope(|threads| {
        for user in 0..4 {
            threads.spawn(move || {
                for n in 0..10 {
                    open()
                        .add(&sign_in(&format!("uid{user}"), "User.Read", &n.to_string()))
                        .unwrap();
                }
            });
            threads.spawn(|| (0..10).for_each(|_| open().verify().unwrap()));
        }
    });
    let tokens = open().entries(Some(CredentialType::AccessToken)).unwrap();
    assert_eq!(tokens.len(), 4);
}

#[cfg(feature = "sqlite")]
#[test]
fn a_database_is_verified_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    is_verified_and_left_alone(msal_cache::SqliteStore::open(path).unwrap());
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn the_async_form_verifies_the_same() {
    let cache = msal_cache::AsyncTokenCache::in_memory();
    cache.add(&sign_in("uid", "User.Read", "1")).await.unwrap();
    let before = cache.serialize().await.unwrap();
    cache.verify().await.unwrap();
    assert_eq!(cache.serialize().await.unwrap(), before);
    assert!(!cache.has_state_changed());
}

/// How a store fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Forgets,
    ChangesValues,
    KeepsDeleted,
    RefusesPuts,
    RefusesGuards,
    RefusesDeletes,
}

#[derive(Debug)]
struct Faulty {
    store: Memory,
    fault: Fault,
    commits: Mutex<usize>,
}

impl Faulty {
    fn refused() -> Error {
        Error::backend("faulty", "refused")
    }
}

impl CacheStore for Faulty {
    delegate_store!(self => self.store, except load, commit, guard);

    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        let Load::Snapshot(read) = self.store.load(partition, known)? else {
            return Ok(Load::Unchanged);
        };
        let change = |it: Record| match self.fault {
            Fault::ChangesValues => {
                let text = it.value().expose().replace("not a token", "");
                it.with_value(Json::new(text).unwrap())
            }
            _ => it,
        };
        let revision = read.revision();
        let records = read.into_records().into_iter().map(change).collect();
        Ok(Load::Snapshot(Snapshot::new(revision, records)))
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        *self.commits.lock().unwrap() += 1;
        let mut ops = batch.changes().iter().flat_map(Change::ops);
        let puts = ops.any(|op| matches!(op, Op::Put(_)));
        match (self.fault, puts) {
            (Fault::Forgets, true) | (Fault::KeepsDeleted, false) => {
                Ok(vec![Revision::ABSENT; batch.changes().len()])
            }
            (Fault::RefusesPuts, true) | (Fault::RefusesDeletes, false) => Err(Self::refused()),
            _ => self.store.commit(batch),
        }
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        match self.fault {
            Fault::RefusesGuards => Err(Self::refused()),
            _ => self.store.guard(partition, wait),
        }
    }
}

#[test]
fn each_fault_of_a_store_is_found_and_the_record_is_deleted_where_that_is_possible() {
    for fault in [
        Fault::Forgets,
        Fault::ChangesValues,
        Fault::KeepsDeleted,
        Fault::RefusesPuts,
        Fault::RefusesGuards,
        Fault::RefusesDeletes,
    ] {
        let store = Faulty { store: Memory::new(), fault, commits: Mutex::default() };
        let (cache, clock) = over(store);
        let error = cache.verify().unwrap_err();
        let quiet = matches!(fault, Fault::Forgets | Fault::ChangesValues | Fault::KeepsDeleted);
        assert_eq!(matches!(&error, Error::NotKept { .. }), quiet, "{fault:?}: {error:?}");
        if quiet {
            assert!(error.to_string().contains("use another place"), "{error}");
        }
        let left = cache.entries(None).unwrap().len();
        let stays = matches!(fault, Fault::KeepsDeleted | Fault::RefusesDeletes);
        assert_eq!(left, usize::from(stays), "{fault:?}");
        // What could not be deleted expires.
        clock.advance(301);
        assert_eq!(cache.purge_expired().unwrap(), u64::from(stays), "{fault:?}");
        assert!(cache.entries(None).unwrap().is_empty());
    }
}
