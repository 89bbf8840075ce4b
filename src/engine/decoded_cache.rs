//! A cache of decoded partitions, so that what has not changed isn't read twice.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::{DefaultHashBuilder, HashTable};
use msal_cache_core::{Batch, Change, CredentialType, Expect, Op, Partition, Revision};

use crate::engine::metrics;
use crate::model::{Decoded, Entry};

/// The partitions and sections that were read last, limited in memory.
///
/// A reader takes one of many locks and writes nothing, so readers on all processors run at the same
/// time.
#[derive(Debug)]
pub(crate) struct DecodedCache {
    partitions: [RwLock<HashTable<CachedPartition>>; SHARDS],
    /// Sections across all partitions.
    sections: RwLock<Vec<(CredentialType, Arc<Decoded>, usize)>>,
    hasher: DefaultHashBuilder,
    /// In bytes.
    weight: AtomicUsize,
    limit: usize,
    /// Counts what was put: the clock by which the least recently used partition is found. A reader
    /// stores it in what it reads, unless it is there already, so mostly doesn't write.
    time: AtomicU64,
}

#[derive(Debug)]
struct CachedPartition {
    partition: Partition,
    decoded: Arc<Decoded>,
    /// Whether the store has this revision for exactly these entries. If not, they are kept only so
    /// that they aren't decoded again.
    is_exact: bool,
    weight: usize,
    used: AtomicU64,
}

/// By far more than threads that run at the same time.
const SHARDS: usize = 64;

impl DecodedCache {
    /// Creates a cache limited to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            partitions: [const { RwLock::new(HashTable::new()) }; SHARDS],
            sections: RwLock::default(),
            hasher: DefaultHashBuilder::default(),
            weight: AtomicUsize::new(0),
            limit,
            time: AtomicU64::new(0),
        }
    }

    pub(crate) fn partition(&self, partition: &Partition) -> Option<Arc<Decoded>> {
        self.find(partition, |_| true)
    }

    /// A partition exactly as it was at its revision, which a commit can expect.
    pub(crate) fn exact(&self, partition: &Partition) -> Option<Arc<Decoded>> {
        self.find(partition, |it| it.is_exact)
    }

    fn find(
        &self,
        partition: &Partition,
        filter: impl Fn(&CachedPartition) -> bool,
    ) -> Option<Arc<Decoded>> {
        let (hash, shard) = self.shard(partition);
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        let kept = shard.find(hash, |it| it.partition == *partition).filter(|it| filter(it))?;
        let now = self.time.load(Ordering::Relaxed);
        if kept.used.load(Ordering::Relaxed) != now {
            kept.used.store(now, Ordering::Relaxed);
        }
        Some(kept.decoded.clone())
    }

    pub(crate) fn section(&self, section: &CredentialType) -> Option<Arc<Decoded>> {
        let sections = self.sections.read().unwrap_or_else(PoisonError::into_inner);
        sections.iter().find(|(it, ..)| it == section).map(|(_, decoded, _)| decoded.clone())
    }

    pub(crate) fn put_partition(&self, partition: &Partition, decoded: Arc<Decoded>) {
        self.put(partition, decoded, true);
    }

    fn put(&self, partition: &Partition, decoded: Arc<Decoded>, is_exact: bool) {
        // Without entries, a user costs nothing to read again. Each request reads the metadata.
        let is_kept = !decoded.entries.is_empty() || *partition == Partition::app_metadata();
        let weight = if is_kept { weight(&decoded) } else { 0 };
        let kept = weight > 0 && weight <= self.limit;
        let used = AtomicU64::new(self.time.fetch_add(1, Ordering::Relaxed) + 1);
        let (hash, shard) = self.shard(partition);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let old = match shard.find_entry(hash, |it| it.partition == *partition) {
            Ok(known) => Some(known.remove().0),
            Err(_) => None,
        };
        if kept {
            let partition = partition.clone();
            let new = CachedPartition { partition, decoded, is_exact, weight, used };
            shard.insert_unique(hash, new, |it| self.hasher.hash_one(&it.partition));
        }
        drop(shard);
        self.weigh(if kept { weight } else { 0 }, old.map_or(0, |old| old.weight));
        self.make_room();
    }

    pub(crate) fn put_section(&self, section: &CredentialType, decoded: Arc<Decoded>) {
        let weight = weight(&decoded);
        let kept = weight <= self.limit;
        let mut sections = self.sections.write().unwrap_or_else(PoisonError::into_inner);
        let old = sections.iter().position(|(it, ..)| it == section);
        let old = old.map(|at| sections.swap_remove(at));
        if kept {
            sections.push((section.clone(), decoded, weight));
        }
        drop(sections);
        self.weigh(if kept { weight } else { 0 }, old.map_or(0, |(_, _, weight)| weight));
        self.make_room();
    }

    /// Drops what a commit has changed, so that a secret that was removed from the store is not kept
    /// here. The rest of a partition, and the entries that were `written`, need not be decoded
    /// again; nor even read, where the commit expected what is known. `revisions` are those that it
    /// returned.
    pub(crate) fn committed(&self, batch: &Batch, written: &[Entry], revisions: &[Revision]) {
        // Accounts and metadata have no secrets. They are kept for the next listing, which asks the
        // store whether they are up to date.
        let mut sections = self.sections.write().unwrap_or_else(PoisonError::into_inner);
        sections.retain(|(section, _, weight)| {
            let stays = matches!(section, CredentialType::Account | CredentialType::AppMetadata);
            self.weigh(0, if stays { 0 } else { *weight });
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
            let kept = shard.find_mut(hash, |it| it.partition == *change.partition());
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
            if let Some(kept) = kept {
                let weight = weight(&decoded);
                self.weigh(weight, kept.weight);
                (kept.decoded, kept.is_exact, kept.weight) = (decoded, is_exact, weight);
            } else {
                drop(shard);
                self.put(change.partition(), decoded, is_exact);
            }
        }
    }

    /// Drops what a commit may have changed.
    pub(crate) fn forget(&self, batch: &Batch) {
        let mut sections = self.sections.write().unwrap_or_else(PoisonError::into_inner);
        sections.drain(..).for_each(|(_, _, weight)| self.weigh(0, weight));
        drop(sections);
        for change in batch.changes() {
            let (hash, shard) = self.shard(change.partition());
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            if let Ok(kept) = shard.find_entry(hash, |it| it.partition == *change.partition()) {
                self.weigh(0, kept.remove().0.weight);
            }
        }
    }

    pub(crate) fn forget_all(&self) {
        let mut sections = self.sections.write().unwrap_or_else(PoisonError::into_inner);
        sections.drain(..).for_each(|(_, _, weight)| self.weigh(0, weight));
        drop(sections);
        for shard in &self.partitions {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.drain().for_each(|kept| self.weigh(0, kept.weight));
        }
    }

    fn shard(&self, partition: &Partition) -> (u64, &RwLock<HashTable<CachedPartition>>) {
        let hash = self.hasher.hash_one(partition);
        // The table uses other bits of the hash.
        let shard = usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or_default();
        (hash, &self.partitions[shard])
    }

    fn weigh(&self, more: usize, less: usize) {
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
            let used =
                |it: &CachedPartition| (it.used.load(Ordering::Relaxed), it.partition.clone());
            by_use.extend(shard.iter().map(used));
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
            if let Ok(kept) = shard.find_entry(hash, |it| it.partition == partition) {
                let (kept, _) = kept.remove();
                self.weigh(0, kept.weight);
            }
        }
        // The rest of the memory is taken by listings.
        let mut sections = self.sections.write().unwrap_or_else(PoisonError::into_inner);
        while self.weight.load(Ordering::Relaxed) > self.limit && !sections.is_empty() {
            let (_, _, weight) = sections.remove(0);
            self.weigh(0, weight);
        }
    }
}

