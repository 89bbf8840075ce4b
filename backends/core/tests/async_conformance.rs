//! Async stores, and the adapters between async and blocking stores, keep what a store promises.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use msal_cache_core::conformance::{Faults, Guarding, Harness, Persistent};
use msal_cache_core::{
    AsyncBlobStore, AsyncCacheStore, Batch, Blob, BlobStore, Blocking, BoxedBlobStore,
    BoxedCacheStore, CacheStore, ChangeSignal, CredentialType, Document, Error, Expect, Guards,
    Json, Load, Memory, Offload, Partition, Ready, Record, RefreshGuard, Result, Revision, Watch,
    conformance,
};
use tokio::runtime::Builder;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

/// Suspends the task more than once, as a round trip to a server does: each time it yields, and
/// from time to time it waits for a timer.
async fn suspend() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    yield_now().await;
    if CALLS.fetch_add(1, Ordering::Relaxed).is_multiple_of(16) {
        sleep(Duration::from_micros(100)).await;
    }
    yield_now().await;
}

/// Waits for a guard without blocking a thread.
async fn enter(guards: &Guards, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
    let started = Instant::now();
    loop {
        let released = match guards.try_enter(partition) {
            Ok(guard) => return Ok(guard),
            Err(released) => released,
        };
        let left = wait.saturating_sub(started.elapsed());
        if left.is_zero() || timeout(left, released).await.is_err() {
            return Err(Guards::locked(started.elapsed()));
        }
    }
}

/// A store whose futures suspend before and after each verb.
#[derive(Clone, Debug, Default)]
struct Waits {
    store: Arc<Memory>,
    guards: Guards,
}

#[deny(clippy::missing_trait_methods)]
impl AsyncCacheStore for Waits {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        suspend().await;
        let load = self.store.load(partition, known);
        suspend().await;
        load
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        suspend().await;
        let loads = self.store.load_many(wanted);
        suspend().await;
        loads
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        suspend().await;
        let revisions = self.store.commit(batch);
        suspend().await;
        revisions
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        suspend().await;
        let load = self.store.list(credential_type, known);
        suspend().await;
        load
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        suspend().await;
        let purged = self.store.purge(now);
        suspend().await;
        purged
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        suspend().await;
        enter(&self.guards, partition, wait).await
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        suspend().await;
        self.store.watch(signal)
    }

    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        self.store.is_unchanged(partition, known)
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }
}

/// A store with the provided bodies of the contract.
#[derive(Debug)]
struct Plain(Waits);

impl AsyncCacheStore for Plain {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.0.load(partition, known).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.0.commit(batch).await
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.0.list(credential_type, known).await
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        self.0.purge(now).await
    }
}

/// A string in memory, and the guards of its partitions.
#[derive(Debug, Default)]
struct Variable {
    string: Mutex<(Revision, Vec<u8>)>,
    guards: Guards,
    conflicts: Mutex<usize>,
}

/// A handle on a variable whose futures suspend, and whose swaps may fail.
#[derive(Clone, Debug, Default)]
struct AsyncVariable {
    variable: Arc<Variable>,
    fails: bool,
}

impl AsyncBlobStore for AsyncVariable {
    async fn read(&self, known: Option<Revision>) -> Result<Blob> {
        suspend().await;
        let (revision, bytes) = self.variable.string.lock().unwrap().clone();
        suspend().await;
        Ok(match revision {
            Revision::ABSENT => Blob::Absent,
            revision if known == Some(revision) => Blob::Unchanged,
            revision => Blob::Present(revision, bytes.into()),
        })
    }

    async fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        suspend().await;
        let swapped = {
            let mut string = self.variable.string.lock().unwrap();
            if string.0 != expected {
                *self.variable.conflicts.lock().unwrap() += 1;
                Err(Error::Conflict)
            } else if self.fails {
                Err(Error::backend("variable", "the disk is full"))
            } else {
                *string = (Revision::unique(), bytes.to_vec());
                Ok(string.0)
            }
        };
        suspend().await;
        swapped
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        enter(&self.variable.guards, partition, wait).await
    }
}

/// The same variable for code that blocks.
#[derive(Clone, Debug, Default)]
struct BlockingVariable(Arc<Variable>);

