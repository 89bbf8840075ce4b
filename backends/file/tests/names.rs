//! A file with several names has one lock.
#![cfg(unix)]

mod support;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use msal_cache_core::{BlobStore, Error};
use msal_cache_file::{FileBlob, FileStore};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use support::*;

/// Creates the links `second.json -> first.json -> far/real.json`. Returns the three names.
fn linked() -> (TestDir, [PathBuf; 3]) {
    let dir = TestDir::new();
    fs::create_dir(dir.at("far")).unwrap();
    symlink("far/real.json", dir.at("first.json")).unwrap();
    symlink("first.json", dir.at("second.json")).unwrap();
    let names = [dir.at("second.json"), dir.at("first.json"), dir.at("far/real.json")];
    (dir, names)
}

fn impatient(path: &Path) -> FileBlob {
    FileStore::builder(path).lock_timeout(Duration::from_millis(100)).open_blob().unwrap()
}

#[test]
fn handles_on_all_names_exclude_each_other() {
    let (dir, names) = linked();
    let (inside, times) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for worker in 0..6 {
            let name = &names[worker % 3];
            let (inside, times) = (&inside, &times);
            scope.spawn(move || {
                let (blob, store) = (blob(name), FileStore::open(name).unwrap());
                for number in 0..20 {
                    let hold = blob.hold().unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::sleep(Duration::from_micros(200));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(hold);
                    add(&store, &format!("{worker}-{number}")).unwrap();
                    times.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(times.into_inner(), 120);
    for name in &names {
        assert_eq!(accounts(&FileStore::open(name).unwrap()).unwrap().len(), 120);
    }
    assert_eq!(dir.names(), ["far", "first.json", "second.json"]);
    assert_eq!(fs::read_dir(dir.at("far")).unwrap().count(), 1, "all lock files are removed");
}

#[test]
fn each_name_has_a_lock_file_for_programs_that_use_it() {
    let (dir, names) = linked();
    let beside = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".lockfile");
        PathBuf::from(name)
    };
    let through_link = blob(&names[0]);
    let hold = through_link.hold().unwrap();
    assert!(names.iter().all(|name| beside(name).exists()));
    let elsewhere = impatient(&names[2]);
    let refused = thread::scope(|scope| scope.spawn(|| elsewhere.hold().map(drop)).join().unwrap());
    assert!(matches!(refused, Err(Error::Locked { path, .. }) if path == beside(&names[2])));
    drop(hold);
    assert!(names.iter().all(|name| !beside(name).exists()));

    // The lock file of another library, for the last name only.
    fs::write(beside(&names[2]), format!("{}", std::process::id())).unwrap();
    let refused = impatient(&names[0]).hold().map(drop);
    let far = dir.at("far/real.json.lockfile");
    assert!(matches!(refused, Err(Error::Locked { path, .. }) if path == far));
    assert!(!beside(&names[0]).exists() && !beside(&names[1]).exists(), "no lock file remains");
}

#[test]
fn a_changed_link_is_locked_at_its_new_target() {
    let (dir, names) = linked();
    let store = FileStore::open(&names[1]).unwrap();
    add(&store, "a").unwrap();
    fs::remove_file(&names[1]).unwrap();
    symlink("other.json", &names[1]).unwrap();
    add(&store, "b").unwrap();
    let at = |name: &str| accounts(&FileStore::open(dir.at(name)).unwrap()).unwrap();
    assert_eq!(at("far/real.json"), ["a"]);
    assert_eq!(at("other.json"), ["b"]);
}

#[test]
fn the_lock_of_java_is_taken_on_request() {
    if let Some((_, folder)) = job() {
        let open = OpenOptions::new().read(true).write(true).open(folder.join(".lockfile"));
        let asked = fcntl_lock(open.unwrap(), FlockOperation::NonBlockingLockExclusive);
        return assert!(matches!(asked, Err(Errno::AGAIN | Errno::ACCESS)), "{asked:?}");
    }
    let dir = TestDir::new();
    let open = |java| {
        let builder = FileStore::builder(dir.cache()).share_with_java(java);
        builder.lock_timeout(Duration::from_millis(100)).open_blob().unwrap()
    };
    let (with, without) = (open(true), open(false));
    // Left behind by a process that was killed while it waited.
    fs::write(dir.at("..lockfile.aB3dEf.tmp"), "").unwrap();
    let hold = without.hold().unwrap();
    assert_eq!(dir.names(), ["..lockfile.aB3dEf.tmp", "cache.json.lockfile"]);
    drop(hold);
    let hold = with.hold().unwrap();
    assert_eq!(dir.names(), [".lockfile", "cache.json.lockfile"]);
    // Java opens the file if it can't create it, and requests a POSIX lock. Another process does it
    // here, since this one has the lock.
    run(command("the_lock_of_java_is_taken_on_request", "ask", dir.folder()));
    drop(hold);
    assert_eq!(dir.names(), [""; 0]);
    fs::write(dir.at(".lockfile"), "1 host").unwrap();
    assert!(matches!(with.hold().map(drop), Err(Error::Locked { .. })));
    drop(without.hold().unwrap());
    assert_eq!(dir.names(), [".lockfile"]);
}
