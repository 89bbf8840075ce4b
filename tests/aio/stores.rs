//! The stores that the tests of the async face run on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use msal_cache::store::{
    AsyncBlobStore, AsyncCacheStore, Batch, Blob, CacheStore, Load, Partition, RefreshGuard,
    Revision,
};
use msal_cache::{CredentialType, Error, Memory, Result};
use tokio::task::yield_now;

/// A store that suspends before and after each verb, as one on a server does.
#[derive(Debug, Default)]
pub(super) struct Waits(Memory);

macro_rules! suspended {
    ($verb:expr) => {{
        yield_now().await;
        let done = $verb;
        yield_now().await;
        done
    }};
}

impl AsyncCacheStore for Waits {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        suspended!(self.0.load(partition, known))
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        suspended!(self.0.load_many(wanted))
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        suspended!(self.0.commit(batch))
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        suspended!(self.0.list(credential_type, known))
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        suspended!(self.0.purge(now))
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        let started = std::time::Instant::now();
        loop {
            match suspended!(self.0.guard(partition, Duration::ZERO)) {
                Err(Error::Locked { .. }) if started.elapsed() < wait => {}
                done => return done,
            }
        }
    }
}

/// A string in memory whose verbs suspend, for a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Variable(Arc<Mutex<(Revision, Vec<u8>)>>);

impl AsyncBlobStore for Variable {
    async fn read(&self, known: Option<Revision>) -> Result<Blob> {
        let (revision, bytes) = suspended!(self.0.lock().unwrap().clone());
        Ok(match revision {
            Revision::ABSENT => Blob::Absent,
            revision if known == Some(revision) => Blob::Unchanged,
            revision => Blob::Present(revision, bytes.into()),
        })
    }

    async fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        suspended!({
            let mut stored = self.0.lock().unwrap();
            if stored.0 == expected {
                *stored = (Revision::unique(), bytes.to_vec());
                Ok(stored.0)
            } else {
                Err(Error::Conflict)
            }
        })
    }
}
