//! The cost of a call: its statements, and the indexes that they use.

mod support;

use std::time::Instant;

use msal_cache_core::{Batch, CacheStore, CredentialType, Expect, Load, Partition};
use msal_cache_sqlite::{SqliteStore, Synchronous};
use support::{Place, account, list, load, put, raw, token};

/// The sources that contain the statements of this crate.
const SOURCES: [&str; 2] = [include_str!("../src/read.rs"), include_str!("../src/write.rs")];

fn statement(name: &str) -> String {
    let start = format!("const {name}: &str =");
    let source = SOURCES.iter().find(|source| source.contains(&start)).unwrap();
    let from = source.find(&start).unwrap() + start.len();
    let text = source[from..].split(';').next().unwrap();
    text.replace(['"', '\\'], " ")
}

fn plan(name: &str) -> String {
    let place = Place::new();
    drop(SqliteStore::open(place.database()).unwrap());
    let connection = raw(&place.database());
    let sql = format!("EXPLAIN QUERY PLAN {}", statement(name));
    let mut statement = connection.prepare(&sql).unwrap();
    let parameters = vec![rusqlite::types::Value::Integer(1); statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get(3));
    rows.unwrap().collect::<Result<Vec<String>, _>>().unwrap().join("\n")
}

#[test]
fn every_statement_uses_an_index() {
    for (name, index) in [
        ("FIND", "SEARCH partitions_2 USING INDEX sqlite_autoindex_partitions_2_1"),
        ("PARTITION", "SEARCH r USING INDEX records_2_by_partition (partition=?)"),
        ("SECTION", "SEARCH r USING INDEX records_2_by_type (credential_type=?)"),
        ("STORE_REVISION", "SEARCH store_2 USING INTEGER PRIMARY KEY"),
        ("STAMP", "SEARCH partitions_2 USING INTEGER PRIMARY KEY"),
        ("HOLDER", "sqlite_autoindex_records_2_1 (key=? AND credential_type=?)"),
        ("DELETE", "sqlite_autoindex_records_2_1 (key=? AND credential_type=?)"),
        ("DROP_IF_EMPTY", "USING COVERING INDEX records_2_by_partition (partition=?)"),
        ("ANY_EXPIRED", "USING COVERING INDEX records_2_by_expiry (expires_on<?)"),
        ("EXPIRED_IN", "USING INDEX records_2_by_expiry (expires_on<?)"),
        ("PURGE", "records_2_by_expiry (expires_on<?)"),
    ] {
        let plan = plan(name);
        assert!(plan.contains(index), "{name}: {plan}");
        assert!(!plan.contains("SCAN records_2"), "{name}: {plan}");
    }
    // Records come in the order of an index and are not sorted.
    for name in ["PARTITION", "SECTION", "EVERYTHING"] {
        assert!(!plan(name).contains("TEMP B-TREE"), "{name}: {}", plan(name));
    }
}

#[test]
fn an_unchanged_load_writes_nothing_and_takes_no_write_lock() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    let revision = put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap()[0];
    let before = place.contents();
    // Another connection holds the write lock all the time.
    let writer = raw(&place.database());
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let user = Partition::user("u");
    for _ in 0..1000 {
        assert!(matches!(store.load(&user, Some(revision)).unwrap(), Load::Unchanged));
    }
    load(&store, "u");
    list(&store, None);
    assert_eq!(store.purge(1).unwrap(), 0);
    writer.execute_batch("ROLLBACK").unwrap();
    let log = |contents: &std::collections::BTreeMap<String, Vec<u8>>| {
        ["cache.db", "cache.db-wal"].map(|name| contents[name].clone())
    };
    assert!(log(&before) == log(&place.contents()), "a file was changed");
}

#[test]
fn ten_thousand_accounts_are_one_query() {
    let place = Place::new();
    let builder = SqliteStore::builder(place.database()).synchronous(Synchronous::Normal);
    let store = builder.open().unwrap();
    let mut batch = Batch::new();
    for n in 0..10_000 {
        let user = format!("u{n}");
        let change = batch.change(Partition::user(&user), Expect::Any);
        change.put(account(&user, &format!("k{n}"), "x"));
        change.put(token(&user, &format!("t{n}"), "\"10\""));
    }
    store.commit(&batch).unwrap();
    let started = Instant::now();
    let accounts = list(&store, Some("Account"));
    println!("10,000 accounts in {:?}", started.elapsed());
    assert_eq!(accounts.len(), 10_000);
    for (n, account) in accounts.iter().enumerate() {
        assert_eq!(*account.key(), *format!("k{n}"), "in the order in which they were put");
    }
    assert_eq!(list(&store, None).len(), 20_000);

    let started = Instant::now();
    assert_eq!(store.purge(11).unwrap(), 10_000);
    println!("10,000 purged in {:?}", started.elapsed());
    assert_eq!(list(&store, None).len(), 10_000);
    let section = CredentialType::AccessToken;
    let Load::Snapshot(none) = store.list(Some(&section), None).unwrap() else {
        panic!("no revision was given")
    };
    assert_eq!(none.records(), []);
}
