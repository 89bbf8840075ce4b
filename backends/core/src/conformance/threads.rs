//! Many threads at once.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::Harness;
use super::tools::assert_holds;
use super::traffic::{AtWork, Observed, claim, claimed_by, unclaim, write};
use crate::{CacheStore, Error};

const WRITERS: usize = 6;
const READERS: usize = 2;

/// Threads that each have a handle of their own lose nothing to each other, and readers among
/// them see whole commits only.
pub fn threads_with_handles_of_their_own_lose_nothing<H: Harness>() {
    let place = H::new();
    let writers: Vec<_> = (0..WRITERS).map(|_| place.open()).collect();
    let readers: Vec<_> = (0..READERS).map(|_| place.open()).collect();
    run(&refs(&writers), &refs(&readers));
    Observed::default().assert_nothing_lost(&place.open(), WRITERS);
}

/// Threads that share one handle don't either.
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

/// Of many that expect the same revision at the same moment, one commits, and all others are
/// told so: also where they expect that nothing is there.
pub fn one_of_many_rivals_wins<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let rivals: Vec<_> = (0..WRITERS).map(|_| place.open()).collect();
    for round in 0..16 {
        let revision = unclaim(&store, round % 2 == 0);
        let start = Barrier::new(rivals.len());
        let winners: Vec<_> = thread::scope(|scope| {
            let rivals: Vec<_> = rivals
                .iter()
                .enumerate()
                .map(|(who, store)| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        match store.commit(&claim(revision, who)) {
                            Ok(_) => Some(who),
                            Err(Error::Conflict) => None,
                            Err(error) => panic!("a rival is told {error:?}"),
                        }
                    })
                })
                .collect();
            rivals.into_iter().filter_map(|rival| rival.join().expect("a rival panicked")).collect()
        });
        assert_eq!(winners.len(), 1, "winners of round {round}");
        assert_holds(&store, &[claimed_by(winners[0])]);
        assert_holds(&place.open(), &[claimed_by(winners[0])]);
    }
}
