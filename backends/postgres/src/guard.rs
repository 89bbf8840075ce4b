//! Guards of partitions: advisory locks of a session that is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use msal_cache_core::{Error, Guards, Partition, RefreshGuard, Result};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio_postgres::Client;

use crate::connection::Connector;
use crate::id::Id;

/// The longest pause between two attempts. The holder usually waits for a server.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// How long the message that releases a lock may take. A guard that was dropped before the call is
/// free, also for a caller that doesn't wait.
const RELEASE: Duration = Duration::from_millis(250);

/// The guards that this store holds, and the session that holds their locks. A session may take a
/// lock twice, so other guards of this store are excluded in memory.
#[derive(Default)]
pub(crate) struct Sessions {
    local: Guards,
    session: Mutex<Option<Arc<Client>>>,
}

/// A lock, and the guard in memory, which is released after the lock.
struct Held {
    client: Arc<Client>,
    key: i64,
    local: Option<RefreshGuard>,
    runtime: Handle,
}

impl Drop for Held {
    fn drop(&mut self) {
        let (client, key, local) = (self.client.clone(), self.key, self.local.take());
        self.runtime.spawn(async move {
            // If it fails, the session has ended, and its locks with it.
            let _ = client.execute("SELECT pg_advisory_unlock($1)", &[&key]).await;
            drop(local);
        });
    }
}

impl Sessions {
    /// Takes the guard of a partition of a cache, or waits for it up to `wait`, and for as long as a
    /// release takes.
    pub(crate) async fn enter(
        &self,
        connector: &Arc<Connector>,
        cache: &str,
        partition: &Partition,
        wait: Duration,
    ) -> Result<RefreshGuard> {
        let (started, wait) = (Instant::now(), wait.max(RELEASE));
        let schema = connector.names.of(cache);
        let key = Id::of_record(&schema, partition.as_str()).lock_key();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Ok(local) = self.local.try_enter(partition) {
                let client = self.session(connector).await?;
                let (runtime, connector) = (Handle::current(), connector.clone());
                // A task, since a lock that is taken for a dropped future must be released.
                let attempt = tokio::spawn(async move {
                    let sql = "SELECT pg_try_advisory_lock($1)";
                    let row = client.query_one(sql, &[&key]).await;
                    let taken: bool = row.map_err(|error| connector.error(&error))?.get(0);
                    Ok(taken.then(|| Held { client, key, local: Some(local), runtime }))
                });
                let attempt: Result<Option<Held>> =
                    attempt.await.map_err(|_| Error::runtime_ended())?;
                if let Some(held) = attempt? {
                    return Ok(RefreshGuard::new(held));
                }
            }
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                let holder = Some("another process or task".into());
                return Err(Error::Locked {
                    path: "the guard of a partition".into(),
                    holder,
                    waited: started.elapsed(),
                });
            }
            tokio::time::sleep(pause.mul_f32(0.5 + fastrand::f32() / 2.0).min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn session(&self, connector: &Connector) -> Result<Arc<Client>> {
        let mut session = self.session.lock().await;
        match &*session {
            Some(client) if !client.is_closed() => Ok(client.clone()),
            _ => {
                let client = Arc::new(connector.connect().await?);
                Ok(session.insert(client).clone())
            }
        }
    }
}
