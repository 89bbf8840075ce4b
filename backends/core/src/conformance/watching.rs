//! Reports of changes.

use std::time::Duration;

use event_listener::Listener;

use super::Harness;
use super::tools::{account, delete, purge, put, token};
use crate::{CacheStore, ChangeSignal};

/// How long a report of a change may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What a change is called, and what makes it.
type Change<'a, S> = (&'static str, &'a dyn Fn(&S));

/// A watch that has no interval, so that the store is not asked, notifies the signal of each change
/// through any handle: a put, a replacement, a deletion and a purge. An interval is longer than zero.
pub fn a_watch_without_an_interval_is_notified_of_each_change<H: Harness>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let signal = ChangeSignal::new();
    let watch = store.watch(signal.clone()).expect("the store can be watched");
    if let Some(interval) = watch.interval() {
        assert!(!interval.is_zero(), "the store would be asked all the time");
        return;
    }
    for (name, handle) in [("the same handle", &store), ("another handle", &other)] {
        let record = account("u", "k", name);
        let (replaced, expiring) = (account("u", "k", "2"), token("u", "t", "100"));
        let put = |it: &H::Store, record| drop(put(it, std::slice::from_ref(record)));
        let changes: [Change<'_, H::Store>; 5] = [
            ("a put", &|it| put(it, &record)),
            ("a replacement", &|it| put(it, &replaced)),
            ("a deletion", &|it| drop(delete(it, std::slice::from_ref(&record)))),
            ("another put", &|it| put(it, &expiring)),
            ("a purge", &|it| assert_eq!(purge(it, 200), 1)),
        ];
        for (change, make) in changes {
            let listener = signal.listen();
            make(handle);
            let notified = listener.wait_timeout(LIMIT).is_some();
            assert!(notified, "{change} through {name} was not notified");
        }
    }
}