impl BlobStore for BlockingVariable {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        let (revision, bytes) = self.0.string.lock().unwrap().clone();
        Ok(match revision {
            Revision::ABSENT => Blob::Absent,
            revision if known == Some(revision) => Blob::Unchanged,
            revision => Blob::Present(revision, bytes.into()),
        })
    }

    fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        let mut string = self.0.string.lock().unwrap();
        if string.0 != expected {
            return Err(Error::Conflict);
        }
        *string = (Revision::unique(), bytes.to_vec());
        Ok(string.0)
    }
}

/// Runs all cases on the blocking form of async stores: what a place is, and how it is opened.
macro_rules! blocking {
    ($($module:ident: $contents:ty, $store:ty, |$it:ident| $open:expr, [$($ability:ident)*];)*) => {$(
        mod $module {
            use super::*;

            #[derive(Default)]
            struct Place($contents);

            impl Harness for Place {
                type Store = Blocking<$store>;

                fn new() -> Self {
                    Self::default()
                }

                fn open(&self) -> Self::Store {
                    let $it = &self.0;
                    let store: $store = $open;
                    Blocking::new(store).unwrap()
                }
            }

            $(impl $ability for Place {})*

            conformance!(Place: $($ability),*);
        }
    )*};
}

blocking! {
    ready: Arc<Memory>, Ready<Arc<Memory>>, |it| Ready(it.clone()), [Guarding];
    offload: Arc<Memory>, Offload<Memory>, |it| Offload::from(it.clone()), [Guarding];
    offload_of_a_document: BlockingVariable, Offload<Document<BlockingVariable>>,
        |it| Offload::new(Document::new(it.clone())), [];
    waits: Waits, Waits, |it| it.clone(), [Guarding];
    boxed: Waits, BoxedCacheStore, |it| Box::new(it.clone()), [Guarding];
    provided_bodies: Waits, Plain, |it| Plain(it.clone()), [];
    document_of_a_boxed_blob: AsyncVariable, Document<BoxedBlobStore>,
        |it| Document::new(Box::new(it.clone())), [Guarding];
}

mod document {
    use super::*;

    struct Place(AsyncVariable);

    impl Harness for Place {
        type Store = Blocking<Document<AsyncVariable>>;

        fn new() -> Self {
            Self(AsyncVariable::default())
        }

        fn open(&self) -> Self::Store {
            Blocking::new(Document::new(self.0.clone())).unwrap()
        }
    }

    impl Persistent for Place {}

    impl Guarding for Place {}

    impl Faults for Place {
        fn open_failing(&self) -> Vec<Box<dyn CacheStore>> {
            let failing = AsyncVariable { fails: true, ..self.0.clone() };
            vec![Box::new(Blocking::new(Document::new(failing)).unwrap())]
        }
    }

    conformance!(Place: Persistent, Guarding, Faults);
}

/// Puts an account of a user of its own.
async fn put(document: Arc<Document<AsyncVariable>>, user: usize) -> Result<()> {
    let value = Json::new(format!(r#"{{"home_account_id":"user {user}"}}"#))?;
    let record = Record::new(CredentialType::Account, format!("key {user}"), value);
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Any).put(record.clone());
    document.commit(&batch).await.map(drop)
}

async fn count(document: &Document<AsyncVariable>) -> usize {
    match document.list(None, None).await.unwrap() {
        Load::Snapshot(all) => all.records().len(),
        Load::Unchanged => panic!("no revision was given"),
    }
}

#[test]
fn writers_of_one_async_document_take_turns() {
    let place = AsyncVariable::default();
    let document = Arc::new(Document::new(place.clone()));
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut writers = JoinSet::new();
        for user in 0..200 {
            writers.spawn(put(document.clone(), user));
        }
        for written in writers.join_all().await {
            written.unwrap();
        }
        assert_eq!(count(&document).await, 200);
    });
    assert_eq!(*place.variable.conflicts.lock().unwrap(), 0);
}

#[test]
fn a_dropped_commit_holds_up_no_other_writer() {
    let document = Arc::new(Document::new(AsyncVariable::default()));
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for user in 0..200 {
            let dropped = tokio::spawn(put(document.clone(), 1000 + user));
            let waiting = tokio::spawn(put(document.clone(), user));
            for _ in 0..user % 8 {
                yield_now().await;
            }
            dropped.abort();
            timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap().unwrap();
        }
        assert!(count(&document).await >= 200);
    });
}
