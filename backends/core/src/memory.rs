use std::collections::BTreeMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::{
    Batch, CacheStore, CredentialType, Error, Expect, Guards, Hold, Load, Op, Partition, Record,
    Result, Revision, Snapshot,
};

/// Records in memory, gone with the process.
///
/// The store for tests, for a service that signs in anew at each start, and to fall back to
/// where no other store can be used. Its partitions are spread over many locks, so that users
/// don't wait for each other.
pub struct Memory {
    shards: [RwLock<Shard>; SHARDS],
    hasher: DefaultHashBuilder,
    /// Counts the commits, and so tells the revisions of the whole store apart. It changes while
    /// the locks of a commit are held, before anything else does.
    commits: AtomicU64,
    /// What makes those revisions other than everybody else's.
    born: Revision,
    /// Numbers the records in the order in which their keys were first put.
    next: AtomicU64,
    guards: Guards,
}

/// Some of the partitions. Never holds an empty one.
type Shard = HashTable<(Partition, Held)>;

/// How many: by far more than threads that run at the same time.
const SHARDS: usize = 64;

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
    /// Read by the first sweep that looks at it; the end of time for what doesn't expire.
    expires_on: OnceLock<i64>,
}

impl Stored {
    fn expires_on(&self) -> i64 {
        *self.expires_on.get_or_init(|| self.record.expires_on().unwrap_or(i64::MAX))
    }
}

/// Up to so many records, looking at each one is as fast as an index and needs no memory.
const SMALL: usize = 32;

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn hash(&self, partition: &Partition) -> u64 {
        self.hasher.hash_one(partition)
    }

    fn read(&self, shard: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[shard].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[shard].write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The revision of the whole store.
    fn revision(&self) -> Revision {
        let commits = self.commits.load(Ordering::SeqCst);
        Revision::from_u128(self.born.as_u128().wrapping_add(u128::from(commits) << 64))
    }
}

/// The shard of a partition. The table within uses other bits of the hash.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            shards: [const { RwLock::new(HashTable::new()) }; SHARDS],
            hasher: DefaultHashBuilder::default(),
            commits: AtomicU64::new(0),
            born: Revision::unique(),
            next: AtomicU64::new(0),
            guards: Guards::new(),
        }
    }
}

impl Default for Revision {
    fn default() -> Self {
        Self::ABSENT
    }
}

impl CacheStore for Memory {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        let hash = self.hash(partition);
        let shard = self.read(shard_of(hash));
        let held = shard.find(hash, |(it, _)| it == partition).map(|(_, held)| held);
        let revision = held.map_or(Revision::ABSENT, |held| held.revision);
        if known == Some(revision) {
            return Ok(Load::Unchanged);
        }
        let stored = held.into_iter().flat_map(|held| held.records.values());
        let records = stored.map(|stored| stored.record.clone()).collect();
        Ok(Load::Snapshot(Snapshot { revision, records }))
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        let hashes: Vec<_> =
            batch.changes().iter().map(|change| self.hash(change.partition())).collect();
        let mut locked: Vec<_> = hashes.iter().map(|hash| shard_of(*hash)).collect();
        // In one order, so that two commits never wait for each other.
        locked.sort_unstable();
        locked.dedup();
        let mut shards: Vec<_> = locked.iter().map(|shard| self.write(*shard)).collect();
        let place = |hash: u64| locked.partition_point(|shard| *shard < shard_of(hash));
        for (change, hash) in batch.changes().iter().zip(&hashes) {
            let shard = &shards[place(*hash)];
            let held = shard.find(*hash, |(it, _)| it == change.partition());
            let revision = held.map_or(Revision::ABSENT, |(_, held)| held.revision);
            if matches!(change.expect(), Expect::Revision(expected) if expected != revision) {
                return Err(Error::Conflict);
            }
        }
        // Nothing below can fail, so the batch is applied in place.
        self.commits.fetch_add(1, Ordering::SeqCst);
        let revisions = batch.changes().iter().zip(&hashes).map(|(change, hash)| {
            let shard = &mut *shards[place(*hash)];
            let mut entry = shard
                .entry(
                    *hash,
                    |(it, _)| it == change.partition(),
                    |(it, _)| self.hasher.hash_one(it),
                )
                .or_insert_with(|| (change.partition().clone(), Held::default()));
            let (_, held) = entry.get_mut();
            if !change.ops().is_empty() {
                held.apply(change.ops(), &self.next);
                held.revision = Revision::unique();
            }
            let revision = held.revision;
            if held.records.is_empty() {
                entry.remove();
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
        if known == Some(self.revision()) {
            return Ok(Load::Unchanged);
        }
        let shards: Vec<_> = (0..SHARDS).map(|shard| self.read(shard)).collect();
        // No commit is under way.
        let revision = self.revision();
        let held = shards.iter().flat_map(|shard| shard.iter());
        let mut records: Vec<_> = held
            .flat_map(|(_, held)| &held.records)
            .filter(|(_, it)| credential_type.is_none_or(|of| *of == it.record.credential_type))
            .collect();
        records.sort_unstable_by_key(|(number, _)| **number);
        let records = records.into_iter().map(|(_, stored)| stored.record.clone()).collect();
        Ok(Load::Snapshot(Snapshot { revision, records }))
    }

    fn purge(&self, now: i64) -> Result<u64> {
        let mut shards: Vec<_> = (0..SHARDS).map(|shard| self.write(shard)).collect();
        let mut purged = 0;
        for shard in &mut shards {
            shard.retain(|(_, held)| {
                let before = held.records.len();
                held.records.retain(|_, stored| stored.expires_on() >= now);
                if held.records.len() < before {
                    purged += (before - held.records.len()) as u64;
                    held.numbers = None;
                    held.revision = Revision::unique();
                }
                !held.records.is_empty()
            });
        }
        if purged > 0 {
            self.commits.fetch_add(1, Ordering::SeqCst);
        }
        Ok(purged)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<Hold<'_>> {
        self.guards.enter(partition, wait)
    }
}

impl Held {
    fn apply(&mut self, ops: &[Op], next: &AtomicU64) {
        for op in ops {
            match op {
                Op::Put(record) => {
                    let known = self.number(&record.credential_type, &record.key);
                    let number = known.unwrap_or_else(|| next.fetch_add(1, Ordering::Relaxed));
                    if known.is_none()
                        && let Some(numbers) = &mut self.numbers
                    {
                        numbers.insert(identity(record), number);
                    }
                    let (record, expires_on) = (record.clone(), OnceLock::new());
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
