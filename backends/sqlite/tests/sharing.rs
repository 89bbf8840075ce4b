//! Threads and processes on one database.

mod support;

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{
    CacheStore, Error, Expect, Load, Partition, Result, Revision, Snapshot, retry,
};
use msal_cache_sqlite::{Journal, SqliteStore, Synchronous};
use support::{Place, account, command, finish, job, list, load, number, put, raw, text};

/// Increments a shared counter by a commit that expects the revision that was read.
fn count_up(store: &SqliteStore) -> Result<()> {
    retry(|| {
        let shared = load(store, "shared");
        let count = shared.records().first().map_or(0, count_in);
        let more = account("shared", "count", &(count + 1).to_string());
        put(store, Expect::Revision(shared.revision()), &[more]).map(|_| ())
    })
}

fn count_in(record: &msal_cache_core::Record) -> usize {
    let value = record.value().expose();
    value.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

fn threads(journal: Journal, handles: usize) {
    const THREADS: usize = 8;
    const EACH: usize = 50;
    let place = Place::new();
    let builder = SqliteStore::builder(place.database()).journal(journal);
    let builder = builder.synchronous(Synchronous::Normal);
    let stores: Vec<_> = (0..handles).map(|_| builder.clone().open().unwrap()).collect();
    let started = Instant::now();
    thread::scope(|scope| {
        for n in 0..THREADS {
            let store = &stores[n % handles];
            scope.spawn(move || {
                for m in 0..EACH {
                    let user = format!("u{n}");
                    let mine = account(&user, &format!("{n}-{m}"), "x");
                    put(store, Expect::Any, std::slice::from_ref(&mine)).unwrap();
                    assert!(load(store, &user).records().contains(&mine), "read its own write");
                    if m % 5 == 0 {
                        count_up(store).unwrap();
                    }
                }
            });
        }
    });
    let store = &stores[0];
    assert_eq!(list(store, Some("Account")).len(), THREADS * EACH + 1);
    assert_eq!(count_in(&load(store, "shared").records()[0]), THREADS * EACH / 5);
    println!("{journal:?}, {handles} handles, 8 threads of 50 commits: {:?}", started.elapsed());
}

#[test]
fn eight_threads_lose_nothing_on_one_handle() {
    threads(Journal::Wal, 1);
    threads(Journal::Rollback, 1);
}

#[test]
fn eight_threads_lose_nothing_on_four_handles() {
    threads(Journal::Wal, 4);
    threads(Journal::Rollback, 4);
}

#[test]
fn readers_wait_when_all_connections_are_in_use() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(load(&store, "u").records().len(), 1)));
        }
    });
}

