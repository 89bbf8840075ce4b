use std::collections::BTreeMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use smallvec::SmallVec;

use crate::{
    Batch, CacheStore, Change, CredentialType, Error, Expect, Guards, Load, Op, Partition, Record,
    RefreshGuard, Result, Revision, Snapshot,
};

/// Records in memory, gone with the process.
///
/// The store for tests, for a service whose users sign in anew after a restart, and to fall back
/// to where no other store can be used. Its partitions are spread over many locks, so that users
/// don't wait for each other.
pub struct Memory {
    shards: [RwLock<Shard>; SHARDS],
    /// Which partition holds each stored key: one entry for each record.
    owners: [Mutex<HashTable<Owner>>; OWNER_SHARDS as usize],
    hasher: DefaultHashBuilder,
    /// Counts the commits, and so tells the revisions of the whole store apart. It changes while
    /// the locks of a commit are held, before anything else does.
    commits: AtomicU64,
    /// Tells those revisions apart from those of other stores.
    born: Revision,
    /// Numbers the records in the order in which their keys were first put.
    next: AtomicU64,
    guards: Guards,
}

/// Some of the partitions. Never holds an empty one.
type Shard = HashTable<(Partition, StoredPartition)>;

/// The number of shards: by far more than threads that run at the same time.
const SHARDS: usize = 64;

/// The number of tables of owners.
const OWNER_SHARDS: u8 = 64;

/// The shard of what has this hash. The tables use other bits of it.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

#[derive(Default)]
struct StoredPartition {
    revision: Revision,
    /// By number.
    records: BTreeMap<u64, Record>,
    /// The numbers of the keys, in a large partition.
    numbers: Option<HashMap<(CredentialType, Arc<str>), u64>>,
}

/// The hash of a section and a key, and the hash of the partition that holds the record.
///
/// Hashes take less memory than names. Two keys that share a hash cost a commit more locks, and
/// nothing else: the record that moves is found by its key.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Owner {
    /// Of the table that it is in.
    shard: u8,
    key: u64,
    partition: u64,
}

/// The tables of owners. Locked after the shards of partitions, one at a time.
struct Owners<'a> {
    memory: &'a Memory,
    locked: Option<(u8, MutexGuard<'a, HashTable<Owner>>)>,
}

impl<'a> Owners<'a> {
    fn new(memory: &'a Memory) -> Self {
        Self { memory, locked: None }
    }

    /// The table with this owner, which stays locked until another one is needed.
    fn table(&mut self, owner: Owner) -> &mut HashTable<Owner> {
        if self.locked.as_ref().is_none_or(|(shard, _)| *shard != owner.shard) {
            // Unlocked before the other one is locked.
            self.locked = None;
        }
        let lock = || {
            let table = &self.memory.owners[usize::from(owner.shard)];
            (owner.shard, table.lock().unwrap_or_else(PoisonError::into_inner))
        };
        &mut self.locked.get_or_insert_with(lock).1
    }

    /// Adds an owner. Returns false, and does nothing, where another partition holds the key.
    fn claim(&mut self, owner: Owner) -> bool {
        let table = self.table(owner);
        let mut same = table.iter_hash(owner.key).filter(|it| it.key == owner.key);
        let is_free = same.all(|it| it.partition == owner.partition);
        if is_free {
            table.insert_unique(owner.key, owner, |it| it.key);
        }
        is_free
    }

    /// Adds an owner, where no other partition can hold the key.
    fn own(&mut self, owner: Owner) {
        self.table(owner).insert_unique(owner.key, owner, |it| it.key);
    }

    /// Removes an owner.
    fn release(&mut self, owner: Owner) {
        if let Ok(known) = self.table(owner).find_entry(owner.key, |it| *it == owner) {
            known.remove();
        }
    }

    /// The owners of the key but this one.
    fn others(&mut self, owner: Owner) -> SmallVec<[Owner; 1]> {
        let same = self.table(owner).iter_hash(owner.key).filter(|it| it.key == owner.key);
        same.filter(|it| it.partition != owner.partition).copied().collect()
    }
}

