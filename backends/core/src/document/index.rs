use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::HashTable;

/// The indexes of keys in a list, by their hashes. The hashes are kept, so that no key is hashed
/// again when the table grows; the keys are only in the list.
#[derive(Default)]
pub(crate) struct KeyIndex {
    indexes: HashTable<(u64, usize)>,
    hasher: DefaultHashBuilder,
}

impl KeyIndex {
    /// The index of `key`; `is_at` says whether it is at an index.
    pub(crate) fn find(&self, key: &str, is_at: impl Fn(usize) -> bool) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        self.indexes.find(hash, |(it, at)| *it == hash && is_at(*at)).map(|(_, at)| *at)
    }

    /// The index of `key`; inserts `next`, and returns `None`, if it is absent.
    pub(crate) fn find_or_insert(
        &mut self,
        key: &str,
        next: usize,
        is_at: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        let same = |(it, at): &(u64, usize)| *it == hash && is_at(*at);
        match self.indexes.entry(hash, same, |(it, _)| *it) {
            hashbrown::hash_table::Entry::Occupied(known) => Some(known.get().1),
            hashbrown::hash_table::Entry::Vacant(free) => {
                free.insert((hash, next));
                None
            }
        }
    }
}
