//! Stores that don't treat a section and a key as one record of the whole store.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use msal_cache_core::conformance::Harness;
use msal_cache_core::internal::{Scalar, for_each_member};
use msal_cache_core::{
    Batch, CacheStore, Change, CredentialType, Expect, Load, Memory, Op, Partition, Record, Result,
    Revision, Snapshot, delegate_store,
};

use crate::wrapper::{Flaw, add, deletion, doing, each, everything};

/// How a store whose primary key has the partition in it deletes the record of another partition.
pub(crate) trait Moves: Send + Sync + 'static {
    /// Whether writers take turns.
    const LOCKS: bool = true;
    /// Whether the last of several puts of a key in one batch replaces the others.
    const REPLACES_WITHIN_A_BATCH: bool = true;

    /// Whether a put deletes the record that another partition holds under its key.
    fn moves(put: &Put<'_>) -> bool;
}

/// A put of a key that another partition holds.
pub(crate) struct Put<'a> {
    partition: &'a Partition,
    /// A batch has deleted the key and put it again.
    was_deleted: bool,
}

pub(crate) struct KeepsAKeyInEachPartition;

impl Moves for KeepsAKeyInEachPartition {
    fn moves(_: &Put<'_>) -> bool {
        false
    }
}

pub(crate) struct MovesKeysOfUsersOnly;

impl Moves for MovesKeysOfUsersOnly {
    fn moves(put: &Put<'_>) -> bool {
        put.partition.as_str().starts_with("user/")
    }
}

pub(crate) struct ForgetsTheKeysThatItDeletes;

impl Moves for ForgetsTheKeysThatItDeletes {
    fn moves(put: &Put<'_>) -> bool {
        !put.was_deleted
    }
}

pub(crate) struct KeepsBothPutsOfABatch;

impl Moves for KeepsBothPutsOfABatch {
    const REPLACES_WITHIN_A_BATCH: bool = false;

    fn moves(_: &Put<'_>) -> bool {
        true
    }
}

pub(crate) struct MovesWithoutALock;

impl Moves for MovesWithoutALock {
    const LOCKS: bool = false;

    fn moves(_: &Put<'_>) -> bool {
        true
    }
}

/// What the handles of a place share. In the correct store, a key ends in the digest of its
/// partition.
#[derive(Default)]
pub(crate) struct KeyedRecords {
    correct: Memory,
    turn: Mutex<()>,
    deleted: Mutex<HashSet<String>>,
}

pub(crate) struct KeyedByPartition<M> {
    place: Arc<KeyedRecords>,
    by: PhantomData<M>,
}

impl<M: Moves> KeyedByPartition<M> {
    fn lock(&self) -> Option<MutexGuard<'_, ()>> {
        M::LOCKS.then(|| self.place.turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The batch for the correct store.
    fn keyed(&self, batch: &Batch) -> Batch {
        let mut moved = Vec::new();
        let mut keyed = Batch::new();
        for (at, change) in batch.changes().iter().enumerate() {
            let later = || batch.changes()[at + 1..].iter().flat_map(Change::ops);
            let partition = change.partition();
            let ops: Vec<_> = change
                .ops()
                .iter()
                .map(|op| match op {
                    Op::Put(record) => {
                        let replaced = later()
                            .any(|it| matches!(it, Op::Put(_)) && it.target() == op.target());
                        if replaced && M::REPLACES_WITHIN_A_BATCH {
                            return deletion(&stored(partition, record));
                        }
                        moved.extend(self.moved(partition, record));
                        Op::Put(stored(partition, record))
                    }
                    Op::Delete { credential_type, key } => Op::Delete {
                        credential_type: credential_type.clone(),
                        key: stored_key(partition, key).into(),
                    },
                })
                .collect();
            add(&mut keyed, partition, change.expect(), &ops);
        }
        for record in moved {
            add(&mut keyed, record.partition(), Expect::Any, [&deletion(&record)]);
        }
        keyed
    }

    /// The stored records that this put deletes.
    fn moved(&self, partition: &Partition, record: &Record) -> Vec<Record> {
        let was_deleted = self.place.deleted.lock().unwrap().contains(record.key());
        let others = everything(&self.place.correct).into_records().into_iter();
        let others = others.filter(|it| shown(it).has_key_of(record));
        let others = others.filter(|it| it.partition() != partition);
        others.filter(|_| M::moves(&Put { partition, was_deleted })).collect()
    }
}

impl<M: Moves> CacheStore for KeyedByPartition<M> {
    delegate_store!(self => self.place.correct, except load, load_many, commit, list, purge);

    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.place.correct.load(partition, known).map(shown_load)
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        Ok(self.place.correct.load_many(wanted)?.into_iter().map(shown_load).collect())
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        let _turn = self.lock();
        let keyed = self.keyed(batch);
        if !M::LOCKS {
            thread::sleep(Duration::from_micros(300));
        }
        let mut revisions = self.place.correct.commit(&keyed)?;
        revisions.truncate(batch.changes().len());
        for change in batch.changes() {
            let (puts, deletes): (Vec<_>, Vec<_>) =
                change.ops().iter().partition(|it| matches!(it, Op::Put(_)));
            let both =
                deletes.iter().filter(|it| puts.iter().any(|put| put.target() == it.target()));
            let keys = both.map(|it| it.target().1.to_owned());
            self.place.deleted.lock().unwrap().extend(keys);
        }
        Ok(revisions)
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.place.correct.list(credential_type, known).map(shown_load)
    }

