//! The guard of a partition.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Guarding;
use super::tools::{account, assert_holds, delete, list_since, load_since, purge, put_one, token};
use crate::{CacheStore, Error, Partition, RefreshGuard};

/// The wait for a guard that stays held.
const SHORT: Duration = Duration::from_millis(200);

/// The wait for a guard that is released meanwhile.
const LONG: Duration = Duration::from_secs(4);

/// While a guard is held, another guard of its partition is [`Error::Locked`], through any handle:
/// at the end of the wait and not before.
pub fn a_guard_excludes_others_of_its_partition<H: Guarding>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let user = Partition::user("u");
    let held = take(&store, &user, Duration::ZERO);
    for handle in [&store, &other, &place.open()] {
        for wait in [Duration::ZERO, SHORT] {
            let started = Instant::now();
            let result = handle.guard(&user, wait);
            let waited = started.elapsed();
            match result {
                Err(Error::Locked { .. }) => {}
                Err(error) => panic!("a held guard is not reported as `Locked`: {error:?}"),
                Ok(_) => panic!("a guard was taken twice"),
            }
            assert!(waited >= wait * 9 / 10, "the wait of {wait:?} ended after {waited:?}");
            assert!(waited < wait + LONG, "the wait of {wait:?} ended after {waited:?}");
        }
    }
    drop(held);
    drop(take(&other, &user, Duration::ZERO));
}

/// A guard leaves the guards of other partitions free.
pub fn a_guard_leaves_other_partitions_free<H: Guarding>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let partitions = [
        Partition::user("u"),
        Partition::user("v"),
        Partition::app("u", "", None),
        Partition::app_metadata(),
    ];
    let held: Vec<_> = partitions
        .iter()
        .enumerate()
        .map(|(at, partition)| {
            take(if at % 2 == 0 { &store } else { &other }, partition, Duration::ZERO)
        })
        .collect();
    assert!(other.guard(&partitions[0], Duration::ZERO).is_err(), "a guard was taken twice");
    drop(held);
}

/// A guard is released when it is dropped, also on another thread. A caller that waits for it gets
/// it then, and not only at the end of its wait.
pub fn a_guard_is_released_when_it_is_dropped<H: Guarding>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let user = Partition::user("u");
    for waiting in [&store, &other] {
        for _ in 0..2 {
            let held = take(&store, &user, LONG);
            thread::scope(|scope| {
                let waiting_thread = scope.spawn(|| {
                    let started = Instant::now();
                    drop(take(waiting, &user, LONG));
                    started.elapsed()
                });
                scope.spawn(move || {
                    thread::sleep(SHORT);
                    drop(held);
                });
                let waited = waiting_thread.join().expect("the guard was not released");
                assert!(waited < LONG / 2, "a released guard was taken after {waited:?}");
            });
        }
    }
    // A guard borrows nothing, so it may be dropped after the handle that took it.
    let short_lived = place.open();
    let held = take(&short_lived, &user, LONG);
    drop(short_lived);
    drop(held);
    drop(take(&other, &user, LONG));
}

/// All other verbs work on a partition whose guard is held, through the handle that holds it and
/// through others.
pub fn a_guard_blocks_no_other_verb<H: Guarding>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let user = Partition::user("u");
    put_one(&store, &account("u", "before", "1"));
    let held = take(&store, &user, Duration::ZERO);
    for (nth, handle) in [&store, &other, &place.open()].into_iter().enumerate() {
        let record = account("u", "k", &nth.to_string());
        let revision = put_one(handle, &record);
        put_one(handle, &token("u", "expired", "50"));
        assert!(load_since(handle, &user, revision).is_some());
        assert_eq!(purge(handle, 100), 1);
        assert_eq!(handle.load_many(&[(&user, None)]).expect("a load").len(), 1);
        assert_holds(handle, &[account("u", "before", "1"), record.clone()]);
        assert!(list_since(handle, None, revision).is_some());
        delete(handle, &[record]);
    }
    assert!(other.guard(&user, Duration::ZERO).is_err(), "the guard was lost");
    drop(held);
}

/// Of several threads that take a guard, one holds it at a time, and each gets it.
pub fn a_guard_has_one_holder_at_a_time<H: Guarding>() {
    let place = H::new();
    let stores: Vec<_> = (0..4).map(|_| place.open()).collect();
    let user = Partition::user("u");
    let holders = AtomicUsize::new(0);
    thread::scope(|scope| {
        for store in &stores {
            scope.spawn(|| {
                for _ in 0..4 {
                    let held = take(store, &user, LONG);
                    assert_eq!(
                        holders.fetch_add(1, Ordering::SeqCst),
                        0,
                        "the number of other holders"
                    );
                    thread::sleep(Duration::from_millis(2));
                    holders.fetch_sub(1, Ordering::SeqCst);
                    drop(held);
                }
            });
        }
    });
}

#[track_caller]
fn take(store: &dyn CacheStore, partition: &Partition, wait: Duration) -> RefreshGuard {
    match store.guard(partition, wait) {
        Ok(held) => held,
        Err(error) => panic!("a free guard of {partition:?} returned {error:?}"),
    }
}
