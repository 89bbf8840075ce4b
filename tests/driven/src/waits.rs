use std::time::{Duration, Instant};

use msal_cache::store::{
    AsyncCacheStore, Batch, CacheStore, Load, Partition, RefreshGuard, Revision,
};
use msal_cache::{CredentialType, Error, Result};

/// A store whose verbs suspend their task several times: they yield, and wait for another thread,
/// before and after they do what the blocking store does.
#[derive(Debug)]
pub(crate) struct Waits<S>(pub(crate) S);

/// Suspends the task until another thread wakes it.
async fn pause() {
    tokio::task::yield_now().await;
    tokio::task::spawn_blocking(|| ()).await.expect("the runtime runs as long as the process");
}

/// Does a verb between two pauses.
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

    /// Tries again and again, so that no thread that runs tasks waits for the guard.
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
}
