//! A file system that doesn't respond.

use std::fs;
use std::time::{Duration, Instant};

use msal_cache_core::{BlobStore, Error, Revision};

use crate::FileStore;
use crate::fault_plan::{clear, hang};

#[test]
fn waiting_for_the_lock_ends_at_the_deadline_while_the_file_system_hangs() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.json");
    let blob = FileStore::builder(&path).lock_timeout(TIMEOUT).open_blob().unwrap();
    let first = blob.swap(Revision::ABSENT, b"first").unwrap();
    hang(&path, true);
    for _ in 0..3 {
        let started = Instant::now();
        let refused = blob.swap(first, b"second");
        let took = started.elapsed();
        let Err(Error::Locked { holder, waited, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(holder.as_deref(), Some("a file system that does not respond"));
        assert!(waited >= TIMEOUT && took < TIMEOUT + Duration::from_secs(2), "{took:?}");
    }
    hang(&path, false);
    blob.swap(first, b"second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    clear(&path);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_lock_that_is_taken_after_the_deadline_is_released() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.json");
    let timeout = Duration::from_millis(100);
    let blob = FileStore::builder(&path).lock_timeout(timeout).open_blob().unwrap();
    hang(&path, true);
    assert!(matches!(blob.hold().map(drop), Err(Error::Locked { .. })));
    hang(&path, false);
    // The late thread removes the lock file once it has seen that its caller has given up.
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(300)
        || dir.path().join("cache.json.lockfile").exists()
    {
        assert!(started.elapsed() < Duration::from_secs(10), "the lock was kept");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(blob.hold().unwrap());
    clear(&path);
}
