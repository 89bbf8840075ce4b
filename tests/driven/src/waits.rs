use std::time::{Duration, Instant};

use msal_cache::store::{
    AsyncCacheStore, Batch, CacheStore, Load, Partition, RefreshGuard, Revision,
};
use msal_cache::{CredentialType, Error, Result};

/// A store whose operations suspend their task several times: they yield, and wait for another
/// thread, before and after they call the blocking store.
#[derive(Debug)]
pub(crate) struct Waits<S>(pub(crate) S);

/// Suspends the task until another thread wakes it.
async fn pause() {
    tokio::task::yield_now().await;
    tokio::task::spawn_blocking(|| ()).await.expect("the runtime runs as long as the process");
}

/// Runs an operation between two pauses.
macro_rules! paused {
    ($verb:expr) => {{
        pause().await;
        let done = $verb;
        pause().await;
        done
    }};
}

impl<S: CacheStore> AsyncCacheStore for Waits<S> {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        paused!(self.0.load(partition, known))
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        paused!(self.0.load_many(wanted))
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        paused!(self.0.commit(batch))
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        paused!(self.0.list(credential_type, known))
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        paused!(self.0.purge(now))
    }

    /// Polls the guard, so that no runtime thread blocks.
    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        let started = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            match self.0.guard(partition, Duration::ZERO) {
                Err(Error::Locked { .. }) if started.elapsed() < wait => {}
                done => return done,
            }
        }
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }
}