    fn purge(&self, now: i64) -> Result<u64> {
        let _turn = self.lock();
        self.place.correct.purge(now)
    }
}

impl<M> fmt::Debug for KeyedByPartition<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedByPartition")
    }
}

fn stored_key(partition: &Partition, key: &str) -> String {
    [key, &partition.digest()].concat()
}

fn stored(partition: &Partition, record: &Record) -> Record {
    let key = stored_key(partition, record.key());
    Record::new(record.credential_type().clone(), key, record.value().clone())
}

fn shown(record: &Record) -> Record {
    let key = &record.key()[..record.key().len() - record.partition().digest().len()];
    Record::new(record.credential_type().clone(), key, record.value().clone())
}

fn shown_load(load: Load) -> Load {
    match load {
        Load::Unchanged => Load::Unchanged,
        Load::Snapshot(found) => {
            let records = found.records().iter().map(shown).collect();
            Load::Snapshot(Snapshot::new(found.revision(), records))
        }
    }
}

/// A place whose store is keyed by partition.
pub(crate) struct Keyed<M>(Arc<KeyedRecords>, PhantomData<M>);

impl<M: Moves> Harness for Keyed<M> {
    type Store = KeyedByPartition<M>;

    fn new() -> Self {
        Self(Arc::default(), PhantomData)
    }

    fn open(&self) -> Self::Store {
        KeyedByPartition { place: self.0.clone(), by: PhantomData }
    }
}

/// The records that the puts of a batch move out of partitions.
fn moving(correct: &Memory, batch: &Batch) -> Vec<Record> {
    let mut held = everything(correct).into_records();
    held.retain(|it| {
        let puts = batch.changes().iter().filter(|change| change.partition() != it.partition());
        puts.flat_map(Change::ops).any(|op| matches!(op, Op::Put(put) if put.has_key_of(it)))
    });
    held
}

fn revision(correct: &Memory, partition: &Partition) -> Revision {
    crate::wrapper::held(correct, partition).revision()
}

/// A store that doesn't change the revision of the partition that loses a record.
#[derive(Default)]
pub(crate) struct LoadsUnchangedAfterAMove(Mutex<HashMap<Revision, Revision>>);

impl Flaw for LoadsUnchangedAfterAMove {
    fn load(&self, correct: &Memory, of: &Partition, known: Option<Revision>) -> Result<Load> {
        let earlier = self.0.lock().unwrap().get(&revision(correct, of)).copied();
        if known.is_some() && known == earlier {
            return Ok(Load::Unchanged);
        }
        correct.load(of, known)
    }

    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        commit_and_note(&self.0, correct, batch)
    }
}

