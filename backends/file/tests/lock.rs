//! One writer at a time, whoever holds the lock and however they went.
#![cfg(unix)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fs2::FileExt;
use msal_cache_core::{BlobStore, Error, Revision};
use msal_cache_file::{FileBlob, FileStore};
use support::*;

fn patient(path: &Path, timeout: u64, grace: u64) -> FileBlob {
    FileStore::builder(path)
        .lock_timeout(Duration::from_millis(timeout))
        .foreign_grace(Duration::from_millis(grace))
        .open_blob()
        .unwrap()
}

/// The lock file of another library.
fn foreign(place: &TestDir, content: &str) -> File {
    let mut file = File::create_new(place.at("cache.json.lockfile")).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

#[test]
fn threads_with_handles_of_their_own_exclude_each_other() {
    let place = TestDir::new();
    let (inside, times) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let blob = blob(&place.cache());
                for _ in 0..20 {
                    let hold = blob.hold().unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    assert!(place.at("cache.json.lockfile").exists());
                    thread::sleep(Duration::from_micros(200));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    times.fetch_add(1, Ordering::SeqCst);
                    drop(hold);
                }
            });
        }
    });
    assert_eq!(times.into_inner(), 160);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn a_thread_that_holds_reads_and_writes_and_holds_again() {
    let place = TestDir::new();
    let blob = blob(&place.cache());
    let outer = blob.hold().unwrap();
    let inner = blob.hold().unwrap();
    let revision = blob.swap(Revision::ABSENT, b"{}").unwrap();
    drop(inner);
    assert!(place.at("cache.json.lockfile").exists(), "the outer hold goes on");
    blob.swap(revision, b"[]").unwrap();
    drop(outer);
    assert_eq!(place.names(), ["cache.json"]);
}

#[test]
fn who_waits_for_ever_waits_no_longer_than_needed() {
    let place = TestDir::new();
    let builder = FileStore::builder(place.cache()).lock_timeout(Duration::MAX);
    let patient = builder.open_blob().unwrap();
    drop(patient.hold().unwrap());
    foreign(&place, &std::process::id().to_string());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| patient.hold().map(drop));
        thread::sleep(Duration::from_millis(50));
        fs::remove_file(place.at("cache.json.lockfile")).unwrap();
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn a_thread_that_waits_too_long_is_told_so() {
    let place = TestDir::new();
    let one = blob(&place.cache());
    let _hold = one.hold().unwrap();
    let other = patient(&place.cache(), 100, 10_000);
    let error = thread::scope(|scope| scope.spawn(|| other.hold().map(|_| ()).unwrap_err()).join());
    let error = error.unwrap();
    assert!(matches!(&error, Error::Locked { holder: Some(_), .. }), "{error:?}");
}

