//! How old local answers are.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use msal_cache_core::{CacheStore, Load, Partition};

use super::{BOUND, PATIENCE, open};
use crate::rows::put;
use crate::support::new_schema;

/// Writers that acknowledge, readers that look up: how old is the oldest answer?
/// `MSAL_CACHE_COMMITS` sets the number of commits.
#[test]
fn p16_no_local_answer_is_older_than_promised() {
    let commits = std::env::var("MSAL_CACHE_COMMITS").map_or(400, |it| it.parse().unwrap());
    let schema = new_schema();
    let (store, other) = (open(&schema), crate::support::open(&schema));
    let user = Partition::user("u");
    let started = Instant::now();
    let micros = || u64::try_from(started.elapsed().as_micros()).unwrap();
    // When each commit was acknowledged; commit n stores the value n.
    let acknowledged: Vec<_> = (0..=commits).map(|_| AtomicU64::new(0)).collect();
    let last = AtomicUsize::new(0);
    put(&other, "u", "k", "0");
    let (looked_up, asked) = (AtomicU64::new(0), AtomicU64::new(0));
    let ages = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                let (mut known, mut number, mut count, mut stale) = (None, 0, 0, Vec::new());
                while last.load(Ordering::SeqCst) < commits {
                    let (begun, newest) = (micros(), last.load(Ordering::SeqCst));
                    count += 1;
                    if known.is_some_and(|known| store.is_unchanged(&user, known)) {
                        if newest > number {
                            // The first commit that it doesn't know.
                            let at = acknowledged[number + 1].load(Ordering::SeqCst);
                            stale.push(begun.saturating_sub(at));
                        }
                        continue;
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                    if let Load::Snapshot(found) = store.load(&user, known).unwrap() {
                        let text = found.records()[0].value().expose();
                        let value = text.rsplit("\"value\":\"").next().unwrap();
                        let now: usize = value.trim_end_matches("\"}").parse().unwrap();
                        assert!(now >= newest, "an older token than the acknowledged one");
                        assert!(now >= number, "an older token than before");
                        (known, number) = (Some(found.revision()), now);
                    }
                }
                looked_up.fetch_add(count, Ordering::Relaxed);
                ages.lock().unwrap().extend(stale);
            });
        }
        for (n, at) in acknowledged.iter().enumerate().skip(1) {
            put(&other, "u", "k", &n.to_string());
            at.store(micros(), Ordering::SeqCst);
            last.store(n, Ordering::SeqCst);
            // Look-ups in between are mostly local.
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let mut ages = ages.into_inner().unwrap();
    ages.sort_unstable();
    let of = |part: usize| ages.get(ages.len() * part / 1000).copied().unwrap_or(0);
    let (all, asked) = (looked_up.load(Ordering::Relaxed), asked.load(Ordering::Relaxed));
    let oldest = ages.last().copied().unwrap_or(0);
    println!(
        "{commits} commits, {all} look-ups, {asked} of them asked; {} answers were older than the last \
         acknowledged commit, by {} us (p50), {} us (p99), {oldest} us at most",
        ages.len(),
        of(500),
        of(990),
    );
    assert!(all > asked, "nothing was answered locally");
    // A thread that has to wait for a core notices an answer later than it was given.
    assert!(u128::from(oldest) < (BOUND + PATIENCE / 4).as_micros());
}
