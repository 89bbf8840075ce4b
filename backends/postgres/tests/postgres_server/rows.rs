//! What is stored in the rows.

use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Error, Expect, Json, Load, Partition, Record, Revision,
};

use crate::support::{execute, new_schema, open, raw, runtime};

pub(crate) fn record(user: &str, key: &str, value: &str) -> Record {
    let json = format!(r#"{{"home_account_id":"{user}","value":"{value}"}}"#);
    Record::new(CredentialType::Account, key, Json::from_stored(json))
}

pub(crate) fn put(store: &impl CacheStore, user: &str, key: &str, value: &str) -> Revision {
    let record = record(user, key, value);
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Any).put(record.clone());
    store.commit(&batch).unwrap()[0]
}

pub(crate) fn load(store: &impl CacheStore, user: &str) -> Vec<Record> {
    match store.load(&Partition::user(user), None).unwrap() {
        Load::Snapshot(found) => found.into_records(),
        Load::Unchanged => panic!("no revision was given"),
    }
}

#[test]
fn long_keys_large_values_and_any_unicode_are_stored() {
    let store = open(&new_schema());
    let long = "k".repeat(1 << 20);
    let large = "v".repeat(3 << 20);
    for key in [&*long, "nul \0", "\u{10ffff}\u{feff}", "\\000", ""] {
        put(&store, "u", key, &large);
    }
    let found = load(&store, "u");
    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|it| it.value().expose().len() > large.len()));
    assert_eq!(found[0].key(), long);
    assert_eq!(found[1].key(), "nul \0");
}

#[test]
fn a_row_that_outlives_its_records_names_no_user_and_a_purge_deletes_it() {
    let schema = new_schema();
    let store = open(&schema);
    put(&store, "alice", "k", "v");
    let alice = Partition::user("alice");
    let mut batch = Batch::new();
    batch.change(&alice, Expect::Any).delete(CredentialType::Account, "k".into());
    assert_eq!(store.commit(&batch).unwrap(), [Revision::ABSENT]);
    let count = async || {
        let client = raw().await;
        let sql = format!("SELECT count(*) FROM {schema}.msal_partitions");
        client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    assert_eq!(runtime().block_on(count()), 1);
    assert_eq!(store.purge(0).unwrap(), 0);
    assert_eq!(runtime().block_on(count()), 0);
    put(&store, "alice", "k", "v");
    assert_eq!(load(&store, "alice").len(), 1);
}

#[test]
fn a_large_purge_is_done_in_several_transactions() {
    let store = open(&new_schema());
    let mut batch = Batch::new();
    for user in 0..2500 {
        for key in ["a", "b"] {
            let json = format!(r#"{{"home_account_id":"u{user}","expires_on":"17"}}"#);
            let key = format!("{user}{key}");
            let record = Record::new(CredentialType::AccessToken, key, Json::from_stored(json));
            batch.change(record.partition(), Expect::Any).put(record.clone());
        }
    }
    store.commit(&batch).unwrap();
    put(&store, "u7", "stays", "v");
    assert_eq!(store.purge(18).unwrap(), 5000);
    assert_eq!(load(&store, "u7").len(), 1);
    assert_eq!(store.purge(18).unwrap(), 0);
}

#[test]
fn commits_that_name_partitions_in_opposite_orders_never_deadlock() {
    let schema = new_schema();
    let store = Arc::new(open(&schema));
    let users: Vec<_> = (0..8).map(|user| format!("u{user}")).collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (store, mut users) = (store.clone(), users.clone());
            scope.spawn(move || {
                if thread % 2 == 0 {
                    users.reverse();
                }
                for turn in 0..25 {
                    let mut batch = Batch::new();
                    for user in &users {
                        // Every thread moves the same keys among the partitions.
                        let key = format!("k{}", (thread + turn) % 4);
                        let own = record(user, &format!("{user}{thread}"), &turn.to_string());
                        batch.change(own.partition(), Expect::Any).put(own.clone());
                        let moved = record(user, &key, &turn.to_string());
                        batch.change(moved.partition(), Expect::Any).put(moved.clone());
                    }
                    store.commit(&batch).unwrap();
                }
            });
        }
    });
    let all: usize = users.iter().map(|user| load(&*store, user).len()).sum();
    assert_eq!(all, 8 * 8 + 4, "each thread's key of each user, and the four that move");
}

#[test]
fn a_guard_ends_with_its_connection() {
    let schema = new_schema();
    let (one, other) = (open(&schema), open(&schema));
    let user = Partition::user("u");
    let held = one.guard(&user, Duration::ZERO).unwrap();
    let refused = other.guard(&user, Duration::from_millis(50));
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    drop(one);
    drop(other.guard(&user, Duration::from_secs(5)).unwrap());
    drop(held);
}

#[test]
fn the_isolation_level_of_a_role_is_overridden() {
    let schema = new_schema();
    drop(open(&schema));
    execute(&format!(
        "CREATE ROLE {schema}_strict LOGIN SUPERUSER; \
        ALTER ROLE {schema}_strict SET default_transaction_isolation = 'serializable'"
    ));
    let url = crate::support::url().replace("msal@", &format!("{schema}_strict@"));
    let store = msal_cache_postgres::PostgresStore::builder(&*url).schema(&schema);
    let store = msal_cache_core::Blocking::connect(store.connect()).unwrap();
    put(&store, "u", "k", "v");
    assert_eq!(load(&store, "u").len(), 1);
}
