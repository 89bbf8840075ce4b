//! Look-ups that are answered without a round trip, since the server notifies of changes.

use std::time::{Duration, Instant};

use msal_cache_core::{Blocking, CacheStore, Load, Partition, Revision};
use msal_cache_postgres::{PostgresStore, PostgresStoreBuilder};

use crate::support::builder;

mod age;
mod ends;
mod proxy;
mod suite;
mod writers;

type Store = Blocking<PostgresStore>;

/// How old a local answer may be.
const BOUND: Duration = Duration::from_millis(500);

/// The machine may be busy with other work.
const PATIENCE: Duration = Duration::from_secs(60);

fn listening(builder: PostgresStoreBuilder) -> Store {
    Blocking::connect(builder.max_staleness(BOUND).connect()).expect("the server answers")
}

fn open(schema: &str) -> Store {
    listening(builder(schema))
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_micros(50));
    }
    started.elapsed()
}

fn revision(store: &Store, user: &str) -> Revision {
    match store.load(&Partition::user(user), None).unwrap() {
        Load::Snapshot(found) => found.revision(),
        Load::Unchanged => panic!("no revision was given"),
    }
}

/// Loads a user until it is answered without a round trip.
fn learn(store: &Store, user: &str) -> Revision {
    let (partition, mut known) = (Partition::user(user), Revision::ABSENT);
    until("nothing is answered locally", || {
        known = store.load(&partition, None).map_or(known, |load| match load {
            Load::Snapshot(found) => found.revision(),
            Load::Unchanged => panic!("no revision was given"),
        });
        store.is_unchanged(&partition, known)
    });
    known
}

/// How long a look-up is still answered locally.
fn time_until_asked(store: &Store, user: &str, known: Revision) -> Duration {
    let user = Partition::user(user);
    until("still answered locally", || !store.is_unchanged(&user, known))
}
