//! The async contract behind a pointer, for a store that is chosen at run time.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use crate::{
    AsyncBlobStore, AsyncCacheStore, Batch, Blob, ChangeSignal, CredentialType, Load, Partition,
    RefreshGuard, Result, Revision, Watch,
};

/// Any [`AsyncCacheStore`], chosen at run time: the `Box<dyn …>` of async stores, since
/// [`AsyncCacheStore`] itself is not dyn-compatible. `Box::new(store) as BoxedCacheStore` makes one,
/// and it is an [`AsyncCacheStore`] itself. `Arc<dyn DynAsyncCacheStore>` is one, too. A blocking
/// store needs no type of its own: `Box<dyn CacheStore>`.
pub type BoxedCacheStore = Box<dyn DynAsyncCacheStore>;

/// Any [`AsyncBlobStore`], chosen at run time: `Box::new(store) as BoxedBlobStore`. It is an
/// [`AsyncBlobStore`] itself.
pub type BoxedBlobStore = Box<dyn DynAsyncBlobStore>;

/// A future behind a pointer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The dyn-compatible form of [`AsyncCacheStore`], which every such store has. Implement that
/// trait and not this one.
pub trait DynAsyncCacheStore: fmt::Debug + Send + Sync {
    /// See [`AsyncCacheStore::load`].
    fn load<'a>(
        &'a self,
        partition: &'a Partition,
        known: Option<Revision>,
    ) -> BoxFuture<'a, Result<Load>>;

    /// See [`AsyncCacheStore::load_many`].
    fn load_many<'a>(
        &'a self,
        wanted: &'a [(&'a Partition, Option<Revision>)],
    ) -> BoxFuture<'a, Result<Vec<Load>>>;

    /// See [`AsyncCacheStore::commit`].
    fn commit<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Vec<Revision>>>;

    /// See [`AsyncCacheStore::list`].
    fn list<'a>(
        &'a self,
        credential_type: Option<&'a CredentialType>,
        known: Option<Revision>,
    ) -> BoxFuture<'a, Result<Load>>;

    /// See [`AsyncCacheStore::purge`].
    fn purge(&self, now: i64) -> BoxFuture<'_, Result<u64>>;

    /// See [`AsyncCacheStore::guard`].
    fn guard<'a>(
        &'a self,
        partition: &'a Partition,
        wait: Duration,
    ) -> BoxFuture<'a, Result<RefreshGuard>>;

    /// See [`AsyncCacheStore::watch`].
    fn watch(&self, signal: ChangeSignal) -> BoxFuture<'_, Result<Watch>>;

    /// See [`AsyncCacheStore::is_unchanged`].
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool;

    /// See [`AsyncCacheStore::is_shared`].
    fn is_shared(&self) -> bool;
}

impl<S: AsyncCacheStore> DynAsyncCacheStore for S {
    fn load<'a>(
        &'a self,
        partition: &'a Partition,
        known: Option<Revision>,
    ) -> BoxFuture<'a, Result<Load>> {
        Box::pin(AsyncCacheStore::load(self, partition, known))
    }

    fn load_many<'a>(
        &'a self,
        wanted: &'a [(&'a Partition, Option<Revision>)],
    ) -> BoxFuture<'a, Result<Vec<Load>>> {
        Box::pin(AsyncCacheStore::load_many(self, wanted))
    }

    fn commit<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Vec<Revision>>> {
        Box::pin(AsyncCacheStore::commit(self, batch))
    }

    fn list<'a>(
        &'a self,
        credential_type: Option<&'a CredentialType>,
        known: Option<Revision>,
    ) -> BoxFuture<'a, Result<Load>> {
        Box::pin(AsyncCacheStore::list(self, credential_type, known))
    }

    fn purge(&self, now: i64) -> BoxFuture<'_, Result<u64>> {
        Box::pin(AsyncCacheStore::purge(self, now))
    }

    fn guard<'a>(
        &'a self,
        partition: &'a Partition,
        wait: Duration,
    ) -> BoxFuture<'a, Result<RefreshGuard>> {
        Box::pin(AsyncCacheStore::guard(self, partition, wait))
    }

    fn watch(&self, signal: ChangeSignal) -> BoxFuture<'_, Result<Watch>> {
        Box::pin(AsyncCacheStore::watch(self, signal))
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        AsyncCacheStore::is_unchanged(self, partition, known)
    }

    fn is_shared(&self) -> bool {
        AsyncCacheStore::is_shared(self)
    }
}

