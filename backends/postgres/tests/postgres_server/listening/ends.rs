//! What ends local answers, other than a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use msal_cache_core::{Blocking, CacheStore, ChangeSignal, Partition};
use msal_cache_postgres::PostgresStore;

use super::proxy::Proxy;
use super::{BOUND, PATIENCE, Store, learn, listening, open, revision, time_until_asked, until};
use crate::rows::put;
use crate::server::Server;
use crate::support::{execute, new_schema, port};

fn at(url: &str) -> Store {
    listening(PostgresStore::builder(url).timeout(Duration::from_secs(5)))
}

fn writer(url: &str) -> Store {
    let builder = PostgresStore::builder(url).timeout(Duration::from_secs(20));
    Blocking::connect(builder.connect()).unwrap()
}

#[test]
fn a_connection_that_swallows_everything_ends_local_answers_within_the_bound() {
    let (schema, proxy) = (new_schema(), Proxy::to(port()));
    let other = crate::support::open(&schema);
    let through = PostgresStore::builder(proxy.url()).schema(&schema);
    let store = listening(through.timeout(Duration::from_secs(2)));
    for round in 0..2 {
        put(&other, "u", "k", &round.to_string());
        let known = learn(&store, "u");
        proxy.swallow(true);
        put(&other, "u", "k", "changed");
        let took = time_until_asked(&store, "u", known);
        println!("a half-open connection was noticed after {took:?}");
        assert!(took < BOUND + PATIENCE / 4, "{took:?}");
        store.load(&Partition::user("u"), Some(known)).unwrap_err();
        proxy.swallow(false);
    }
}

#[test]
fn a_server_that_is_killed_ends_local_answers_and_they_begin_again() {
    let mut server = Server::start(&[]);
    let store = at(&server.url());
    let (signal, watched) = (ChangeSignal::new(), Arc::new(AtomicBool::new(false)));
    let watch = store.watch(signal.clone()).unwrap();
    assert_eq!(watch.interval(), None);
    for round in 0..2 {
        put(&store, "u", "k", &round.to_string());
        let known = learn(&store, "u");
        server.kill();
        time_until_asked(&store, "u", known);
        server.restart();
        until("no connection listens", || store.get_ref().is_tracking());
        // Another process changes something; the one that listens hears it, and its watch, too.
        let listener = signal.listen();
        let heard = watched.clone();
        let waits = std::thread::spawn(move || {
            use event_listener::Listener as _;
            heard.store(listener.wait_timeout(PATIENCE).is_some(), Ordering::SeqCst);
        });
        let known = learn(&store, "u");
        put(&writer(&server.url()), "u", "k", "changed");
        time_until_asked(&store, "u", known);
        waits.join().unwrap();
        assert!(watched.load(Ordering::SeqCst), "the watch was not notified");
    }
}

#[test]
fn a_connection_that_an_operator_ends_ends_local_answers_at_once() {
    let server = Server::start(&[]);
    let store = at(&server.url());
    put(&store, "u", "k", "v");
    let known = learn(&store, "u");
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'msal-cache' AND pid <> pg_backend_pid()",
    );
    time_until_asked(&store, "u", known);
    learn(&store, "u");
}

#[test]
fn a_failover_ends_local_answers_and_they_begin_again_on_the_standby() {
    let mut primary = Server::start(&["synchronous_standby_names=standby"]);
    let standby = primary.standby();
    let url = format!(
        "postgres://msal@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable\
         &target_session_attrs=read-write",
        primary.port, standby.port
    );
    let store = at(&url);
    put(&store, "u", "k", "v");
    let known = learn(&store, "u");
    primary.kill();
    time_until_asked(&store, "u", known);
    standby.execute("SELECT pg_promote()");
    until("no connection listens", || store.get_ref().is_tracking());
    let known = learn(&store, "u");
    put(&writer(&standby.url()), "u", "k", "changed");
    time_until_asked(&store, "u", known);
}

/// It may be behind the server that notifies.
#[test]
fn what_a_standby_answers_is_not_remembered() {
    let primary = Server::start(&[]);
    let standby = primary.standby();
    let proxy = Proxy::to(primary.port);
    let other = writer(&primary.url());
    put(&other, "u", "k", "old");
    until("the standby doesn't follow", || {
        let builder = PostgresStore::builder(standby.url()).create_tables(false);
        Blocking::connect(builder.connect())
            .is_ok_and(|it| revision(&it, "u") == revision(&other, "u"))
    });
    standby.execute("SELECT pg_wal_replay_pause()");
    let store = at(&proxy.url());
    until("no connection listens", || store.get_ref().is_tracking());
    // The connection that listens stays, and those for calls are made to the standby.
    proxy.redirect(standby.port);
    put(&other, "u", "k", "new");
    let old = revision(&store, "u");
    assert_ne!(old, revision(&other, "u"), "the standby follows");
    for _ in 0..20 {
        assert_eq!(revision(&store, "u"), old);
        assert!(store.get_ref().is_tracking());
        assert!(!store.is_unchanged(&Partition::user("u"), old));
        std::thread::sleep(Duration::from_millis(20));
    }
    standby.execute("SELECT pg_wal_replay_resume()");
}

/// A full queue would make the commits of all applications fail.
#[test]
fn while_the_queue_of_notifications_fills_commits_end_local_answers_without_notifying() {
    let schema = new_schema();
    let (store, other) = (open(&schema), crate::support::open(&schema));
    put(&other, "u", "k", "v");
    let known = learn(&store, "u");
    let usage = |from: &str, to: &str| {
        execute(&format!(
            "DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('{schema}.msal_stamp'::regproc), \
             '{from}', '{to}'); END $do$"
        ));
    };
    let (real, filled) = ("pg_notification_queue_usage()", "0.9::float8");
    usage(real, filled);
    put(&other, "u", "k", "changed");
    let took = time_until_asked(&store, "u", known);
    println!("a filled queue was noticed after {took:?}");
    assert!(took < BOUND + PATIENCE / 4, "{took:?}");
    usage(filled, real);
    let known = learn(&store, "u");
    put(&other, "u", "k", "changed again");
    time_until_asked(&store, "u", known);
}
