//! Guards: leases that are renewed, and holders that lose them.

use std::time::{Duration, Instant};

use msal_cache_core::{CacheStore, Error, Expect, Partition};

use crate::support::{open, puts, run, token, unused_name};

#[test]
fn a_guard_is_held_for_longer_than_its_lease() {
    let name = unused_name();
    let (store, other) = (open(&name), open(&name));
    let user = Partition::user("u");
    let held = store.guard(&user, Duration::ZERO).unwrap();
    let refused = other.guard(&user, Duration::from_secs(5)).unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    drop(held);
    drop(other.guard(&user, Duration::from_secs(1)).unwrap());
}

#[test]
fn a_guard_ends_within_three_seconds_after_its_holder() {
    let name = unused_name();
    let (store, other) = (open(&name), open(&name));
    let user = Partition::user("u");
    let held = store.guard(&user, Duration::ZERO).unwrap();
    // The runtime that renews the lease ends, as with the process.
    drop(store);
    let started = Instant::now();
    drop(other.guard(&user, Duration::from_secs(10)).unwrap());
    assert!(started.elapsed() < Duration::from_millis(3500), "{:?}", started.elapsed());
    drop(held);
}

#[test]
fn a_holder_that_lost_its_guard_notices_before_it_stores() {
    let name = unused_name();
    let (store, other) = (open(&name), open(&name));
    let user = Partition::user("u");
    let held = store.guard(&user, Duration::ZERO).unwrap();
    run::<()>(&format!("DEL {{msal:{name}}}:g:user/u"));
    let taken = other.guard(&user, Duration::ZERO).unwrap();
    let batch = puts(Expect::Any, &[token("u", "k", "late")]);
    assert!(matches!(store.commit(&batch), Err(Error::Conflict)));
    // The conflict was reported once; now the caller has read again.
    store.commit(&batch).unwrap();
    drop(held);
    assert!(other.guard(&user, Duration::ZERO).is_err(), "the guard of another was released");
    drop(taken);
}
