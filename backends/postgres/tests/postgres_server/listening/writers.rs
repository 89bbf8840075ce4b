//! Each writer notifies while a process listens, and no writer otherwise.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use msal_cache_core::{
    Batch, Blocking, CacheStore, CredentialType, Expect, Json, Load, Partition, Record, Revision,
};
use msal_cache_postgres::{PostgresFailure, PostgresStore};
use tokio_postgres::{AsyncMessage, NoTls};

use super::{BOUND, learn, open, revision, time_until_asked, until};
use crate::rows::put;
use crate::support::{
    builder, cause, execute, ignoring_pooler_url, new_schema, pooler_url, raw, runtime, url,
};

fn not_listening(schema: &str) -> Blocking<PostgresStore> {
    crate::support::open(schema)
}

#[test]
fn a_commit_by_a_process_that_does_not_listen_ends_local_answers() {
    let schema = new_schema();
    let store = open(&schema);
    let pooled = PostgresStore::builder(pooler_url()).schema(&schema);
    let pooled = Blocking::connect(pooled.connect()).unwrap();
    let mut slowest = Duration::ZERO;
    for (n, other) in [&not_listening(&schema), &pooled].iter().cycle().enumerate().take(100) {
        put(*other, "u", "k", &n.to_string());
        let known = learn(&store, "u");
        put(*other, "u", "k", "changed");
        slowest = slowest.max(time_until_asked(&store, "u", known));
        assert_ne!(revision(&store, "u"), known);
    }
    println!("the slowest of 100 notifications took {slowest:?}");
}

#[test]
fn commits_notify_only_while_a_process_listens() {
    let schema = new_schema();
    let other = not_listening(&schema);
    assert_eq!(listeners(&schema), 0);
    let runtime = runtime();
    let store = runtime.block_on(builder(&schema).max_staleness(BOUND).connect()).unwrap();
    assert_eq!(listeners(&schema), 1);
    let channel = text(&format!("SELECT channel FROM {schema}.msal_listeners"));
    let heard = Heard::on(&channel);
    put(&other, "u", "k", "1");
    until("the commit didn't notify", || heard.count() == 1);
    drop(store);
    until("the process that listened is still in the table", || {
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(10)).await });
        listeners(&schema) == 0
    });
    put(&other, "u", "k", "2");
    // Notifications arrive in order.
    execute(&format!("NOTIFY {channel}"));
    until("nothing arrived", || heard.count() > 1);
    assert_eq!(heard.count(), 2, "the second commit notified");
}

fn text(sql: &str) -> String {
    runtime().block_on(async { raw().await.query_one(sql, &[]).await.unwrap().get(0) })
}

fn listeners(schema: &str) -> usize {
    text(&format!("SELECT count(*)::text FROM {schema}.msal_listeners WHERE ends > now()"))
        .parse()
        .unwrap()
}

/// Counts the notifications on a channel.
struct Heard(Arc<AtomicUsize>);

impl Heard {
    fn on(channel: &str) -> Self {
        let (heard, is_ready) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (listen, shared, ready) =
            (format!("LISTEN {channel}"), heard.clone(), is_ready.clone());
        std::thread::spawn(move || {
            runtime().block_on(async {
                let (client, mut connection) =
                    tokio_postgres::connect(&url(), NoTls).await.unwrap();
                let driver = tokio::spawn(async move {
                    while let Some(Ok(message)) = poll_fn(|it| connection.poll_message(it)).await {
                        if matches!(message, AsyncMessage::Notification(_)) {
                            shared.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
                client.batch_execute(&listen).await.unwrap();
                ready.store(true, Ordering::SeqCst);
                let _ = driver.await;
            });
        });
        until("no connection listens", || is_ready.load(Ordering::SeqCst));
        Self(heard)
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A commit that has begun before doesn't know of the process that starts to listen.
#[test]
fn local_answers_begin_when_the_transactions_before_have_ended() {
    let schema = new_schema();
    put(&not_listening(&schema), "u", "k", "v");
    let (begun, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            runtime().block_on(async {
                let client = raw().await;
                let sql = format!("BEGIN; UPDATE {schema}.msal_sessions SET used_at = now()");
                client.batch_execute(&sql).await.unwrap();
                begun.store(true, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(500)).await;
                ended.store(true, Ordering::SeqCst);
                client.batch_execute("COMMIT").await.unwrap();
            });
        });
        until("the transaction doesn't begin", || begun.load(Ordering::SeqCst));
        let store = open(&schema);
        until("local answers don't begin", || {
            let is_tracking = store.get_ref().is_tracking();
            assert!(!is_tracking || ended.load(Ordering::SeqCst));
            is_tracking
        });
        learn(&store, "u");
    });
}

/// A record that moves to another user.
#[test]
fn a_process_sees_its_own_commits_at_once() {
    let schema = new_schema();
    let (store, stop) = (open(&schema), AtomicBool::new(false));
    std::thread::scope(|threads| {
        let _stop = StopAtEnd(&stop);
        // Loads of the same users by others, whose answers may arrive late.
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for user in ["u", "v"] {
                    store.load(&Partition::user(user), None).unwrap();
                }
            }
        });
        let mut known = [Revision::ABSENT; 2];
        for n in 0..300 {
            put(&store, ["u", "v"][n % 2], "moving", &n.to_string());
            for (user, before) in ["u", "v"].into_iter().zip(&mut known) {
                let partition = Partition::user(user);
                // The first commit adds the one user, and not the other.
                let is_old = n > 0 || user == "u";
                assert!(!is_old || !store.is_unchanged(&partition, *before), "{user}, commit {n}");
                *before = revision(&store, user);
            }
        }
    });
}

