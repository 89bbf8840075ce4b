//! Keys that rotate, plain stores that are sealed, and the way back.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use msal_cache_core::{CacheStore, Document, Memory, Result};
use msal_cache_file::FileStore;
use msal_cache_sealed::{KeyRing, SealFailure, Sealed, SealedBlob};
use msal_cache_sqlite::{Journal, SqliteStore};
use support::{CANARY, keys, list, load, put, refusal, sorted, token, user};

fn open(inner: &Arc<Memory>, numbers: &[u32], hidden: bool) -> Sealed<Arc<Memory>> {
    let sealed = Sealed::new(inner.clone(), "test", keys(numbers));
    if hidden { sealed.hide_names() } else { sealed }
}

#[test]
fn p17_rekey_seals_everything_by_the_newest_key() {
    for hidden in [false, true] {
        let inner = Arc::new(Memory::new());
        let records: Vec<_> = (0..100).map(token).collect();
        put(&open(&inner, &[1], hidden), &records[..60]);
        let both = open(&inner, &[1, 2], hidden);
        put(&both, &records[60..]);
        // The header is one more.
        assert_eq!(both.keys_in_use().unwrap(), [(1, 61), (2, 40)].into());
        assert_eq!(both.rekey().unwrap(), 61);
        assert_eq!(both.rekey().unwrap(), 0);
        assert_eq!(both.keys_in_use().unwrap(), [(2, 101)].into());
        let new = open(&inner, &[2], hidden);
        assert_eq!(sorted(list(&new).unwrap()), sorted(records));
    }
}

/// Fails after some commits, as an interrupted process.
#[derive(Debug)]
struct Failing(Arc<Memory>, std::sync::atomic::AtomicUsize);

impl CacheStore for Failing {
    msal_cache_core::delegate_store!(self => self.0, except commit);

    fn commit(&self, batch: &msal_cache_core::Batch) -> Result<Vec<msal_cache_core::Revision>> {
        if self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 20 {
            return Err(msal_cache_core::Error::invalid("commit", "it is interrupted"));
        }
        self.0.commit(batch)
    }
}

#[test]
fn p17_an_interrupted_rekey_goes_on_where_it_was() {
    let inner = Arc::new(Memory::new());
    let records: Vec<_> = (0..50).map(token).collect();
    put(&open(&inner, &[1], false), &records);
    let failing = Sealed::new(Failing(inner.clone(), 0.into()), "test", keys(&[1, 2]));
    failing.rekey().unwrap_err();
    let both = open(&inner, &[1, 2], false);
    assert_eq!(both.keys_in_use().unwrap(), [(1, 31), (2, 20)].into());
    assert_eq!(sorted(list(&both).unwrap()), sorted(records));
    assert_eq!(both.rekey().unwrap(), 31);
}

#[test]
fn p17_a_rekey_loses_no_write_of_apps_that_go_on_working() {
    let inner = Arc::new(Memory::new());
    let old = open(&inner, &[1], false);
    put(&old, &(0..200).map(token).collect::<Vec<_>>());
    let both = open(&inner, &[1, 2], false);
    thread::scope(|scope| {
        for app in 0..4 {
            let both = &both;
            scope.spawn(move || {
                for round in 0..100 {
                    let number = 200 + app * 100 + round;
                    put(both, &[token(number)]);
                    assert_eq!(load(both, &user(number)).unwrap(), [token(number)]);
                    // The same user as the rekey has.
                    put(both, &[token(round)]);
                }
            });
        }
        both.rekey().unwrap();
    });
    assert_eq!(sorted(list(&both).unwrap()), sorted((0..600).map(token).collect()));
    assert_eq!(both.keys_in_use().unwrap(), [(2, 601)].into());
}

#[test]
fn p17_a_plain_store_is_sealed_and_made_plain_again() {
    for hidden in [false, true] {
        let inner = Arc::new(Memory::new());
        let records: Vec<_> = (0..50).map(token).collect();
        put(&*inner, &records);
        let sealed = open(&inner, &[1], hidden);
        refusal(list(&sealed));
        assert_eq!(sealed.seal_plain().unwrap(), 50);
        assert_eq!(sealed.seal_plain().unwrap(), 0);
        assert_eq!(sorted(list(&sealed).unwrap()), sorted(records.clone()));
        assert_eq!(load(&sealed, &user(7)).unwrap(), [token(7)]);
        assert!(!format!("{:?}", list(&*inner).unwrap()).contains(CANARY));
        assert_eq!(sealed.unseal().unwrap(), 50);
        assert_eq!(sealed.unseal().unwrap(), 0);
        assert_eq!(sorted(list(&*inner).unwrap()), sorted(records));
        assert_eq!(load(&*inner, &user(7)).unwrap(), [token(7)]);
    }
}

