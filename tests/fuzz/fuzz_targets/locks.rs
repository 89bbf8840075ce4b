//! A lock file with any content: its holder is named or not, and a writer gets the lock or an error.

#![no_main]

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use msal_cache::store::{Batch, CacheStore, Expect, Json, Record};
use msal_cache::{CredentialType, Error, FileStore};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = FOLDER.path().join("cache.json");
    let lock = FOLDER.path().join("cache.json.lockfile");
    fs::write(&lock, data).unwrap();
    if let Some(holder) = FileStore::lock_holder(&path).unwrap() {
        let printable = |text: &str| !text.chars().any(char::is_control);
        assert!(holder.program().is_none_or(printable), "{holder:?}");
        let _ = (holder.process(), holder.is_alive(), holder.since());
    }
    let value = Json::new(r#"{"home_account_id": "u.t"}"#).unwrap();
    let record = Record::new(CredentialType::Account, "k", value);
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Any).put(record.clone());
    let store = FileStore::builder(&path).lock_timeout(Duration::ZERO).open().unwrap();
    match store.commit(&batch) {
        Ok(_) | Err(Error::Locked { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
    let _ = fs::remove_file(lock);
    let _ = fs::remove_file(path);
});
