//! Partitions that have been read, so that what has not changed isn't read twice.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::{DefaultHashBuilder, HashTable};
use msal_cache_core::{
    Batch, Change, CredentialType, Expect, Op, Partition, Record, Revision, Snapshot,
};

use crate::Entry;

/// The entries of a partition, or of a section across partitions, as they stood at a revision.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) revision: Revision,
    pub(crate) entries: Vec<Entry>,
}

impl Decoded {
    /// Reads a snapshot; an entry that is known and has not changed isn't read again.
    pub(crate) fn of(snapshot: Snapshot, known: Option<&Self>) -> Self {
        let Snapshot { revision, records } = snapshot;
        let mut known = known.map_or_else(Default::default, |it| it.entries.iter());
        let read = |record: Record| {
            // Records keep their order, so the known ones are met in order.
            let same = |it: &&Entry| {
                it.record().key == record.key
                    && it.record().credential_type == record.credential_type
            };
            match known.find(same) {
                Some(entry) if *entry.record() == record => entry.clone(),
                _ => Entry::read(record),
            }
        };
        Self { revision, entries: records.into_iter().map(read).collect() }
    }
}

impl Decoded {
    /// About how much memory it takes, in bytes: what the store has in memory too not counted.
    fn weight(&self) -> usize {
        let entry = |it: &Entry| {
            let json = it.json();
            it.overhead() + if json.is_shared() { 0 } else { json.expose().len() }
        };
        size_of::<Kept>() + self.entries.iter().map(entry).sum::<usize>()
    }
}

/// The latest readings, up to an amount of memory in all.
///
/// A reader takes one lock out of many and writes nothing, so readers on all processors go on at
/// the same time.
#[derive(Debug)]
pub(crate) struct Shelf {
    partitions: [RwLock<HashTable<Kept>>; SHARDS],
    /// Sections across all partitions.
    sections: RwLock<Vec<(CredentialType, Arc<Decoded>, usize)>>,
    hasher: DefaultHashBuilder,
    /// In bytes.
    weight: AtomicUsize,
    limit: usize,
    /// Counts what was put: the clock by which it is known what was used longest ago. A reader
    /// sets it for what it reads, which mostly it is at already, and so doesn't write.
    time: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    partition: Partition,
    decoded: Arc<Decoded>,
    /// Whether the store has given the revision for exactly these entries. If not, they are only
    /// here to be not decoded again.
    is_exact: bool,
    weight: usize,
    used: AtomicU64,
}

/// By far more than threads that run at the same time.
const SHARDS: usize = 64;

/// In bytes. Room for some 5,000 users of a file or a database, and some 40,000 of a store that
/// has its records in memory anyway.
pub(crate) const DEFAULT_LIMIT: usize = 64 << 20;

impl Default for Shelf {
    fn default() -> Self {
        Self::of(DEFAULT_LIMIT)
    }
}

