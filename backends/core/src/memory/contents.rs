use std::hash::BuildHasher;
use std::sync::atomic::AtomicU64;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::memory::owners::{Owner, Owners, Told, shard_of_key};
use crate::memory::partition::StoredPartition;
use crate::memory::shard::SHARDS;
use crate::{CredentialType, Partition};

/// All records, and what it takes to find them.
pub(super) struct Contents {
    shards: [RwLock<Shard>; SHARDS],
    pub(super) owners: Owners,
    hasher: DefaultHashBuilder,
    /// The number of commits, from which the revision of the whole store is made. A commit counts
    /// while it holds its locks, before it changes anything else.
    pub(super) commits: AtomicU64,
    /// The number of the next record. Records are numbered in the order of their first puts.
    pub(super) next: AtomicU64,
}

/// Some of the partitions. Never holds an empty one.
pub(super) type Shard = HashTable<(Partition, StoredPartition)>;

impl Contents {
    pub(super) fn hash(&self, partition: &Partition) -> u64 {
        self.hasher.hash_one(partition)
    }

    /// The entry among the owners for a record in `partition`, which has this hash; `None` where the
    /// key tells the partition.
    #[inline]
    pub(super) fn owner(
        &self,
        target: (&CredentialType, &str),
        partition: &Partition,
        hash: u64,
    ) -> Option<Owner> {
        match Told::by(target) {
            told if told.is(partition) => None,
            Told::Nothing => Some(self.entry(target, hash)),
            _ => Some(Owner { displaced: true, ..self.entry(target, hash) }),
        }
    }

    /// The entry among the owners for a record in the partition with this hash.
    pub(super) fn entry(&self, (section, key): (&CredentialType, &str), partition: u64) -> Owner {
        Owner {
            shard: shard_of_key(key),
            key: self.hasher.hash_one((section.as_str(), key)),
            partition,
            displaced: false,
        }
    }

    pub(super) fn read(&self, shard: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[shard].read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[shard].write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            shards: [const { RwLock::new(HashTable::new()) }; SHARDS],
            owners: Owners::default(),
            hasher: DefaultHashBuilder::default(),
            commits: AtomicU64::new(0),
            next: AtomicU64::new(0),
        }
    }
}
