//! A cache of decoded partitions, so that what has not changed isn't read twice.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::{DefaultHashBuilder, HashTable};
use msal_cache_core::{Batch, CredentialType, Expect, Op, Partition, Revision};

use crate::engine::after::after;
use crate::engine::metrics;
use crate::engine::outages::{AtomicMoment, Moment};
use crate::model::{Decoded, Entry};

/// The partitions and sections that were read last, limited in memory.
///
/// A reader takes one of many locks and writes nothing, so readers on all processors run at the same
/// time.
#[derive(Debug)]
pub(crate) struct DecodedCache {
    partitions: [RwLock<Shard>; SHARDS],
    /// Sections across all partitions.
    sections: RwLock<Sections>,
    hasher: DefaultHashBuilder,
    /// In bytes.
    weight: AtomicUsize,
    limit: usize,
    /// Counts what was put: the clock by which the least recently used partition is found. A reader
    /// stores it in what it reads, unless it is there already, so mostly doesn't write.
    time: AtomicU64,
}

#[derive(Debug)]
struct Shard {
    /// Boxed, since a table is up to half empty, and a partition has a long name.
    table: HashTable<Box<CachedPartition>>,
    /// Counts the changes by this process.
    changes: u64,
}

#[derive(Debug, Default)]
struct Sections {
    list: Vec<CachedSection>,
    /// As that of [`Shard`].
    changes: u64,
}

#[derive(Debug)]
struct CachedSection {
    section: CredentialType,
    decoded: Arc<Decoded>,
    weight: Weight,
    confirmed: Moment,
}

/// How many changes by this process were known when the store was asked. What it answers is not
/// served in an outage if there have been more since: a sign-out may have been one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen(u64);

#[derive(Debug)]
struct CachedPartition {
    partition: Partition,
    decoded: Arc<Decoded>,
    /// Whether the store has this revision for exactly these entries. If not, they are kept only so
    /// that they aren't decoded again.
    is_exact: bool,
    weight: Weight,
    used: AtomicU64,
    /// When the store has last confirmed it.
    confirmed: AtomicMoment,
}

/// An approximate size in bytes; larger ones count as 4 GiB. There is one for each partition, so it is
/// small.
type Weight = u32;

/// By far more than threads that run at the same time.
const SHARDS: usize = 64;

