//! Faults in the middle of a commit, and their errors.

mod support;

use std::error::Error as StdError;
use std::fmt::Write as _;

use msal_cache_core::{Batch, CacheStore, CredentialType, Error, Expect, Partition};
use msal_cache_sqlite::{Journal, SqliteStore};
use support::{Place, account, list, load, put, raw, token};

const CANARY: &str = "canary-7f3a9c";

/// The texts of an error and its causes.
fn texts_of(error: &dyn StdError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, " {error} {error:?}");
        cause = error.source();
    }
    text
}

/// A batch over three partitions, whose last operation fails.
fn batch(fault: &str) -> Batch {
    let mut batch = Batch::new();
    for user in ["a", "b"] {
        let change = batch.change(Partition::user(user), Expect::Any);
        let [k, k2] = ["k", "k2"].map(|key| account(user, &format!("{user}-{key}"), CANARY));
        change.put(k).put(k2);
        change.delete(CredentialType::Account, "old".into());
    }
    batch.change(Partition::user("c"), Expect::Any).put(account("c", fault, CANARY));
    batch
}

#[test]
fn a_commit_that_fails_midway_changes_nothing() {
    for sql in [
        "CREATE TRIGGER t BEFORE INSERT ON records_2 WHEN new.key = 'fault' \
         BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE TRIGGER t BEFORE INSERT ON records_2 WHEN new.key = 'fault' \
         BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
        "CREATE TRIGGER t BEFORE INSERT ON records_2 WHEN new.key = 'fault' \
         BEGIN SELECT RAISE(FAIL, 'no'); END",
        "CREATE TRIGGER t BEFORE UPDATE ON store_2 BEGIN SELECT RAISE(ABORT, 'no'); END",
    ] {
        for journal in [Journal::Wal, Journal::Rollback] {
            let place = Place::new();
            let store = SqliteStore::builder(place.database()).journal(journal).open().unwrap();
            let before = [account("a", "old", "1"), account("a", "a-k", "1")];
            let revision = put(&store, Expect::Any, &before).unwrap()[0];
            let other = raw(&place.database());
            other.execute_batch(sql).unwrap();
            let error = store.commit(&batch("fault")).unwrap_err();
            assert!(matches!(error, Error::Backend { store: "SQLite", .. }), "{error:?}");
            assert!(!texts_of(&error).contains(CANARY), "{}", texts_of(&error));
            assert_eq!(list(&store, None), before);
            assert_eq!(load(&store, "a").revision(), revision);
            // The store still works.
            other.execute_batch("DROP TRIGGER t").unwrap();
            store.commit(&batch("fault")).unwrap();
            assert_eq!(list(&store, None).len(), 5);
        }
    }
}

#[test]
fn a_purge_that_fails_changes_nothing() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    let records = [token("u", "1", "1"), token("v", "2", "2")];
    let revisions = put(&store, Expect::Any, &records).unwrap();
    let other = raw(&place.database());
    other
        .execute_batch(
            "CREATE TRIGGER t BEFORE UPDATE ON store_2 BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    assert!(matches!(store.purge(10), Err(Error::Backend { .. })));
    assert_eq!(list(&store, None), records);
    assert_eq!(load(&store, "v").revision(), revisions[1]);
    other.execute_batch("DROP TRIGGER t").unwrap();
    assert_eq!(store.purge(10).unwrap(), 2);
}

#[test]
fn damage_that_is_found_by_a_read_is_an_error() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    put(&store, Expect::Any, &[account("u", "k", CANARY)]).unwrap();
    let other = raw(&place.database());
    other.execute_batch("UPDATE records_2 SET value = x'FF00'").unwrap();
    let error = store.load(&Partition::user("u"), None).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    let error = store.list(None, None).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    other.execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE records_2").unwrap();
    let error = store.load(&Partition::user("u"), None).unwrap_err();
    assert!(matches!(error, Error::Backend { .. }), "{error:?}");
    assert!(!texts_of(&error).contains(CANARY));
}

#[test]
fn a_write_that_the_system_refuses_is_an_error_and_changes_nothing() {
    for journal in ["Wal", "Rollback"] {
        let place = Place::new();
        // A limit for the size of files. Without the trap, a signal would end the process.
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\""]);
        let job =
            support::command("job_with_a_limit_for_the_size_of_files", journal, place.folder());
        sh.arg(job.get_program()).args(job.get_args());
        sh.envs(job.get_envs().filter_map(|(name, value)| Some((name, value?))));
        support::run(sh);
    }
}

#[test]
fn job_with_a_limit_for_the_size_of_files() {
    let Some((journal, folder)) = support::job() else { return };
    let journal = if journal == "Wal" { Journal::Wal } else { Journal::Rollback };
    let store = SqliteStore::builder(folder.join("cache.db")).journal(journal).open().unwrap();
    let before = [account("a", "old", "1")];
    let revision = put(&store, Expect::Any, &before).unwrap()[0];
    let mut large = batch("c");
    let value = CANARY.repeat(200_000);
    large.change(Partition::user("d"), Expect::Any).put(account("d", "large", &value));
    for _ in 0..2 {
        let error = store.commit(&large).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        assert!(!texts_of(&error).contains(CANARY), "{}", texts_of(&error));
        assert_eq!(list(&store, None), before);
        assert_eq!(load(&store, "a").revision(), revision);
    }
    put(&store, Expect::Revision(revision), &[account("a", "old", "2")]).unwrap();
}

#[test]
fn no_text_contains_a_secret() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    put(&store, Expect::Any, &[account("u", "k", CANARY)]).unwrap();
    assert_eq!(format!("{store:?}"), format!("SqliteStore({:?})", place.database()));
    let memory = SqliteStore::in_memory().unwrap();
    assert_eq!(format!("{memory:?}"), "SqliteStore(\":memory:\")");
    let read = store.list(None, None).unwrap();
    assert!(!format!("{read:?} {:?}", SqliteStore::builder("x")).contains(CANARY));
    let stale = Expect::Revision(msal_cache_core::Revision::unique());
    let error = put(&store, stale, &[account("u", "k", CANARY)]).unwrap_err();
    assert!(!texts_of(&error).contains(CANARY));
}

#[test]
fn deleted_values_are_overwritten_in_the_database() {
    let place = Place::new();
    let store = SqliteStore::builder(place.database()).journal(Journal::Rollback).open().unwrap();
    let holds = || {
        let bytes = std::fs::read(place.database()).unwrap();
        bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
    };
    let long = CANARY.repeat(1000);
    put(&store, Expect::Any, &[account("u", "k", CANARY), account("u", "long", &long)]).unwrap();
    assert!(holds());
    support::delete(&store, "u", "k").unwrap();
    put(&store, Expect::Any, &[account("u", "long", "short")]).unwrap();
    assert!(!holds());
}

#[test]
fn the_log_is_emptied_after_a_sign_out_as_soon_as_readers_permit_it() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    put(&store, Expect::Any, &[account("u", "k", CANARY)]).unwrap();
    let reader = raw(&place.database());
    reader.execute_batch("BEGIN; SELECT * FROM records_2").unwrap();
    let holds = |file: &str| {
        let bytes = std::fs::read(place.at(file)).unwrap_or_default();
        bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
    };
    support::delete(&store, "u", "k").unwrap();
    assert!(holds("cache.db-wal"), "the reader still needs it");
    reader.execute_batch("COMMIT").unwrap();
    let started = std::time::Instant::now();
    // No other call of the store, and no other process, empties it.
    while holds("cache.db-wal") || holds("cache.db") {
        assert!(started.elapsed() < std::time::Duration::from_secs(10), "the log was not emptied");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
