//! Between blocking and async stores, by way of tokio.

use std::cell::Cell;
use std::fmt;
use std::panic;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;

use crate::{
    AsyncBlobStore, AsyncCacheStore, Batch, Blob, BlobStore, CacheStore, ChangeSignal,
    CredentialType, Error, Load, Partition, RefreshGuard, Result, Revision, Watch,
};

/// A blocking store as an async one: its verbs run on the threads that tokio keeps for blocking
/// work, and never on those that run tasks.
///
/// The verbs of a store that [is immediate](CacheStore::is_immediate), such as
/// [`Memory`](crate::Memory), run in place, and need no runtime.
///
/// At most [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT) verbs run at the same time, unless
/// [`with_limit`](Self::with_limit) sets another number; others wait without a thread. So a store
/// that hangs doesn't use up the threads that the runtime has for blocking work
/// (`max_blocking_threads`, 512 unless set). A caller that waits for a guard takes no thread either:
/// it tries again after pauses of up to 25 ms.
///
/// A verb that has started runs to its end, even if its future is dropped. A runtime that shuts
/// down waits for the verbs that have started.
///
/// # Errors
///
/// Each verb is an [`Error::Runtime`] outside of a tokio runtime, and once the runtime shuts down.
pub struct Offload<S> {
    store: Arc<S>,
    limit: Arc<Semaphore>,
}

/// The longest pause between two attempts to take a guard. The holder usually waits for a server.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

impl<S> Offload<S> {
    /// How many verbs run at the same time, unless set.
    pub const DEFAULT_LIMIT: usize = 32;

    /// Wraps a blocking store.
    pub fn new(store: S) -> Self {
        Self::from(Arc::new(store))
    }

    /// Sets how many verbs run at the same time; at least one. Clones that exist already keep their
    /// limit.
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)));
        self
    }

    /// The blocking store.
    pub fn get_ref(&self) -> &S {
        &self.store
    }

    /// The blocking store, shared.
    pub fn into_inner(self) -> Arc<S> {
        self.store
    }
}

impl<S> Clone for Offload<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), limit: self.limit.clone() }
    }
}

impl<S> From<Arc<S>> for Offload<S> {
    fn from(store: Arc<S>) -> Self {
        Self { store, limit: Arc::new(Semaphore::new(Self::DEFAULT_LIMIT)) }
    }
}

impl<S: Default> Default for Offload<S> {
    fn default() -> Self {
        Self::new(S::default())
    }
}

impl<S: fmt::Debug> fmt::Debug for Offload<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Offload").field(&self.store).finish()
    }
}

impl<S: Send + Sync + 'static> Offload<S> {
    /// Runs an operation of the blocking object on a thread for blocking work.
    ///
    /// # Errors
    ///
    /// [`Error::Runtime`] outside of a tokio runtime, and where it shuts down.
    #[doc(hidden)]
    pub async fn call<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&S) -> T + Send + 'static,
    ) -> Result<T> {
        let runtime = Handle::try_current().map_err(|_| Error::no_runtime())?;
        // It is never closed.
        let permit =
            self.limit.clone().acquire_owned().await.map_err(|_| Error::runtime_ended())?;
        let store = self.store.clone();
        let task = runtime.spawn_blocking(move || {
            // Released when the operation ends, and not when its future is dropped.
            let _permit = permit;
            let _may_block = MayBlock::enter();
            operation(&store)
        });
        task.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => panic::resume_unwind(panic),
            Err(_) => Error::runtime_ended(),
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&S) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.call(verb).await?
    }

    /// Takes a guard by attempts that don't wait, so that no thread waits.
    async fn try_until<F: Future<Output = Result<RefreshGuard>> + Send>(
        wait: Duration,
        attempt: impl Fn() -> F + Send,
    ) -> Result<RefreshGuard> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let (path, holder) = match attempt().await {
                Err(Error::Locked { path, holder, .. }) => (path, holder),
                done => return done,
            };
            let waited = started.elapsed();
            if waited >= wait {
                return Err(Error::Locked { path, holder, waited });
            }
            Delay::new(pause.min(wait.saturating_sub(waited))).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

thread_local! {
    /// Whether this thread runs an operation of an [`Offload`].
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Marks the thread until it is dropped.
struct MayBlock {
    before: bool,
}

impl MayBlock {
    fn enter() -> Self {
        Self { before: MAY_BLOCK.replace(true) }
    }
}

impl Drop for MayBlock {
    fn drop(&mut self) {
        MAY_BLOCK.set(self.before);
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: CacheStore + 'static> AsyncCacheStore for Offload<S> {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        if self.store.is_immediate() {
            return self.store.load(partition, known);
        }
        let partition = partition.clone();
        self.run(move |store| store.load(&partition, known)).await
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        if self.store.is_immediate() {
            return self.store.load_many(wanted);
        }
        let wanted: Vec<_> = wanted.iter().map(|(it, known)| ((*it).clone(), *known)).collect();
        self.run(move |store| {
            let wanted: Vec<_> = wanted.iter().map(|(it, known)| (it, *known)).collect();
            store.load_many(&wanted)
        })
        .await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        if self.store.is_immediate() {
            return self.store.commit(batch);
        }
        let batch = batch.clone();
        self.run(move |store| store.commit(&batch)).await
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        if self.store.is_immediate() {
            return self.store.list(credential_type, known);
        }
        let credential_type = credential_type.cloned();
        self.run(move |store| store.list(credential_type.as_ref(), known)).await
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        if self.store.is_immediate() {
            return self.store.purge(now);
        }
        self.run(move |store| store.purge(now)).await
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        Self::try_until(wait, move || async move {
            if self.store.is_immediate() {
                return self.store.guard(partition, Duration::ZERO);
            }
            let partition = partition.clone();
            self.run(move |store| store.guard(&partition, Duration::ZERO)).await
        })
        .await
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        if self.store.is_immediate() {
            return self.store.watch(signal);
        }
        self.run(move |store| store.watch(signal)).await
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        self.store.is_unchanged(partition, known)
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: BlobStore + 'static> AsyncBlobStore for Offload<B> {
    async fn read(&self, known: Option<Revision>) -> Result<Blob> {
        self.run(move |blob| blob.read(known)).await
    }

    async fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        // Wiped when it is dropped.
        let bytes = crate::Bytes::from(bytes.to_vec());
        self.run(move |blob| blob.swap(expected, bytes.expose())).await
    }

    async fn quarantine(&self, unreadable: Revision) -> Result<bool> {
        self.run(move |blob| blob.quarantine(unreadable)).await
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        Self::try_until(wait, move || async move {
            let partition = partition.clone();
            self.run(move |blob| blob.guard(&partition, Duration::ZERO)).await
        })
        .await
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.run(move |blob| blob.watch(signal)).await
    }

    fn place(&self) -> String {
        self.store.place()
    }
}

