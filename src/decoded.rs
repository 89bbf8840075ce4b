//! Partitions that have been read, so that what has not changed isn't read twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use msal_cache_core::{CredentialType, Partition, Revision};

use crate::Entry;

/// The entries of a partition, or of a section across partitions, as they stood at a revision.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) revision: Revision,
    pub(crate) entries: Vec<Entry>,
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

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    use msal_cache_core::{Json, Record};

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
    fn what_is_too_large_is_not_kept_and_displaces_nothing() {
        let shelf = Shelf::default();
        let (small, large) = (Partition::user("small"), Partition::user("large"));
        shelf.put(Scope::Partition(small.clone()), decoded(1));
        shelf.put(Scope::Partition(large.clone()), decoded(MOST_ENTRIES + 1));
        assert!(shelf.get(&Scope::Partition(small)).is_some());
        assert!(shelf.get(&Scope::Partition(large)).is_none());
    }
}
