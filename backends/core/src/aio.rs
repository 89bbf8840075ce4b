//! The contract for stores that wait without blocking a thread.

use std::fmt;
use std::time::Duration;

use crate::load::ConsistentRead;
use crate::{
    Batch, Blob, ChangeSignal, CredentialType, Load, Partition, RefreshGuard, Result, Revision,
    Watch,
};

/// The contract of [`CacheStore`](crate::CacheStore) for a store that waits without blocking a
/// thread: the same verbs with the same promises, returning futures.
///
/// Implement it with `async fn`. A future that is dropped before it is ready leaves the store
/// consistent: a commit is applied as a whole or not at all.
///
/// [`Ready`](crate::Ready) and `Offload` make one of a blocking store, `Blocking` makes a blocking
/// store of this one. [`BoxedCacheStore`](crate::BoxedCacheStore) is the form for `Box<dyn …>`.
pub trait AsyncCacheStore: fmt::Debug + Send + Sync {
    /// See [`CacheStore::load`](crate::CacheStore::load).
    fn load(
        &self,
        partition: &Partition,
        known: Option<Revision>,
    ) -> impl Future<Output = Result<Load>> + Send;

    /// See [`CacheStore::load_many`](crate::CacheStore::load_many). A store on a server should
    /// override the provided body, which takes a round trip for each partition, and more where
    /// partitions change meanwhile.
    fn load_many(
        &self,
        wanted: &[(&Partition, Option<Revision>)],
    ) -> impl Future<Output = Result<Vec<Load>>> + Send {
        async {
            let mut reading = ConsistentRead::new(wanted);
            while let Some((partition, known)) = reading.next()? {
                reading.read(self.load(partition, known).await?);
            }
            Ok(reading.finish())
        }
    }

    /// See [`CacheStore::commit`](crate::CacheStore::commit).
    fn commit(&self, batch: &Batch) -> impl Future<Output = Result<Vec<Revision>>> + Send;

    /// See [`CacheStore::list`](crate::CacheStore::list).
    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> impl Future<Output = Result<Load>> + Send;

    /// See [`CacheStore::purge`](crate::CacheStore::purge).
    fn purge(&self, now: i64) -> impl Future<Output = Result<u64>> + Send;

    /// See [`CacheStore::guard`](crate::CacheStore::guard). The provided body excludes nothing.
    fn guard(
        &self,
        partition: &Partition,
        wait: Duration,
    ) -> impl Future<Output = Result<RefreshGuard>> + Send {
        let _ = (partition, wait);
        async { Ok(RefreshGuard::none()) }
    }

    /// See [`CacheStore::watch`](crate::CacheStore::watch). The provided body reports nothing, so
    /// the store is asked each second.
    fn watch(&self, signal: ChangeSignal) -> impl Future<Output = Result<Watch>> + Send {
        let _ = signal;
        async { Ok(Watch::polling_every(Watch::DEFAULT_INTERVAL)) }
    }

    /// See [`CacheStore::is_unchanged`](crate::CacheStore::is_unchanged). It must not block the thread.
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        let _ = (partition, known);
        false
    }

    /// See [`CacheStore::is_shared`](crate::CacheStore::is_shared).
    fn is_shared(&self) -> bool {
        false
    }
}

/// The contract of [`BlobStore`](crate::BlobStore) for a store that waits without blocking a
/// thread. [`Document`](crate::Document) makes an [`AsyncCacheStore`] of it.
pub trait AsyncBlobStore: fmt::Debug + Send + Sync {
    /// See [`BlobStore::read`](crate::BlobStore::read).
    fn read(&self, known: Option<Revision>) -> impl Future<Output = Result<Blob>> + Send;

    /// See [`BlobStore::swap`](crate::BlobStore::swap).
    ///
    /// A document repeats a swap that conflicts at once, up to 64 times. A blob that many
    /// processes write should wait for a random time before it returns
    /// [`Error::Conflict`](crate::Error::Conflict).
    fn swap(
        &self,
        expected: Revision,
        bytes: &[u8],
    ) -> impl Future<Output = Result<Revision>> + Send;

    /// See [`BlobStore::quarantine`](crate::BlobStore::quarantine). Other writers are not excluded,
    /// so the store must leave a string that isn't at `unreadable` any more. The provided body
    /// returns `false`.
    fn quarantine(&self, unreadable: Revision) -> impl Future<Output = Result<bool>> + Send {
        let _ = unreadable;
        async { Ok(false) }
    }

    /// See [`BlobStore::guard`](crate::BlobStore::guard). The provided body excludes nothing.
    fn guard(
        &self,
        partition: &Partition,
        wait: Duration,
    ) -> impl Future<Output = Result<RefreshGuard>> + Send {
        let _ = (partition, wait);
        async { Ok(RefreshGuard::none()) }
    }

    /// See [`CacheStore::watch`](crate::CacheStore::watch). The provided body reports nothing.
    fn watch(&self, signal: ChangeSignal) -> impl Future<Output = Result<Watch>> + Send {
        let _ = signal;
        async { Ok(Watch::polling_every(Watch::DEFAULT_INTERVAL)) }
    }

    /// The name of this string in an error, such as its address.
    fn place(&self) -> String {
        "the stored document".into()
    }
}
