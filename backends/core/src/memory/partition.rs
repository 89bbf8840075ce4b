use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;

use crate::{CredentialType, Record, Revision};

/// The records of a partition.
#[derive(Default)]
pub(super) struct StoredPartition {
    pub(super) revision: Revision,
    /// By number.
    pub(super) records: BTreeMap<u64, Record>,
    /// The numbers of the records by key, in a large partition.
    numbers: Option<HashMap<(CredentialType, Arc<str>), u64>>,
}

/// Up to this many records, a scan is as fast as an index and needs no memory.
pub(super) const SMALL: usize = 32;

impl StoredPartition {
    /// Puts a record, and returns whether its key is new.
    pub(super) fn put(&mut self, record: Record, next: &AtomicU64) -> bool {
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

    pub(super) fn delete(&mut self, target: (&CredentialType, &str)) -> bool {
        let Some(number) = self.number(target) else { return false };
        let deleted = self.records.remove(&number);
        if let (Some(numbers), Some(record)) = (&mut self.numbers, &deleted) {
            numbers.remove(&identity(record));
        }
        true
    }

    /// Deletes the records that expire before `now`, after `expired` was called with each. Returns
    /// their number.
    pub(super) fn purge(&mut self, now: i64, mut expired: impl FnMut(&Record)) -> u64 {
        let before = self.records.len();
        self.records.retain(|_, record| {
            let stays = record.expires_on().is_none_or(|at| at >= now);
            if !stays {
                expired(record);
            }
            stays
        });
        let purged = before - self.records.len();
        if purged > 0 {
            self.numbers = None;
            self.revision = Revision::unique();
        }
        purged as u64
    }

    /// The number of the record under a key.
    pub(super) fn number(&mut self, (section, key): (&CredentialType, &str)) -> Option<u64> {
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
