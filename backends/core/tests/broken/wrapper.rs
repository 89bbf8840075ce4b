//! A correct store with one flaw.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::conformance::{Guarding, Harness};
use msal_cache_core::{
    Batch, CacheStore, Change, ChangeSignal, CredentialType, Expect, Load, Memory, Op, Partition,
    Record, RefreshGuard, Result, Revision, Snapshot, Watch, delegate_store,
};

/// A flaw: one of the verbs differs from the correct store. Each handle has a value of its own.
pub(crate) trait Flaw: Default + Send + Sync {
    fn load(&self, correct: &Memory, of: &Partition, known: Option<Revision>) -> Result<Load> {
        correct.load(of, known)
    }

    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        correct.commit(batch)
    }

    fn list(
        &self,
        correct: &Memory,
        of: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        correct.list(of, known)
    }

    fn purge(&self, correct: &Memory, now: i64) -> Result<u64> {
        correct.purge(now)
    }

    fn load_many(
        &self,
        correct: &Memory,
        wanted: &[(&Partition, Option<Revision>)],
    ) -> Result<Vec<Load>> {
        correct.load_many(wanted)
    }

    fn guard(&self, correct: &Memory, of: &Partition, wait: Duration) -> Result<RefreshGuard> {
        correct.guard(of, wait)
    }

    fn is_unchanged(&self, correct: &Memory, of: &Partition, known: Revision) -> bool {
        correct.is_unchanged(of, known)
    }

    fn watch(&self, correct: &Memory, signal: ChangeSignal) -> Result<Watch> {
        correct.watch(signal)
    }

    fn print(&self, _correct: &Memory) -> String {
        "Broken".into()
    }
}

/// No flaw.
#[derive(Default)]
pub(crate) struct Correct;

impl Flaw for Correct {}

/// A handle of a store with this flaw.
pub(crate) struct Broken<F> {
    correct: Arc<Memory>,
    flaw: F,
}

impl<F: Flaw> CacheStore for Broken<F> {
    delegate_store!(self => self.correct, except load, load_many, commit, list, purge, guard, watch);

    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.flaw.load(&self.correct, partition, known)
    }

    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        self.flaw.is_unchanged(&self.correct, partition, known)
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.flaw.commit(&self.correct, batch)
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.flaw.list(&self.correct, credential_type, known)
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.flaw.purge(&self.correct, now)
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.flaw.load_many(&self.correct, wanted)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.flaw.guard(&self.correct, partition, wait)
    }

    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.flaw.watch(&self.correct, signal)
    }
}

impl<F: Flaw> fmt::Debug for Broken<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.flaw.print(&self.correct))
    }
}

/// A place whose handles have this flaw.
pub(crate) struct Place<F>(Arc<Memory>, std::marker::PhantomData<F>);

impl<F: Flaw> Harness for Place<F> {
    type Store = Broken<F>;

    fn new() -> Self {
        Self(Arc::default(), std::marker::PhantomData)
    }

    fn open(&self) -> Self::Store {
        Broken { correct: self.0.clone(), flaw: F::default() }
    }
}

impl<F: Flaw> Guarding for Place<F> {}

/// A partition of a correct store.
pub(crate) fn held(correct: &impl CacheStore, partition: &Partition) -> Snapshot {
    match correct.load(partition, None).unwrap() {
        Load::Snapshot(snapshot) => snapshot,
        Load::Unchanged => unreachable!("no revision was given"),
    }
}

/// All records of a correct store.
pub(crate) fn everything(correct: &impl CacheStore) -> Snapshot {
    match correct.list(None, None).unwrap() {
        Load::Snapshot(snapshot) => snapshot,
        Load::Unchanged => unreachable!("no revision was given"),
    }
}

/// The batch with other expectations.
pub(crate) fn expecting(batch: &Batch, expect: impl Fn(usize, &Change) -> Expect) -> Batch {
    let mut other = Batch::new();
    for (at, change) in batch.changes().iter().enumerate() {
        add(&mut other, change.partition(), expect(at, change), change.ops());
    }
    other
}

/// The batch with other operations.
pub(crate) fn doing(batch: &Batch, mut ops: impl FnMut(&Change) -> Vec<Op>) -> Batch {
    let mut other = Batch::new();
    for change in batch.changes() {
        add(&mut other, change.partition(), change.expect(), &ops(change));
    }
    other
}

/// The batch with each operation replaced by others.
pub(crate) fn each(batch: &Batch, op: impl Fn(&Change, &Op) -> Vec<Op>) -> Batch {
    doing(batch, |change| change.ops().iter().flat_map(|it| op(change, it)).collect())
}

/// Adds operations on a partition to a batch.
pub(crate) fn add<'a>(
    batch: &mut Batch,
    partition: &Partition,
    expect: Expect,
    ops: impl IntoIterator<Item = &'a Op>,
) {
    let change = batch.change(partition.clone(), expect);
    for op in ops {
        match op {
            Op::Put(record) => change.put(record.clone()),
            Op::Delete { credential_type, key } => {
                change.delete(credential_type.clone(), key.clone())
            }
        };
    }
}

/// The operation that deletes this record.
pub(crate) fn deletion(record: &Record) -> Op {
    Op::Delete {
        credential_type: record.credential_type().clone(),
        key: record.shared_key().clone(),
    }
}
