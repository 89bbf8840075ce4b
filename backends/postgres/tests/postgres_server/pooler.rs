//! The store through PgBouncer in transaction mode, which gives each transaction another session.

use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant};

use msal_cache_core::conformance::{Guarding, Harness, Persistent, Processes};
use msal_cache_core::{Batch, Blocking, CacheStore, Error, Expect, Partition};
use msal_cache_postgres::{PostgresStore, PostgresStoreBuilder};

use crate::conformance::Schema;
use crate::rows::{load, put, record};
use crate::support::{execute, ignoring_pooler_url, new_schema, open, pooler_url, raw, runtime};

fn builder(url: &str, schema: &str) -> PostgresStoreBuilder {
    PostgresStore::builder(url).schema(schema).pool_size(4).timeout(Duration::from_secs(60))
}

fn through(url: &str, schema: &str) -> Blocking<PostgresStore> {
    Blocking::connect(builder(url, schema).connect()).expect("the pooler answers")
}

/// A schema behind a pooler.
struct Pooled(Schema);

impl Harness for Pooled {
    type Store = Blocking<PostgresStore>;

    fn new() -> Self {
        Self(Schema::new())
    }

    fn open(&self) -> Self::Store {
        through(&pooler_url(), self.0.name())
    }
}

impl Persistent for Pooled {}

impl Guarding for Pooled {}

impl Processes for Pooled {
    fn address(&self) -> OsString {
        self.0.address()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        through(&pooler_url(), address.to_str().unwrap())
    }
}

mod suite {
    msal_cache_core::conformance!(super::Pooled: Guarding, Persistent, Processes);
}

/// A pooler, and another one that ignores the settings of a session.
fn each_pooler(test: impl Fn(&str)) {
    for url in [pooler_url(), ignoring_pooler_url()] {
        test(&url);
    }
}

/// How many leases there are. The holder of an advisory lock is noted for longer.
fn leases(schema: &str) -> i64 {
    runtime().block_on(async {
        let sql = format!(
            "SELECT count(*) FROM {schema}.msal_guards WHERE ends < now() + interval '1 minute'"
        );
        raw().await.query_one(&sql, &[]).await.unwrap().get(0)
    })
}

#[test]
fn a_pooler_is_detected_and_a_server_is_not_taken_for_one() {
    each_pooler(|url| {
        let schema = new_schema();
        let store = through(url, &schema);
        let held = store.guard(&Partition::user("u"), Duration::ZERO).unwrap();
        assert_eq!(leases(&schema), 1, "{url}");
        drop((held, store));
    });
    let schema = new_schema();
    let store = open(&schema);
    let held = store.guard(&Partition::user("u"), Duration::ZERO).unwrap();
    assert_eq!(leases(&schema), 0);
    drop((held, store));
    // By an option.
    let store = crate::support::builder(&schema).pooler(true);
    let store = Blocking::connect(store.connect()).unwrap();
    let held = store.guard(&Partition::user("u"), Duration::from_secs(60)).unwrap();
    assert_eq!(leases(&schema), 1);
    drop((held, store));
}

#[test]
fn each_write_has_its_settings_whatever_those_of_the_role_are() {
    let schema = new_schema();
    drop(open(&schema));
    let role = format!("{schema}_strict");
    execute(&format!(
        "CREATE ROLE {role} LOGIN SUPERUSER; \
         ALTER ROLE {role} SET default_transaction_isolation = 'serializable'"
    ));
    each_pooler(|url| {
        let store = through(&url.replace("msal@", &format!("{role}@")), &schema);
        put(&store, "u", "k", url);
        assert_eq!(load(&store, "u").len(), 1);
        assert_eq!(store.purge(0).unwrap(), 0);
        // The runtime of the store before can have ended before it released its guard.
        drop(store.guard(&Partition::user("u"), Duration::from_secs(60)).unwrap());
    });
}

