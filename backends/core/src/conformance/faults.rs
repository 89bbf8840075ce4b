//! Commits that fail.

use super::Faults;
use super::secrets::assert_silent;
use super::tools::{account, assert_holds, assert_same, load, load_since, put};
use crate::{Batch, CacheStore, CredentialType, Error, Expect, Load, Partition, Record, Revision};

/// A commit that fails after it has started is an error other than [`Error::Conflict`], which would
/// be retried. Nothing of it is applied: not for other handles, new handles, or the handle on which
/// it failed.
pub fn a_failed_commit_changes_nothing<H: Faults>() {
    let place = H::new();
    let store = place.open();
    let (before, revisions) = prepare(&store);
    for failing in failing(&place) {
        let error = failing.commit(&failing_batch(&revisions)).expect_err("the commit must fail");
        assert!(!matches!(error, Error::Conflict), "a fault is reported as a conflict");
        assert_holds(&store, &before);
        assert_holds(&place.open(), &before);
        for (record, revision) in before.iter().zip(revisions) {
            let partition = record.partition();
            assert!(load_since(&store, partition, revision).is_none(), "{partition:?} changed");
            if let Ok(Load::Snapshot(found)) = failing.load(partition, None) {
                assert_same(
                    "a load of the failed handle",
                    found.records(),
                    std::slice::from_ref(record),
                );
            }
        }
    }
}

/// A commit that fails doesn't block other handles: it is not applied later, and leaves no lock.
pub fn a_failed_commit_does_not_block_other_handles<H: Faults>() {
    let place = H::new();
    let store = place.open();
    let (mut before, mut revisions) = prepare(&store);
    for (n, failing) in failing(&place).into_iter().enumerate() {
        failing.commit(&failing_batch(&revisions)).expect_err("the commit must fail");
        before[1] = account("v", "kv", &format!("after fault {n}"));
        let mut batch = Batch::new();
        let expect = Expect::Revision(revisions[1]);
        batch.change(Partition::user("v"), expect).put(before[1].clone());
        store.commit(&batch).expect("a fault of one handle must not affect others");
        drop(failing);
        assert_holds(&store, &before);
        assert_holds(&place.open(), &before);
        revisions[1] = load(&store, &Partition::user("v")).revision();
    }
}

/// The error of a failed commit, and the handle on which it failed, print no values.
pub fn a_failed_commit_prints_no_secret<H: Faults>() {
    let place = H::new();
    let (_, revisions) = prepare(&place.open());
    for failing in failing(&place) {
        let error = failing.commit(&failing_batch(&revisions)).expect_err("the commit must fail");
        assert_silent("a fault", &error);
        assert_silent("a fault", &error.to_string());
        let mut cause = std::error::Error::source(&error);
        while let Some(source) = cause {
            assert_silent("the cause of a fault", &source);
            assert_silent("the cause of a fault", &source.to_string());
            cause = source.source();
        }
        assert_silent("a store after a fault", &failing);
    }
}

fn failing(place: &impl Faults) -> Vec<Box<dyn CacheStore>> {
    let failing = place.open_failing();
    assert!(!failing.is_empty(), "`open_failing` must return at least one handle");
    failing
}

/// Puts one record into each of two partitions, and returns them with their revisions.
fn prepare(store: &dyn CacheStore) -> ([Record; 2], [Revision; 2]) {
    let records = [account("u", "ku", "1"), account("v", "kv", "1")];
    put(store, &records);
    let revisions = records.each_ref().map(|it| load(store, it.partition()).revision());
    (records, revisions)
}

/// A valid batch that puts, replaces and deletes in several partitions, of the size that
/// [`Faults::open_failing`] describes.
fn failing_batch(revisions: &[Revision; 2]) -> Batch {
    let mut batch = Batch::new();
    let change = batch.change(Partition::user("u"), Expect::Revision(revisions[0]));
    change.put(account("u", "ku", "2"));
    change.put(account("u", "large", &"CANARY. ".repeat(16 << 10)));
    let change = batch.change(Partition::user("v"), Expect::Any);
    change.delete(CredentialType::Account, "kv".into());
    batch.change(Partition::user("w"), Expect::Any).put(account("w", "kw", "CANARY"));
    batch
}
