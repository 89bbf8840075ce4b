use std::sync::Arc;

use hashbrown::HashMap;

use crate::{CredentialType, Partition, Record, Revision};

/// One commit, as data: what is expected, and what to do if that holds.
///
/// A batch may span partitions. One response of a token endpoint changes its user's partition
/// and, the first time, the metadata of the client; importing a document changes every
/// partition. [`CacheStore::commit`](crate::CacheStore::commit) applies all of it or nothing.
///
/// ```
/// use msal_cache_core::{Batch, CredentialType, Expect, Json, Partition, Record};
///
/// let record = Record::new(
///     CredentialType::Account,
///     "uid.utid-login.example-tenant",
///     Json::new(r#"{"home_account_id": "uid.utid"}"#)?,
/// );
/// let mut batch = Batch::new();
/// batch.change(record.partition(), Expect::Any).put(record);
/// assert_eq!(batch.changes()[0].partition(), &Partition::user("uid.utid"));
/// # Ok::<(), msal_cache_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<Change>,
    /// Of all but the first few.
    places: HashMap<Partition, usize>,
}

/// So many changes are compared one by one; most batches have one or two.
const FEW: usize = 4;

impl Batch {
    /// A batch that changes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What happens to `partition`. A partition occurs once in a batch: asked for again, it is
    /// the same change, and an expected revision, once given, stays.
    pub fn change(&mut self, partition: Partition, expect: Expect) -> &mut Change {
        let at = self.find(&partition).unwrap_or_else(|| {
            if self.changes.len() >= FEW {
                self.places.insert(partition.clone(), self.changes.len());
            }
            self.changes.push(Change { partition, expect, ops: Vec::new() });
            self.changes.len() - 1
        });
        let change = &mut self.changes[at];
        if change.expect == Expect::Any {
            change.expect = expect;
        }
        change
    }

    fn find(&self, partition: &Partition) -> Option<usize> {
        // What comes together mostly belongs together.
        if self.changes.last().is_some_and(|last| last.partition == *partition) {
            return Some(self.changes.len() - 1);
        }
        let few = self.changes.iter().take(FEW).position(|it| it.partition == *partition);
        few.or_else(|| self.places.get(partition).copied())
    }

    /// The changes, one for each partition, in the order in which they were first named.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether committing this would do nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|change| change.ops.is_empty())
    }
}

/// What a [`Batch`] does to one partition.
#[derive(Clone, Debug)]
pub struct Change {
    partition: Partition,
    expect: Expect,
    ops: Vec<Op>,
}

impl Change {
    /// Writes a record, in the place of the one that stands under its key.
    pub fn put(&mut self, record: Record) -> &mut Self {
        self.ops.push(Op::Put(record));
        self
    }

    /// Deletes what stands under a key in a section of this partition, if anything does.
    pub fn delete(&mut self, credential_type: CredentialType, key: Arc<str>) -> &mut Self {
        self.ops.push(Op::Delete { credential_type, key });
        self
    }

    /// The partition that changes.
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// What has to hold before anything is done.
    pub fn expect(&self) -> Expect {
        self.expect
    }

    /// The operations, to be applied in this order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }
}

/// What a commit expects of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// Nothing: the operations are right whatever stands there.
    Any,
    /// That the partition is still at this revision. For plans that follow from what was read.
    Revision(Revision),
}

/// One operation of a commit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Op {
    /// Writes a record. A new key goes to the end of its section, a known one keeps its place.
    Put(Record),
    /// Deletes a record; one that isn't there is no error.
    Delete {
        /// The section.
        credential_type: CredentialType,
        /// The stored key.
        key: Arc<str>,
    },
}
