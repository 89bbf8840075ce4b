use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use crate::{
    Batch, CacheStore, CredentialType, Error, Expect, Load, Op, Partition, Record, Result,
    Revision, Snapshot,
};

/// Records in memory, gone with the process.
///
/// The store for tests, for a service that signs in anew at each start, and to fall back to
/// where no other store can be used.
#[derive(Default)]
pub struct Memory {
    state: RwLock<State>,
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

#[derive(Clone, Default)]
struct Held {
    revision: Revision,
    records: Vec<(u64, Record)>,
}

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
        let records = held.into_iter().flat_map(|held| &held.records);
        let records = records.map(|(_, record)| record.clone()).collect();
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
            .filter(|(_, record)| credential_type.is_none_or(|it| *it == record.credential_type))
            .collect();
        records.sort_unstable_by_key(|(number, _)| *number);
        let records = records.into_iter().map(|(_, record)| record.clone()).collect();
        Ok(Load::Snapshot(Snapshot { revision: state.revision, records }))
    }

    fn purge(&self, now: i64) -> Result<u64> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut purged = 0;
        state.partitions.retain(|_, held| {
            let before = held.records.len();
            held.records.retain(|(_, record)| record.expires_on().is_none_or(|at| at >= now));
            if held.records.len() < before {
                purged += (before - held.records.len()) as u64;
                held.revision = Revision::unique();
            }
            !held.records.is_empty()
        });
        if purged > 0 {
            state.revision = Revision::unique();
        }
        Ok(purged)
    }
}

impl Held {
    fn apply(&mut self, ops: &[Op], next: &mut u64) {
        for op in ops {
            match op {
                Op::Put(record) => {
                    if let Some(at) = self.position(&record.credential_type, &record.key) {
                        self.records[at].1 = record.clone();
                    } else {
                        self.records.push((*next, record.clone()));
                        *next += 1;
                    }
                }
                Op::Delete { credential_type, key } => {
                    if let Some(at) = self.position(credential_type, key) {
                        self.records.remove(at);
                    }
                }
            }
        }
    }

    fn position(&self, credential_type: &CredentialType, key: &str) -> Option<usize> {
        self.records
            .iter()
            .position(|(_, it)| it.credential_type == *credential_type && *it.key == *key)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
