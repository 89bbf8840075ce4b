//! Concurrent threads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::Harness;
use super::tools::assert_holds;
use super::traffic::{AtWork, Observed, claim, claimed_by, unclaim, write};
use crate::{CacheStore, Error};

const WRITERS: usize = 6;
const READERS: usize = 2;

/// Threads with a handle each lose no records to each other, and concurrent readers see complete
/// commits only.
pub fn threads_with_separate_handles_lose_nothing<H: Harness>() {
    let place = H::new();
    let writers: Vec<_> = (0..WRITERS).map(|_| place.open()).collect();
    let readers: Vec<_> = (0..READERS).map(|_| place.open()).collect();
    run(&refs(&writers), &refs(&readers));
    Observed::default().assert_nothing_lost(&place.open(), WRITERS);
}

/// Threads that share one handle lose no records to each other, and concurrent readers see complete
/// commits only.
pub fn threads_that_share_a_handle_lose_nothing<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let shared: &dyn CacheStore = &store;
    run(&[shared; WRITERS], &[shared; READERS]);
    Observed::default().assert_nothing_lost(&place.open(), WRITERS);
}

fn refs<S: CacheStore>(stores: &[S]) -> Vec<&dyn CacheStore> {
    stores.iter().map(|store| -> &dyn CacheStore { store }).collect()
}

fn run(writers: &[&dyn CacheStore], readers: &[&dyn CacheStore]) {
    let working = &AtomicUsize::new(0);
    thread::scope(|scope| {
        for (writer, store) in writers.iter().enumerate() {
            let at_work = AtWork::new(working);
            scope.spawn(move || {
                let _at_work = at_work;
                write(*store, writer);
            });
        }
        for store in readers {
            scope.spawn(move || {
                let mut seen = Observed::default();
                seen.watch(*store, || working.load(Ordering::SeqCst) > 0);
                seen.assert_nothing_lost(*store, writers.len());
            });
        }
    });
}

/// Of several concurrent commits that expect the same revision, one is applied, and all others are
/// conflicts; also where they expect an absent partition.
pub fn one_of_several_conflicting_commits_wins<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let stores: Vec<_> = (0..WRITERS).map(|_| place.open()).collect();
    for round in 0..16 {
        let revision = unclaim(&store, round % 2 == 0);
        let start = Barrier::new(stores.len());
        let winners: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = stores
                .iter()
                .enumerate()
                .map(|(writer, store)| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        match store.commit(&claim(revision, writer)) {
                            Ok(_) => Some(writer),
                            Err(Error::Conflict) => None,
                            Err(error) => panic!("a conflict is reported as {error:?}"),
                        }
                    })
                })
                .collect();
            threads.into_iter().filter_map(|it| it.join().expect("a writer panicked")).collect()
        });
        assert_eq!(winners.len(), 1, "the number of commits in round {round}");
        assert_holds(&store, &[claimed_by(winners[0])]);
        assert_holds(&place.open(), &[claimed_by(winners[0])]);
    }
}