/// A store that accepts the revision of before a record moved away.
#[derive(Default)]
pub(crate) struct ExpectsTheRevisionBeforeAMove(Mutex<HashMap<Revision, Revision>>);

impl Flaw for ExpectsTheRevisionBeforeAMove {
    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        let batch = crate::wrapper::expecting(batch, |_, change| match change.expect() {
            Expect::Any => Expect::Any,
            Expect::Revision(expected) => {
                let now = revision(correct, change.partition());
                let earlier = self.0.lock().unwrap().get(&now).copied();
                Expect::Revision(if earlier == Some(expected) { now } else { expected })
            }
        });
        commit_and_note(&self.0, correct, &batch)
    }
}

/// Commits, and notes the revisions before and after of the partitions that lost a record.
fn commit_and_note(
    earlier: &Mutex<HashMap<Revision, Revision>>,
    correct: &Memory,
    batch: &Batch,
) -> Result<Vec<Revision>> {
    let moving = moving(correct, batch);
    let before: Vec<_> =
        moving.iter().map(|it| (it.partition(), revision(correct, it.partition()))).collect();
    let revisions = correct.commit(batch)?;
    let now = before.into_iter().map(|(partition, before)| (revision(correct, partition), before));
    earlier.lock().unwrap().extend(now.filter(|(now, _)| *now != Revision::ABSENT));
    Ok(revisions)
}

/// A store that keeps the row of a partition whose last record has moved.
#[derive(Default)]
pub(crate) struct KeepsAnEmptiedPartition(Mutex<HashSet<Partition>>);

impl Flaw for KeepsAnEmptiedPartition {
    fn load(&self, correct: &Memory, of: &Partition, known: Option<Revision>) -> Result<Load> {
        let emptied = self.0.lock().unwrap().contains(of);
        if emptied && revision(correct, of) == Revision::ABSENT {
            return Ok(Load::Snapshot(Snapshot::new(Revision::from_u128(1), Vec::new())));
        }
        correct.load(of, known)
    }

    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        let moving = moving(correct, batch);
        self.0.lock().unwrap().extend(moving.iter().map(|it| it.partition().clone()));
        correct.commit(batch)
    }
}

/// A store that takes the revision of a partition before a later change moves a record out of it.
#[derive(Default)]
pub(crate) struct ReturnsTheRevisionBeforeAMove;

impl Flaw for ReturnsTheRevisionBeforeAMove {
    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        let moving = moving(correct, batch);
        let revisions = correct.commit(batch)?.into_iter().zip(batch.changes());
        let loses = |change: &Change| moving.iter().any(|it| it.partition() == change.partition());
        let returned =
            revisions.map(|(it, change)| if loses(change) { Revision::unique() } else { it });
        Ok(returned.collect())
    }
}

/// A store that orders a section by the number that a key got when it was first put anywhere.
#[derive(Default)]
pub(crate) struct KeepsTheNumberOfAMovedKey(Mutex<HashMap<(CredentialType, String), usize>>);

impl Flaw for KeepsTheNumberOfAMovedKey {
    fn load(&self, correct: &Memory, of: &Partition, known: Option<Revision>) -> Result<Load> {
        Ok(match correct.load(of, known)? {
            Load::Unchanged => Load::Unchanged,
            Load::Snapshot(found) => {
                let numbers = self.0.lock().unwrap();
                let revision = found.revision();
                let mut records = found.into_records();
                records.sort_by_key(|it| {
                    numbers.get(&(it.credential_type().clone(), it.key().to_owned())).copied()
                });
                Load::Snapshot(Snapshot::new(revision, records))
            }
        })
    }

    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        let revisions = correct.commit(batch)?;
        let mut numbers = self.0.lock().unwrap();
        for op in batch.changes().iter().flat_map(Change::ops) {
            let (section, key) = op.target();
            let target = (section.clone(), key.to_owned());
            match op {
                Op::Put(_) => {
                    let next = numbers.values().max().map_or(0, |last| last + 1);
                    numbers.entry(target).or_insert(next);
                }
                Op::Delete { .. } => drop(numbers.remove(&target)),
            }
        }
        Ok(revisions)
    }
}

