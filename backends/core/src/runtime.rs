//! Between blocking and async stores, by way of tokio.

use std::fmt;
use std::panic;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinError, spawn_blocking};

use crate::{
    AsyncBlobStore, AsyncCacheStore, Batch, Blob, BlobStore, CacheStore, CredentialType, Error,
    Load, Partition, RefreshGuard, Result, Revision,
};

/// A blocking store as an async one: its verbs run on the threads that tokio keeps for blocking
/// work, and never on those that run tasks.
///
/// The verbs of a store that [is immediate](CacheStore::is_immediate), such as
/// [`Memory`](crate::Memory), run in place; its guards don't.
///
/// A verb that has started runs to its end, even if its future is dropped. The runtime limits the
/// number of threads (`max_blocking_threads`, 512 by default).
#[derive(Debug, Default)]
pub struct Offload<S>(Arc<S>);

impl<S> Offload<S> {
    /// Wraps a blocking store.
    pub fn new(store: S) -> Self {
        Self(Arc::new(store))
    }

    /// The blocking store.
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// The blocking store, shared.
    pub fn into_inner(self) -> Arc<S> {
        self.0
    }
}

impl<S> Clone for Offload<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> From<Arc<S>> for Offload<S> {
    fn from(store: Arc<S>) -> Self {
        Self(store)
    }
}

impl<S: Send + Sync + 'static> Offload<S> {
    async fn run<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&S) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.0.clone();
        match spawn_blocking(move || verb(&store)).await {
            Ok(done) => done,
            Err(error) => Err(ended(error)),
        }
    }
}

/// Resumes the panic of a verb.
fn ended(error: JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => panic::resume_unwind(panic),
        // The runtime shuts down.
        Err(error) => Error::backend("offloaded", error),
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: CacheStore + 'static> AsyncCacheStore for Offload<S> {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        if self.0.is_immediate() {
            return self.0.load(partition, known);
        }
        let partition = partition.clone();
        self.run(move |store| store.load(&partition, known)).await
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        if self.0.is_immediate() {
            return self.0.load_many(wanted);
        }
        let wanted: Vec<_> = wanted.iter().map(|(it, known)| ((*it).clone(), *known)).collect();
        self.run(move |store| {
            let wanted: Vec<_> = wanted.iter().map(|(it, known)| (it, *known)).collect();
            store.load_many(&wanted)
        })
        .await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        if self.0.is_immediate() {
            return self.0.commit(batch);
        }
        let batch = batch.clone();
        self.run(move |store| store.commit(&batch)).await
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        if self.0.is_immediate() {
            return self.0.list(credential_type, known);
        }
        let credential_type = credential_type.cloned();
        self.run(move |store| store.list(credential_type.as_ref(), known)).await
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        if self.0.is_immediate() {
            return self.0.purge(now);
        }
        self.run(move |store| store.purge(now)).await
    }

    /// Waits on a thread for blocking work, even where the store is immediate.
    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        let partition = partition.clone();
        self.run(move |store| store.guard(&partition, wait)).await
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
        let partition = partition.clone();
        self.run(move |blob| blob.guard(&partition, wait)).await
    }

    fn place(&self) -> String {
        self.0.place()
    }
}

/// An async store as a blocking one, for programs without an async runtime. It has a runtime of
/// its own, with one thread.
///
/// Within an async runtime, each verb is an [`Error::Invalid`]: it would block a thread that runs
/// tasks. Use the async store there, or call from a thread for blocking work.
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
    if Handle::try_current().is_ok() {
        let reason = "it was called within an async runtime; await the async store there, or call \
                      it in tokio::task::spawn_blocking";
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

    fn is_immediate(&self) -> bool {
        false
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
            assert!(refused.to_string().contains("spawn_blocking"));
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
