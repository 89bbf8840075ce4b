use std::sync::{Arc, OnceLock};

use msal_cache_core::{CredentialType, Record, Revision, Snapshot};

use crate::model::Entry;

/// The entries of a partition, or of a section across partitions, as they were at a revision.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) revision: Revision,
    pub(crate) entries: Vec<Entry>,
    /// The accounts among them, found when a token is returned first.
    accounts: OnceLock<Arc<[Entry]>>,
}

impl Decoded {
    pub(crate) fn new(revision: Revision, entries: Vec<Entry>) -> Self {
        Self { revision, entries, accounts: OnceLock::new() }
    }

    /// The accounts among the entries.
    pub(crate) fn accounts(&self) -> Arc<[Entry]> {
        let is_account = |it: &&Entry| *it.credential_type() == CredentialType::Account;
        let find = || self.entries.iter().filter(is_account).cloned().collect();
        self.accounts.get_or_init(find).clone()
    }

    /// Decodes a snapshot. Entries of `known` that have not changed are not decoded again.
    pub(crate) fn of(snapshot: Snapshot, known: Option<&Self>) -> Self {
        let revision = snapshot.revision();
        let mut known = known.map_or_else(Default::default, |it| it.entries.iter());
        let decode = |record: Record| {
            // Records keep their order, so the known ones are found in order.
            match known.find(|it| it.record().has_key_of(&record)) {
                Some(entry) if *entry.record() == record => entry.clone(),
                _ => Entry::read(record),
            }
        };
        Self::new(revision, snapshot.into_records().into_iter().map(decode).collect())
    }

    /// The entry that is stored under the key of this one.
    pub(crate) fn at_key_of(&self, entry: &Entry) -> Option<&Entry> {
        self.entries.iter().find(|it| it.has_key_of(entry))
    }
}

#[cfg(test)]
mod tests {
    use msal_cache_core::{CredentialType, Json};

    use super::*;

    fn record(key: &str, json: &str) -> Record {
        Record::new(CredentialType::Account, key, Json::from_stored(json))
    }

    #[test]
    fn known_records_are_not_decoded_again() {
        let snapshot = |records| Snapshot::new(Revision::unique(), records);
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
}
