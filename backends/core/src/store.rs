use std::fmt;
use std::time::Duration;

use crate::{Batch, CredentialType, Hold, Partition, Record, Result, Revision};

/// A place for records: the contract between the cache and whatever keeps its tokens.
///
/// A store moves records. It doesn't know what a scope is, when a token is good, or which key a
/// record should have; what it promises is written at its four verbs. The module documentation
/// tells why they are as they are ([`crate`]).
///
/// All verbs may be called from many threads at once, and other processes may have the same
/// place open.
pub trait CacheStore: fmt::Debug + Send + Sync {
    /// Reads one partition consistently: all of it, as one commit left it. Or says that it is
    /// still at `known`.
    ///
    /// A partition that holds nothing is a snapshot without records, at [`Revision::ABSENT`].
    /// The records come in the order in which their keys were first put.
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load>;

    /// Checks every expectation of the batch and applies it: all of it, durably, or nothing.
    ///
    /// Returns the new revision of each changed partition, in the order of
    /// [`Batch::changes`]; a partition that is now empty is at [`Revision::ABSENT`].
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`](crate::Error::Conflict) where an expectation doesn't hold.
    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>>;

    /// Reads one section across all partitions, or all sections. Or says that the store is still
    /// at `known`, a revision that an earlier listing of the same section returned.
    ///
    /// For listings and administration. Records of one section come in the order in which their
    /// keys were first put, as far as the store keeps it across partitions.
    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load>;

    /// Deletes, in all partitions and in one step, every record that
    /// [expires](Record::expires_on) before `now`, in seconds since the epoch. Returns their
    /// number. A record without an expiry stays.
    fn purge(&self, now: i64) -> Result<u64>;

    /// Takes the guard of a partition, or waits for it up to `wait`: whoever is about to spend a
    /// refresh token of the partition holds it, and lets it go by dropping it.
    ///
    /// It holds off other guards of the partition, in this process and in others that have the
    /// place open, and nothing else: all other verbs work as ever, for everybody. It may be held
    /// for as long as a request takes, and ends with its process. It is courtesy, never safety:
    /// the cache looks again after it was granted, and a commit checks what it expects.
    ///
    /// The body that is given here holds nobody off. It is right for every store, at the price of
    /// refreshes that weren't needed; where a server replaces a refresh token at each use, and
    /// takes a second use for theft, the store of several processes needs a real one.
    /// [`Guards`](crate::Guards) is one for a store of a single process. A store that wraps
    /// another one passes it on.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`](crate::Error::Locked) where another one still holds it then.
    fn guard(&self, partition: &Partition, wait: Duration) -> Result<Hold<'_>> {
        let _ = (partition, wait);
        Ok(Hold::nobody())
    }
}

/// What a store has read.
#[derive(Clone, Debug)]
pub enum Load {
    /// Still what it was at the revision that the caller knows.
    Unchanged,
    /// The records, and the revision that stands for them.
    Snapshot(Snapshot),
}

/// Records as they stood at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Stands for exactly these records.
    pub revision: Revision,
    /// The records, in order.
    pub records: Vec<Record>,
}
