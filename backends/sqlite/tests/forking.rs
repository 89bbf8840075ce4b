//! A store in a process that is forked. SQLite doesn't notice a fork: without care, the child works
//! without locks, and the database is damaged although each commit succeeds.
#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fork::{Fork, fork};
use msal_cache_core::{CacheStore, Error, Expect};
use msal_cache_sqlite::{Journal, SqliteStore, Synchronous};
use support::{Place, account, job, list, number, put, raw, text};

fn open(path: &Path, journal: &str) -> SqliteStore {
    let journal = if journal.ends_with("wal") { Journal::Wal } else { Journal::Rollback };
    let builder = SqliteStore::builder(path).synchronous(Synchronous::Normal);
    builder.journal(journal).open().unwrap()
}

/// Adds accounts of these names and returns the number of failures.
fn add_all(store: &dyn CacheStore, name: &str, count: usize) -> usize {
    let add = |n: &usize| {
        let user = format!("{name}-{n}");
        put(store, Expect::Any, &[account(&user, &user, &"x".repeat(500))]).is_err()
    };
    (0..count).filter(add).count()
}

/// Starts a job whose process may end early.
fn spawn(test: &str, job: &str, folder: &Path) -> Child {
    let mut command: Command = support::command(test, job, folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(path: &Path) -> String {
    let started = Instant::now();
    loop {
        if let Ok(found) = fs::read_to_string(path)
            && found.ends_with('\n')
        {
            return found.trim().to_owned();
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{} is missing", path.display());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_daemon_that_forked_after_it_opened_the_store_loses_and_damages_nothing() {
    for journal in ["wal", "rollback"] {
        let place = Place::new();
        drop(open(&place.database(), journal));
        let test = "job_that_becomes_a_daemon";
        let mut daemon = support::command(test, &format!("daemon-{journal}"), place.folder());
        // Its standard error stays open in the daemon.
        assert!(daemon.stdout(Stdio::null()).status().unwrap().success());
        // Each of these is the only process with locks, as far as it sees, when it opens or closes.
        let mut rounds = 0;
        while !place.at("done").exists() || rounds < 3 {
            let other = spawn(test, &format!("other{rounds}-{journal}"), place.folder());
            support::finish(other);
            rounds += 1;
        }
        assert_eq!(wait_for(&place.at("done")), "0 failed");
        let database = raw(&place.database());
        assert_eq!(text(&database, "PRAGMA integrity_check"), "ok", "{journal}");
        let count = |name: &str| {
            number(&database, &format!("SELECT count(*) FROM records_2 WHERE key LIKE '{name}%'"))
        };
        assert_eq!(count("daemon"), 301, "{journal}");
        assert_eq!(count("other"), 40 * rounds, "{journal}");
        println!("a daemon beside {rounds} other processes, {journal}: nothing lost or damaged");
    }
}

#[test]
fn job_that_becomes_a_daemon() {
    let Some((job, folder)) = job() else { return };
    let store = open(&folder.join("cache.db"), &job);
    if job.starts_with("other") {
        assert_eq!(add_all(&store, job.split('-').next().unwrap(), 40), 0);
        return;
    }
    let second = open(&folder.join("cache.db"), &job);
    assert_eq!(list(&second, None).len(), 0);
    assert_eq!(add_all(&store, "daemon-first", 1), 0);
    if let Fork::Parent(_) = fork().unwrap() {
        std::process::exit(0);
    }
    thread::sleep(Duration::from_millis(200));
    let failed = add_all(&store, "daemon", 300);
    drop((store, second));
    fs::write(folder.join("done"), format!("{failed} failed\n")).unwrap();
    std::process::exit(0);
}

#[test]
fn parent_and_child_use_the_same_store_at_the_same_time() {
    for journal in ["wal", "rollback"] {
        let place = Place::new();
        drop(open(&place.database(), journal));
        let child = spawn("job_that_forks_and_goes_on", journal, place.folder());
        for name in ["parent", "child"] {
            assert_eq!(wait_for(&place.at(name)), "0 failed", "{journal}");
        }
        support::finish(child);
        let database = raw(&place.database());
        assert_eq!(text(&database, "PRAGMA integrity_check"), "ok", "{journal}");
        assert_eq!(number(&database, "SELECT count(*) FROM records_2"), 400, "{journal}");
    }
}

#[test]
fn job_that_forks_and_goes_on() {
    let Some((job, folder)) = job() else { return };
    let store = open(&folder.join("cache.db"), &job);
    assert_eq!(list(&store, None).len(), 0);
    let is_parent = matches!(fork().unwrap(), Fork::Parent(_));
    let name = if is_parent { "parent" } else { "child" };
    let failed = add_all(&store, name, 200);
    fs::write(folder.join(name), format!("{failed} failed\n")).unwrap();
    if !is_parent {
        std::process::exit(0);
    }
    wait_for(&folder.join("child"));
}

#[test]
fn a_child_of_a_process_that_was_using_the_database_is_refused() {
    let place = Place::new();
    drop(open(&place.database(), "rollback"));
    // With a rollback journal, a commit waits for readers, in its transaction.
    let reader = raw(&place.database());
    reader.execute_batch("BEGIN; SELECT * FROM records_2; SELECT * FROM store_2").unwrap();
    let child = spawn("job_that_forks_while_a_thread_writes", "rollback", place.folder());
    assert!(wait_for(&place.at("child")).contains("forked while another thread"));
    reader.execute_batch("COMMIT").unwrap();
    support::finish(child);
    assert_eq!(number(&reader, "SELECT count(*) FROM records_2"), 1);
    assert_eq!(text(&reader, "PRAGMA integrity_check"), "ok");
}

#[test]
fn job_that_forks_while_a_thread_writes() {
    let Some((job, folder)) = job() else { return };
    let store = open(&folder.join("cache.db"), &job);
    thread::scope(|threads| {
        let writer = threads.spawn(|| put(&store, Expect::Any, &[account("u", "k", "1")]));
        thread::sleep(Duration::from_millis(300));
        if matches!(fork().unwrap(), Fork::Child) {
            // A panic would wait for a thread that doesn't exist here.
            let used = store.list(None, None).map(drop);
            let opened = SqliteStore::open(folder.join("cache.db")).map(drop);
            let answer = match (used, opened) {
                (Err(Error::Backend { source, .. }), Err(Error::Backend { .. })) => {
                    source.to_string()
                }
                other => format!("{other:?}"),
            };
            let _ = fs::write(folder.join("child"), format!("{answer}\n"));
            std::process::exit(0);
        }
        writer.join().unwrap().unwrap();
    });
}
