use std::borrow::Borrow;
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
/// batch.change(record.partition(), Expect::Any).put(record.clone());
/// assert_eq!(batch.changes()[0].partition(), &Partition::user("uid.utid"));
/// # Ok::<(), msal_cache_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<Change>,
    /// The indexes of all changes but the first few.
    indexes: HashMap<Partition, usize>,
}

/// Up to this many changes, a linear scan beats the index. Most batches have one or two.
const FEW: usize = 4;

impl Batch {
    /// A batch that changes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The change of `partition`, which occurs in a batch once: named again, it is the same
    /// change.
    ///
    /// Where a change is named with [`Expect::Any`] and with a revision, it expects the revision,
    /// whichever came first. Of two revisions, the first stays.
    pub fn change(&mut self, partition: impl Borrow<Partition>, expect: Expect) -> &mut Change {
        let partition = partition.borrow();
        let at = self.find(partition).unwrap_or_else(|| {
            if self.changes.len() >= FEW {
                self.indexes.insert(partition.clone(), self.changes.len());
            }
            self.changes.push(Change { partition: partition.clone(), expect, ops: Vec::new() });
            self.changes.len() - 1
        });
        let change = &mut self.changes[at];
        if change.expect == Expect::Any {
            change.expect = expect;
        }
        change
    }

    fn find(&self, partition: &Partition) -> Option<usize> {
        // Consecutive operations are mostly on one partition.
        if self.changes.last().is_some_and(|last| last.partition == *partition) {
            return Some(self.changes.len() - 1);
        }
        let few = self.changes.iter().take(FEW).position(|it| it.partition == *partition);
        few.or_else(|| self.indexes.get(partition).copied())
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
    /// Writes a record. It replaces the one that is stored under its key, in whichever partition.
    pub fn put(&mut self, record: Record) -> &mut Self {
        self.ops.push(Op::Put(record));
        self
    }

    /// Deletes the record under a key of a section, if it is in this partition.
    pub fn delete(&mut self, credential_type: CredentialType, key: Arc<str>) -> &mut Self {
        self.ops.push(Op::Delete { credential_type, key });
        self
    }

    /// Deletes the record under the key of this one, if it is in this partition.
    pub fn delete_record(&mut self, record: &Record) -> &mut Self {
        self.delete(record.credential_type().clone(), record.shared_key().clone())
    }

    /// The partition that changes.
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// What has to hold before anything is written.
    pub fn expect(&self) -> Expect {
        self.expect
    }

    /// The operations, in the order in which they are applied.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }
}

/// What a commit expects of a partition. The enum is exhaustive, as [`Op`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: the operations are correct whatever is stored.
    Any,
    /// The partition is still at this revision. For plans that follow from what was read.
    Revision(Revision),
}

/// One operation of a commit.
///
/// The enum is exhaustive: another operation needs a new major version of the contract, so that no
/// store ignores an operation that it doesn't know.
#[derive(Clone, Debug)]
pub enum Op {
    /// Writes a record. A new key is added at the end of its section, a stored one keeps its
    /// position. A key that is stored in another partition moves: it leaves that partition, and is
    /// new in this one.
    Put(Record),
    /// Deletes the record under a key, if it is in this partition; else does nothing.
    Delete {
        /// The section.
        credential_type: CredentialType,
        /// The stored key.
        key: Arc<str>,
    },
}

impl Op {
    /// The section and the key that the operation writes or deletes.
    pub fn target(&self) -> (&CredentialType, &str) {
        match self {
            Self::Put(record) => (record.credential_type(), record.key()),
            Self::Delete { credential_type, key } => (credential_type, key),
        }
    }
}
