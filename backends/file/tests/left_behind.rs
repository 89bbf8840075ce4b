//! Lock files that other libraries have left behind.
#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, FileTimes, OpenOptions};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use msal_cache_core::{BlobStore, Error};
use msal_cache_file::{FileBlob, FileStore};
use support::*;

const GRACE: Duration = Duration::from_millis(600);

fn waits(path: &Path, timeout: u64, grace: Duration) -> FileBlob {
    FileStore::builder(path)
        .lock_timeout(Duration::from_millis(timeout))
        .foreign_grace(grace)
        .open_blob()
        .unwrap()
}

/// A lock file that was written this long ago.
fn left(place: &TestDir, content: &str, age: Duration) {
    let path = place.at("cache.json.lockfile");
    fs::write(&path, content).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(SystemTime::now() - age)).unwrap();
}

fn follow(blob: &FileBlob) -> Result<Duration, Error> {
    let started = Instant::now();
    blob.hold().map(|_| started.elapsed())
}

#[test]
fn p5_what_another_library_left_is_recovered_after_its_grace() {
    let place = TestDir::new();
    left(&place, &format!("{} /usr/bin/az", dead_pid()), Duration::ZERO);
    let took = follow(&waits(&place.cache(), 15_000, GRACE)).unwrap();
    println!("P5: a lock file that another library left was followed after {took:?} of {GRACE:?}");
    assert!((GRACE..GRACE + Duration::from_secs(3)).contains(&took));
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn p5_what_was_left_long_ago_is_recovered_at_once() {
    let place = TestDir::new();
    let grace = Duration::from_secs(10);
    for content in [dead_pid().to_string(), String::new()] {
        left(&place, &content, Duration::from_secs(3600));
        let took = follow(&waits(&place.cache(), 5000, grace)).unwrap();
        println!("P5: one of an hour ago ({content:?}) was followed after {took:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    // Its time alone is no reason.
    left(&place, "something else", Duration::from_secs(3600));
    assert!(follow(&waits(&place.cache(), 200, GRACE / 10)).is_err());
}

#[test]
fn waiters_with_little_patience_follow_it_together() {
    let place = TestDir::new();
    left(&place, &dead_pid().to_string(), Duration::ZERO);
    let started = Instant::now();
    let mut refused = 0;
    let followed = thread::scope(|scope| {
        let waiter = || {
            let mut refused = 0;
            while started.elapsed() < Duration::from_secs(20) {
                // A handle of its own each time.
                match follow(&waits(&place.cache(), 200, GRACE)) {
                    Ok(_) => return (refused, true),
                    Err(Error::Locked { .. }) => refused += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            (refused, false)
        };
        let keeper = waits(&place.cache(), 200, GRACE);
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(waiter)).collect();
        let results: Vec<_> = waiters.into_iter().map(|it| it.join().unwrap()).collect();
        drop(keeper);
        refused += results.iter().map(|(refused, _)| refused).sum::<usize>();
        results.iter().all(|(_, followed)| *followed)
    });
    println!(
        "three waiters of 200 ms followed after {:?}, {refused} times too early",
        started.elapsed()
    );
    assert!(followed && refused > 0);
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// A process that sleeps.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("60").spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_that_is_younger_than_the_lock_file_is_not_its_holder() {
    let place = TestDir::new();
    let sleeper = Sleeper::start();
    let content = format!("{} /usr/bin/az", sleeper.0.id());
    left(&place, &content, Duration::from_secs(3600));
    let took = follow(&waits(&place.cache(), 15_000, GRACE)).unwrap();
    println!("a number that was given anew: followed after {took:?}");
    assert!(took >= GRACE, "clocks may have been set, so the grace is waited for");
    // One that may well have written it.
    left(&place, &content, Duration::ZERO);
    assert!(matches!(follow(&waits(&place.cache(), 1500, GRACE)), Err(Error::Locked { .. })));
}

#[test]
fn a_process_that_has_ended_and_was_not_waited_for_is_dead() {
    let place = TestDir::new();
    let mut sleeper = Sleeper::start();
    left(&place, &sleeper.0.id().to_string(), Duration::ZERO);
    sleeper.0.kill().unwrap();
    let took = follow(&waits(&place.cache(), 15_000, GRACE)).unwrap();
    println!("a zombie's lock was followed after {took:?}");
    assert!(took >= GRACE / 2);
}