/// The entries of a partition after a commit, as far as they are known: of those that it has put,
/// only the `written` ones are. Also whether that is all of them, in their order.
fn after(entries: &[Entry], change: &Change, written: &[Entry]) -> (Vec<Entry>, bool) {
    let mut known = Vec::new();
    let mut is_whole = true;
    for (nth, op) in change.ops().iter().enumerate() {
        match op {
            Op::Put(record) => {
                let new = written.iter().find(|it| it.record() == record);
                // A record that was deleted and put again is at the end.
                let is_again = || change.ops()[..nth].iter().any(|it| it.target() == op.target());
                is_whole &= new.is_some() && !is_again();
                known.extend(new);
            }
            Op::Delete { .. } => {}
        }
    }
    let touched = TouchedKeys::of(change.ops());
    let mut after = Vec::with_capacity(entries.len() + known.len());
    for entry in entries {
        if !touched.contains(entry) {
            after.push(entry.clone());
        } else if let Some(at) = known.iter().position(|it| it.has_key_of(entry)) {
            after.push(known.remove(at).clone());
        }
    }
    after.extend(known.into_iter().cloned());
    (after, is_whole)
}

/// The keys that a commit touches.
enum TouchedKeys<'a> {
    Few(&'a [Op]),
    Many(HashSet<(&'a CredentialType, &'a str)>),
}

/// Up to this many operations, a scan is as fast as an index.
const FEW: usize = 16;

impl<'a> TouchedKeys<'a> {
    fn of(ops: &'a [Op]) -> Self {
        if ops.len() <= FEW {
            Self::Few(ops)
        } else {
            Self::Many(ops.iter().map(Op::target).collect())
        }
    }

    fn contains(&self, entry: &Entry) -> bool {
        let key = (entry.credential_type(), entry.key());
        match self {
            Self::Few(ops) => ops.iter().any(|op| op.target() == key),
            Self::Many(keys) => keys.contains(&key),
        }
    }
}