/// Stops the other thread, also after a failure.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn commits_of_any_size_and_purges_notify_of_each_partition() {
    let schema = new_schema();
    let (store, other) = (open(&schema), not_listening(&schema));
    // One message, several, and one for all.
    for count in [150, 201, 950, 1100] {
        for turn in ["1", "2", "purge"] {
            let users: Vec<_> = (0..count).step_by(count / 10).chain([count - 1]).collect();
            let known: Vec<_> =
                users.iter().map(|n| (n, learn(&store, &format!("{count}-{n}")))).collect();
            if turn == "purge" {
                assert_eq!(other.purge(18).unwrap(), count as u64);
            } else {
                let mut batch = Batch::new();
                for n in 0..count {
                    let own = token(&format!("{count}-{n}"), turn);
                    batch.change(own.partition(), Expect::Any).put(own.clone());
                }
                other.commit(&batch).unwrap();
            }
            for (n, known) in known {
                time_until_asked(&store, &format!("{count}-{n}"), known);
            }
        }
    }
}

fn token(user: &str, value: &str) -> Record {
    let json = format!(r#"{{"home_account_id":"{user}","expires_on":"17","secret":"{value}"}}"#);
    Record::new(CredentialType::AccessToken, user, Json::from_stored(json))
}

#[test]
fn a_purge_by_the_same_process_ends_local_answers_at_once() {
    let store = open(&new_schema());
    let own = token("u", "v");
    let mut batch = Batch::new();
    batch.change(own.partition(), Expect::Any).put(own.clone());
    store.commit(&batch).unwrap();
    let known = learn(&store, "u");
    assert_eq!(store.purge(18).unwrap(), 1);
    assert!(!store.is_unchanged(&Partition::user("u"), known));
}

#[test]
fn a_pooler_that_shares_sessions_is_refused() {
    let schema = new_schema();
    drop(open(&schema));
    let direct = builder(&schema).pooler(true);
    let pooled = [pooler_url(), ignoring_pooler_url()]
        .map(|url| PostgresStore::builder(url).schema(&schema).timeout(Duration::from_secs(60)));
    for builder in pooled.into_iter().chain([direct]) {
        let refused = Blocking::connect(builder.max_staleness(BOUND).connect()).unwrap_err();
        assert!(
            matches!(cause(&refused), PostgresFailure::PoolerCannotListen { .. }),
            "{refused:?}"
        );
        assert!(!refused.is_retryable());
    }
}

#[test]
fn a_role_with_the_granted_rights_can_listen_and_others_are_refused() {
    let schema = new_schema();
    let owner = not_listening(&schema);
    put(&owner, "u", "k", "v");
    let own = builder(&schema);
    let (grants, security) = (own.grants(&schema).unwrap(), own.row_level_security().unwrap());
    execute(&format!("CREATE ROLE {schema} LOGIN; {grants}; {security}"));
    let address = url().replace("msal@", &format!("{schema}@"));
    let connect = || {
        let builder = PostgresStore::builder(&*address).schema(&schema).name(&schema);
        Blocking::connect(builder.timeout(Duration::from_secs(60)).max_staleness(BOUND).connect())
    };
    let store = connect().unwrap();
    for turn in ["1", "2"] {
        put(&store, "u", "k", turn);
        let known = learn(&store, "u");
        let other = Blocking::connect(builder(&schema).name(&schema).connect()).unwrap();
        put(&other, "u", "k", "changed");
        time_until_asked(&store, "u", known);
    }
    drop(store);
    execute(&format!("REVOKE INSERT ON {schema}.msal_listeners FROM {schema}"));
    let refused = connect().unwrap_err();
    let PostgresFailure::Permission { grants, .. } = cause(&refused) else { panic!("{refused:?}") };
    assert!(grants.contains("msal_listeners"), "{grants}");
}

/// Each look-up asks, as without this option.
#[test]
fn without_a_limit_nothing_listens() {
    let store = not_listening(&new_schema());
    let known = put(&store, "u", "k", "v");
    assert!(!store.get_ref().is_tracking());
    let user = Partition::user("u");
    assert_eq!(store.load(&user, Some(known)).unwrap(), Load::Unchanged);
    assert!(!store.is_unchanged(&user, known));
}