/// A store that keeps a record for each spelling of a tenant.
#[derive(Default)]
pub(crate) struct KeepsTheCaseOfATenant;

impl Flaw for KeepsTheCaseOfATenant {
    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        correct.commit(&each(batch, |_, op| match op {
            Op::Put(record) => {
                let mut realm = String::new();
                let _ = for_each_member(record.value().expose(), |name, json| {
                    if name == "realm" {
                        realm.push_str(Scalar::of(json).as_str().unwrap_or_default());
                    }
                });
                if realm == realm.to_lowercase() {
                    return vec![op.clone()];
                }
                let key = format!("{}{realm}", record.key());
                let section = record.credential_type().clone();
                vec![Op::Put(Record::new(section, key, record.value().clone()))]
            }
            Op::Delete { .. } => vec![op.clone()],
        }))
    }
}

/// A store that ignores a put of a key that an earlier change of the batch has put.
#[derive(Default)]
pub(crate) struct FirstPutOfABatchWins;

impl Flaw for FirstPutOfABatchWins {
    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        let mut put: Vec<(Partition, Record)> = Vec::new();
        correct.commit(&doing(batch, |change| {
            let mut ops = change.ops().to_vec();
            ops.retain(|op| {
                let Op::Put(record) = op else { return true };
                let taken = put.iter().any(|(partition, it)| {
                    it.has_key_of(record) && partition != change.partition()
                });
                put.push((change.partition().clone(), record.clone()));
                !taken
            });
            ops
        }))
    }
}

/// A store that deletes a key wherever it is now, if the partition of the delete has ever held it.
#[derive(Default)]
pub(crate) struct DeletesWhatHasMoved(Mutex<HashSet<(Partition, String)>>);

impl Flaw for DeletesWhatHasMoved {
    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        let mut former = self.0.lock().unwrap();
        let mut more = batch.clone();
        for change in batch.changes() {
            for op in change.ops() {
                let pair = (change.partition().clone(), op.target().1.to_owned());
                if matches!(op, Op::Put(_)) {
                    former.insert(pair);
                } else if former.contains(&pair) {
                    for record in everything(correct).into_records() {
                        let is_elsewhere = record.partition() != change.partition();
                        if is_elsewhere && (record.credential_type(), record.key()) == op.target() {
                            add(&mut more, record.partition(), Expect::Any, [op]);
                        }
                    }
                }
            }
        }
        let mut revisions = correct.commit(&more)?;
        revisions.truncate(batch.changes().len());
        Ok(revisions)
    }
}

/// A store whose index of expiries keeps the former row of a record that has moved.
#[derive(Default)]
pub(crate) struct CountsMovedRecordsTwice(Mutex<Vec<Record>>);

impl Flaw for CountsMovedRecordsTwice {
    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        self.0.lock().unwrap().extend(moving(correct, batch));
        correct.commit(batch)
    }

    fn purge(&self, correct: &Memory, now: i64) -> Result<u64> {
        let stale = std::mem::take(&mut *self.0.lock().unwrap());
        let stale = stale.iter().filter(|it| it.expires_on().is_some_and(|at| at < now)).count();
        Ok(correct.purge(now)? + stale as u64)
    }
}

/// A store whose listing keeps the former row of a record that has moved.
#[derive(Default)]
pub(crate) struct ListsMovedRecordsTwice(Mutex<Vec<Record>>);

impl Flaw for ListsMovedRecordsTwice {
    fn commit(&self, correct: &Memory, batch: &Batch) -> Result<Vec<Revision>> {
        self.0.lock().unwrap().extend(moving(correct, batch));
        correct.commit(batch)
    }

    fn list(
        &self,
        correct: &Memory,
        of: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        Ok(match correct.list(of, known)? {
            Load::Unchanged => Load::Unchanged,
            Load::Snapshot(found) => {
                let revision = found.revision();
                let mut records = found.into_records();
                let stale = self.0.lock().unwrap();
                let of = stale.iter().filter(|it| of.is_none_or(|of| of == it.credential_type()));
                records.extend(of.cloned());
                Load::Snapshot(Snapshot::new(revision, records))
            }
        })
    }
}
