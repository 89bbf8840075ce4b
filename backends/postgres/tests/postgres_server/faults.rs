//! Servers that are killed, fail over, or refuse to write.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use msal_cache_core::{Batch, Blocking, CacheStore, Error, Expect, Partition, Result};
use msal_cache_postgres::{PostgresFailure, PostgresStore};

use crate::rows::{load, put, record};
use crate::server::Server;
use crate::support::{builder, cause, execute, new_schema, raw, runtime};

fn try_put(store: &impl CacheStore, user: &str, key: &str, value: &str) -> Result<()> {
    let own = record(user, key, value);
    let mut batch = Batch::new();
    batch.change(own.partition(), Expect::Any).put(own.clone());
    store.commit(&batch).map(drop)
}

/// Writes numbers from several threads until `meanwhile` returns, and then checks that each one that was
/// acknowledged is there, in the store that `survivor` opens. Returns how many were.
fn writes_survive(
    url: &str,
    meanwhile: impl FnOnce(),
    survivor: impl FnOnce() -> Blocking<PostgresStore>,
) -> usize {
    let open = || {
        let builder = PostgresStore::builder(url).pool_size(4).timeout(Duration::from_secs(5));
        Blocking::connect(builder.connect())
    };
    let (store, ended) = (open().unwrap(), AtomicBool::new(false));
    let acknowledged: HashMap<String, usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (store, ended) = (&store, &ended);
                scope.spawn(move || {
                    let user = format!("u{thread}");
                    let (mut next, mut last) = (0, 0);
                    while !ended.load(Ordering::Relaxed) {
                        next += 1;
                        match try_put(store, &user, &user, &next.to_string()) {
                            Ok(()) => last = next,
                            // It says that it is retryable, and so it is.
                            Err(error) => {
                                let read_only =
                                    || matches!(cause(&error), PostgresFailure::ReadOnly { .. });
                                assert!(error.is_retryable() || read_only(), "{error:?}");
                                std::thread::sleep(Duration::from_millis(20));
                            }
                        }
                    }
                    (user, last)
                })
            })
            .collect();
        meanwhile();
        ended.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let survivor = survivor();
    for (user, last) in &acknowledged {
        let found = load(&survivor, user);
        let found = found.iter().find(|it| it.key() == user).expect("a commit was acknowledged");
        let value = found.value().expose().split('"').rev().nth(1).unwrap().to_owned();
        let found: usize = value.parse().unwrap();
        assert!(found >= *last, "{user}: {last} was acknowledged, {found} is stored");
    }
    acknowledged.values().sum()
}

#[test]
fn acknowledged_commits_survive_a_server_that_is_killed() {
    let mut server = Server::start(&[]);
    let url = server.url();
    let mut acknowledged = 0;
    for _ in 0..3 {
        let at = url.clone();
        acknowledged += writes_survive(
            &url,
            || {
                std::thread::sleep(Duration::from_millis(700));
                server.kill();
                server.restart();
                std::thread::sleep(Duration::from_millis(700));
            },
            || Blocking::connect(PostgresStore::connect(at)).unwrap(),
        );
    }
    println!("{acknowledged} acknowledged commits, 0 lost");
    assert!(acknowledged > 50);
}