fn many_processes(name: &str, journal: Journal, processes: usize, each: usize) {
    let place = Place::new();
    let job = format!("{journal:?} {each}");
    let started = Instant::now();
    // The database doesn't exist yet, so they create it at the same time.
    let children: Vec<_> = (0..processes)
        .map(|n| {
            let mut command = command("job_that_commits", &format!("{job} {n}"), place.folder());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut longest = 0;
    for child in children {
        let said = finish(child);
        let wait = said.split("longest ").nth(1).and_then(|rest| rest.split(' ').next());
        longest = longest.max(wait.unwrap().parse::<u128>().unwrap());
    }
    let elapsed = started.elapsed();
    let store = SqliteStore::open(place.database()).unwrap();
    let stored = list(&store, Some("Account")).len() - 1;
    let counted = count_in(&load(&store, "shared").records()[0]);
    let expected = processes * each;
    println!(
        "{name}: {processes} processes, {} commits, 0 errors, {} of {expected} lost, {} of \
         {processes} counts lost, {elapsed:.1?}, longest call {longest} ms",
        expected + processes,
        expected - stored,
        processes - counted,
    );
    assert_eq!((stored, counted), (expected, processes));
    assert_eq!(text(&raw(&place.database()), "PRAGMA integrity_check"), "ok");
}

#[test]
fn p12_64_processes_on_one_database_meet_no_lock_and_lose_nothing() {
    many_processes("P12", Journal::Auto, 64, 10);
}

#[test]
fn p12_64_processes_on_a_rollback_journal_meet_no_lock_and_lose_nothing() {
    many_processes("P12, rollback journal", Journal::Rollback, 64, 5);
}

/// In each round, all processes create one database at the same moment.
#[test]
fn databases_that_many_processes_create_at_once_lose_nothing() {
    const PROCESSES: usize = 16;
    const ROUNDS: usize = 40;
    for journal in [Journal::Auto, Journal::Rollback] {
        let place = Place::new();
        let children: Vec<_> = (0..PROCESSES)
            .map(|n| {
                let job = format!("{journal:?} {ROUNDS} {PROCESSES} {n}");
                let mut command = command("job_that_creates", &job, place.folder());
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in children {
            finish(child);
        }
        for round in 0..ROUNDS {
            let path = place.folder().join(format!("{round}.db"));
            let store = SqliteStore::open(&path).unwrap();
            assert_eq!(load(&store, "u").records().len(), PROCESSES, "round {round}");
            assert_eq!(text(&raw(&path), "PRAGMA integrity_check"), "ok");
        }
    }
}

#[test]
fn job_that_creates() {
    let Some((job, folder)) = job() else { return };
    let parts: Vec<_> = job.split(' ').collect();
    let journal = if parts[0] == "Rollback" { Journal::Rollback } else { Journal::Auto };
    let [rounds, processes] = [1, 2].map(|at| parts[at].parse::<usize>().unwrap());
    for round in 0..rounds {
        let ready = |n: usize| folder.join(format!("ready-{round}-{n}"));
        std::fs::write(ready(parts[3].parse().unwrap()), "").unwrap();
        while !(0..processes).all(|n| ready(n).exists()) {
            // Processes that don't sleep keep the ones for which they wait from a processor.
            thread::sleep(Duration::from_micros(200));
        }
        let builder = SqliteStore::builder(folder.join(format!("{round}.db"))).journal(journal);
        let store = builder.busy_timeout(Duration::from_secs(60)).open().unwrap();
        put(&store, Expect::Any, &[account("u", parts[3], "x")]).unwrap();
    }
}

#[test]
fn job_that_commits() {
    let Some((job, folder)) = job() else { return };
    let parts: Vec<_> = job.split(' ').collect();
    let journal = if parts[0] == "Rollback" { Journal::Rollback } else { Journal::Auto };
    let each: usize = parts[1].parse().unwrap();
    let mut longest = Duration::ZERO;
    let mut timed = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        longest = longest.max(started.elapsed());
    };
    let path = folder.join("cache.db");
    let mut store = None;
    timed(&mut || {
        let builder = SqliteStore::builder(&path).journal(journal);
        store = Some(builder.busy_timeout(Duration::from_secs(60)).open().unwrap());
    });
    let store = store.unwrap();
    for n in 0..each {
        let user = format!("p{}", parts[2]);
        let mine = account(&user, &format!("{user}-{n}"), "x");
        timed(&mut || {
            put(&store, Expect::Any, std::slice::from_ref(&mine)).unwrap();
        });
        timed(&mut || assert!(load(&store, &user).records().contains(&mine)));
    }
    // All processes increment the counter. One that conflicts too often tries again.
    timed(&mut || {
        while let Err(error) = count_up(&store) {
            assert!(matches!(error, Error::Conflict), "{error:?}");
        }
    });
    println!("longest {} ms", longest.as_millis());
}

#[test]
fn a_lock_that_is_held_is_an_error_after_the_deadline() {
    for journal in [Journal::Wal, Journal::Rollback] {
        let place = Place::new();
        let limit = Duration::from_millis(300);
        let builder = SqliteStore::builder(place.database()).journal(journal).busy_timeout(limit);
        let store = builder.clone().open().unwrap();
        let revision = put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap()[0];
        let holder = raw(&place.database());
        holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let started = Instant::now();
        // The threads of one process wait at the same time, not one after the other.
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let error = put(&store, Expect::Any, &[account("u", "k", "2")]).unwrap_err();
                    let Error::Locked { path, holder: None, waited } = &error else {
                        panic!("{error:?}")
                    };
                    assert_eq!(*path, place.database());
                    assert!(*waited >= limit && error.is_retryable(), "{waited:?}");
                });
            }
        });
        let waited = started.elapsed();
        assert!(waited >= limit && waited < limit * 4, "{waited:?}");
        if journal == Journal::Rollback {
            let read = store.load(&Partition::user("u"), None);
            assert!(matches!(read, Err(Error::Locked { .. })), "{read:?}");
            assert!(matches!(builder.open(), Err(Error::Locked { .. })));
        } else {
            assert_eq!(load(&store, "u").revision(), revision);
            builder.open().unwrap();
        }
        holder.execute_batch("ROLLBACK").unwrap();
        put(&store, Expect::Revision(revision), &[account("u", "k", "2")]).unwrap();
    }
}