/// An async store as a blocking one, for programs without an async runtime. It has a runtime of
/// its own, with one thread.
///
/// Within a tokio runtime, each verb is an [`Error::Invalid`]: it would block a thread that runs
/// tasks. That includes the closures of `spawn_blocking`, which can't be told apart. Use the async
/// store there, wrap this one in [`Offload`], or call it on a thread of its own.
pub struct Blocking<S> {
    store: S,
    /// `None` once it is dropped.
    runtime: Option<Runtime>,
}

impl<S> Blocking<S> {
    /// Wraps an async store.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] where the runtime's thread can't be started.
    pub fn new(store: S) -> Result<Self> {
        Self::connect(async { Ok(store) })
    }

    /// Wraps the async store that a future makes, such as one that connects to a server. The
    /// future runs in the runtime of the store.
    ///
    /// # Errors
    ///
    /// The errors of the future; [`Error::Invalid`] within an async runtime; [`Error::Backend`]
    /// where the runtime's thread can't be started.
    pub fn connect(store: impl Future<Output = Result<S>>) -> Result<Self> {
        check_outside()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("msal-cache")
            .enable_all()
            .build()
            .map_err(|error| Error::backend("async", error))?;
        let store = runtime.block_on(store)?;
        Ok(Self { store, runtime: Some(runtime) })
    }

    /// The async store.
    pub fn get_ref(&self) -> &S {
        &self.store
    }

    fn wait<T>(&self, verb: impl Future<Output = Result<T>>) -> Result<T> {
        check_outside()?;
        match &self.runtime {
            Some(runtime) => runtime.block_on(verb),
            None => Err(Error::backend("async", "its runtime has ended")),
        }
    }
}

fn check_outside() -> Result<()> {
    if !MAY_BLOCK.get() && Handle::try_current().is_ok() {
        let reason = "it was called within an async runtime; await the async store there, or call \
                      the blocking form on a thread of its own (std::thread::spawn)";
        return Err(Error::invalid("the blocking form of an async store", reason));
    }
    Ok(())
}

impl<S> Drop for Blocking<S> {
    fn drop(&mut self) {
        // A runtime that is dropped within another one panics; this returns at once.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Blocking<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blocking").field(&self.store).finish()
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: AsyncCacheStore> CacheStore for Blocking<S> {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.wait(self.store.load(partition, known))
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.wait(self.store.load_many(wanted))
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.wait(self.store.commit(batch))
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.wait(self.store.list(credential_type, known))
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.wait(self.store.purge(now))
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.wait(self.store.guard(partition, wait))
    }

    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.wait(self.store.watch(signal))
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        self.store.is_unchanged(partition, known)
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn is_immediate(&self) -> bool {
        false
    }

    /// None, since the inner store may borrow.
    fn detached(self: Arc<Self>) -> Option<Arc<dyn CacheStore>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Ready};

    #[test]
    fn within_a_runtime_the_blocking_form_returns_errors() {
        let store = Blocking::new(Ready(Memory::new())).unwrap();
        let user = Partition::user("u");
        assert!(store.load(&user, None).is_ok());
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async move {
            let refused = store.load(&user, None).unwrap_err();
            assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
            assert!(refused.to_string().contains("std::thread::spawn"));
            assert!(Blocking::new(Ready(Memory::new())).is_err());
            drop(store);
        });
    }

    #[test]
    fn a_blocking_store_never_runs_on_the_thread_of_a_task() {
        #[derive(Debug)]
        struct Elsewhere(std::thread::ThreadId);

        impl BlobStore for Elsewhere {
            fn read(&self, _: Option<Revision>) -> Result<Blob> {
                assert_ne!(std::thread::current().id(), self.0);
                Ok(Blob::Absent)
            }

            fn swap(&self, _: Revision, _: &[u8]) -> Result<Revision> {
                assert_ne!(std::thread::current().id(), self.0);
                Err(Error::Conflict)
            }
        }

        let runtime = Builder::new_current_thread().build().unwrap();
        let blob = Offload::new(Elsewhere(std::thread::current().id()));
        runtime.block_on(async {
            assert!(matches!(blob.read(None).await.unwrap(), Blob::Absent));
            assert!(matches!(blob.swap(Revision::ABSENT, b"{}").await, Err(Error::Conflict)));
        });
    }
}
