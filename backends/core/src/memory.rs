use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::{
    Batch, CacheStore, CredentialType, Error, Expect, Guards, Hold, Load, Op, Partition, Record,
    Result, Revision, Snapshot,
};

/// Records in memory, gone with the process.
///
/// The store for tests, for a service that signs in anew at each start, and to fall back to
/// where no other store can be used.
#[derive(Default)]
pub struct Memory {
    state: RwLock<State>,
    guards: Guards,
}

#[derive(Default)]
struct State {
    /// Stands for the whole store.
    revision: Revision,
    /// Never holds an empty partition.
    partitions: HashMap<Partition, Held>,
    /// Numbers the records in the order in which their keys were first put.
    next: u64,
}

/// A partition.
#[derive(Default)]
struct Held {
    revision: Revision,
    /// By number.
    records: BTreeMap<u64, Stored>,
    /// The numbers of keys, in a partition that is large.
    numbers: Option<HashMap<(CredentialType, Arc<str>), u64>>,
}

struct Stored {
    record: Record,
    /// Read once, for the sweep.
    expires_on: Option<i64>,
}

/// Up to so many records, looking at each one is as fast as an index and needs no memory.
const SMALL: usize = 32;

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Default for Revision {
    fn default() -> Self {
        Self::ABSENT
    }
}

impl CacheStore for Memory {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let held = state.partitions.get(partition);
        let revision = held.map_or(Revision::ABSENT, |held| held.revision);
        if known == Some(revision) {
            return Ok(Load::Unchanged);
        }
        let stored = held.into_iter().flat_map(|held| held.records.values());
        let records = stored.map(|stored| stored.record.clone()).collect();
        Ok(Load::Snapshot(Snapshot { revision, records }))
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        for change in batch.changes() {
            let held = state.partitions.get(change.partition());
            let revision = held.map_or(Revision::ABSENT, |held| held.revision);
            if matches!(change.expect(), Expect::Revision(expected) if expected != revision) {
                return Err(Error::Conflict);
            }
        }
        // Nothing below can fail, so the batch is applied in place.
        state.revision = Revision::unique();
        let revisions = batch.changes().iter().map(|change| {
            let held = state.partitions.entry(change.partition().clone()).or_default();
            held.apply(change.ops(), &mut state.next);
            held.revision = Revision::unique();
            let revision = held.revision;
            if held.records.is_empty() {
                state.partitions.remove(change.partition());
                return Revision::ABSENT;
            }
            revision
        });
        Ok(revisions.collect())
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if known == Some(state.revision) {
            return Ok(Load::Unchanged);
        }
        let mut records: Vec<_> = state
            .partitions
            .values()
            .flat_map(|held| &held.records)
            .filter(|(_, it)| credential_type.is_none_or(|of| *of == it.record.credential_type))
            .collect();
        records.sort_unstable_by_key(|(number, _)| **number);
        let records = records.into_iter().map(|(_, stored)| stored.record.clone()).collect();
        Ok(Load::Snapshot(Snapshot { revision: state.revision, records }))
    }

    fn purge(&self, now: i64) -> Result<u64> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut purged = 0;
        state.partitions.retain(|_, held| {
            let before = held.records.len();
            held.records.retain(|_, stored| stored.expires_on.is_none_or(|at| at >= now));
            if held.records.len() < before {
                purged += (before - held.records.len()) as u64;
                held.numbers = None;
                held.revision = Revision::unique();
            }
            !held.records.is_empty()
        });
        if purged > 0 {
            state.revision = Revision::unique();
        }
        Ok(purged)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<Hold<'_>> {
        self.guards.enter(partition, wait)
    }
}

impl Held {
    fn apply(&mut self, ops: &[Op], next: &mut u64) {
        for op in ops {
            match op {
                Op::Put(record) => {
                    let known = self.number(&record.credential_type, &record.key);
                    let number = known.unwrap_or(*next);
                    if known.is_none() {
                        *next += 1;
                        if let Some(numbers) = &mut self.numbers {
                            numbers.insert(identity(record), number);
                        }
                    }
                    let (record, expires_on) = (record.clone(), record.expires_on());
                    self.records.insert(number, Stored { record, expires_on });
                }
                Op::Delete { credential_type, key } => {
                    if let Some(number) = self.number(credential_type, key) {
                        self.records.remove(&number);
                        if let Some(numbers) = &mut self.numbers {
                            numbers.remove(&(credential_type.clone(), key.clone()));
                        }
                    }
                }
            }
        }
    }

    fn number(&mut self, credential_type: &CredentialType, key: &Arc<str>) -> Option<u64> {
        let records = &self.records;
        if records.len() <= SMALL {
            self.numbers = None;
            let same = |it: &Record| it.key == *key && it.credential_type == *credential_type;
            return records.iter().find(|(_, it)| same(&it.record)).map(|(number, _)| *number);
        }
        let numbers = self.numbers.get_or_insert_with(|| {
            records.iter().map(|(number, it)| (identity(&it.record), *number)).collect()
        });
        numbers.get(&(credential_type.clone(), key.clone())).copied()
    }
}

fn identity(record: &Record) -> (CredentialType, Arc<str>) {
    (record.credential_type.clone(), record.key.clone())
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expect, Json};

    #[test]
    fn a_large_partition_keeps_its_order_like_a_small_one() {
        let memory = Memory::new();
        let record = |n: usize, value: &str| {
            let value = Json::from_stored(format!(r#"{{"home_account_id":"u","v":"{value}"}}"#));
            Record::new(CredentialType::Account, format!("k{n}"), value)
        };
        let commit = |ops: &dyn Fn(&mut crate::Change)| {
            let mut batch = Batch::new();
            ops(batch.change(Partition::user("u"), Expect::Any));
            memory.commit(&batch).unwrap();
        };
        commit(&|change| {
            for n in 0..SMALL * 3 {
                change.put(record(n, "old"));
            }
        });
        commit(&|change| {
            for n in 0..SMALL * 3 {
                match n % 3 {
                    0 => change.delete(CredentialType::Account, format!("k{n}").into()),
                    1 => change.put(record(n, "new")),
                    _ => change.delete(CredentialType::IdToken, format!("k{n}").into()),
                };
            }
        });
        // By now it is larger than a small one; below, it isn't any more.
        let mut expected: Vec<_> = (0..SMALL * 3)
            .filter(|n| n % 3 != 0)
            .map(|n| record(n, if n % 3 == 1 { "new" } else { "old" }))
            .collect();
        let load = || match memory.load(&Partition::user("u"), None).unwrap() {
            Load::Snapshot(snapshot) => snapshot.records,
            Load::Unchanged => Vec::new(),
        };
        assert_eq!(load(), expected);
        let gone = expected.split_off(5);
        commit(&|change| {
            for it in &gone {
                change.delete(CredentialType::Account, it.key.clone());
            }
            change.put(record(0, "again")).put(record(1, "newer"));
        });
        expected[0] = record(1, "newer");
        expected.push(record(0, "again"));
        assert_eq!(load(), expected);
    }
}
