//! A batch as the arguments of one call.

use std::collections::HashMap;

use msal_cache_core::{Batch, Expect, Op, Record, Revision};
use tokio_postgres::types::ToSql;

use crate::id::Id;

/// The arguments of the function that commits, after the name of the cache and the session.
pub(crate) struct Arguments<'a> {
    partitions: Vec<Id>,
    expected: Vec<Option<Id>>,
    /// The revision of what changes.
    pub(crate) drawn: Id,
    partition: Vec<i32>,
    round: Vec<i32>,
    id: Vec<Id>,
    section: Vec<&'a [u8]>,
    key: Vec<&'a [u8]>,
    value: Vec<Option<&'a [u8]>>,
    expires: Vec<Option<i64>>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn of(batch: &'a Batch) -> Self {
        let mut all = Self {
            partitions: Vec::new(),
            expected: Vec::new(),
            drawn: Revision::unique().into(),
            partition: Vec::new(),
            round: Vec::new(),
            id: Vec::new(),
            section: Vec::new(),
            key: Vec::new(),
            value: Vec::new(),
            expires: Vec::new(),
        };
        // How often each key was named. Operations on one key are applied one after the other.
        let mut rounds: HashMap<u128, i32> = HashMap::new();
        for (change, number) in batch.changes().iter().zip(1..) {
            all.partitions.push(Id::of_partition(change.partition()));
            all.expected.push(match change.expect() {
                Expect::Any => None,
                Expect::Revision(revision) => Some(revision.into()),
            });
            for op in change.ops() {
                let (section, key) = op.target();
                let id = Id::of_record(section.as_str(), key);
                let round = rounds.entry(id.0).and_modify(|round| *round += 1).or_default();
                all.partition.push(number);
                all.round.push(*round);
                all.id.push(id);
                all.section.push(section.as_str().as_bytes());
                all.key.push(key.as_bytes());
                let record = match op {
                    Op::Put(record) => Some(record),
                    Op::Delete { .. } => None,
                };
                all.value.push(record.map(|record| record.value().expose().as_bytes()));
                all.expires.push(record.and_then(Record::expires_on));
            }
        }
        all
    }

    pub(crate) fn parameters<'b>(
        &'b self,
        cache: &'b &'b str,
        session: &'b Id,
    ) -> [&'b (dyn ToSql + Sync); 12] {
        [
            cache,
            session,
            &self.partitions,
            &self.expected,
            &self.drawn,
            &self.partition,
            &self.round,
            &self.id,
            &self.section,
            &self.key,
            &self.value,
            &self.expires,
        ]
    }
}
