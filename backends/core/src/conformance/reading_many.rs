//! What a load of several partitions returns.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::Harness;
use super::tools::{account, assert_same, commit, delete, load, put, put_one, puts, record};
use super::traffic::{AtWork, count_in};
use crate::{CacheStore, Expect, Load, Partition, Record, Revision, Snapshot};

/// The results are in the order of the requested partitions. Each is equal to a load of the
/// partition alone.
pub fn several_partitions_are_returned_in_order<H: Harness>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let records = [
        account("u", "ku", "1"),
        account("v", "kv", "1"),
        account("v", "lv", "1"),
        record("AppMetadata", "m", r#"{"client_id":"c"}"#),
        record("AccessToken", "t", r#"{"client_id":"c","realm":"r"}"#),
    ];
    put(&store, &records);
    let partitions = [
        Partition::user("v"),
        Partition::app("c", "r", None),
        Partition::user("u"),
        Partition::app_metadata(),
    ];
    for asked in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let wanted: Vec<_> = asked.iter().map(|at| (&partitions[*at], None)).collect();
        for handle in [&store, &other] {
            for ((partition, _), found) in wanted.iter().zip(load_many(handle, &wanted)) {
                let (found, alone) = (snapshot(found), load(handle, partition));
                assert_eq!(found.revision(), alone.revision(), "the revision of {partition:?}");
                assert_eq!(found.records().len(), alone.records().len(), "{partition:?}");
                assert_same("a load of several partitions", found.records(), alone.records());
            }
        }
        let one = snapshot(load_many(&store, &wanted[..1]).remove(0));
        assert_same("a load of one partition", one.records(), load(&store, wanted[0].0).records());
    }
}

/// Each partition is compared with the revision that was passed for it, and with no other.
pub fn each_known_revision_is_compared_with_its_partition<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let users = ["u", "v", "w"].map(Partition::user);
    let records = ["u", "v", "w"].map(|user| account(user, &format!("k{user}"), "old"));
    put(&store, &records);
    let before = users.each_ref().map(|user| load(&store, user).revision());
    let wanted: Vec<_> = users.iter().zip(before).map(|(user, it)| (user, Some(it))).collect();
    assert_eq!(load_many(&store, &wanted), [Load::Unchanged, Load::Unchanged, Load::Unchanged]);

    for (changed, record) in records.iter().enumerate() {
        let known = users.each_ref().map(|user| load(&store, user).revision());
        let wanted: Vec<_> = users.iter().zip(known).map(|(user, it)| (user, Some(it))).collect();
        let new = account(["u", "v", "w"][changed], record.key(), "new");
        put_one(&place.open(), &new);
        for (at, found) in load_many(&store, &wanted).into_iter().enumerate() {
            if at == changed {
                let found = snapshot(found);
                assert_same("a changed partition", found.records(), std::slice::from_ref(&new));
                assert_eq!(found.revision(), load(&store, &users[at]).revision());
            } else {
                assert_eq!(found, Load::Unchanged, "a partition that hasn't changed");
            }
        }
    }

    // An earlier revision, the latest one, and none.
    let now = users.each_ref().map(|user| load(&store, user).revision());
    let wanted = [(&users[0], Some(before[0])), (&users[1], Some(now[1])), (&users[2], None)];
    let [first, second, third] = load_many(&store, &wanted).try_into().expect("three results");
    assert_eq!(snapshot(first).revision(), now[0]);
    assert_eq!(second, Load::Unchanged);
    assert_eq!(snapshot(third).revision(), now[2]);
}

/// An absent partition is an empty snapshot at [`Revision::ABSENT`]. It is `Unchanged` to a caller
/// that knows that revision.
pub fn absent_partitions_among_several_are_empty<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let record = account("u", "k", "1");
    put_one(&store, &record);
    let (u, absent) = (Partition::user("u"), Partition::user("absent"));
    let wanted = [(&absent, None), (&u, None), (&absent, Some(Revision::ABSENT))];
    let [first, second, third] = load_many(&store, &wanted).try_into().expect("three results");
    let first = snapshot(first);
    assert_eq!((first.revision(), first.records()), (Revision::ABSENT, &[][..]));
    assert_same("the partition between", snapshot(second).records(), std::slice::from_ref(&record));
    assert_eq!(third, Load::Unchanged);

    let known = load(&store, &u).revision();
    delete(&store, &[record]);
    let wanted = [(&absent, Some(known)), (&u, Some(known))];
    for found in load_many(&store, &wanted) {
        let found = snapshot(found);
        assert_eq!((found.revision(), found.records()), (Revision::ABSENT, &[][..]));
    }
}