/// Approximately how much memory a partition takes, in bytes. Texts that the store has in memory
/// too are not counted.
fn weight(decoded: &Decoded) -> usize {
    let entry = |it: &Entry| {
        let record = it.record();
        it.overhead() + if record.is_shared() { 0 } else { record.value().expose().len() }
    };
    size_of::<CachedPartition>() + decoded.entries.iter().map(entry).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use msal_cache_core::{Json, Record, Snapshot};

    use super::*;

    fn record(key: &str, json: &str) -> Record {
        Record::new(CredentialType::Account, key, Json::from_stored(json))
    }

    fn decoded(bytes: usize) -> Arc<Decoded> {
        let json = format!(r#"{{"home_account_id":"u","x":"{}"}}"#, "x".repeat(bytes));
        Arc::new(Decoded::new(Revision::unique(), vec![Entry::read(record("k", &json))]))
    }

    fn user(number: usize) -> Partition {
        Partition::user(&number.to_string())
    }

    #[test]
    fn the_least_recently_used_partition_is_dropped() {
        let cache = DecodedCache::new(100_000);
        for number in 0..9 {
            cache.put_partition(&user(number), decoded(10_000));
        }
        assert!(cache.partition(&user(0)).is_some());
        cache.put_partition(&user(9), decoded(10_000));
        assert!(cache.partition(&user(0)).is_some(), "just used");
        assert!(cache.partition(&user(1)).is_none(), "used longest ago");
        assert!(cache.partition(&user(9)).is_some(), "just put");
        assert!(cache.weight.load(Ordering::Relaxed) <= 100_000);
    }

    #[test]
    fn texts_that_the_store_has_in_memory_are_not_counted() {
        let kept = decoded(10_000);
        let alone = weight(&kept);
        let _store = kept.entries[0].record().clone();
        assert!(weight(&kept) + 10_000 <= alone);
    }

    #[test]
    fn listings_are_dropped_too() {
        let cache = DecodedCache::new(30_000);
        cache.put_section(&CredentialType::Account, decoded(20_000));
        cache.put_section(&CredentialType::IdToken, decoded(9_000));
        assert!(cache.section(&CredentialType::Account).is_none());
        assert!(cache.section(&CredentialType::IdToken).is_some());
        cache.forget_all();
        assert!(cache.section(&CredentialType::IdToken).is_none());
        assert_eq!(cache.weight.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_commit_drops_what_it_changes_and_all_listings_of_secrets() {
        let cache = DecodedCache::new(1 << 20);
        let partition = Partition::user("u");
        let record = |key: &str| record(key, r#"{"home_account_id":"u"}"#);
        let records = ["kept", "deleted", "put"].map(record).to_vec();
        let before = Decoded::of(Snapshot::new(Revision::unique(), records), None);
        let known = before.revision;
        cache.put_partition(&partition, Arc::new(before));
        for section in CredentialType::KNOWN {
            cache.put_section(&section, decoded(2));
        }

        let mut batch = Batch::new();
        let change = batch.change(partition.clone(), Expect::Any);
        change.delete(CredentialType::Account, "deleted".into()).put(record("put"));
        change.put(record("new"));
        let written = [Entry::read(record("new"))];
        cache.committed(&batch, &written, &[]);
        for section in CredentialType::KNOWN {
            let public = matches!(section, CredentialType::Account | CredentialType::AppMetadata);
            assert_eq!(cache.section(&section).is_some(), public, "{section}");
        }
        let left = cache.partition(&partition).unwrap();
        assert_ne!(left.revision, known, "it would be taken for what is stored");
        let keys: Vec<_> = left.entries.iter().map(Entry::key).collect();
        assert_eq!(keys, ["kept", "new"]);
        assert!(std::ptr::eq(left.entries[1].record(), written[0].record()));
        cache.forget_all();
        assert!(cache.partition(&partition).is_none());
        assert_eq!(cache.weight.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_commit_of_many_records_does_the_same() {
        let record = |nth: usize| record(&format!("k{nth}"), r#"{"home_account_id":"u"}"#);
        let entries: Vec<_> = (0..100).map(|nth| Entry::read(record(nth))).collect();
        let mut batch = Batch::new();
        let change = batch.change(Partition::user("u"), Expect::Any);
        for nth in (0..100).filter(|nth| nth % 2 == 0) {
            change.delete(CredentialType::Account, format!("k{nth}").into());
        }
        let (left, is_whole) = after(&entries, &batch.changes()[0], &[]);
        assert!(is_whole);
        assert!(left.iter().map(Entry::key).eq(entries.iter().skip(1).step_by(2).map(Entry::key)));
        assert_eq!(left.len(), 50);
    }

    #[test]
    fn a_partition_over_the_limit_is_not_kept_and_displaces_nothing() {
        let cache = DecodedCache::new(50_000);
        cache.put_partition(&user(1), decoded(1));
        cache.put_partition(&user(2), decoded(50_000));
        assert!(cache.partition(&user(1)).is_some());
        assert!(cache.partition(&user(2)).is_none());
    }
}
