//! Work for many writers at once, and what has to be true meanwhile and in the end.

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

/// How often each writer adds and counts.
const ROUNDS: usize = 20;

/// The section of the records that change together: two in one partition, one in another.
const COUNTS: &str = "Counts";

/// The work of one writer: in each round it adds a record of its own to its partition and one to
/// a partition that all share, expecting nothing; and counts up what all of them count up,
/// expecting what it has read.
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
        counted.expect("a conflict ends once the others have had their turn");
        // A fast store would be done before anybody has looked.
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
        .expect("a record that was put is an object");
        count.expect("a record that was put has its count")
    });
    let count = counts.next().unwrap_or(0);
    assert!(counts.all(|it| it == count), "half a commit was read");
    count
}

/// What a reader has seen last.
#[derive(Default)]
pub(super) struct Observed {
    loaded: Option<(Revision, usize)>,
    listed: Option<(Revision, usize)>,
}

impl Observed {
    /// Reads while `busy`, and insists on whole commits that follow one another.
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

    /// Insists that `writers` have done all of their work, and that a reader who has watched
    /// them sees that it is done.
    pub(super) fn assert_nothing_lost(&mut self, store: &dyn CacheStore, writers: usize) {
        self.look(store);
        for seen in [self.loaded, self.listed] {
            let count = seen.map_or(0, |(_, count)| count);
            assert_eq!(count, writers * ROUNDS, "what a reader sees of the count in the end");
        }
        let held = list(store, None).into_records();
        let expected: Vec<_> = (0..writers)
            .flat_map(|writer| (0..ROUNDS).flat_map(move |round| added(writer, round)))
            .chain(counts(writers * ROUNDS))
            .collect();
        let lost = expected.iter().filter(|it| !held.contains(it)).count();
        assert_eq!(lost, 0, "records that were lost, of {}", expected.len());
        assert_eq!(held.len(), expected.len(), "records that are there");
        // In whatever order the writers came, it is the same by every way of asking.
        assert_holds(store, &held);
    }
}

#[track_caller]
fn note(seen: &mut Option<(Revision, usize)>, now: Option<Snapshot>, whole: usize) {
    let Some(now) = now else { return };
    assert!([0, whole].contains(&now.records().len()), "half a commit was read");
    let count = count_in(now.records());
    let before = seen.map_or(0, |(_, count)| count);
    assert!(count >= before, "after {before} commits only {count} were read");
    *seen = Some((now.revision(), count));
}

/// Counts who is at work, and counts down also where one of them panics, so that nobody waits
/// for him.
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

/// A batch that says who was here, if the partition is still at `revision`.
pub(super) fn claim(revision: Revision, who: usize) -> Batch {
    let mut batch = Batch::new();
    let change = batch.change(Partition::user("claimed"), Expect::Revision(revision));
    change.put(account("claimed", "by", &who.to_string()));
    batch
}

/// As the one record of [`claim`] would be.
pub(super) fn claimed_by(who: usize) -> Record {
    account("claimed", "by", &who.to_string())
}

/// Commits so that the partition to claim is at another revision, or holds nothing.
pub(super) fn unclaim(store: &dyn CacheStore, emptied: bool) -> Revision {
    let mut batch = Batch::new();
    let change = batch.change(Partition::user("claimed"), Expect::Any);
    if emptied {
        change.delete(CredentialType::Account, "by".into());
    } else {
        change.put(account("claimed", "by", "nobody"));
    }
    commit(store, &batch)[0]
}
