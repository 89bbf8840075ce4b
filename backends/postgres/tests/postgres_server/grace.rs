//! Guards whose session has ended before their holder has released them: by a cut, or with the server.

use std::time::{Duration, Instant};

use msal_cache_core::{Blocking, CacheStore, Error, Partition};
use msal_cache_postgres::PostgresStore;

use crate::rows::put;
use crate::server::Server;
use crate::support::{execute, new_schema, open};

#[track_caller]
fn is_locked(store: &impl CacheStore, user: &Partition) {
    let refused = store.guard(user, Duration::ZERO);
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
}

#[test]
fn a_holder_whose_session_is_cut_stores_first() {
    let schema = new_schema();
    let name = format!("cut_{schema}");
    let url = format!("{}&application_name={name}", crate::support::url());
    let holder = PostgresStore::builder(url).schema(&schema).timeout(Duration::from_secs(60));
    let holder = Blocking::connect(holder.connect()).unwrap();
    let other = open(&schema);
    let user = Partition::user("u");
    let cut = || {
        execute(&format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
             WHERE application_name = '{name}'"
        ));
    };
    for releases in [true, false] {
        let held = holder.guard(&user, Duration::from_secs(60)).unwrap();
        cut();
        let started = Instant::now();
        is_locked(&other, &user);
        put(&holder, "u", "k", "new");
        if releases {
            // By a new connection.
            drop(held);
            drop(other.guard(&user, Duration::from_secs(60)).unwrap());
        } else {
            drop(other.guard(&user, Duration::from_secs(60)).unwrap());
            assert!(started.elapsed() > Duration::from_millis(2900), "{:?}", started.elapsed());
            drop(held);
        }
    }
}

/// With advisory locks, and with leases, as through a pooler.
#[test]
fn after_an_outage_that_is_longer_than_a_lease_its_holder_stores_first() {
    let mut server = Server::start(&[]);
    let stores = [false, true].map(|is_pooled| {
        let open = || {
            let builder = PostgresStore::builder(server.url()).pooler(is_pooled);
            Blocking::connect(builder.timeout(Duration::from_secs(60)).connect()).unwrap()
        };
        (open(), open())
    });
    let users = ["one", "two"].map(Partition::user);
    let held: Vec<_> = stores
        .iter()
        .zip(&users)
        .map(|((holder, _), user)| holder.guard(user, Duration::from_secs(60)).unwrap())
        .collect();
    server.kill();
    std::thread::sleep(Duration::from_millis(3500));
    server.restart();
    for (((holder, other), user), name) in stores.iter().zip(&users).zip(["one", "two"]) {
        let started = Instant::now();
        loop {
            match other.guard(user, Duration::ZERO) {
                Err(Error::Locked { .. }) => break,
                // The connection was lost.
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
                Ok(_) => panic!("{name}: the guard is taken"),
            }
            assert!(started.elapsed() < Duration::from_secs(60), "the server isn't there");
        }
        put(holder, name, "k", "new");
    }
    drop(held);
    for ((_, other), user) in stores.iter().zip(&users) {
        drop(other.guard(user, Duration::from_secs(60)).unwrap());
    }
}
