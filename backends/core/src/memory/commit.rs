use std::slice;
use std::sync::RwLockWriteGuard;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use crate::memory::contents::{Contents, Shard};
use crate::memory::owners::{Owner, Told};
use crate::memory::partition::StoredPartition;
use crate::memory::shard::shard_of;
use crate::{Batch, CredentialType, Error, Expect, Op, Partition, Record, Result, Revision};

/// The shards that a commit has locked, in order.
type Locked<'a> = SmallVec<[(usize, RwLockWriteGuard<'a, Shard>); 4]>;

/// The locked shard of a hash.
fn shard<'s>(shards: &'s mut Locked<'_>, hash: u64) -> &'s mut Shard {
    let at = shards.partition_point(|(shard, _)| *shard < shard_of(hash));
    &mut shards[at].1
}

/// A partition in its locked shard.
fn stored<'s>(
    shards: &'s mut Locked<'_>,
    hash: u64,
    partition: &Partition,
) -> Option<&'s mut StoredPartition> {
    let stored = shard(shards, hash).find_mut(hash, |(it, _)| it == partition);
    stored.map(|(_, stored)| stored)
}

/// A commit that has locked the shards of its partitions, or all.
pub(super) struct Commit<'a> {
    contents: &'a Contents,
    batch: &'a Batch,
    /// Of the partitions of the changes.
    hashes: &'a [u64],
    shards: Locked<'a>,
    claims: Claims,
    /// The owners of deleted keys. They stay until the end, since the keys may be put again.
    deleted: SmallVec<[Owner; 4]>,
}

/// The owners that a commit adds before it applies anything.
#[derive(Default)]
struct Claims {
    /// With the index of the put among all puts of the batch.
    owners: SmallVec<[(usize, Owner); 6]>,
    puts: usize,
    used: usize,
}

impl Claims {
    /// The owner that was added for the next put, unless the partition held its key already.
    fn next_put(&mut self) -> Option<Owner> {
        let put = self.puts;
        self.puts += 1;
        let (_, owner) = self.owners.get(self.used).filter(|(it, _)| *it == put)?;
        self.used += 1;
        Some(*owner)
    }
}

impl<'a> Commit<'a> {
    pub(super) fn lock(
        contents: &'a Contents,
        batch: &'a Batch,
        hashes: &'a [u64],
        shards: impl Iterator<Item = usize>,
    ) -> Self {
        let shards = shards.map(|shard| (shard, contents.write(shard))).collect();
        let (claims, deleted) = (Claims::default(), SmallVec::new());
        Self { contents, batch, hashes, shards, claims, deleted }
    }

    fn revision(&mut self, hash: u64, partition: &Partition) -> Revision {
        let stored = stored(&mut self.shards, hash, partition);
        stored.map_or(Revision::ABSENT, |stored| stored.revision)
    }

    pub(super) fn check(&mut self) -> Result<()> {
        for (change, hash) in self.batch.changes().iter().zip(self.hashes) {
            if let Expect::Revision(expected) = change.expect()
                && expected != self.revision(*hash, change.partition())
            {
                return Err(Error::Conflict);
            }
        }
        Ok(())
    }

    /// Claims the keys that are new to their partition, so that no other commit can put them
    /// elsewhere. Returns false, and claims none, where one is stored in another partition.
    pub(super) fn claim_keys(&mut self) -> bool {
        let Self { contents, batch, hashes, shards, claims, .. } = self;
        let (mut owners, mut put) = (contents.owners.access(), 0);
        for (change, hash) in batch.changes().iter().zip(*hashes) {
            let mut puts = change.ops().iter().filter(|op| matches!(op, Op::Put(_))).peekable();
            if puts.peek().is_none() {
                continue;
            }
            let mut stored = stored(shards, *hash, change.partition());
            for op in puts {
                if stored.as_mut().is_none_or(|it| it.number(op.target()).is_none()) {
                    let is_free = match contents.owner(op.target(), change.partition(), *hash) {
                        // The partition that the key tells may hold it.
                        Some(owner) if owner.displaced => false,
                        Some(owner) => {
                            let is_free = owners.claim(owner);
                            if is_free {
                                claims.owners.push((put, owner));
                            }
                            is_free
                        }
                        None => {
                            contents.owners.none_is_displaced()
                                || owners.others(contents.entry(op.target(), *hash)).is_empty()
                        }
                    };
                    if !is_free {
                        claims.owners.drain(..).for_each(|(_, it)| owners.remove(it));
                        return false;
                    }
                }
                put += 1;
            }
        }
        true
    }

