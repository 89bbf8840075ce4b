use std::future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::{
    AsyncBlobStore, AsyncCacheStore, Batch, Blob, BlobStore, CacheStore, ChangeSignal,
    CredentialType, Load, Partition, RefreshGuard, Result, Revision, Watch,
};

/// A blocking store as an async one whose futures are ready when they are first polled: each verb
/// blocks the thread that polls it.
///
/// For code that is written once, as `async fn`, and runs without an async runtime; and for stores
/// that are [immediate](CacheStore::is_immediate). `Offload` moves the verbs
/// of other stores to threads that may block.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready<S>(pub S);

/// Runs a future that never waits, because everything that it awaits is ready, such as the futures
/// of [`Ready`].
///
/// # Panics
///
/// Where the future waits.
#[doc(hidden)]
#[inline]
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a blocking store waits within its call"),
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: CacheStore> AsyncCacheStore for Ready<S> {
    /// Not an `async fn`, whose future has a state that the compiler copies: a hit in memory takes
    /// little longer than that.
    #[inline]
    fn load(
        &self,
        partition: &Partition,
        known: Option<Revision>,
    ) -> impl Future<Output = Result<Load>> + Send {
        future::poll_fn(move |_| Poll::Ready(self.0.load(partition, known)))
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.0.load_many(wanted)
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.0.commit(batch)
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.0.list(credential_type, known)
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        self.0.purge(now)
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.0.guard(partition, wait)
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.0.watch(signal)
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        self.0.is_unchanged(partition, known)
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: BlobStore> AsyncBlobStore for Ready<B> {
    async fn read(&self, known: Option<Revision>) -> Result<Blob> {
        self.0.read(known)
    }

    async fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        self.0.swap(expected, bytes)
    }

    async fn quarantine(&self, unreadable: Revision) -> Result<bool> {
        self.0.quarantine(unreadable)
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.0.guard(partition, wait)
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.0.watch(signal)
    }

    fn place(&self) -> String {
        self.0.place()
    }
}