#[test]
fn a_slow_statement_ends_although_the_session_has_no_timeout() {
    let schema = new_schema();
    let store = builder(&pooler_url(), &schema).timeout(Duration::from_secs(3));
    let store = Blocking::connect(store.connect()).unwrap();
    put(&store, "u", "k", "v");
    runtime().block_on(async {
        let client = raw().await;
        let lock = format!("BEGIN; SELECT FROM {schema}.msal_partitions FOR UPDATE");
        client.batch_execute(&lock).await.unwrap();
        let own = record("u", "k", "w");
        let mut batch = Batch::new();
        batch.change(own.partition(), Expect::Any).put(own.clone());
        let (store, slow) = std::thread::spawn(move || {
            let slow = store.commit(&batch).unwrap_err();
            (store, slow)
        })
        .join()
        .unwrap();
        assert!(slow.is_retryable(), "{slow:?}");
        client.batch_execute("ROLLBACK").await.unwrap();
        std::thread::spawn(move || put(&store, "u", "k", "x")).join().unwrap();
    });
}

#[test]
fn sessions_that_the_server_ended_are_replaced() {
    let schema = new_schema();
    let role = format!("{schema}_app");
    execute(&format!("CREATE ROLE {role} LOGIN SUPERUSER"));
    let store = through(&pooler_url().replace("msal@", &format!("{role}@")), &schema);
    for turn in 0..5 {
        put(&store, "u", "k", &turn.to_string());
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename";
        execute(&format!("{sql} = '{role}'"));
    }
    assert_eq!(load(&store, "u").len(), 1);
}

#[test]
fn a_guard_is_held_for_longer_than_its_lease() {
    let schema = new_schema();
    let (store, other) = (through(&pooler_url(), &schema), through(&pooler_url(), &schema));
    let user = Partition::user("u");
    let held = store.guard(&user, Duration::ZERO).unwrap();
    let refused = other.guard(&user, Duration::from_secs(5)).unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    drop(held);
    drop(other.guard(&user, Duration::from_secs(60)).unwrap());
}

#[test]
fn a_guard_ends_a_few_seconds_after_its_holder() {
    let schema = new_schema();
    let (store, other) = (through(&pooler_url(), &schema), through(&pooler_url(), &schema));
    let user = Partition::user("u");
    let held = store.guard(&user, Duration::ZERO).unwrap();
    // The runtime that renews the lease ends, as with the process.
    drop(store);
    let started = Instant::now();
    drop(other.guard(&user, Duration::from_secs(60)).unwrap());
    let waited = started.elapsed();
    assert!(waited > Duration::from_secs(1) && waited < Duration::from_secs(20), "{waited:?}");
    drop(held);
}

#[test]
fn a_holder_that_lost_its_guard_notices_before_it_stores() {
    let schema = new_schema();
    let (store, other) = (through(&pooler_url(), &schema), through(&pooler_url(), &schema));
    let user = Partition::user("u");
    let held = store.guard(&user, Duration::ZERO).unwrap();
    put(&store, "u", "k", "in time");
    execute(&format!("DELETE FROM {schema}.msal_guards"));
    let taken = other.guard(&user, Duration::ZERO).unwrap();
    let own = record("u", "k", "late");
    let mut batch = Batch::new();
    batch.change(own.partition(), Expect::Any).put(own.clone());
    assert!(matches!(store.commit(&batch), Err(Error::Conflict)));
    assert!(load(&store, "u")[0].value().expose().contains("in time"));
    // The conflict was reported once; now the caller has read again.
    store.commit(&batch).unwrap();
    drop(held);
    let refused = other.guard(&user, Duration::ZERO);
    assert!(refused.is_err(), "the guard of another was released");
    drop(taken);
}

#[test]
fn guards_by_a_pooler_and_by_the_server_exclude_each_other() {
    let schema = new_schema();
    let (pooled, direct) = (through(&pooler_url(), &schema), open(&schema));
    let user = Partition::user("u");
    let refused = |store: &Blocking<PostgresStore>| {
        let refused = store.guard(&user, Duration::from_millis(50));
        assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    };
    let held = direct.guard(&user, Duration::ZERO).unwrap();
    refused(&pooled);
    drop(held);
    let held = pooled.guard(&user, Duration::from_secs(60)).unwrap();
    refused(&direct);
    drop(held);
    drop(direct.guard(&user, Duration::from_secs(60)).unwrap());
    // Counted without a lock of the database: a holder adds one, and takes it away at the end.
    let inside = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (store, inside, user) =
                (if thread % 2 == 0 { &pooled } else { &direct }, &inside, &user);
            scope.spawn(move || {
                for _ in 0..10 {
                    let held = store.guard(user, Duration::from_secs(120)).unwrap();
                    assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    std::thread::sleep(Duration::from_millis(2));
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    drop(held);
                }
            });
        }
    });
}
