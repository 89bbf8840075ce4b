//! The lock allows one writer at a time, and survives dead holders and other libraries.
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

fn with_timeouts(path: &Path, timeout: u64, grace: u64) -> FileBlob {
    FileStore::builder(path)
        .lock_timeout(Duration::from_millis(timeout))
        .foreign_grace(Duration::from_millis(grace))
        .open_blob()
        .unwrap()
}

/// Creates the lock file of another library.
fn foreign(dir: &TestDir, content: &str) -> File {
    let mut file = File::create_new(dir.at("cache.json.lockfile")).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

#[test]
fn threads_with_separate_handles_exclude_each_other() {
    let dir = TestDir::new();
    let (inside, times) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let blob = blob(&dir.cache());
                for _ in 0..20 {
                    let hold = blob.hold().unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    assert!(dir.at("cache.json.lockfile").exists());
                    thread::sleep(Duration::from_micros(200));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    times.fetch_add(1, Ordering::SeqCst);
                    drop(hold);
                }
            });
        }
    });
    assert_eq!(times.into_inner(), 160);
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn a_thread_with_a_hold_can_read_write_and_hold_again() {
    let dir = TestDir::new();
    let blob = blob(&dir.cache());
    let outer = blob.hold().unwrap();
    let inner = blob.hold().unwrap();
    let revision = blob.swap(Revision::ABSENT, b"{}").unwrap();
    drop(inner);
    assert!(dir.at("cache.json.lockfile").exists(), "the outer hold continues");
    blob.swap(revision, b"[]").unwrap();
    drop(outer);
    assert_eq!(dir.names(), ["cache.json"]);
}

#[test]
fn an_unlimited_wait_ends_when_the_lock_is_free() {
    let dir = TestDir::new();
    let builder = FileStore::builder(dir.cache()).lock_timeout(Duration::MAX);
    let blob = builder.open_blob().unwrap();
    drop(blob.hold().unwrap());
    foreign(&dir, &std::process::id().to_string());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| blob.hold().map(drop));
        thread::sleep(Duration::from_millis(50));
        fs::remove_file(dir.at("cache.json.lockfile")).unwrap();
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn a_thread_that_waits_too_long_gets_an_error() {
    let dir = TestDir::new();
    let one = blob(&dir.cache());
    let _hold = one.hold().unwrap();
    let other = with_timeouts(&dir.cache(), 100, 10_000);
    let error = thread::scope(|scope| scope.spawn(|| other.hold().map(|_| ()).unwrap_err()).join());
    let error = error.unwrap();
    assert!(matches!(&error, Error::Locked { holder: Some(_), .. }), "{error:?}");
}