/// Up to this many records, a scan is as fast as an index and needs no memory.
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

    fn owner(&self, (section, key): (&CredentialType, &str), partition: u64) -> Owner {
        // Keys begin with the id of a user, so those of one commit are mostly in one shard. Equal
        // keys begin alike, so they always are.
        let mut first = [0; 8];
        let length = key.len().min(first.len());
        first[..length].copy_from_slice(&key.as_bytes()[..length]);
        let [shard, ..] =
            u64::from_le_bytes(first).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        Owner {
            shard: shard % OWNER_SHARDS,
            key: self.hasher.hash_one((section.as_str(), key)),
            partition,
        }
    }

    /// The revision of the whole store.
    fn revision(&self) -> Revision {
        let commits = self.commits.load(Ordering::SeqCst);
        Revision::from_u128(self.born.as_u128().wrapping_add(u128::from(commits) << 64))
    }
}

#[inline]
fn load_from(shard: &Shard, hash: u64, partition: &Partition, known: Option<Revision>) -> Load {
    let stored = shard.find(hash, |(it, _)| it == partition).map(|(_, stored)| stored);
    let revision = stored.map_or(Revision::ABSENT, |stored| stored.revision);
    if known == Some(revision) {
        return Load::Unchanged;
    }
    let records = stored.into_iter().flat_map(|stored| stored.records.values());
    Load::Snapshot(Snapshot::new(revision, records.cloned().collect()))
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            shards: [const { RwLock::new(HashTable::new()) }; SHARDS],
            owners: [const { Mutex::new(HashTable::new()) }; OWNER_SHARDS as usize],
            hasher: DefaultHashBuilder::default(),
            commits: AtomicU64::new(0),
            born: Revision::unique(),
            next: AtomicU64::new(0),
            guards: Guards::new(),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl CacheStore for Memory {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        let hash = self.hash(partition);
        Ok(load_from(&self.read(shard_of(hash)), hash, partition, known))
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        let hashes: SmallVec<[_; 4]> = wanted.iter().map(|(it, _)| self.hash(it)).collect();
        let needed = in_order(hashes.iter().map(|hash| shard_of(*hash)));
        let shards: SmallVec<[_; 4]> =
            needed.iter().map(|shard| (*shard, self.read(*shard))).collect();
        let loads = wanted.iter().zip(&hashes).map(|((partition, known), hash)| {
            let at = needed.partition_point(|shard| *shard < shard_of(*hash));
            load_from(&shards[at].1, *hash, partition, *known)
        });
        Ok(loads.collect())
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        let hashes: SmallVec<[_; 4]> =
            batch.changes().iter().map(|change| self.hash(change.partition())).collect();
        let needed = in_order(hashes.iter().map(|hash| shard_of(*hash)));
        let mut commit = Commit::lock(self, batch, &hashes, needed.iter().copied());
        commit.check()?;
        if let Some(claims) = commit.claim_keys() {
            return Ok(commit.apply(Some(claims)));
        }
        // A key moves from another partition, which may not be locked.
        drop(commit);
        let mut commit = Commit::lock(self, batch, &hashes, 0..SHARDS);
        commit.check()?;
        Ok(commit.apply(None))
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
        // No commit holds its locks now.
        let revision = self.revision();
        let stored = shards.iter().flat_map(|shard| shard.iter());
        let mut records: Vec<_> = stored
            .flat_map(|(_, stored)| &stored.records)
            .filter(|(_, it)| credential_type.is_none_or(|of| of == it.credential_type()))
            .collect();
        records.sort_unstable_by_key(|(number, _)| **number);
        let records = records.into_iter().map(|(_, record)| record.clone()).collect();
        Ok(Load::Snapshot(Snapshot::new(revision, records)))
    }

    fn purge(&self, now: i64) -> Result<u64> {
        let mut shards: Vec<_> = (0..SHARDS).map(|shard| self.write(shard)).collect();
        let mut owners = Owners::new(self);
        let mut purged = 0;
        for shard in &mut shards {
            shard.retain(|(partition, stored)| {
                let before = purged;
                stored.records.retain(|_, record| {
                    let stays = record.expires_on().is_none_or(|at| at >= now);
                    if !stays {
                        purged += 1;
                        let target = (record.credential_type(), record.key());
                        owners.release(self.owner(target, self.hash(partition)));
                    }
                    stays
                });
                if purged > before {
                    stored.numbers = None;
                    stored.revision = Revision::unique();
                }
                !stored.records.is_empty()
            });
        }
        if purged > 0 {
            self.commits.fetch_add(1, Ordering::SeqCst);
        }
        Ok(purged)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.guards.enter(partition, wait)
    }

    fn is_immediate(&self) -> bool {
        true
    }
}