#[deny(clippy::missing_trait_methods)]
impl AsyncCacheStore for dyn DynAsyncCacheStore + '_ {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        DynAsyncCacheStore::load(self, partition, known).await
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        DynAsyncCacheStore::load_many(self, wanted).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        DynAsyncCacheStore::commit(self, batch).await
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        DynAsyncCacheStore::list(self, credential_type, known).await
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        DynAsyncCacheStore::purge(self, now).await
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        DynAsyncCacheStore::guard(self, partition, wait).await
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        DynAsyncCacheStore::watch(self, signal).await
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        DynAsyncCacheStore::is_unchanged(self, partition, known)
    }

    fn is_shared(&self) -> bool {
        DynAsyncCacheStore::is_shared(self)
    }
}

/// The dyn-compatible form of [`AsyncBlobStore`], which every such store has. Implement that trait
/// and not this one.
pub trait DynAsyncBlobStore: fmt::Debug + Send + Sync {
    /// See [`AsyncBlobStore::read`].
    fn read(&self, known: Option<Revision>) -> BoxFuture<'_, Result<Blob>>;

    /// See [`AsyncBlobStore::swap`].
    fn swap<'a>(&'a self, expected: Revision, bytes: &'a [u8]) -> BoxFuture<'a, Result<Revision>>;

    /// See [`AsyncBlobStore::quarantine`].
    fn quarantine(&self, unreadable: Revision) -> BoxFuture<'_, Result<bool>>;

    /// See [`AsyncBlobStore::guard`].
    fn guard<'a>(
        &'a self,
        partition: &'a Partition,
        wait: Duration,
    ) -> BoxFuture<'a, Result<RefreshGuard>>;

    /// See [`AsyncBlobStore::watch`].
    fn watch(&self, signal: ChangeSignal) -> BoxFuture<'_, Result<Watch>>;

    /// See [`AsyncBlobStore::place`].
    fn place(&self) -> String;
}

impl<B: AsyncBlobStore> DynAsyncBlobStore for B {
    fn read(&self, known: Option<Revision>) -> BoxFuture<'_, Result<Blob>> {
        Box::pin(AsyncBlobStore::read(self, known))
    }

    fn swap<'a>(&'a self, expected: Revision, bytes: &'a [u8]) -> BoxFuture<'a, Result<Revision>> {
        Box::pin(AsyncBlobStore::swap(self, expected, bytes))
    }

    fn quarantine(&self, unreadable: Revision) -> BoxFuture<'_, Result<bool>> {
        Box::pin(AsyncBlobStore::quarantine(self, unreadable))
    }

    fn guard<'a>(
        &'a self,
        partition: &'a Partition,
        wait: Duration,
    ) -> BoxFuture<'a, Result<RefreshGuard>> {
        Box::pin(AsyncBlobStore::guard(self, partition, wait))
    }

    fn watch(&self, signal: ChangeSignal) -> BoxFuture<'_, Result<Watch>> {
        Box::pin(AsyncBlobStore::watch(self, signal))
    }

    fn place(&self) -> String {
        AsyncBlobStore::place(self)
    }
}

#[deny(clippy::missing_trait_methods)]
impl AsyncBlobStore for dyn DynAsyncBlobStore + '_ {
    async fn read(&self, known: Option<Revision>) -> Result<Blob> {
        DynAsyncBlobStore::read(self, known).await
    }

    async fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        DynAsyncBlobStore::swap(self, expected, bytes).await
    }

    async fn quarantine(&self, unreadable: Revision) -> Result<bool> {
        DynAsyncBlobStore::quarantine(self, unreadable).await
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        DynAsyncBlobStore::guard(self, partition, wait).await
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        DynAsyncBlobStore::watch(self, signal).await
    }

    fn place(&self) -> String {
        DynAsyncBlobStore::place(self)
    }
}