#[test]
fn a_live_holder_of_this_crate_is_waited_for() {
    let test = "a_live_holder_of_this_crate_is_waited_for";
    if let Some((_, folder)) = job() {
        let blob = blob(&folder.join("cache.json"));
        let _hold = blob.hold().unwrap();
        fs::write(folder.join("held"), "").unwrap();
        wait_for(&folder.join("enough"));
        return;
    }
    let dir = TestDir::new();
    let mut child = spawn(test, "hold", dir.folder());
    wait_for(&dir.at("held"));
    let Err(Error::Locked { path, holder, waited }) =
        with_timeouts(&dir.cache(), 300, 10).hold().map(|_| ())
    else {
        panic!("a live holder was ignored");
    };
    assert_eq!(path, dir.at("cache.json.lockfile"));
    assert!(holder.unwrap().contains(&format!("process {} ", child.0.id())));
    assert!(waited >= Duration::from_millis(300));
    fs::write(dir.at("enough"), "").unwrap();
    drop(with_timeouts(&dir.cache(), 5000, 10_000).hold().unwrap());
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn an_error_names_the_live_process_of_another_library() {
    let dir = TestDir::new();
    let pid = std::process::id();
    foreign(&dir, &format!("{pid} /usr/bin/az"));
    let started = Instant::now();
    let error = with_timeouts(&dir.cache(), 300, 50).hold().map(|_| ()).unwrap_err();
    assert!((300..2000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    assert!(error.to_string().contains(&format!("process {pid} (/usr/bin/az)")), "{error}");
    assert!(error.is_retryable());
    assert_eq!(dir.names(), ["cache.json.lockfile"], "it is not removed");
}

#[test]
fn the_lock_of_a_dead_process_of_another_library_is_taken_over_after_the_grace_period() {
    let dead = dead_pid();
    for content in [
        format!("{dead} /usr/bin/az"),
        format!("{{{dead}}} {{/tmp/app}}"),
        format!("\u{feff}{dead} dotnet\n"),
        format!("{dead}"),
        String::new(),
    ] {
        let dir = TestDir::new();
        let started = Instant::now();
        drop(foreign(&dir, &content));
        let blob = with_timeouts(&dir.cache(), 2000, 200);
        let hold = blob.hold().unwrap();
        let waited = started.elapsed();
        println!("{content:?}: taken over after {waited:?}");
        // The clock of the file system may be a tick late.
        assert!((190..1500).contains(&waited.as_millis()), "{content:?}: {waited:?}");
        let text = fs::read_to_string(dir.at("cache.json.lockfile")).unwrap();
        assert!(text.starts_with(&format!("{} ", std::process::id())), "{text}");
        assert!(text.ends_with(" msal-cache\n") && text.lines().count() == 1, "{text}");
        drop(hold);
        assert_eq!(dir.names(), [""; 0]);
    }
}

#[test]
fn a_flock_is_respected_whatever_the_content_of_the_file() {
    for content in [format!("{}", dead_pid()), format!("{} app msal-cache\n", dead_pid())] {
        let dir = TestDir::new();
        let file = foreign(&dir, &content);
        FileExt::lock_exclusive(&file).unwrap();
        assert!(matches!(
            with_timeouts(&dir.cache(), 300, 50).hold().map(|_| ()),
            Err(Error::Locked { .. })
        ));
        assert!(dir.at("cache.json.lockfile").exists());
    }
}

#[test]
fn an_unknown_lock_file_is_waited_for_and_not_quoted() {
    let dir = TestDir::new();
    let secret = r#"{"AccessToken": {"a": {"secret": "canary"}}}"#;
    drop(foreign(&dir, secret));
    let error = with_timeouts(&dir.cache(), 200, 50).hold().map(|_| ()).unwrap_err();
    let Error::Locked { path, holder: Some(holder), .. } = &error else { panic!("{error:?}") };
    assert!(!format!("{error:?} {error}").contains("canary"));
    // The advice can be followed.
    assert_eq!(*path, dir.at("cache.json.lockfile"));
    assert!(holder.contains("if no program uses the cache, remove it"), "{holder}");
    fs::remove_file(dir.at("cache.json.lockfile")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.at("cache.json.lockfile")).unwrap();
    assert!(with_timeouts(&dir.cache(), 200, 50).hold().is_err());
    fs::remove_file(dir.at("cache.json.lockfile")).unwrap();
    assert!(with_timeouts(&dir.cache(), 200, 50).hold().is_ok());
    fs::create_dir(dir.at("cache.json.lockfile")).unwrap();
    assert!(with_timeouts(&dir.cache(), 200, 50).hold().is_err());
    assert_eq!(dir.names(), ["cache.json.lockfile"]);
}

#[test]
fn the_grace_period_starts_again_with_each_new_lock_file() {
    let dir = TestDir::new();
    let dead = dead_pid().to_string();
    drop(foreign(&dir, &dead));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // Each new file may get the inode number of the previous one.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(60));
                fs::write(dir.at("next"), &dead).unwrap();
                fs::rename(dir.at("next"), dir.at("cache.json.lockfile")).unwrap();
            }
        });
        let _done = Done(&stop);
        let held = with_timeouts(&dir.cache(), 1500, 500).hold().map(|_| ());
        assert!(matches!(held, Err(Error::Locked { .. })), "{held:?}");
    });
    drop(with_timeouts(&dir.cache(), 1500, 500).hold().unwrap());
}

#[test]
fn a_lock_file_that_another_process_replaced_is_not_removed() {
    let dir = TestDir::new();
    let blob = blob(&dir.cache());
    let hold = blob.hold().unwrap();
    fs::remove_file(dir.at("cache.json.lockfile")).unwrap();
    drop(foreign(&dir, "1 other"));
    drop(hold);
    assert_eq!(fs::read_to_string(dir.at("cache.json.lockfile")).unwrap(), "1 other");
}

#[test]
fn a_lock_that_was_lost_is_taken_again_before_a_write() {
    let dir = TestDir::new();
    let blob = with_timeouts(&dir.cache(), 200, 10_000);
    let first = blob.swap(Revision::ABSENT, b"first").unwrap();
    let hold = blob.hold().unwrap();
    fs::remove_file(dir.at("cache.json.lockfile")).unwrap();
    drop(foreign(&dir, &format!("{} other", std::process::id())));
    assert!(matches!(blob.swap(first, b"second"), Err(Error::Locked { .. })));
    assert_eq!(fs::read(dir.cache()).unwrap(), b"first");
    fs::remove_file(dir.at("cache.json.lockfile")).unwrap();
    let second = blob.swap(first, b"second").unwrap();
    assert!(dir.at("cache.json.lockfile").exists());
    drop(hold);
    blob.swap(second, b"third").unwrap();
    assert_eq!(dir.names(), ["cache.json"]);
}
