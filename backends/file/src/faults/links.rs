//! File systems without hard links, such as blobfuse and rclone.

use std::fs;
use std::path::Path;

use msal_cache_core::{BlobStore, Error, Revision};
use rustix::io::Errno;

use crate::FileStore;
use crate::call::Call;
use crate::fault_plan::{clear, fail_always};

/// Neither links nor flags of renames.
fn lack_links(path: &Path) {
    fail_always(path, Call::Link, Errno::PERM);
    fail_always(path, Call::Exchange, Errno::INVAL);
}

#[test]
fn a_file_is_created_replaced_and_set_aside_without_hard_links() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.json");
    lack_links(&path);
    let blob = FileStore::builder(&path).open_blob().unwrap();
    let first = blob.swap(Revision::ABSENT, b"first").unwrap();
    let second = blob.swap(first, b"second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert!(blob.quarantine(second).unwrap());
    blob.swap(Revision::ABSENT, b"third").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"third");
    clear(&path);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "the file, and the one set aside");
}

#[test]
fn without_hard_links_a_file_that_was_created_meanwhile_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.json");
    lack_links(&path);
    let blob = FileStore::builder(&path).open_blob().unwrap();
    let _hold = blob.hold().unwrap();
    crate::platform::create_new(&path).unwrap();
    fs::write(&path, "others").unwrap();
    assert!(matches!(blob.swap(Revision::ABSENT, b"ours"), Err(Error::Conflict)));
    assert_eq!(fs::read(&path).unwrap(), b"others");
    clear(&path);
}
