//! A server whose disk is full. `tests/servers/postgres` mounts a small one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use msal_cache_core::{Batch, Blocking, CacheStore, Error, Expect, Partition, Result};
use msal_cache_postgres::{PostgresFailure, PostgresStore};

use crate::rows::{load, record};
use crate::server::Server;
use crate::support::cause;

/// A folder on a file system of 100 MB, which only the server of one test uses.
fn small_disk() -> PathBuf {
    let disk = std::env::var("MSAL_CACHE_POSTGRES_SMALL_DISK")
        .expect("run it by tests/servers/postgres, which mounts a small disk");
    PathBuf::from(disk)
}

fn commit(store: &impl CacheStore, user: &str, value: &str) -> Result<()> {
    let own = record(user, user, value);
    let mut batch = Batch::new();
    batch.change(own.partition(), Expect::Any).put(own.clone());
    store.commit(&batch).map(drop)
}

fn sign_out(store: &impl CacheStore, user: &str) -> Result<()> {
    let own = record(user, user, "");
    let mut batch = Batch::new();
    batch.change(own.partition(), Expect::Any).delete_record(&own);
    store.commit(&batch).map(drop)
}

/// Whether an error says that the disk is full, or that the server restarts.
fn is_typed(error: &Error) -> bool {
    let is_full = matches!(cause(error), PostgresFailure::OutOfSpace { .. });
    is_full || matches!(error, Error::Unavailable { .. })
}

/// Repeats a call while it fails so.
fn until_done<T>(what: &str, mut call: impl FnMut() -> Result<T>) -> T {
    let started = Instant::now();
    loop {
        match call() {
            Ok(done) => return done,
            Err(error) => {
                assert!(is_typed(&error), "{what}: {error:?}");
                assert!(started.elapsed() < Duration::from_secs(120), "{what}: {error:?}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// The free space of a folder, in bytes.
fn free(folder: &Path) -> usize {
    let output = Command::new("df").args(["--output=avail", "--block-size=1"]).arg(folder).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.lines().nth(1).unwrap().trim().parse().unwrap()
}

/// Fills a disk with users, and frees it again. The disk has the tables of the server, or its write-ahead
/// log.
fn fill_and_free(disk: &Path, has_log: bool) {
    let on_disk = disk.join("data");
    let elsewhere = disk.with_file_name("beside-small-disk");
    let (data, log) = if has_log { (&elsewhere, &on_disk) } else { (&on_disk, &elsewhere) };
    let initdb = ["--wal-segsize", "1", "--waldir", log.to_str().unwrap()];
    // The log is kept, so that it grows.
    let keep = if has_log { "wal_keep_size=500MB" } else { "wal_keep_size=0" };
    let mut server =
        Server::start_in(data, &initdb, &["max_wal_size=4MB", "min_wal_size=2MB", keep]);
    let builder = PostgresStore::builder(server.url()).pool_size(2);
    let store = Blocking::connect(builder.timeout(Duration::from_secs(5)).connect()).unwrap();
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![1; free(disk).saturating_sub(6 << 20)]).unwrap();

    let large = "x".repeat(20_000);
    let mut there = Vec::new();
    let first = loop {
        let user = format!("u{}", there.len());
        match commit(&store, &user, &large) {
            Ok(()) => there.push(user),
            Err(error) => break error,
        }
        assert!(there.len() < 2000, "the disk isn't full");
    };
    assert!(is_typed(&first), "{first:?}");
    // Without space for its log, the server ends all connections, and starts again if it can.
    if has_log {
        assert!(matches!(first, Error::Unavailable { .. }) && first.is_retryable(), "{first:?}");
    } else {
        assert!(matches!(cause(&first), PostgresFailure::OutOfSpace { .. }), "{first:?}");
        assert!(!first.is_retryable(), "it is full until it is freed");
    }
    let mut unknown = Vec::new();
    for nth in 0..3 {
        let user = format!("late{nth}");
        match commit(&store, &user, &large) {
            Ok(()) => there.push(user),
            Err(error) => {
                assert!(is_typed(&error), "{error:?}");
                unknown.push(user);
            }
        }
    }
    let acknowledged = there.len();

    fs::remove_file(&ballast).unwrap();
    server.recover();
    until_done("reading", || store.load(&Partition::user("u0"), None));
    for user in &there {
        assert_eq!(load(&store, user).len(), 1, "{user} was acknowledged");
    }
    let signed_out: Vec<_> = there.drain(..acknowledged / 2).collect();
    for user in &signed_out {
        until_done("a sign-out", || sign_out(&store, user));
    }
    until_done("a sign-in", || commit(&store, "after", &large));
    for user in &signed_out {
        assert!(load(&store, user).is_empty(), "{user} was signed out");
    }
    assert!(there.iter().all(|user| load(&store, user).len() == 1));
    println!(
        "a full disk with the {}: {}; {acknowledged} acknowledged commits, 0 lost; {} failed",
        if has_log { "log" } else { "tables" },
        cause(&first),
        unknown.len()
    );
}

#[test]
fn on_a_full_disk_no_acknowledged_commit_is_lost_and_users_can_sign_out_when_it_is_freed() {
    let disk = small_disk();
    for has_log in [false, true] {
        fill_and_free(&disk, has_log);
        fs::remove_dir_all(disk.with_file_name("beside-small-disk")).ok();
        fs::remove_dir_all(disk.join("data")).ok();
    }
}
