use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::HashTable;

/// Where keys stand in a list: by their hashes, which are kept so that no key is read again when
/// the index grows. The keys themselves are in the list alone.
#[derive(Default)]
pub(crate) struct Index {
    places: HashTable<(u64, usize)>,
    hasher: DefaultHashBuilder,
}

impl Index {
    /// The place of a key, where `is_at` tells whether it stands at a place.
    pub(crate) fn find(&self, key: &str, is_at: impl Fn(usize) -> bool) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        self.places.find(hash, |(it, at)| *it == hash && is_at(*at)).map(|(_, at)| *at)
    }

    /// The same; a key that stands nowhere is from now on at `next`.
    pub(crate) fn find_or_insert(
        &mut self,
        key: &str,
        next: usize,
        is_at: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        let same = |(it, at): &(u64, usize)| *it == hash && is_at(*at);
        match self.places.entry(hash, same, |(it, _)| *it) {
            hashbrown::hash_table::Entry::Occupied(known) => Some(known.get().1),
            hashbrown::hash_table::Entry::Vacant(free) => {
                free.insert((hash, next));
                None
            }
        }
    }
}
