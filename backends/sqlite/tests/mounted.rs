//! Full disks, and a database that is mounted alone into a container. Mounting needs privileges that
//! tests usually don't have, so these tests only run by name, in their own namespaces:
//! `unshare -rm cargo test -p msal-cache-sqlite --features bundled --test mounted`.
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;

use msal_cache_core::internal::{now, verify};
use msal_cache_core::{CacheStore, Error, Expect, Ready};
use msal_cache_sqlite::{Permissions, SqliteStore};
use support::{Place, account, list, put, set_mode};

/// Mounts a file system until it is dropped.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn new(arguments: &[&str], from: &Path, to: &'a Path) -> Self {
        let mounted = Command::new("mount").args(arguments).arg(from).arg(to).status().unwrap();
        assert!(mounted.success(), "this test needs its own mount namespace");
        Self(to)
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_database_that_is_mounted_as_a_single_file_is_refused() {
    let place = Place::new();
    let outside = place.at("outside.db");
    let store = SqliteStore::open(&outside).unwrap();
    put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    fs::write(place.database(), "").unwrap();
    set_mode(&place.database(), 0o600);
    let path = place.database();
    let _mount = Mount::new(&["--bind"], &outside, &path);
    for permissions in [Permissions::Refuse, Permissions::Ignore] {
        let opened = SqliteStore::builder(place.database()).permissions(permissions).open();
        let text = opened.unwrap_err().to_string();
        assert!(text.contains("mounted as a single file"), "{text}");
        assert!(text.contains("mount its folder instead"), "{text}");
    }
}

/// Frees the space of a file, of which a process that another test starts may have a descriptor for a
/// moment.
fn free(filler: fs::File, path: &Path) {
    filler.set_len(0).unwrap();
    drop(filler);
    fs::remove_file(path).unwrap();
}

fn is_full(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::StorageFull)
}

#[test]
fn p9_a_full_disk_is_reported_as_such_to_readers_and_writers() {
    let place = Place::new();
    fs::create_dir(place.at("small")).unwrap();
    let small = place.at("small");
    let _mount =
        Mount::new(&["-t", "tmpfs", "-o", "size=512k,mode=700"], Path::new("none"), &small);
    let path = small.join("cache.db");
    let store = SqliteStore::open(&path).unwrap();
    put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    drop(store);
    let mut filler = fs::File::create(small.join("filler")).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
    // A reader has to create the index of the log.
    let error = SqliteStore::open(&path).and_then(|it| it.list(None, None).map(drop)).unwrap_err();
    assert!(is_full(&error), "{error:?}");

    // Its space is free once it is closed.
    free(filler, &small.join("filler"));
    let store = SqliteStore::open(&path).unwrap();
    let mut filler = fs::File::create(small.join("filler")).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
    let error = put(&store, Expect::Any, &[account("v", "k2", &"x".repeat(100_000))]).unwrap_err();
    assert!(is_full(&error), "{error:?}");
    // What fits into free pages is written; a larger log doesn't fit.
    let verified =
        std::iter::repeat_with(|| now(verify(&Ready(&store), 1))).take(1000).find_map(Result::err);
    assert!(verified.as_ref().is_some_and(is_full), "{verified:?}");
    free(filler, &small.join("filler"));
    assert_eq!(list(&store, None), [account("u", "k", "1")]);
    put(&store, Expect::Any, &[account("v", "k2", "2")]).unwrap();
}