#[test]
fn a_live_holder_of_ours_is_waited_for() {
    let test = "a_live_holder_of_ours_is_waited_for";
    if let Some((_, folder)) = job() {
        let blob = blob(&folder.join("cache.json"));
        let _hold = blob.hold().unwrap();
        fs::write(folder.join("held"), "").unwrap();
        wait_for(&folder.join("enough"));
        return;
    }
    let place = TestDir::new();
    let mut child = spawn(test, "hold", place.folder());
    wait_for(&place.at("held"));
    let Err(Error::Locked { path, holder, waited }) =
        patient(&place.cache(), 300, 10).hold().map(|_| ())
    else {
        panic!("a live holder was not heeded");
    };
    assert_eq!(path, place.at("cache.json.lockfile"));
    assert!(holder.unwrap().contains(&format!("process {} ", child.0.id())));
    assert!(waited >= Duration::from_millis(300));
    fs::write(place.at("enough"), "").unwrap();
    drop(patient(&place.cache(), 5000, 10_000).hold().unwrap());
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn a_live_process_of_another_library_is_named() {
    let place = TestDir::new();
    let pid = std::process::id();
    foreign(&place, &format!("{pid} /usr/bin/az"));
    let started = Instant::now();
    let error = patient(&place.cache(), 300, 50).hold().map(|_| ()).unwrap_err();
    assert!((300..2000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    assert!(error.to_string().contains(&format!("process {pid} (/usr/bin/az)")), "{error}");
    assert!(error.is_retryable());
    assert_eq!(place.names(), ["cache.json.lockfile"], "and it is left alone");
}

#[test]
fn a_dead_process_of_another_library_is_followed_after_its_grace() {
    let dead = dead_pid();
    for content in [
        format!("{dead} /usr/bin/az"),
        format!("{{{dead}}} {{/tmp/app}}"),
        format!("\u{feff}{dead} dotnet\n"),
        format!("{dead}"),
        String::new(),
    ] {
        let place = TestDir::new();
        let started = Instant::now();
        drop(foreign(&place, &content));
        let blob = patient(&place.cache(), 2000, 200);
        let hold = blob.hold().unwrap();
        let waited = started.elapsed();
        println!("{content:?}: followed after {waited:?}");
        // The clock of the file system may be a tick behind.
        assert!((190..1500).contains(&waited.as_millis()), "{content:?}: {waited:?}");
        let text = fs::read_to_string(place.at("cache.json.lockfile")).unwrap();
        assert!(text.starts_with(&format!("{} ", std::process::id())), "{text}");
        assert!(text.ends_with(" msal-cache\n") && text.lines().count() == 1, "{text}");
        drop(hold);
        assert_eq!(place.names(), [""; 0]);
    }
}

#[test]
fn a_flock_is_heeded_whatever_the_file_says() {
    for content in [format!("{}", dead_pid()), format!("{} app msal-cache\n", dead_pid())] {
        let place = TestDir::new();
        let file = foreign(&place, &content);
        FileExt::lock_exclusive(&file).unwrap();
        assert!(matches!(
            patient(&place.cache(), 300, 50).hold().map(|_| ()),
            Err(Error::Locked { .. })
        ));
        assert!(place.at("cache.json.lockfile").exists());
    }
}

#[test]
fn what_can_t_be_understood_is_waited_for() {
    let place = TestDir::new();
    let secret = r#"{"AccessToken": {"a": {"secret": "canary"}}}"#;
    drop(foreign(&place, secret));
    let error = patient(&place.cache(), 200, 50).hold().map(|_| ()).unwrap_err();
    assert!(matches!(&error, Error::Locked { holder: None, .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("canary"));
    fs::remove_file(place.at("cache.json.lockfile")).unwrap();
    std::os::unix::fs::symlink("nowhere", place.at("cache.json.lockfile")).unwrap();
    assert!(patient(&place.cache(), 200, 50).hold().is_err());
    fs::remove_file(place.at("cache.json.lockfile")).unwrap();
    fs::create_dir(place.at("cache.json.lockfile")).unwrap();
    assert!(patient(&place.cache(), 200, 50).hold().is_err());
    assert_eq!(place.names(), ["cache.json.lockfile"]);
}

#[test]
fn the_grace_begins_anew_with_each_new_lock_file() {
    let place = TestDir::new();
    let dead = dead_pid().to_string();
    drop(foreign(&place, &dead));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // Busy neighbours, whose files often get the number of the one before.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(60));
                fs::write(place.at("next"), &dead).unwrap();
                fs::rename(place.at("next"), place.at("cache.json.lockfile")).unwrap();
            }
        });
        let _done = Done(&stop);
        let held = patient(&place.cache(), 1500, 500).hold().map(|_| ());
        assert!(matches!(held, Err(Error::Locked { .. })), "{held:?}");
    });
    drop(patient(&place.cache(), 1500, 500).hold().unwrap());
}

#[test]
fn a_lock_that_was_taken_away_is_not_removed_from_its_new_owner() {
    let place = TestDir::new();
    let blob = blob(&place.cache());
    let hold = blob.hold().unwrap();
    fs::remove_file(place.at("cache.json.lockfile")).unwrap();
    drop(foreign(&place, "1 somebody"));
    drop(hold);
    assert_eq!(fs::read_to_string(place.at("cache.json.lockfile")).unwrap(), "1 somebody");
}

#[test]
fn a_lock_that_was_taken_away_is_taken_again_before_writing() {
    let place = TestDir::new();
    let blob = patient(&place.cache(), 200, 10_000);
    let first = blob.swap(Revision::ABSENT, b"first").unwrap();
    let hold = blob.hold().unwrap();
    fs::remove_file(place.at("cache.json.lockfile")).unwrap();
    drop(foreign(&place, &format!("{} other", std::process::id())));
    assert!(matches!(blob.swap(first, b"second"), Err(Error::Locked { .. })));
    assert_eq!(fs::read(place.cache()).unwrap(), b"first");
    fs::remove_file(place.at("cache.json.lockfile")).unwrap();
    let second = blob.swap(first, b"second").unwrap();
    assert!(place.at("cache.json.lockfile").exists());
    drop(hold);
    blob.swap(second, b"third").unwrap();
    assert_eq!(place.names(), ["cache.json"]);
}
