//! Guards of partitions: advisory locks of a session that is kept, or leases, where a pooler gives
//! sessions away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use msal_cache_core::{Error, Guards, Partition, RefreshGuard, Result};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::connection::Connector;
use crate::id::Id;
use crate::lease::{Lease, Leases};

/// The longest pause between two attempts. The holder usually waits for a server.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// How long the message that releases a lock may take. A guard that was dropped before the call is
/// free, also for a caller that doesn't wait.
const RELEASE: Duration = Duration::from_millis(250);

/// The guards that this store holds, and the connection by which it takes them. A session may take a
/// lock twice, so other guards of this store are excluded in memory.
#[derive(Default)]
pub(crate) struct HeldGuards {
    local: Guards,
    client: Mutex<Option<Arc<Client>>>,
    pub(crate) leases: Arc<Leases>,
}

/// A partition of a cache, as the database knows it.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub(crate) cache: String,
    pub(crate) partition: Id,
    /// The key of the advisory lock.
    pub(crate) key: i64,
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
            let sql = "SELECT pg_advisory_unlock($1)";
            let _ = client.query_typed(sql, &[(&key, Type::INT8)]).await;
            drop(local);
        });
    }
}

impl Guarded {
    /// Takes the advisory lock.
    async fn lock(
        self,
        connector: &Connector,
        client: Arc<Client>,
        local: RefreshGuard,
    ) -> Result<Option<RefreshGuard>> {
        let sql = connector.names.sql("SELECT {enter}($1, $2, $3)");
        let Self { cache, partition, key } = &self;
        let parameters: [(&(dyn ToSql + Sync), _); 3] =
            [(cache, Type::TEXT), (partition, Type::UUID), (key, Type::INT8)];
        let answer = client.query_typed_one(&sql, &parameters).await;
        // A lock that was taken before the statement failed is released as well.
        let held = Held {
            client: client.clone(),
            key: *key,
            local: Some(local),
            runtime: Handle::current(),
        };
        let taken: bool = answer.map_err(|error| connector.error(&error))?.get(0);
        Ok(taken.then(|| RefreshGuard::new(held)))
    }
}

impl HeldGuards {
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
        let key = Id::of_record(&connector.names.of(cache), partition.as_str()).lock_key();
        let guarded = Guarded { cache: cache.into(), partition: Id::of_partition(partition), key };
        let mut pause = Duration::from_millis(1);
        loop {
            if let Ok(local) = self.local.try_enter(partition) {
                let client = self.client(connector).await?;
                let (connector, leases, guarded) =
                    (connector.clone(), self.leases.clone(), guarded.clone());
                let session = client.clone();
                // A task, since a guard that is taken for a dropped future must be released.
                let attempt = tokio::spawn(async move {
                    if connector.is_pooled() {
                        Lease::take(connector, session, leases, guarded, local).await
                    } else {
                        guarded.lock(&connector, session, local).await
                    }
                });
                let attempt = attempt.await.map_err(|_| Error::runtime_ended())?;
                match attempt {
                    Ok(Some(held)) => return Ok(held),
                    Ok(None) => {}
                    Err(error) => {
                        // The next attempt may find another server. Guards that are held keep this one.
                        self.client.lock().await.take_if(|kept| Arc::ptr_eq(kept, &client));
                        return Err(error);
                    }
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

    async fn client(&self, connector: &Connector) -> Result<Arc<Client>> {
        let mut kept = self.client.lock().await;
        match &*kept {
            Some(client) if !client.is_closed() => Ok(client.clone()),
            _ => Ok(kept.insert(Arc::new(connector.connect().await?)).clone()),
        }
    }
}
