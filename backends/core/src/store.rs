use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::load::ConsistentRead;
use crate::{
    Batch, ChangeSignal, CredentialType, Load, Partition, RefreshGuard, Result, Revision, Watch,
};

/// A place for records: the contract between the cache and a store of its tokens.
///
/// A store moves records. It doesn't know what a scope is, when a token is valid, or which key a
/// record should have. Each verb says what a store has to do; the [crate documentation](crate)
/// gives the reasons.
///
/// **One stored key is one record.** A section and a key name one record in the whole store. A
/// put replaces that record wherever it is; if it was in another partition, that partition loses
/// it and gets a new revision.
///
/// All verbs may be called from many threads at once, and other processes may have the same place
/// open. [`AsyncCacheStore`](crate::AsyncCacheStore) is the same contract for a store that waits
/// without blocking a thread.
pub trait CacheStore: fmt::Debug + Send + Sync {
    /// Reads one partition consistently, as one commit left it; or reports that it is still at
    /// `known`.
    ///
    /// A partition without records is a snapshot without records, at [`Revision::ABSENT`]. The
    /// records come in the order in which their keys were first put into the partition.
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load>;

    /// Reads several partitions as they were at one moment. The result has one [`Load`] for each
    /// element of `wanted`, in order, as [`load`](Self::load) returns it.
    ///
    /// The provided body reads one after the other until a second look finds all of them
    /// unchanged. A store that can read them in one transaction, or in one round trip, should.
    ///
    /// # Errors
    ///
    /// [`Error::Contended`](crate::Error::Contended) where they keep changing.
    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        let mut reading = ConsistentRead::new(wanted);
        while let Some((partition, known)) = reading.next()? {
            reading.read(self.load(partition, known)?);
        }
        Ok(reading.finish())
    }

    /// Checks every expectation of the batch and applies it: all of it, durably, or nothing.
    ///
    /// Returns the new revision of each changed partition, in the order of
    /// [`Batch::changes`]; a partition that is now empty is at [`Revision::ABSENT`].
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`](crate::Error::Conflict) where an expectation doesn't hold.
    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>>;

    /// Reads one section across all partitions, or all sections; or reports that the store is
    /// still at `known`, a revision that an earlier listing of the same section returned.
    ///
    /// For listings and administration. Records of one section come in the order in which their
    /// keys were first put, as far as the store keeps it across partitions.
    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load>;

    /// Deletes, in all partitions and in one step, every record that
    /// [expires](crate::Record::expires_on) before `now`, in seconds since the epoch. Returns their
    /// number. A record without an expiry stays.
    fn purge(&self, now: i64) -> Result<u64>;

    /// Takes the guard of a partition, or waits for it up to `wait`. A caller that is about to
    /// redeem a refresh token of the partition holds it, and drops it afterwards.
    ///
    /// It excludes other guards of the partition, in this process and in others that have the
    /// place open, and nothing else: all other verbs work as usual. It may be held for as long as a
    /// request takes, and ends with its process. It saves requests, but nothing relies on it: the
    /// cache reads again once it has the guard, and a commit checks what it expects.
    ///
    /// The provided body excludes nothing. It is correct for every store, at the price of
    /// unnecessary refreshes. Where a server replaces a refresh token at each use, and treats a
    /// second use as theft, a store of several processes needs a real guard.
    /// [`Guards`](crate::Guards) is one for a store of a single process. A store that wraps another
    /// one forwards the call, as [`delegate_store!`](crate::delegate_store) does.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`](crate::Error::Locked) where another caller still holds it at the end of
    /// `wait`.
    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        let _ = (partition, wait);
        Ok(RefreshGuard::none())
    }

    /// Starts to report changes of the store to `signal`, by this process or another, until the
    /// [`Watch`] is dropped. What has changed is found by reading, so reports may coalesce.
    ///
    /// The provided body reports nothing; the watch then asks the store by
    /// [`list`](Self::list) each second. A store that can be notified should: [`Watch::notified`].
    ///
    /// # Errors
    ///
    /// Where the store can't be watched, and can't be asked either.
    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        let _ = signal;
        Ok(Watch::polling_every(Watch::DEFAULT_INTERVAL))
    }

    /// Whether the store knows, without waiting, that a partition is still at this revision. A
    /// look-up of what the cache has decoded then needs no [`load`](Self::load).
    ///
    /// `true` promises what [`Load::Unchanged`] does. `false` promises nothing:
    /// the cache loads. A wrapper whose `load` does more than forwarding leaves the provided body,
    /// which returns `false`; [`delegate_store!`](macro@crate::delegate_store) forwards both or none.
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        let _ = (partition, known);
        false
    }

    /// Whether other MSAL libraries may write the records too, or read them as a document.
    ///
    /// There, what MSAL Python keeps is kept, and the cache reads all access tokens before a
    /// [`purge`](Self::purge). In other stores, a new access token replaces each one of its API that
    /// expires later, so that a purge, or an expiry by the store itself, brings none back.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether no verb waits for more than a short lock in memory. Async code then calls the verbs
    /// in place; the verbs of other stores are moved to threads that may block.
    fn is_immediate(&self) -> bool {
        false
    }

    /// A handle of this store that outlives the caller: `Some(self)` for a store that borrows nothing.
    /// With it, the refresh of a token that is still valid goes on in a thread of its own, and is
    /// stored, while the caller has the token already.
    ///
    /// The provided body has none. Then the caller waits for that refresh.
    fn detached(self: Arc<Self>) -> Option<Arc<dyn CacheStore>> {
        None
    }
}