    /// Applies the operations; it can't fail. Either all keys are claimed, or all shards are locked
    /// and keys may move between partitions.
    pub(super) fn apply(mut self, moves: bool) -> Vec<Revision> {
        let Self { contents, batch, hashes, .. } = self;
        contents.commits.fetch_add(1, Ordering::SeqCst);
        let changes = batch.changes().iter().zip(hashes);
        let revisions = if moves {
            for (change, hash) in changes.clone() {
                for op in change.ops() {
                    if let Op::Put(record) = op {
                        self.remove_from_others(record, change.partition(), *hash);
                    }
                    self.apply_to(*hash, change.partition(), slice::from_ref(op));
                }
            }
            // A later change may have taken a key from an earlier one.
            changes.map(|(change, hash)| self.revision(*hash, change.partition())).collect()
        } else {
            changes.map(|(it, hash)| self.apply_to(*hash, it.partition(), it.ops())).collect()
        };
        if !self.deleted.is_empty() {
            let mut owners = contents.owners.access();
            self.deleted.drain(..).for_each(|it| owners.remove(it));
        }
        revisions
    }

    /// Applies operations to a partition, and returns its revision after them.
    fn apply_to(&mut self, hash: u64, partition: &Partition, ops: &[Op]) -> Revision {
        if ops.is_empty() {
            return self.revision(hash, partition);
        }
        let Self { contents, shards, claims, deleted, .. } = self;
        let mut entry = shard(shards, hash)
            .entry(hash, |(it, _)| it == partition, |(it, _)| contents.hash(it))
            .or_insert_with(|| (partition.clone(), StoredPartition::default()));
        let (_, stored) = entry.get_mut();
        let mut changed = false;
        for op in ops {
            match op {
                Op::Put(record) => {
                    changed = true;
                    match (claims.next_put(), stored.put(record.clone(), &contents.next)) {
                        (Some(_), true) | (None, false) => {}
                        (None, true) => {
                            if let Some(owner) = contents.owner(op.target(), partition, hash) {
                                contents.owners.access().add(owner);
                            }
                        }
                        // An earlier operation has put the key, by a claim of its own.
                        (Some(unused), false) => contents.owners.access().remove(unused),
                    }
                }
                Op::Delete { .. } => {
                    if stored.delete(op.target()) {
                        changed = true;
                        if contents.owners.are_used() {
                            deleted.extend(contents.owner(op.target(), partition, hash));
                        }
                    }
                }
            }
        }
        if changed {
            stored.revision = Revision::unique();
        }
        if stored.records.is_empty() {
            entry.remove();
            return Revision::ABSENT;
        }
        stored.revision
    }

    /// Removes the record under the key of this one from all partitions but this one, where all
    /// shards are locked.
    fn remove_from_others(&mut self, record: &Record, partition: &Partition, hash: u64) {
        let target = (record.credential_type(), record.key());
        let contents = self.contents;
        let others = contents.owners.access().others(contents.entry(target, hash));
        for other in others {
            if self.remove_from(other.partition, target) {
                contents.owners.access().remove(other);
            }
        }
        if let Some(told) = Told::by(target).partition().filter(|told| told != partition) {
            self.remove_from(contents.hash(&told), target);
        }
    }

    /// Removes a record from the partition with this hash. Returns whether it was there.
    fn remove_from(&mut self, hash: u64, target: (&CredentialType, &str)) -> bool {
        let contents = self.contents;
        let shard = shard(&mut self.shards, hash);
        let mut found = None;
        for (partition, stored) in shard.iter_hash_mut(hash) {
            if contents.hash(partition) == hash && stored.delete(target) {
                stored.revision = Revision::unique();
                found = Some((partition.clone(), stored.records.is_empty()));
                break;
            }
        }
        // Another key has the same hash, or this one was deleted earlier in the commit.
        let Some((partition, is_empty)) = found else { return false };
        if is_empty && let Ok(empty) = shard.find_entry(hash, |(it, _)| *it == partition) {
            empty.remove();
        }
        true
    }
}
