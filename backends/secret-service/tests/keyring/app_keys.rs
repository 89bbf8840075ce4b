//! The keys of an app, which seal a cache that is kept elsewhere.

use std::fs;
use std::process::Command;

use msal_cache_core::Error;
use msal_cache_sealed::{KeyRing, SealFailure};
use msal_cache_secret_service::{
    SecretEntry, SecretService, SecretServiceBlob, SecretServiceStore,
};

use crate::support::{account, job, keys, put, unused_name};

fn blob(entry: &SecretEntry) -> SecretServiceBlob {
    SecretServiceStore::builder(entry.clone()).open_blob().unwrap()
}

#[test]
fn processes_that_start_at_once_have_the_same_keys() {
    if let Some(folder) = job() {
        let app = fs::read_to_string(folder.join("app")).unwrap();
        let ring = KeyRing::from_blob_or_new(blob(&SecretEntry::keys_of(&app).unwrap())).unwrap();
        let path = folder.join(format!("keys-{}", std::process::id()));
        return fs::write(path, ring.to_text().expose()).unwrap();
    }
    let (folder, app) = (tempfile::tempdir().unwrap(), unused_name());
    fs::write(folder.path().join("app"), &app).unwrap();
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "app_keys::processes_that_start_at_once_have_the_same_keys"])
            .env("MSAL_CACHE_JOB", folder.path())
            .spawn()
            .unwrap()
    };
    for mut job in [start(), start(), start(), start()] {
        assert!(job.wait().unwrap().success());
    }
    let found = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().path());
    let found = found.filter(|it| it.file_name().unwrap() != "app");
    let texts: Vec<_> = found.map(|it| fs::read(it).unwrap()).collect();
    assert_eq!(texts.len(), 4);
    assert!(texts.iter().all(|it| it == &texts[0]));
    assert!(
        SecretService::connect().unwrap().remove(&SecretEntry::keys_of(&app).unwrap()).unwrap()
    );
}

#[test]
fn the_keys_and_the_cache_of_an_app_are_two_entries() {
    let app = unused_name();
    let [cache, entry] = [SecretEntry::app(&app), SecretEntry::keys_of(&app)].map(Result::unwrap);
    let missing = KeyRing::from_blob(blob(&entry)).unwrap_err();
    let is_none = matches!(SealFailure::of(&missing), Some(SealFailure::Keys { place, .. }) if place.contains(&app));
    assert!(is_none, "{missing:?}");
    let ring = KeyRing::from_blob_or_new(blob(&entry)).unwrap();
    let store = SecretServiceStore::open(cache.clone()).unwrap();
    assert!(keys(&store).unwrap().is_empty());
    // The service replaces an item that has the attributes of the new one, and more.
    put(&store, &account("a", "1")).unwrap();
    assert_eq!(ring.add_key().unwrap(), 2);
    assert_eq!(KeyRing::from_blob(blob(&entry)).unwrap().to_text(), ring.to_text());
    assert_eq!(keys(&store).unwrap(), ["a"]);
    let service = SecretService::connect().unwrap();
    assert!(service.remove(&cache).unwrap());
    assert!(service.remove(&entry).unwrap());
    let gone = ring.add_key().unwrap_err();
    assert!(matches!(gone, Error::Backend { .. }), "{gone:?}");
}