impl DecodedCache {
    /// Creates a cache limited to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            partitions: [const { RwLock::new(Shard { table: HashTable::new(), changes: 0 }) };
                SHARDS],
            sections: RwLock::default(),
            hasher: DefaultHashBuilder::default(),
            weight: AtomicUsize::new(0),
            limit,
            time: AtomicU64::new(0),
        }
    }

    pub(crate) fn partition(&self, partition: &Partition) -> Option<Arc<Decoded>> {
        self.find(partition, |_| true).0
    }

    /// A partition, before the store is asked for it.
    #[inline]
    pub(crate) fn ask(&self, partition: &Partition) -> (Option<Arc<Decoded>>, Seen) {
        self.find(partition, |_| true)
    }

    /// A partition exactly as it was at its revision, which a commit can expect.
    pub(crate) fn exact(&self, partition: &Partition) -> Option<Arc<Decoded>> {
        self.find(partition, |it| it.is_exact).0
    }

    /// A partition that was last confirmed at a moment that `may_be_served`.
    pub(crate) fn confirmed(
        &self,
        partition: &Partition,
        may_be_served: impl Fn(Moment) -> bool,
    ) -> Option<Arc<Decoded>> {
        self.find(partition, |it| may_be_served(it.confirmed.get())).0
    }

    #[inline]
    fn find(
        &self,
        partition: &Partition,
        filter: impl Fn(&CachedPartition) -> bool,
    ) -> (Option<Arc<Decoded>>, Seen) {
        let (hash, shard) = self.shard(partition);
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        let seen = Seen(shard.changes);
        let found = shard.table.find(hash, |it| it.partition == *partition);
        let Some(kept) = found.filter(|it| filter(it)) else { return (None, seen) };
        let now = self.time.load(Ordering::Relaxed);
        if kept.used.load(Ordering::Relaxed) != now {
            kept.used.store(now, Ordering::Relaxed);
        }
        (Some(kept.decoded.clone()), seen)
    }

    /// A section, before the store is asked for it.
    pub(crate) fn ask_section(&self, section: &CredentialType) -> (Option<Arc<Decoded>>, Seen) {
        let sections = self.sections.read().unwrap_or_else(PoisonError::into_inner);
        let known = sections.list.iter().find(|it| it.section == *section);
        (known.map(|it| it.decoded.clone()), Seen(sections.changes))
    }

    /// As [`confirmed`](Self::confirmed).
    pub(crate) fn confirmed_section(
        &self,
        section: &CredentialType,
        may_be_served: impl Fn(Moment) -> bool,
    ) -> Option<Arc<Decoded>> {
        let sections = self.sections.read().unwrap_or_else(PoisonError::into_inner);
        let known = sections.list.iter().find(|it| it.section == *section);
        known.filter(|it| may_be_served(it.confirmed)).map(|it| it.decoded.clone())
    }

    /// Keeps what the store has answered now to a caller that had `seen` the changes before.
    pub(crate) fn put_partition(
        &self,
        partition: &Partition,
        decoded: Arc<Decoded>,
        seen: Seen,
        now: Moment,
    ) {
        self.put(partition, decoded, true, seen, now);
    }

    fn put(
        &self,
        partition: &Partition,
        decoded: Arc<Decoded>,
        is_exact: bool,
        seen: Seen,
        now: Moment,
    ) {
        // Without entries, a user costs nothing to read again. Each request reads the metadata.
        let is_kept = !decoded.entries.is_empty() || *partition == Partition::app_metadata();
        let weight = if is_kept { weight(&decoded) } else { 0 };
        let kept = weight > 0 && weight as usize <= self.limit;
        let used = AtomicU64::new(self.time.fetch_add(1, Ordering::Relaxed) + 1);
        let (hash, shard) = self.shard(partition);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let old = match shard.table.find_entry(hash, |it| it.partition == *partition) {
            Ok(known) => Some(known.remove().0),
            Err(_) => None,
        };
        if kept {
            let is_current = seen.0 == shard.changes;
            let confirmed = AtomicMoment::new(if is_current { now } else { Moment::NEVER });
            let partition = partition.clone();
            let new = CachedPartition { partition, decoded, is_exact, weight, used, confirmed };
            shard
                .table
                .insert_unique(hash, Box::new(new), |it| self.hasher.hash_one(&it.partition));
        }
        drop(shard);
        self.weigh(if kept { weight } else { 0 }, old.map_or(0, |old| old.weight));
        self.make_room();
    }

    /// Notes that the store has confirmed a revision now to a caller that had `seen` the changes.
    pub(crate) fn confirm(&self, partition: &Partition, known: Revision, seen: Seen, now: Moment) {
        let (hash, shard) = self.shard(partition);
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = shard.table.find(hash, |it| it.partition == *partition)
            && kept.decoded.revision == known
            && seen.0 == shard.changes
        {
            kept.confirmed.set(now);
        }
    }

    pub(crate) fn put_section(
        &self,
        section: &CredentialType,
        decoded: Arc<Decoded>,
        seen: Seen,
        now: Moment,
    ) {
        let weight = weight(&decoded);
        let kept = weight as usize <= self.limit;
        let mut sections = self.sections.write().unwrap_or_else(PoisonError::into_inner);
        let old = sections.list.iter().position(|it| it.section == *section);
        let old = old.map(|at| sections.list.swap_remove(at));
        if kept {
            let confirmed = if seen.0 == sections.changes { now } else { Moment::NEVER };
            let section = section.clone();
            sections.list.push(CachedSection { section, decoded, weight, confirmed });
        }
        drop(sections);
        self.weigh(if kept { weight } else { 0 }, old.map_or(0, |it| it.weight));
        self.make_room();
    }

    /// As [`confirm`](Self::confirm).
    pub(crate) fn confirm_section(
        &self,
        section: &CredentialType,
        known: Revision,
        seen: Seen,
        now: Moment,
    ) {
        let mut sections = self.sections.write().unwrap_or_else(PoisonError::into_inner);
        let is_current = seen.0 == sections.changes;
        let known = sections
            .list
            .iter_mut()
            .find(|it| is_current && it.section == *section && it.decoded.revision == known);
        if let Some(known) = known {
            known.confirmed = now;
        }
    }

    /// Drops what a commit has changed, so that a secret that was removed from the store is not kept
    /// here. The rest of a partition, and the entries that were `written`, need not be decoded
    /// again; nor even read, where the commit expected what is known. `revisions` are those that it
    /// returned.
    ///
    /// After a commit whose outcome is unknown, there are no `revisions`: what is known is what it
    /// was to make, and the store is asked before it is used, unless there is an outage.
    pub(crate) fn committed(
        &self,
        batch: &Batch,
        written: &[Entry],
        revisions: &[Revision],
        now: Moment,
    ) {
        // Accounts and metadata have no secrets. They are kept for the next listing, which asks the
        // store whether they are up to date.
        let mut sections = self.sections.write().unwrap_or_else(PoisonError::into_inner);
        sections.changes += 1;
        sections.list.retain_mut(|it| {
            let stays = matches!(it.section, CredentialType::Account | CredentialType::AppMetadata);
            if !stays {
                self.weigh(0, it.weight);
            } else if it.confirmed != Moment::NEVER && differs(&it.section, batch) {
                it.confirmed = Moment::NEVER;
            }
            stays
        });
        drop(sections);
        for (nth, change) in batch.changes().iter().enumerate() {
            if change.ops().is_empty() {
                continue;
            }
            let expects = |known| change.expect() == Expect::Revision(known);
            let (hash, shard) = self.shard(change.partition());
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.changes += 1;
            let kept = shard.table.find_mut(hash, |it| it.partition == *change.partition());
            let (before, was_exact) = match &kept {
                Some(it) => (&*it.decoded.entries, it.is_exact && expects(it.decoded.revision)),
                None if expects(Revision::ABSENT) => (&[][..], true),
                None => continue,
            };
            let (entries, is_whole) = after(before, change, written);
            let given = revisions.get(nth).filter(|_| was_exact && is_whole);
            // Else a revision that no store has: the next load reads.
            let revision = given.copied().unwrap_or_else(Revision::unique);
            let (decoded, is_exact) = (Arc::new(Decoded::new(revision, entries)), given.is_some());
            // What was put and isn't known may be newer than the rest.
            let now = if is_whole { now } else { Moment::NEVER };
            if let Some(kept) = kept {
                let weight = weight(&decoded);
                self.weigh(weight, kept.weight);
                (kept.decoded, kept.is_exact, kept.weight) = (decoded, is_exact, weight);
                if is_exact || !is_whole {
                    kept.confirmed.set(now);
                }
            } else {
                let seen = Seen(shard.changes);
                drop(shard);
                self.put(change.partition(), decoded, is_exact, seen, now);
            }
        }
    }

    /// Drops what a commit may have changed.
    pub(crate) fn forget(&self, batch: &Batch) {
        self.forget_sections();
        for change in batch.changes() {
            self.forget_partition(change.partition());
        }
    }

    /// Drops a partition and all listings.
    pub(crate) fn forget_one(&self, partition: &Partition) {
        self.forget_sections();
        self.forget_partition(partition);
    }

    pub(crate) fn forget_all(&self) {
        self.forget_sections();
        self.forget_where(|_| true);
    }

    /// Drops the partitions for which `is_forgotten`.
    pub(crate) fn forget_where(&self, is_forgotten: impl Fn(&Decoded) -> bool) {
        for shard in &self.partitions {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.changes += 1;
            shard.table.retain(|it| {
                let stays = !is_forgotten(&it.decoded);
                self.weigh(0, if stays { 0 } else { it.weight });
                stays
            });
        }
    }

    pub(crate) fn forget_sections(&self) {
        let mut sections = self.sections.write().unwrap_or_else(PoisonError::into_inner);
        sections.changes += 1;
        sections.list.drain(..).for_each(|it| self.weigh(0, it.weight));
    }

    fn forget_partition(&self, partition: &Partition) {
        let (hash, shard) = self.shard(partition);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        shard.changes += 1;
        if let Ok(kept) = shard.table.find_entry(hash, |it| it.partition == *partition) {
            self.weigh(0, kept.remove().0.weight);
        }
    }

    fn shard(&self, partition: &Partition) -> (u64, &RwLock<Shard>) {
        let hash = self.hasher.hash_one(partition);
        // The table uses other bits of the hash.
        let shard = usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or_default();
        (hash, &self.partitions[shard])
    }

    fn weigh(&self, more: Weight, less: Weight) {
        let (more, less) = (more as usize, less as usize);
        self.weight.fetch_add(more, Ordering::Relaxed);
        let before = self.weight.fetch_sub(less, Ordering::Relaxed);
        metrics::decoded(before.saturating_sub(less));
    }

    /// Drops the least recently used partitions down to three quarters of the limit: rarely and
    /// many, so that sorting costs little for each.
    fn make_room(&self) {
        if self.weight.load(Ordering::Relaxed) <= self.limit {
            return;
        }
        let mut by_use = Vec::new();
        for shard in &self.partitions {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            by_use.extend(
                shard
                    .table
                    .iter()
                    .map(|it| (it.used.load(Ordering::Relaxed), it.partition.clone())),
            );
        }
        by_use.sort_unstable_by_key(|(used, _)| *used);
        // The one that was just put is the last, and is kept.
        by_use.pop();
        for (_, partition) in by_use {
            if self.weight.load(Ordering::Relaxed) <= self.limit / 4 * 3 {
                return;
            }
            let (hash, shard) = self.shard(&partition);
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            if let Ok(kept) = shard.table.find_entry(hash, |it| it.partition == partition) {
                let (kept, _) = kept.remove();
                self.weigh(0, kept.weight);
            }
        }
        // The rest of the memory is taken by listings.
        let mut sections = self.sections.write().unwrap_or_else(PoisonError::into_inner);
        while self.weight.load(Ordering::Relaxed) > self.limit && !sections.list.is_empty() {
            let oldest = sections.list.remove(0);
            self.weigh(0, oldest.weight);
        }
    }
}

/// Whether a listing of this section lacks what a commit changes in it. A known user who signs in
/// again, or whose token is refreshed, is in the listing.
fn differs(section: &CredentialType, batch: &Batch) -> bool {
    batch.changes().iter().any(|change| {
        let is_new = change.expect() == Expect::Revision(Revision::ABSENT);
        change
            .ops()
            .iter()
            .any(|op| op.target().0 == section && (is_new || matches!(op, Op::Delete { .. })))
    })
}

/// Approximately how much memory a partition takes, in bytes. Texts that the store has in memory
/// too are not counted.
fn weight(decoded: &Decoded) -> Weight {
    let entry = |it: &Entry| {
        let record = it.record();
        it.overhead() + if record.is_shared() { 0 } else { record.value().expose().len() }
    };
    let size = size_of::<CachedPartition>() + decoded.entries.iter().map(entry).sum::<usize>();
    Weight::try_from(size).unwrap_or(Weight::MAX)
}

#[cfg(test)]
mod tests;
