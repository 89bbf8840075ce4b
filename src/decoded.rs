//! Partitions that have been read, so that what has not changed isn't read twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use msal_cache_core::{Batch, CredentialType, Op, Partition, Record, Revision, Snapshot};

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

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Partition(Partition),
    Section(CredentialType),
}

/// How many entries are kept decoded. At 2 KB each, that is some 20 MB.
const MOST_ENTRIES: usize = 10_000;

/// The latest reading of each scope, up to a number of entries in all.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// With the moment of the last use, counted in uses.
    scopes: HashMap<Scope, (Arc<Decoded>, u64)>,
    entries: usize,
    uses: u64,
}

impl Shelf {
    pub(crate) fn get(&self, scope: &Scope) -> Option<Arc<Decoded>> {
        let held = &mut *self.lock();
        held.uses += 1;
        let (decoded, used) = held.scopes.get_mut(scope)?;
        *used = held.uses;
        Some(decoded.clone())
    }

    pub(crate) fn put(&self, scope: Scope, decoded: Arc<Decoded>) {
        let held = &mut *self.lock();
        held.uses += 1;
        held.remove(&scope);
        // Without entries it costs nothing to read again.
        if decoded.entries.is_empty() || decoded.entries.len() > MOST_ENTRIES {
            return;
        }
        held.entries += decoded.entries.len();
        held.scopes.insert(scope, (decoded, held.uses));
        if held.entries > MOST_ENTRIES {
            held.make_room();
        }
    }

    /// Drops what a commit has changed, so that a secret that was removed from the cache is not
    /// kept here. The rest of a partition, and the entries that were `written`, need not be
    /// decoded again.
    pub(crate) fn outdate(&self, batch: &Batch, written: &[Entry]) {
        let held = &mut *self.lock();
        held.scopes.retain(|scope, (decoded, _)| {
            let stays = matches!(scope, Scope::Partition(_));
            held.entries -= if stays { 0 } else { decoded.entries.len() };
            stays
        });
        for change in batch.changes() {
            let scope = Scope::Partition(change.partition().clone());
            let Some((decoded, _)) = held.scopes.get_mut(&scope) else { continue };
            let mut written: Vec<_> =
                written.iter().filter(|it| it.partition() == change.partition()).collect();
            let now = |entry: &Entry| {
                if !change.ops().iter().any(|op| op_is_on(op, entry)) {
                    return Some(entry.clone());
                }
                let at = written.iter().position(|it| it.is_at_place_of(entry))?;
                Some(written.remove(at).clone())
            };
            let mut entries: Vec<_> = decoded.entries.iter().filter_map(now).collect();
            entries.extend(written.into_iter().cloned());
            held.entries = held.entries - decoded.entries.len() + entries.len();
            // A revision that no store has given: the next load reads.
            *decoded = Arc::new(Decoded { revision: Revision::unique(), entries });
        }
    }

    pub(crate) fn forget_all(&self) {
        *self.lock() = Held::default();
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn op_is_on(op: &Op, entry: &Entry) -> bool {
    let (credential_type, key) = match op {
        Op::Put(record) => (&record.credential_type, &record.key),
        Op::Delete { credential_type, key } => (credential_type, key),
        _ => return true,
    };
    entry.record().key == *key && entry.credential_type() == credential_type
}

impl Held {
    fn remove(&mut self, scope: &Scope) {
        if let Some((decoded, _)) = self.scopes.remove(scope) {
            self.entries -= decoded.entries.len();
        }
    }

    /// Forgets what was used longest ago, down to three quarters: once in a while and much, so
    /// that sorting costs little for each scope.
    fn make_room(&mut self) {
        let mut by_use: Vec<_> =
            self.scopes.iter().map(|(scope, (_, used))| (*used, scope.clone())).collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        // The one that was just put is the last and stays.
        by_use.pop();
        for (_, scope) in by_use {
            if self.entries <= MOST_ENTRIES / 4 * 3 {
                break;
            }
            self.remove(&scope);
        }
    }
}

#[cfg(test)]
mod tests {
    use msal_cache_core::{Expect, Json};

    use super::*;

    fn decoded(entries: usize) -> Arc<Decoded> {
        let entry = Entry::read(Record::new("Account".into(), "k", Json::from_stored("{}")));
        Arc::new(Decoded { revision: Revision::unique(), entries: vec![entry; entries] })
    }

    #[test]
    fn what_was_used_longest_ago_is_forgotten() {
        let shelf = Shelf::default();
        let scope = |n: usize| Scope::Partition(Partition::user(&n.to_string()));
        for n in 0..10 {
            shelf.put(scope(n), decoded(1000));
        }
        assert!(shelf.get(&scope(0)).is_some());
        shelf.put(scope(10), decoded(1000));
        assert!(shelf.get(&scope(0)).is_some(), "just used");
        assert!(shelf.get(&scope(1)).is_none(), "used longest ago");
        assert!(shelf.get(&scope(10)).is_some(), "just put");
        assert!(shelf.lock().entries <= MOST_ENTRIES);
    }

    #[test]
    fn what_a_commit_has_changed_is_dropped_and_every_listing_with_it() {
        let shelf = Shelf::default();
        let partition = Partition::user("u");
        let record = |key: &str| {
            let value = Json::from_stored(r#"{"home_account_id":"u"}"#);
            Record::new(CredentialType::Account, key, value)
        };
        let records = ["kept", "deleted", "put"].map(record).to_vec();
        let before = Decoded::of(Snapshot { revision: Revision::unique(), records }, None);
        let (known, scope) = (before.revision, Scope::Partition(partition.clone()));
        let section = Scope::Section(CredentialType::Account);
        shelf.put(scope.clone(), Arc::new(before));
        shelf.put(section.clone(), decoded(2));

        let mut batch = Batch::new();
        let change = batch.change(partition, Expect::Any);
        change.delete(CredentialType::Account, "deleted".into()).put(record("put"));
        change.put(record("new"));
        let written = [Entry::read(record("new"))];
        shelf.outdate(&batch, &written);
        assert!(shelf.get(&section).is_none());
        let left = shelf.get(&scope).unwrap();
        assert_ne!(left.revision, known, "it would pass for what the store holds");
        let keys: Vec<_> = left.entries.iter().map(Entry::key).collect();
        assert_eq!(keys, ["kept", "new"]);
        assert!(std::ptr::eq(left.entries[1].record(), written[0].record()));
        assert_eq!(shelf.lock().entries, 2);
        shelf.forget_all();
        assert!(shelf.get(&scope).is_none());
    }

    #[test]
    fn what_is_known_is_not_read_again() {
        let record = |key: &str, value: &str| {
            Record::new(CredentialType::Account, key, Json::from_stored(value))
        };
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
        let shelf = Shelf::default();
        let (small, large) = (Partition::user("small"), Partition::user("large"));
        shelf.put(Scope::Partition(small.clone()), decoded(1));
        shelf.put(Scope::Partition(large.clone()), decoded(MOST_ENTRIES + 1));
        assert!(shelf.get(&Scope::Partition(small)).is_some());
        assert!(shelf.get(&Scope::Partition(large)).is_none());
    }
}