/// Shards in the order in which they are locked, so that two callers never wait for each other.
fn in_order(shards: impl Iterator<Item = usize>) -> SmallVec<[usize; 4]> {
    let mut shards: SmallVec<_> = shards.collect();
    shards.sort_unstable();
    shards.dedup();
    shards
}

/// For each put of a batch, in order: the owner that was added for it, unless the partition held
/// the key already.
type Claims = SmallVec<[Option<Owner>; 8]>;

/// A commit that has locked the shards of its partitions, or all.
struct Commit<'a> {
    memory: &'a Memory,
    batch: &'a Batch,
    /// Of the partitions of the changes.
    hashes: &'a [u64],
    shards: SmallVec<[(usize, RwLockWriteGuard<'a, Shard>); 4]>,
}

impl<'a> Commit<'a> {
    fn lock(
        memory: &'a Memory,
        batch: &'a Batch,
        hashes: &'a [u64],
        shards: impl Iterator<Item = usize>,
    ) -> Self {
        let shards = shards.map(|shard| (shard, memory.write(shard))).collect();
        Self { memory, batch, hashes, shards }
    }

    fn shard(&mut self, hash: u64) -> &mut Shard {
        let at = self.shards.partition_point(|(shard, _)| *shard < shard_of(hash));
        &mut self.shards[at].1
    }

    fn stored(&mut self, hash: u64, partition: &Partition) -> Option<&mut StoredPartition> {
        let stored = self.shard(hash).find_mut(hash, |(it, _)| it == partition);
        stored.map(|(_, stored)| stored)
    }

    fn check(&mut self) -> Result<()> {
        for (change, hash) in self.batch.changes().iter().zip(self.hashes) {
            if let Expect::Revision(expected) = change.expect() {
                let stored = self.stored(*hash, change.partition());
                if expected != stored.map_or(Revision::ABSENT, |stored| stored.revision) {
                    return Err(Error::Conflict);
                }
            }
        }
        Ok(())
    }

    /// Claims the keys that are new to their partition, so that no other commit can put them
    /// elsewhere. Returns `None`, and claims none, where one is stored in another partition.
    fn claim_keys(&mut self) -> Option<Claims> {
        let (memory, mut claims) = (self.memory, Claims::new());
        let mut owners = Owners::new(memory);
        for (change, hash) in self.batch.changes().iter().zip(self.hashes) {
            let mut stored = self.stored(*hash, change.partition());
            for op in change.ops() {
                let Op::Put(_) = op else { continue };
                if stored.as_mut().is_some_and(|it| it.number(op.target()).is_some()) {
                    claims.push(None);
                    continue;
                }
                let owner = memory.owner(op.target(), *hash);
                if !owners.claim(owner) {
                    claims.into_iter().flatten().for_each(|it| owners.release(it));
                    return None;
                }
                claims.push(Some(owner));
            }
        }
        Some(claims)
    }

    /// Applies the operations. Without claims, all shards are locked, and keys move from other
    /// partitions. Nothing in it can fail.
    fn apply(mut self, claims: Option<Claims>) -> Vec<Revision> {
        let Self { memory, batch, hashes, .. } = self;
        memory.commits.fetch_add(1, Ordering::SeqCst);
        let moves = claims.is_none();
        let mut claims = claims.unwrap_or_default().into_iter();
        // Deleted keys stay owned until the end, since they may be put again.
        let mut deleted: SmallVec<[Owner; 4]> = SmallVec::new();
        for (change, hash) in batch.changes().iter().zip(hashes) {
            if !moves {
                self.apply_to(*hash, change.partition(), change.ops(), &mut claims, &mut deleted);
                continue;
            }
            for op in change.ops() {
                if let Op::Put(record) = op {
                    self.remove_from_others(record, *hash);
                }
                let ops = std::slice::from_ref(op);
                self.apply_to(*hash, change.partition(), ops, &mut claims, &mut deleted);
            }
        }
        let mut owners = Owners::new(memory);
        deleted.into_iter().for_each(|it| owners.release(it));
        drop(owners);
        let revision = |(change, hash): (&Change, &u64)| {
            let stored = self.stored(*hash, change.partition());
            stored.map_or(Revision::ABSENT, |stored| stored.revision)
        };
        batch.changes().iter().zip(hashes).map(revision).collect()
    }

    fn apply_to(
        &mut self,
        hash: u64,
        partition: &Partition,
        ops: &[Op],
        claims: &mut impl Iterator<Item = Option<Owner>>,
        deleted: &mut SmallVec<[Owner; 4]>,
    ) {
        let memory = self.memory;
        if ops.is_empty() {
            return;
        }
        let mut entry = self
            .shard(hash)
            .entry(hash, |(it, _)| it == partition, |(it, _)| memory.hash(it))
            .or_insert_with(|| (partition.clone(), StoredPartition::default()));
        let (_, stored) = entry.get_mut();
        let mut changed = false;
        for op in ops {
            match op {
                Op::Put(record) => {
                    changed = true;
                    match (claims.next().flatten(), stored.put(record.clone(), &memory.next)) {
                        (Some(_), true) | (None, false) => {}
                        (None, true) => Owners::new(memory).own(memory.owner(op.target(), hash)),
                        // An earlier operation has put the key, by a claim of its own.
                        (Some(unused), false) => Owners::new(memory).release(unused),
                    }
                }
                Op::Delete { .. } => {
                    if stored.delete(op.target()) {
                        changed = true;
                        deleted.push(memory.owner(op.target(), hash));
                    }
                }
            }
        }
        if changed {
            stored.revision = Revision::unique();
        }
        if stored.records.is_empty() {
            entry.remove();
        }
    }

    /// Removes the record under the key of this one from all partitions but the one with this
    /// hash, where all shards are locked.
    fn remove_from_others(&mut self, record: &Record, partition: u64) {
        let target = (record.credential_type(), record.key());
        let owner = self.memory.owner(target, partition);
        let others = Owners::new(self.memory).others(owner);
        for other in others {
            self.remove_from(other, target);
        }
    }

    /// Removes a record from the partition that owns it, if it is there.
    fn remove_from(&mut self, owner: Owner, target: (&CredentialType, &str)) {
        let (memory, hash) = (self.memory, owner.partition);
        let shard = self.shard(hash);
        let mut found = None;
        for (partition, stored) in shard.iter_hash_mut(hash) {
            if memory.hash(partition) == hash && stored.delete(target) {
                stored.revision = Revision::unique();
                found = Some((partition.clone(), stored.records.is_empty()));
                break;
            }
        }
        // Another key has the same hash, or this one was deleted earlier in the commit.
        let Some((partition, is_empty)) = found else { return };
        if is_empty && let Ok(empty) = shard.find_entry(hash, |(it, _)| *it == partition) {
            empty.remove();
        }
        Owners::new(memory).release(owner);
    }
}

impl StoredPartition {
    /// Puts a record, and returns whether its key is new.
    fn put(&mut self, record: Record, next: &AtomicU64) -> bool {
        let known = self.number((record.credential_type(), record.key()));
        let number = known.unwrap_or_else(|| next.fetch_add(1, Ordering::Relaxed));
        if known.is_none()
            && let Some(numbers) = &mut self.numbers
        {
            numbers.insert(identity(&record), number);
        }
        self.records.insert(number, record);
        known.is_none()
    }

    fn delete(&mut self, target: (&CredentialType, &str)) -> bool {
        let Some(number) = self.number(target) else { return false };
        let deleted = self.records.remove(&number);
        if let (Some(numbers), Some(record)) = (&mut self.numbers, &deleted) {
            numbers.remove(&identity(record));
        }
        true
    }

    fn number(&mut self, (section, key): (&CredentialType, &str)) -> Option<u64> {
        let records = &self.records;
        if records.len() <= SMALL {
            self.numbers = None;
            let is_it = |it: &Record| it.key() == key && it.credential_type() == section;
            return records.iter().find(|(_, it)| is_it(it)).map(|(number, _)| *number);
        }
        let numbers = self.numbers.get_or_insert_with(|| {
            records.iter().map(|(number, it)| (identity(it), *number)).collect()
        });
        numbers.get(&KeyRef(section, key)).copied()
    }
}

fn identity(record: &Record) -> (CredentialType, Arc<str>) {
    (record.credential_type().clone(), record.shared_key().clone())
}

/// A borrowed [`identity`].
#[derive(Hash)]
struct KeyRef<'a>(&'a CredentialType, &'a str);

impl hashbrown::Equivalent<(CredentialType, Arc<str>)> for KeyRef<'_> {
    fn equivalent(&self, (section, key): &(CredentialType, Arc<str>)) -> bool {
        self.1 == &**key && self.0 == section
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Json;

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
        // It is large now; below, it becomes small.
        let mut expected: Vec<_> = (0..SMALL * 3)
            .filter(|n| n % 3 != 0)
            .map(|n| record(n, if n % 3 == 1 { "new" } else { "old" }))
            .collect();
        let load = || match memory.load(&Partition::user("u"), None).unwrap() {
            Load::Snapshot(snapshot) => snapshot.into_records(),
            Load::Unchanged => Vec::new(),
        };
        assert_eq!(load(), expected);
        let gone = expected.split_off(5);
        commit(&|change| {
            for it in &gone {
                change.delete(CredentialType::Account, it.shared_key().clone());
            }
            change.put(record(0, "again")).put(record(1, "newer"));
        });
        expected[0] = record(1, "newer");
        expected.push(record(0, "again"));
        assert_eq!(load(), expected);
    }

    #[test]
    fn the_owners_of_keys_are_forgotten_with_their_records() {
        let memory = Memory::new();
        let token = |user: &str, key: &str| {
            let json = format!(r#"{{"home_account_id":"{user}","expires_on":"1"}}"#);
            Record::new(CredentialType::AccessToken, key, Json::from_stored(json))
        };
        let owners = || memory.owners.iter().map(|it| it.lock().unwrap().len()).sum::<usize>();
        let commit = |records: &[Record], delete: bool| {
            let mut batch = Batch::new();
            for record in records {
                let change = batch.change(record.partition(), Expect::Any);
                if delete {
                    change.delete_record(record)
                } else {
                    change.put(record.clone())
                };
            }
            memory.commit(&batch).unwrap()
        };
        let of_u: Vec<_> = (0..50).map(|n| token("u", &n.to_string())).collect();
        let of_v: Vec<_> = (0..50).map(|n| token("v", &n.to_string())).collect();
        commit(&of_u, false);
        commit(&of_u, false);
        assert_eq!(owners(), 50);
        // A known key is deleted and put again, and a new one is put twice.
        let mut batch = Batch::new();
        let change = batch.change(Partition::user("u"), Expect::Any);
        change.delete_record(&of_u[49]).put(of_u[49].clone());
        change.put(token("u", "new")).put(token("u", "new")).delete_record(&token("u", "new"));
        memory.commit(&batch).unwrap();
        assert_eq!(owners(), 50);
        assert_eq!(commit(&of_v[..10], false).len(), 1);
        assert_eq!(owners(), 50);
        let Load::Snapshot(left) = memory.load(&Partition::user("u"), None).unwrap() else {
            panic!("no revision was given")
        };
        assert_eq!(left.records(), &of_u[10..]);
        commit(&of_v, true);
        assert_eq!(owners(), 40);
        commit(&of_v[40..], false);
        assert_eq!(memory.purge(2).unwrap(), 40);
        assert_eq!(owners(), 0);
    }
}
