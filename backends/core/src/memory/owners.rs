use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::memory::shard::SHARDS;
use crate::{CredentialType, Partition};

/// Which partition holds each stored key: one entry for each record whose key doesn't tell.
#[derive(Default)]
pub(super) struct Owners {
    /// Made when they are needed: most caches hold tokens of users only.
    tables: OnceLock<Box<[Mutex<HashTable<Owner>>; SHARDS]>>,
    /// The number of records whose key tells another partition than the one that holds them.
    displaced: AtomicUsize,
}

/// The hash of a section and a key, and the hash of the partition that holds the record.
///
/// Hashes take less memory than names. Two keys that share a hash cost a commit more locks, and
/// nothing else: the record that moves is found by its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    /// The table of the key.
    pub(super) shard: u8,
    pub(super) key: u64,
    pub(super) partition: u64,
    /// Whether the key tells another partition.
    pub(super) displaced: bool,
}

/// The table of a key.
///
/// It follows from how the key begins: keys begin with the id of a user, so a commit mostly needs
/// one table.
#[expect(clippy::cast_possible_truncation, reason = "64 fits")]
pub(super) fn shard_of_key(key: &str) -> u8 {
    let mut start = [0; 8];
    let length = key.len().min(start.len());
    start[..length].copy_from_slice(&key.as_bytes()[..length]);
    let [hash, ..] = u64::from_le_bytes(start).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    hash % SHARDS as u8
}

/// What a record's section and key tell about its partition. A record that tells it is only looked
/// for there, and has no entry among the owners.
#[derive(Clone, Copy)]
pub(super) enum Told<'a> {
    /// The partition of a user. The key begins with two GUIDs, separated by a dot, as the keys of all
    /// users of Microsoft Entra do.
    User(&'a str),
    Metadata,
    Nothing,
}

impl<'a> Told<'a> {
    #[inline]
    pub(super) fn by((section, key): (&CredentialType, &'a str)) -> Self {
        const GUID: usize = 36;
        if *section == CredentialType::AppMetadata {
            return Self::Metadata;
        }
        match key.split_at_checked(GUID + 1 + GUID) {
            Some((user, rest)) if user.as_bytes()[GUID] == b'.' && rest.starts_with('-') => {
                Self::User(user)
            }
            _ => Self::Nothing,
        }
    }

    #[inline]
    pub(super) fn is(self, partition: &Partition) -> bool {
        match self {
            Self::User(user) => partition.is_user(user),
            Self::Metadata => *partition == Partition::app_metadata(),
            Self::Nothing => false,
        }
    }

    pub(super) fn partition(self) -> Option<Partition> {
        match self {
            Self::User(user) => Some(Partition::user(user)),
            Self::Metadata => Some(Partition::app_metadata()),
            Self::Nothing => None,
        }
    }
}

impl Owners {
    /// Access to the tables, which locks one at a time, and after shards of partitions.
    pub(super) fn access(&self) -> OwnersAccess<'_> {
        OwnersAccess { owners: self, locked: None }
    }

    /// Whether each key that tells a partition is stored there. It stays true while a shard is
    /// locked, since a record is only displaced while all of them are.
    pub(super) fn none_is_displaced(&self) -> bool {
        self.displaced.load(Ordering::SeqCst) == 0
    }

    /// Whether a key was ever stored that doesn't tell its partition. While a shard is locked, no
    /// record in it becomes one.
    pub(super) fn are_used(&self) -> bool {
        self.tables.get().is_some()
    }

    fn tables(&self) -> &[Mutex<HashTable<Owner>>; SHARDS] {
        self.tables.get_or_init(|| Box::new([const { Mutex::new(HashTable::new()) }; SHARDS]))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.tables().iter().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

/// Access to the tables of owners. The table that was needed last stays locked.
pub(super) struct OwnersAccess<'a> {
    owners: &'a Owners,
    locked: Option<(u8, MutexGuard<'a, HashTable<Owner>>)>,
}

impl OwnersAccess<'_> {
    fn table(&mut self, owner: Owner) -> &mut HashTable<Owner> {
        if self.locked.as_ref().is_some_and(|(shard, _)| *shard != owner.shard) {
            // Before the other one is locked.
            self.locked = None;
        }
        let table = &self.owners.tables()[usize::from(owner.shard)];
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
        if owner.displaced {
            self.owners.displaced.fetch_add(1, Ordering::SeqCst);
        }
        self.table(owner).insert_unique(owner.key, owner, |it| it.key);
    }

    /// Removes an owner.
    pub(super) fn remove(&mut self, owner: Owner) {
        if let Ok(known) = self.table(owner).find_entry(owner.key, |it| *it == owner) {
            known.remove();
            if owner.displaced {
                self.owners.displaced.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// The entries of this key for other partitions.
    pub(super) fn others(&mut self, owner: Owner) -> SmallVec<[Owner; 1]> {
        let same = self.table(owner).iter_hash(owner.key).filter(|it| it.key == owner.key);
        same.filter(|it| it.partition != owner.partition).copied().collect()
    }
}
