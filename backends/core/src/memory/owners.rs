use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::memory::shard::SHARDS;

/// Which partition holds each stored key: one entry for each record.
pub(super) struct Owners([Mutex<HashTable<Owner>>; SHARDS]);

/// The hash of a section and a key, and the hash of the partition that holds the record.
///
/// Hashes take less memory than names. Two keys that share a hash cost a commit more locks, and
/// nothing else: the record that moves is found by its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    /// The table of the key.
    pub(super) shard: usize,
    pub(super) key: u64,
    pub(super) partition: u64,
}

/// The table of a key.
///
/// It follows from how the key begins: keys begin with the id of a user, so a commit mostly needs
/// one table.
pub(super) fn shard_of_key(key: &str) -> usize {
    let mut start = [0; 8];
    let length = key.len().min(start.len());
    start[..length].copy_from_slice(&key.as_bytes()[..length]);
    let [hash, ..] = u64::from_le_bytes(start).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    usize::from(hash) % SHARDS
}

impl Owners {
    /// Access to the tables, which locks one at a time, and after shards of partitions.
    pub(super) fn access(&self) -> OwnersAccess<'_> {
        OwnersAccess { owners: self, locked: None }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

/// Access to the tables of owners. The table that was needed last stays locked.
pub(super) struct OwnersAccess<'a> {
    owners: &'a Owners,
    locked: Option<(usize, MutexGuard<'a, HashTable<Owner>>)>,
}

impl OwnersAccess<'_> {
    fn table(&mut self, owner: Owner) -> &mut HashTable<Owner> {
        if self.locked.as_ref().is_some_and(|(shard, _)| *shard != owner.shard) {
            // Before the other one is locked.
            self.locked = None;
        }
        let table = &self.owners.0[owner.shard];
        let lock = || (owner.shard, table.lock().unwrap_or_else(PoisonError::into_inner));
        &mut self.locked.get_or_insert_with(lock).1
    }

    /// Adds an owner. Returns false, and does nothing, where another partition holds the key.
    pub(super) fn claim(&mut self, owner: Owner) -> bool {
        let table = self.table(owner);
        let mut same = table.iter_hash(owner.key).filter(|it| it.key == owner.key);
        let is_free = same.all(|it| it.partition == owner.partition);
        if is_free {
            table.insert_unique(owner.key, owner, |it| it.key);
        }
        is_free
    }

    /// Adds an owner, where no other partition can hold the key.
    pub(super) fn add(&mut self, owner: Owner) {
        self.table(owner).insert_unique(owner.key, owner, |it| it.key);
    }

    /// Removes an owner.
    pub(super) fn remove(&mut self, owner: Owner) {
        if let Ok(known) = self.table(owner).find_entry(owner.key, |it| *it == owner) {
            known.remove();
        }
    }

    /// The owners of this key in other partitions.
    pub(super) fn others(&mut self, owner: Owner) -> SmallVec<[Owner; 1]> {
        let same = self.table(owner).iter_hash(owner.key).filter(|it| it.key == owner.key);
        same.filter(|it| it.partition != owner.partition).copied().collect()
    }
}

impl Default for Owners {
    fn default() -> Self {
        Self([const { Mutex::new(HashTable::new()) }; SHARDS])
    }
}