#[test]
fn a_failover_to_a_synchronous_standby_loses_no_acknowledged_commit() {
    let mut primary = Server::start(&["synchronous_standby_names=standby"]);
    let standby = primary.standby();
    let url = format!(
        "postgres://msal@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable\
         &target_session_attrs=read-write",
        primary.port, standby.port
    );
    // Creates the tables.
    let store = Blocking::connect(PostgresStore::connect(primary.url())).unwrap();
    put(&store, "u0", "other", "v");
    let started = Instant::now();
    let on_standby = loop {
        match Blocking::connect(
            PostgresStore::builder(standby.url()).create_tables(false).connect(),
        ) {
            Ok(store) => break store,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(20), "{error:?}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(load(&on_standby, "u0").len(), 1, "a standby can be read");
    let user = Partition::user("u0");
    let refused = on_standby.guard(&user, Duration::ZERO).unwrap_err();
    assert!(matches!(cause(&refused), PostgresFailure::ReadOnly { .. }), "{refused:?}");
    let refused = try_put(&on_standby, "u0", "k", "v").unwrap_err();
    assert!(matches!(cause(&refused), PostgresFailure::ReadOnly { .. }), "{refused:?}");
    let acknowledged = writes_survive(
        &url,
        || {
            std::thread::sleep(Duration::from_secs(1));
            primary.kill();
            standby.execute("SELECT pg_promote()");
            std::thread::sleep(Duration::from_secs(1));
        },
        || Blocking::connect(PostgresStore::connect(standby.url())).unwrap(),
    );
    println!("{acknowledged} acknowledged commits, 0 lost");
    assert!(acknowledged > 20);
    put(&on_standby, "u0", "after", "the promotion");
    drop(on_standby.guard(&user, Duration::from_secs(60)).unwrap());
}

#[test]
fn a_pool_without_idle_connections_and_a_slow_statement_are_errors_that_pass() {
    let schema = new_schema();
    let own = builder(&schema).pool_size(1).timeout(Duration::from_millis(1500));
    let store = Blocking::connect(own.connect()).unwrap();
    put(&store, "u", "k", "v");
    runtime().block_on(async {
        let client = raw().await;
        client
            .batch_execute(&format!("BEGIN; SELECT FROM {schema}.msal_partitions FOR UPDATE"))
            .await
            .unwrap();
        // One holds the connection, and then another one: the third waits too long for it.
        let errors = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| try_put(&store, "u", "k", "w").unwrap_err()))
                .collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(errors.iter().all(Error::is_retryable), "{errors:?}");
        let is_exhausted = |error: &&Error| {
            matches!(cause(error), PostgresFailure::PoolExhausted { connections: 1, .. })
        };
        assert_eq!(errors.iter().filter(is_exhausted).count(), 1, "{errors:?}");
        let slow = errors.iter().find(|it| !is_exhausted(it)).unwrap();
        let PostgresFailure::Unreachable { reason, .. } = cause(slow) else { panic!("{slow:?}") };
        assert!(reason.starts_with("57014: "), "{reason}");
        client.batch_execute("ROLLBACK").await.unwrap();
    });
    put(&store, "u", "k", "x");
}

#[test]
fn a_commit_that_is_the_victim_of_a_foreign_deadlock_is_repeated() {
    let schema = new_schema();
    let store = Blocking::connect(builder(&schema).connect()).unwrap();
    put(&store, "one", "k", "v");
    put(&store, "two", "k", "v");
    runtime().block_on(async {
        let client = raw().await;
        // It locks in the opposite order, and is slower to notice the deadlock.
        let lock = |order: &str| {
            format!(
                "SELECT FROM {schema}.msal_partitions WHERE id = (SELECT id FROM \
                 {schema}.msal_partitions ORDER BY id {order} LIMIT 1) FOR UPDATE"
            )
        };
        let begin = format!("SET deadlock_timeout = '20s'; BEGIN; {}", lock("DESC"));
        client.batch_execute(&begin).await.unwrap();
        let committing = std::thread::spawn(move || {
            let mut batch = Batch::new();
            for user in ["one", "two"] {
                let own = record(user, user, "w");
                batch.change(own.partition(), Expect::Any).put(own.clone());
            }
            store.commit(&batch).map(|_| store)
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.batch_execute(&lock("ASC")).await.unwrap();
        client.batch_execute("COMMIT").await.unwrap();
        let store = committing.join().unwrap().unwrap();
        std::thread::spawn(move || assert_eq!(load(&store, "two").len(), 2)).join().unwrap();
    });
}

#[test]
fn a_full_disk_is_an_error_of_its_own_and_writes_nothing() {
    let schema = new_schema();
    let store = Blocking::connect(builder(&schema).connect()).unwrap();
    put(&store, "u", "k", "v");
    // What the server reports when it can't extend a file.
    execute(&format!(
        "CREATE FUNCTION {schema}.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE 'could not extend file' USING ERRCODE = '53100'; END $$; CREATE TRIGGER full_disk \
         BEFORE INSERT ON {schema}.msal_records FOR EACH ROW EXECUTE FUNCTION {schema}.full()"
    ));
    let full = try_put(&store, "u", "new", "v").unwrap_err();
    assert!(matches!(cause(&full), PostgresFailure::OutOfSpace { .. }), "{full:?}");
    assert!(!full.is_retryable());
    assert_eq!(load(&store, "u").len(), 1);
}