impl Shelf {
    /// One that takes so many bytes.
    pub(crate) fn of(limit: usize) -> Self {
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

    /// A partition exactly as it was at its revision. A commit can expect that.
    pub(crate) fn exact(&self, partition: &Partition) -> Option<Arc<Decoded>> {
        self.find(partition, |it| it.is_exact)
    }

    fn find(&self, partition: &Partition, filter: impl Fn(&Kept) -> bool) -> Option<Arc<Decoded>> {
        let (hash, shard) = self.place(partition);
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
        // Without entries it costs nothing to read again.
        let weight = if decoded.entries.is_empty() { 0 } else { decoded.weight() };
        let kept = weight > 0 && weight <= self.limit;
        let used = AtomicU64::new(self.time.fetch_add(1, Ordering::Relaxed) + 1);
        let (hash, shard) = self.place(partition);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let old = match shard.find_entry(hash, |it| it.partition == *partition) {
            Ok(known) => Some(known.remove().0),
            Err(_) => None,
        };
        if kept {
            let partition = partition.clone();
            let new = Kept { partition, decoded, is_exact, weight, used };
            shard.insert_unique(hash, new, |it| self.hasher.hash_one(&it.partition));
        }
        drop(shard);
        self.weigh(if kept { weight } else { 0 }, old.map_or(0, |old| old.weight));
        self.make_room();
    }

    pub(crate) fn put_section(&self, section: &CredentialType, decoded: Arc<Decoded>) {
        let weight = decoded.weight();
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

    /// Drops what a commit has changed, so that a secret that was removed from the cache is not
    /// kept here. The rest of a partition, and the entries that were `written`, need not be
    /// decoded again; nor even read, where the commit expected what is known. `revisions` are
    /// those that it has returned.
    pub(crate) fn committed(&self, batch: &Batch, written: &[Entry], revisions: &[Revision]) {
        // Accounts and metadata hold no secrets. They stay for the next listing, which asks the
        // store whether they are up to date, and reads again what isn't.
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
            let (hash, shard) = self.place(change.partition());
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let kept = shard.find_mut(hash, |it| it.partition == *change.partition());
            let (before, was_exact) = match &kept {
                Some(it) => (&*it.decoded.entries, it.is_exact && expects(it.decoded.revision)),
                None if expects(Revision::ABSENT) => (&[][..], true),
                None => continue,
            };
            let (entries, is_whole) = after(before, change, written);
            let given = revisions.get(nth).filter(|_| was_exact && is_whole);
            // Or a revision that no store has given: the next load reads.
            let revision = given.copied().unwrap_or_else(Revision::unique);
            let (decoded, is_exact) = (Arc::new(Decoded { revision, entries }), given.is_some());
            if let Some(kept) = kept {
                let weight = decoded.weight();
                self.weigh(weight, kept.weight);
                (kept.decoded, kept.is_exact, kept.weight) = (decoded, is_exact, weight);
            } else {
                drop(shard);
                self.put(change.partition(), decoded, is_exact);
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

    fn place(&self, partition: &Partition) -> (u64, &RwLock<HashTable<Kept>>) {
        let hash = self.hasher.hash_one(partition);
        // The table within uses other bits of the hash.
        let shard = usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or_default();
        (hash, &self.partitions[shard])
    }

    fn weigh(&self, more: usize, less: usize) {
        self.weight.fetch_add(more, Ordering::Relaxed);
        self.weight.fetch_sub(less, Ordering::Relaxed);
    }

    /// Forgets what was used longest ago, down to three quarters: once in a while and much, so
    /// that sorting costs little for each partition.
    fn make_room(&self) {
        if self.weight.load(Ordering::Relaxed) <= self.limit {
            return;
        }
        let mut by_use = Vec::new();
        for shard in &self.partitions {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let used = |it: &Kept| (it.used.load(Ordering::Relaxed), it.partition.clone());
            by_use.extend(shard.iter().map(used));
        }
        by_use.sort_unstable_by_key(|(used, _)| *used);
        // The one that was just put is the last and stays.
        by_use.pop();
        for (_, partition) in by_use {
            if self.weight.load(Ordering::Relaxed) <= self.limit / 4 * 3 {
                return;
            }
            let (hash, shard) = self.place(&partition);
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            if let Ok(kept) = shard.find_entry(hash, |it| it.partition == partition) {
                let (kept, _) = kept.remove();
                self.weigh(0, kept.weight);
            }
        }
        // What is left is a listing that takes most of the room.
        let mut sections = self.sections.write().unwrap_or_else(PoisonError::into_inner);
        while self.weight.load(Ordering::Relaxed) > self.limit && !sections.is_empty() {
            let (_, _, weight) = sections.remove(0);
            self.weigh(0, weight);
        }
    }
}

/// The entries of a partition after a commit, of which those among `written` are known that it
/// has put; and whether that is all of them, in their order.
fn after(entries: &[Entry], change: &Change, written: &[Entry]) -> (Vec<Entry>, bool) {
    let mut known = Vec::new();
    let mut is_whole = true;
    for (nth, op) in change.ops().iter().enumerate() {
        match op {
            Op::Put(record) => {
                let new = written.iter().find(|it| it.record() == record);
                // What was deleted first goes to the end.
                let is_again =
                    || change.ops()[..nth].iter().any(|it| target_of(it) == target_of(op));
                is_whole &= new.is_some() && !is_again();
                known.extend(new);
            }
            Op::Delete { .. } => {}
            _ => is_whole = false,
        }
    }
    let index = Index::of(change.ops());
    let mut after = Vec::with_capacity(entries.len() + known.len());
    for entry in entries {
        if !index.is_touched(entry) {
            after.push(entry.clone());
        } else if let Some(at) = known.iter().position(|it| it.is_at_place_of(entry)) {
            after.push(known.remove(at).clone());
        }
    }
    after.extend(known.into_iter().cloned());
    (after, is_whole)
}

/// The keys that a commit touches.
enum Index<'a> {
    Few(&'a [Op]),
    Many(HashSet<(&'a CredentialType, &'a str)>),
    /// This version doesn't know all of the operations.
    All,
}

/// Up to so many operations, looking at each one is as fast as an index.
const FEW: usize = 16;

impl<'a> Index<'a> {
    fn of(ops: &'a [Op]) -> Self {
        if ops.len() <= FEW {
            return Self::Few(ops);
        }
        ops.iter().map(target_of).collect::<Option<_>>().map_or(Self::All, Self::Many)
    }

    fn is_touched(&self, entry: &Entry) -> bool {
        let place = (entry.credential_type(), entry.key());
        match self {
            Self::Few(ops) => ops.iter().any(|op| target_of(op).is_none_or(|it| it == place)),
            Self::Many(keys) => keys.contains(&place),
            Self::All => true,
        }
    }
}

/// Section and key; nothing for an operation that this version doesn't know.
fn target_of(op: &Op) -> Option<(&CredentialType, &str)> {
    match op {
        Op::Put(record) => Some((&record.credential_type, &record.key)),
        Op::Delete { credential_type, key } => Some((credential_type, key)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use msal_cache_core::{Expect, Json};

    use super::*;

    fn record(key: &str, json: &str) -> Record {
        Record::new(CredentialType::Account, key, Json::from_stored(json))
    }

    fn decoded(bytes: usize) -> Arc<Decoded> {
        let json = format!(r#"{{"home_account_id":"u","x":"{}"}}"#, "x".repeat(bytes));
        Arc::new(Decoded {
            revision: Revision::unique(),
            entries: vec![Entry::read(record("k", &json))],
        })
    }

    fn user(number: usize) -> Partition {
        Partition::user(&number.to_string())
    }

    #[test]
    fn what_was_used_longest_ago_is_forgotten() {
        let shelf = Shelf::of(100_000);
        for number in 0..9 {
            shelf.put_partition(&user(number), decoded(10_000));
        }
        assert!(shelf.partition(&user(0)).is_some());
        shelf.put_partition(&user(9), decoded(10_000));
        assert!(shelf.partition(&user(0)).is_some(), "just used");
        assert!(shelf.partition(&user(1)).is_none(), "used longest ago");
        assert!(shelf.partition(&user(9)).is_some(), "just put");
        assert!(shelf.weight.load(Ordering::Relaxed) <= 100_000);
    }

    #[test]
    fn what_the_store_has_in_memory_too_weighs_less() {
        let kept = decoded(10_000);
        let alone = kept.weight();
        let _store = kept.entries[0].json().clone();
        assert!(kept.weight() + 10_000 <= alone);
    }

    #[test]
    fn a_listing_makes_room_too() {
        let shelf = Shelf::of(30_000);
        shelf.put_section(&CredentialType::Account, decoded(20_000));
        shelf.put_section(&CredentialType::IdToken, decoded(9_000));
        assert!(shelf.section(&CredentialType::Account).is_none());
        assert!(shelf.section(&CredentialType::IdToken).is_some());
        shelf.forget_all();
        assert!(shelf.section(&CredentialType::IdToken).is_none());
        assert_eq!(shelf.weight.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_a_commit_has_changed_is_dropped_and_every_listing_of_secrets_with_it() {
        let shelf = Shelf::default();
        let partition = Partition::user("u");
        let record = |key: &str| record(key, r#"{"home_account_id":"u"}"#);
        let records = ["kept", "deleted", "put"].map(record).to_vec();
        let before = Decoded::of(Snapshot { revision: Revision::unique(), records }, None);
        let known = before.revision;
        shelf.put_partition(&partition, Arc::new(before));
        for section in CredentialType::KNOWN {
            shelf.put_section(&section, decoded(2));
        }

        let mut batch = Batch::new();
        let change = batch.change(partition.clone(), Expect::Any);
        change.delete(CredentialType::Account, "deleted".into()).put(record("put"));
        change.put(record("new"));
        let written = [Entry::read(record("new"))];
        shelf.committed(&batch, &written, &[]);
        for section in CredentialType::KNOWN {
            let public = matches!(section, CredentialType::Account | CredentialType::AppMetadata);
            assert_eq!(shelf.section(&section).is_some(), public, "{section}");
        }
        let left = shelf.partition(&partition).unwrap();
        assert_ne!(left.revision, known, "it would pass for what the store holds");
        let keys: Vec<_> = left.entries.iter().map(Entry::key).collect();
        assert_eq!(keys, ["kept", "new"]);
        assert!(std::ptr::eq(left.entries[1].record(), written[0].record()));
        shelf.forget_all();
        assert!(shelf.partition(&partition).is_none());
        assert_eq!(shelf.weight.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_commit_of_many_is_indexed_and_does_the_same() {
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
    fn what_is_known_is_not_read_again() {
        let snapshot = |records| Snapshot { revision: Revision::unique(), records };
        let old = Decoded::of(
            snapshot(vec![record("a", "1"), record("b", "2"), record("c", "3"), record("d", "4")]),
            None,
        );
        let records =
            vec![record("a", "1"), record("c", "changed"), record("d", "4"), record("new", "5")];
        let new = Decoded::of(snapshot(records.clone()), Some(&old));
        let read: Vec<_> = new.entries.iter().map(|it| it.record().clone()).collect();
        assert_eq!(read, records);
        let shared = |at: usize, known: usize| {
            std::ptr::eq(new.entries[at].record(), old.entries[known].record())
        };
        assert!(shared(0, 0) && shared(2, 3));
        assert!(!shared(1, 2));
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_displaces_nothing() {
        let shelf = Shelf::of(50_000);
        shelf.put_partition(&user(1), decoded(1));
        shelf.put_partition(&user(2), decoded(50_000));
        assert!(shelf.partition(&user(1)).is_some());
        assert!(shelf.partition(&user(2)).is_none());
    }
}
