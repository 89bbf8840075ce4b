//! A file system that doesn't answer.

use std::fs;
use std::time::{Duration, Instant};

use msal_cache_core::{BlobStore, Error, Revision};

use super::{clear, hang};
use crate::FileStore;

#[test]
fn the_wait_for_the_lock_ends_at_the_deadline_though_the_file_system_hangs() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("cache.json");
    let blob = FileStore::builder(&path).lock_timeout(TIMEOUT).open_blob().unwrap();
    let first = blob.swap(Revision::ABSENT, b"first").unwrap();
    hang(&path, true);
    for _ in 0..3 {
        let started = Instant::now();
        let refused = blob.swap(first, b"second");
        let took = started.elapsed();
        let Err(Error::Locked { holder, waited, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(holder.as_deref(), Some("a file system that does not answer"));
        assert!(waited >= TIMEOUT && took < TIMEOUT + Duration::from_secs(2), "{took:?}");
    }
    hang(&path, false);
    blob.swap(first, b"second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    clear(&path);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn a_lock_that_comes_too_late_is_given_back() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("cache.json");
    let timeout = Duration::from_millis(100);
    let blob = FileStore::builder(&path).lock_timeout(timeout).open_blob().unwrap();
    hang(&path, true);
    assert!(matches!(blob.hold().map(drop), Err(Error::Locked { .. })));
    hang(&path, false);
    // Nobody asks, so the lock file must be gone, once the late thread has seen that.
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(300)
        || place.path().join("cache.json.lockfile").exists()
    {
        assert!(started.elapsed() < Duration::from_secs(10), "the lock was kept");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(blob.hold().unwrap());
    clear(&path);
}
