//! Lock files that other libraries left behind.
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

fn with_timeouts(path: &Path, timeout: u64, grace: Duration) -> FileBlob {
    FileStore::builder(path)
        .lock_timeout(Duration::from_millis(timeout))
        .foreign_grace(grace)
        .open_blob()
        .unwrap()
}

/// Creates a lock file that was written this long ago.
fn leave_behind(dir: &TestDir, content: &str, age: Duration) {
    let path = dir.at("cache.json.lockfile");
    fs::write(&path, content).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(SystemTime::now() - age)).unwrap();
}

fn time_to_hold(blob: &FileBlob) -> Result<Duration, Error> {
    let started = Instant::now();
    blob.hold().map(|_| started.elapsed())
}

#[test]
fn p5_a_lock_file_that_another_library_left_behind_is_taken_over_after_the_grace_period() {
    let dir = TestDir::new();
    leave_behind(&dir, &format!("{} /usr/bin/az", dead_pid()), Duration::ZERO);
    let took = time_to_hold(&with_timeouts(&dir.cache(), 15_000, GRACE)).unwrap();
    println!("P5: the lock file of another library was taken over after {took:?} of {GRACE:?}");
    assert!((GRACE..GRACE + Duration::from_secs(3)).contains(&took));
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn p5_an_old_lock_file_is_taken_over_immediately() {
    let dir = TestDir::new();
    let grace = Duration::from_secs(10);
    for content in [dead_pid().to_string(), String::new()] {
        leave_behind(&dir, &content, Duration::from_secs(3600));
        let took = time_to_hold(&with_timeouts(&dir.cache(), 5000, grace)).unwrap();
        println!("P5: one from an hour ago ({content:?}) was taken over after {took:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    // Its age alone isn't sufficient.
    leave_behind(&dir, "something else", Duration::from_secs(3600));
    assert!(time_to_hold(&with_timeouts(&dir.cache(), 200, GRACE / 10)).is_err());
}

#[test]
fn waiters_with_short_timeouts_take_it_over_together() {
    let dir = TestDir::new();
    leave_behind(&dir, &dead_pid().to_string(), Duration::ZERO);
    let started = Instant::now();
    let mut refused = 0;
    let taken_over = thread::scope(|scope| {
        let waiter = || {
            let mut refused = 0;
            while started.elapsed() < Duration::from_secs(20) {
                // A new handle each time.
                match time_to_hold(&with_timeouts(&dir.cache(), 200, GRACE)) {
                    Ok(_) => return (refused, true),
                    Err(Error::Locked { .. }) => refused += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            (refused, false)
        };
        let keeper = with_timeouts(&dir.cache(), 200, GRACE);
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(waiter)).collect();
        let results: Vec<_> = waiters.into_iter().map(|it| it.join().unwrap()).collect();
        drop(keeper);
        refused += results.iter().map(|(refused, _)| refused).sum::<usize>();
        results.iter().all(|(_, taken_over)| *taken_over)
    });
    println!(
        "three waiters of 200 ms took it over after {:?}, after {refused} timeouts",
        started.elapsed()
    );
    assert!(taken_over && refused > 0);
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
    let dir = TestDir::new();
    let sleeper = Sleeper::start();
    let content = format!("{} /usr/bin/az", sleeper.0.id());
    leave_behind(&dir, &content, Duration::from_secs(3600));
    let took = time_to_hold(&with_timeouts(&dir.cache(), 15_000, GRACE)).unwrap();
    println!("a reused process id: taken over after {took:?}");
    assert!(took >= GRACE, "a clock may have been set, so the grace period counts");
    // This process may have written it.
    leave_behind(&dir, &content, Duration::ZERO);
    assert!(matches!(
        time_to_hold(&with_timeouts(&dir.cache(), 1500, GRACE)),
        Err(Error::Locked { .. })
    ));
}

#[test]
fn a_zombie_process_is_dead() {
    let dir = TestDir::new();
    let mut sleeper = Sleeper::start();
    leave_behind(&dir, &sleeper.0.id().to_string(), Duration::ZERO);
    sleeper.0.kill().unwrap();
    let took = time_to_hold(&with_timeouts(&dir.cache(), 15_000, GRACE)).unwrap();
    println!("the lock of a zombie was taken over after {took:?}");
    assert!(took >= GRACE / 2);
}