/// A load of no partitions is empty, on a new place and on one with records.
pub fn loading_no_partitions_returns_nothing<H: Harness>() {
    let place = H::new();
    let store = place.open();
    assert_eq!(load_many(&store, &[]), []);
    put_one(&store, &account("u", "k", "1"));
    assert_eq!(load_many(&store, &[]), []);
}

/// A partition that is requested twice is returned twice, each time according to the revision
/// passed with it.
pub fn a_repeated_partition_is_returned_each_time<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let records = [account("u", "k", "1"), account("v", "l", "1")];
    put(&store, &records);
    let (u, v) = (Partition::user("u"), Partition::user("v"));
    let known = Some(load(&store, &u).revision());
    for wanted in [
        [(&u, None), (&v, None), (&u, known)],
        [(&u, known), (&v, None), (&u, None)],
        [(&u, None), (&u, None), (&u, known)],
    ] {
        let found = load_many(&store, &wanted);
        for ((partition, known), found) in wanted.iter().zip(found) {
            if known.is_some() {
                assert_eq!(found, Load::Unchanged, "{partition:?} at its revision");
            } else {
                let alone = load(&store, partition);
                assert_same("a repeated partition", snapshot(found).records(), alone.records());
            }
        }
    }
}

/// Several partitions are read as they were at one moment: of a commit that changes two of them, a
/// reader sees both changes or neither, whether it knows revisions or not.
///
/// Where they keep changing, a store may return an error that
/// [is retryable](crate::Error::is_retryable).
pub fn several_partitions_are_read_at_one_moment<H: Harness>() {
    const COMMITS: usize = 100;
    let place = H::new();
    let writer = place.open();
    let readers = [place.open(), place.open()];
    let working = &AtomicUsize::new(0);
    let at_work = AtWork::new(working);
    thread::scope(|scope| {
        scope.spawn(move || {
            let _at_work = at_work;
            for count in 1..=COMMITS {
                commit(&writer, &puts(Expect::Any, &halves(count)));
                thread::sleep(Duration::from_micros(300));
            }
        });
        for (nth, store) in readers.iter().enumerate() {
            scope.spawn(move || {
                let mut reader = MomentReader::default();
                while working.load(Ordering::SeqCst) > 0 {
                    reader.read(store, nth == 0);
                }
                assert!(reader.read(store, nth == 0), "a read failed after the last commit");
                assert_eq!(reader.counts, [COMMITS; 2], "the counters of the last commit");
            });
        }
    });
}

/// Two records of one commit, in two partitions.
fn halves(count: usize) -> [Record; 2] {
    ["left", "right"].map(|half| {
        let json = format!(r#"{{"home_account_id":"{half}","count":{count}}}"#);
        record("Counts", &format!("of {half}"), &json)
    })
}

/// The latest counters and revisions that a reader of [`halves`] has read.
#[derive(Default)]
struct MomentReader {
    counts: [usize; 2],
    known: [Option<Revision>; 2],
}

impl MomentReader {
    /// Reads both halves, and asserts that they are of one commit; `false` after a retryable error.
    fn read(&mut self, store: &dyn CacheStore, knows_revisions: bool) -> bool {
        let partitions = ["left", "right"].map(Partition::user);
        let known = if knows_revisions { self.known } else { [None; 2] };
        let found = match store.load_many(&[(&partitions[0], known[0]), (&partitions[1], known[1])])
        {
            Ok(found) => found,
            Err(error) if error.is_retryable() => return false,
            Err(error) => panic!("the load must succeed: {error:?}"),
        };
        assert_eq!(found.len(), 2, "the number of results");
        for (at, found) in found.into_iter().enumerate() {
            let Load::Snapshot(found) = found else { continue };
            self.known[at] = Some(found.revision());
            self.counts[at] = count_in(found.records());
        }
        assert_eq!(self.counts[0], self.counts[1], "a part of a commit was read");
        true
    }
}

#[track_caller]
fn load_many(store: &dyn CacheStore, wanted: &[(&Partition, Option<Revision>)]) -> Vec<Load> {
    let found = store.load_many(wanted).expect("the load must succeed");
    assert_eq!(found.len(), wanted.len(), "the number of results");
    found
}

#[track_caller]
fn snapshot(load: Load) -> Snapshot {
    match load {
        Load::Snapshot(snapshot) => snapshot,
        Load::Unchanged => panic!("`Unchanged` to a caller that doesn't know the revision"),
    }
}