#[test]
fn p17_a_file_is_sealed_rekeyed_and_made_plain_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let records: Vec<_> = (0..20).map(token).collect();
    put(&FileStore::open(&path).unwrap(), &records);
    let plain = fs::read(&path).unwrap();
    let blob = |numbers: &[u32]| {
        let file = FileStore::builder(&path).open_blob().unwrap();
        SealedBlob::new(file, "test", keys(numbers))
    };
    assert!(matches!(refusal(blob(&[1]).key_in_use()), SealFailure::NotSealed { .. }));
    assert!(blob(&[1]).seal_plain().unwrap());
    assert!(!blob(&[1]).seal_plain().unwrap());
    assert_eq!(blob(&[2]).key_in_use().unwrap(), Some(1));
    assert_eq!(sorted(list(&Document::new(blob(&[1]))).unwrap()), sorted(records));
    refusal(blob(&[2]).rekey());
    assert!(blob(&[1, 2]).rekey().unwrap());
    assert!(!blob(&[1, 2]).rekey().unwrap());
    assert_eq!(blob(&[2]).key_in_use().unwrap(), Some(2));
    assert!(blob(&[2]).unseal().unwrap());
    assert_eq!(fs::read(&path).unwrap(), plain);
}

/// No file below the folder has the text.
fn assert_no_canary(folder: &Path) {
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_canary(&path);
            continue;
        }
        files += 1;
        let bytes = fs::read(&path).unwrap();
        assert!(
            !bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()),
            "{} has a token",
            path.display()
        );
    }
    assert!(files > 0);
}

#[test]
fn p17_no_token_is_legible_in_files_databases_and_their_logs() {
    for journal in [Journal::Wal, Journal::Rollback] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let open = || SqliteStore::builder(&path).journal(journal).open().unwrap();
        // Written sealed.
        let sealed = Sealed::new(open(), "test", keys(&[1])).hide_names();
        put(&sealed, &(0..500).map(token).collect::<Vec<_>>());
        assert_no_canary(folder.path());
        sealed.purge(i64::MAX).unwrap();
        assert_no_canary(folder.path());
        drop(sealed);
        // Plain first, and sealed afterwards.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let plain = SqliteStore::builder(&path).journal(journal).open().unwrap();
        put(&plain, &(0..500).map(token).collect::<Vec<_>>());
        drop(plain);
        let plain = SqliteStore::builder(&path).journal(journal).open().unwrap();
        let sealed = Sealed::new(plain, "test", keys(&[1]));
        assert_eq!(sealed.seal_plain().unwrap(), 500);
        drop(sealed);
        assert_no_canary(folder.path());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let open = || FileStore::builder(&path).open_blob().unwrap();
    put(&FileStore::open(&path).unwrap(), &[token(1)]);
    SealedBlob::new(open(), "test", keys(&[1])).seal_plain().unwrap();
    let store = Document::new(SealedBlob::new(open(), "test", keys(&[1])));
    put(&store, &(0..500).map(token).collect::<Vec<_>>());
    store.purge(i64::MAX).unwrap();
    assert_no_canary(folder.path());
}

#[test]
fn p17_apps_with_a_key_file_go_on_when_a_key_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let app = KeyRing::create_file(&path).unwrap();
    let inner = Arc::new(Memory::new());
    let running = Sealed::new(inner.clone(), "test", app.clone());
    put(&running, &[token(1)]);
    assert_eq!(KeyRing::add_key_to_file(&path).unwrap(), 2);
    let admin = Sealed::new(inner, "test", KeyRing::from_file(&path).unwrap());
    assert_eq!(admin.rekey().unwrap(), 2);
    // It meets the number 2, and reads the file again.
    assert_eq!(load(&running, &user(1)).unwrap(), [token(1)]);
    assert_eq!(app.newest(), 2);
}
