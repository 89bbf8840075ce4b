//! Work for concurrent writers, and checks for concurrent readers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::tools::{
    account, assert_holds, commit, list, list_since, load, load_since, put, record,
};
use crate::internal::for_each_member;
use crate::{
    Batch, CacheStore, CredentialType, Expect, Partition, Record, Revision, Snapshot, retry,
};

/// The number of rounds of each writer.
const ROUNDS: usize = 20;

/// The section of three records that change together: two in one partition, one in another.
const COUNTS: &str = "Counts";

/// The work of one writer. In each round it adds a record to its own partition and one to a shared
/// partition, without expectations; and it increments a shared counter, expecting the revision that
/// it has read.
pub(super) fn write(store: &dyn CacheStore, writer: usize) {
    for round in 0..ROUNDS {
        put(store, &added(writer, round));
        let counted = retry(|| {
            let before = load(store, &Partition::user("count"));
            let [count, again, echo] = counts(count_in(before.records()) + 1);
            let mut batch = Batch::new();
            let change = batch.change(count.partition(), Expect::Revision(before.revision()));
            change.put(count).put(again);
            batch.change(echo.partition(), Expect::Any).put(echo);
            store.commit(&batch)
        });
        counted.expect("conflicts end when the other writers have finished");
        // Otherwise a fast store would finish before a reader has started.
        thread::sleep(Duration::from_micros(500));
    }
}

fn added(writer: usize, round: usize) -> [Record; 2] {
    let name = format!("{writer}-{round}");
    [
        account(&format!("writer {writer}"), &format!("own {name}"), &name),
        account("shared", &format!("shared {name}"), &name),
    ]
}

fn counts(count: usize) -> [Record; 3] {
    [("count", "count"), ("count", "again"), ("echo", "echo")].map(|(user, key)| {
        let json = format!(r#"{{"home_account_id":"{user}","count":{count}}}"#);
        record(COUNTS, key, &json)
    })
}

/// The count that these records agree on.
#[track_caller]
pub(super) fn count_in(records: &[Record]) -> usize {
    let mut counts = records.iter().map(|record| {
        let mut count = None;
        for_each_member(record.value().expose(), |name, json| {
            if name == "count" {
                count = json.parse().ok();
            }
        })
        .expect("an object");
        count.expect("a counter")
    });
    let count = counts.next().unwrap_or(0);
    assert!(counts.all(|it| it == count), "a part of a commit was read");
    count
}

/// The latest revisions and counters that a reader has read.
#[derive(Default)]
pub(super) struct Observed {
    loaded: Option<(Revision, usize)>,
    listed: Option<(Revision, usize)>,
}

impl Observed {
    /// Reads while `busy`, and asserts that commits are complete and in order.
    pub(super) fn watch(&mut self, store: &dyn CacheStore, busy: impl Fn() -> bool) {
        while busy() {
            self.look(store);
            thread::sleep(Duration::from_micros(200));
        }
    }

    fn look(&mut self, store: &dyn CacheStore) {
        let partition = Partition::user("count");
        let section = CredentialType::from(COUNTS);
        let loaded = match self.loaded {
            Some((known, _)) => load_since(store, &partition, known),
            None => Some(load(store, &partition)),
        };
        note(&mut self.loaded, loaded, 2);
        let listed = match self.listed {
            Some((known, _)) => list_since(store, Some(&section), known),
            None => Some(list(store, Some(&section))),
        };
        note(&mut self.listed, listed, 3);
    }

    /// Asserts that all work of the writers is stored, and that a reader that has watched them reads
    /// it.
    pub(super) fn assert_nothing_lost(&mut self, store: &dyn CacheStore, writers: usize) {
        self.look(store);
        for seen in [self.loaded, self.listed] {
            let count = seen.map_or(0, |(_, count)| count);
            assert_eq!(count, writers * ROUNDS, "the counter after all commits");
        }
        let held = list(store, None).into_records();
        let expected: Vec<_> = (0..writers)
            .flat_map(|writer| (0..ROUNDS).flat_map(move |round| added(writer, round)))
            .chain(counts(writers * ROUNDS))
            .collect();
        let lost = expected.iter().filter(|it| !held.contains(it)).count();
        assert_eq!(lost, 0, "the number of lost records, of {}", expected.len());
        assert_eq!(held.len(), expected.len(), "the number of records");
        // All reads return the records in the same order, whatever the order of the writers was.
        assert_holds(store, &held);
    }
}

#[track_caller]
fn note(seen: &mut Option<(Revision, usize)>, now: Option<Snapshot>, whole: usize) {
    let Some(now) = now else { return };
    assert!([0, whole].contains(&now.records().len()), "a part of a commit was read");
    let count = count_in(now.records());
    let before = seen.map_or(0, |(_, count)| count);
    assert!(count >= before, "the counter went from {before} back to {count}");
    *seen = Some((now.revision(), count));
}

/// Counts the active writers, also where one of them panics, so that readers end.
pub(super) struct AtWork<'a>(&'a AtomicUsize);

impl<'a> AtWork<'a> {
    pub(super) fn new(working: &'a AtomicUsize) -> Self {
        working.fetch_add(1, Ordering::SeqCst);
        Self(working)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A batch that names its writer, if the partition is still at `revision`.
pub(super) fn claim(revision: Revision, writer: usize) -> Batch {
    let mut batch = Batch::new();
    let change = batch.change(Partition::user("claimed"), Expect::Revision(revision));
    change.put(claimed_by(writer));
    batch
}

/// The record of a [`claim`].
pub(super) fn claimed_by(writer: usize) -> Record {
    account("claimed", "by", &writer.to_string())
}

/// Removes or replaces the record of the last claim, and returns the new revision.
pub(super) fn unclaim(store: &dyn CacheStore, emptied: bool) -> Revision {
    let mut batch = Batch::new();
    let change = batch.change(Partition::user("claimed"), Expect::Any);
    if emptied {
        change.delete(CredentialType::Account, "by".into());
    } else {
        change.put(account("claimed", "by", "none"));
    }
    commit(store, &batch)[0]
}