#[test]
fn a_writer_waits_for_a_reader_and_for_another_writer() {
    for journal in [Journal::Wal, Journal::Rollback] {
        let place = Place::new();
        let store = SqliteStore::builder(place.database()).journal(journal).open().unwrap();
        put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
        // First a reader and then a writer, each for 100 ms.
        for sql in ["BEGIN; SELECT * FROM store_2", "BEGIN IMMEDIATE"] {
            let other = raw(&place.database());
            other.execute_batch(sql).unwrap();
            let release = thread::spawn(move || {
                thread::sleep(Duration::from_millis(100));
                other.execute_batch("COMMIT").unwrap();
            });
            put(&store, Expect::Any, &[account("u", "k", sql)]).unwrap();
            release.join().unwrap();
        }
    }
}

#[test]
fn a_commit_that_waited_checks_what_the_other_writer_wrote() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    let known = put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap()[0];
    let other = raw(&place.database());
    other
        .execute_batch("BEGIN IMMEDIATE; DELETE FROM records_2; DELETE FROM partitions_2")
        .unwrap();
    let release = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        other.execute_batch("COMMIT").unwrap();
    });
    let late = put(&store, Expect::Revision(known), &[account("u", "k", "2")]);
    assert!(matches!(late, Err(Error::Conflict)), "{late:?}");
    release.join().unwrap();
    assert_eq!(load(&store, "u").revision(), Revision::ABSENT);
    assert_eq!(number(&raw(&place.database()), "SELECT count(*) FROM records_2"), 0);
}

#[test]
fn threads_that_open_a_new_database_at_the_same_time_succeed() {
    for round in 0..300 {
        let place = Place::new();
        let begin = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    begin.wait();
                    SqliteStore::open(place.database())
                        .unwrap_or_else(|error| panic!("round {round}: {error:?}"));
                });
            }
        });
    }
}

#[test]
fn several_partitions_are_read_at_one_moment() {
    for journal in [Journal::Wal, Journal::Rollback] {
        let place = Place::new();
        let builder = SqliteStore::builder(place.database()).journal(journal);
        let store = builder.synchronous(Synchronous::Normal).open().unwrap();
        let both = |n: usize| ["u", "v"].map(|user| account(user, user, &n.to_string()));
        let known = put(&store, Expect::Any, &both(0)).unwrap();
        let [u, v] = ["u", "v"].map(Partition::user);
        let (absent, wrong) = (Partition::user("absent"), Some(Revision::unique()));
        let wanted = [(&u, Some(known[0])), (&absent, wrong), (&v, None), (&u, None)];
        let [unchanged, missing, read, again] = &store.load_many(&wanted).unwrap()[..] else {
            panic!("one answer for each")
        };
        assert_eq!(*unchanged, Load::Unchanged);
        assert_eq!(*missing, Load::Snapshot(Snapshot::new(Revision::ABSENT, Vec::new())));
        assert_eq!(*read, Load::Snapshot(load(&store, "v")));
        assert_eq!(*again, Load::Snapshot(load(&store, "u")));
        assert_eq!(store.load_many(&[]).unwrap(), []);

        // Each commit writes one number to both partitions, so a read finds one number in both.
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 1..=200 {
                    put(&store, Expect::Any, &both(n)).unwrap();
                }
            });
            while !writer.is_finished() {
                let counts = store.load_many(&[(&u, None), (&v, None)]).unwrap();
                let counts = counts.into_iter().map(|load| match load {
                    Load::Snapshot(snapshot) => count_in(&snapshot.records()[0]),
                    Load::Unchanged => panic!("no revision was given"),
                });
                let counts: Vec<_> = counts.collect();
                assert_eq!(counts[0], counts[1]);
            }
        });
    }
}

#[test]
fn a_guard_outlives_its_store_and_ends_on_another_thread() {
    let place = Place::new();
    let user = Partition::user("u");
    for in_memory in [false, true] {
        let open = || {
            let path = place.database();
            if in_memory { SqliteStore::in_memory() } else { SqliteStore::open(path) }.unwrap()
        };
        let store = open();
        let held = store.guard(&user, Duration::ZERO).unwrap();
        assert!(matches!(store.guard(&user, Duration::ZERO), Err(Error::Locked { .. })));
        drop(store.guard(&Partition::user("v"), Duration::ZERO).unwrap());
        drop(store);
        let other = open();
        assert_eq!(other.guard(&user, Duration::ZERO).is_ok(), in_memory);
        thread::spawn(move || drop(held)).join().unwrap();
        drop(other.guard(&user, Duration::ZERO).unwrap());
        assert!(!other.is_immediate());
    }
    assert!(!place.names().iter().any(|name| name.contains("refresh")), "{:?}", place.names());
}
