//! Guards of partitions: advisory locks of a session that is kept, or leases, where a pooler gives
//! sessions away. A row notes each holder. If a session ends before its holder has released the lock, the
//! holder may have a refresh token that it hasn't stored, so the next one waits for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join;
use msal_cache_core::{Error, Guards, Partition, RefreshGuard, Result, Revision};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::connection::Connector;
use crate::id::Id;
use crate::lease::{LEASE_MS, Lease, Leases};

/// The longest pause between two attempts. The holder usually waits for a server.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// The longest pause between two attempts in which the server was there for all others, too.
const WATCHED: Duration = Duration::from_secs(1);

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
    connector: Arc<Connector>,
    client: Arc<Client>,
    guarded: Guarded,
    /// Notes the holder in a row, which is left where the session ends before.
    token: Id,
    local: Option<RefreshGuard>,
    runtime: Handle,
}

impl Drop for Held {
    fn drop(&mut self) {
        let (connector, client) = (self.connector.clone(), self.client.clone());
        let (guarded, token, local) = (self.guarded.clone(), self.token, self.local.take());
        self.runtime.spawn(async move {
            let key: [(&(dyn ToSql + Sync), _); 1] = [(&guarded.key, Type::INT8)];
            let unlock = client.query_typed("SELECT pg_advisory_unlock($1)", &key);
            let (forgotten, _) = join(guarded.forget(&connector, &client, &token), unlock).await;
            // The session has ended, and its locks with it. Others wait as long as the row is there.
            if forgotten.is_err()
                && let Ok(client) = connector.connect().await
            {
                let _ = guarded.forget(&connector, &client, &token).await;
            }
            drop(local);
        });
    }
}

impl Guarded {
    /// Takes the advisory lock.
    async fn lock(
        self,
        connector: Arc<Connector>,
        client: Arc<Client>,
        local: RefreshGuard,
        watched: bool,
    ) -> Result<Option<RefreshGuard>> {
        let sql = connector.names.sql("SELECT {enter}($1, $2, $3, $4, $5, $6)");
        let token = Id::from(Revision::unique());
        let Self { cache, partition, key } = &self;
        let parameters: [(&(dyn ToSql + Sync), _); 6] = [
            (cache, Type::TEXT),
            (partition, Type::UUID),
            (key, Type::INT8),
            (&token, Type::UUID),
            (&LEASE_MS, Type::INT4),
            (&watched, Type::BOOL),
        ];
        let answer = client.query_typed_one(&sql, &parameters).await;
        if answer.as_ref().is_ok_and(|row| !row.get::<_, bool>(0)) {
            return Ok(None);
        }
        let failure = answer.err().map(|error| connector.error(&error));
        let runtime = Handle::current();
        let held = Held { connector, client, guarded: self, token, local: Some(local), runtime };
        // A lock that was taken before the statement failed is released as well.
        failure.map_or_else(|| Ok(Some(RefreshGuard::new(held))), Err)
    }

    /// Deletes the row of a holder.
    async fn forget(
        &self,
        connector: &Connector,
        client: &Client,
        token: &Id,
    ) -> Result<(), tokio_postgres::Error> {
        let sql = "DELETE FROM {guards} WHERE cache = $1 AND id = $2 AND token = $3";
        let parameters: [(&(dyn ToSql + Sync), _); 3] =
            [(&self.cache, Type::TEXT), (&self.partition, Type::UUID), (token, Type::UUID)];
        client.query_typed(&connector.names.sql(sql), &parameters).await.map(drop)
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
        let mut refused: Option<Instant> = None;
        loop {
            if let Ok(local) = self.local.try_enter(partition) {
                let client = self.client(connector).await?;
                let (connector, leases, guarded) =
                    (connector.clone(), self.leases.clone(), guarded.clone());
                let session = client.clone();
                let watched = refused.is_some_and(|at| at.elapsed() < WATCHED);
                // A task, since a guard that is taken for a dropped future must be released.
                let attempt = tokio::spawn(async move {
                    if connector.is_pooled() {
                        Lease::take(connector, session, leases, guarded, local, watched).await
                    } else {
                        guarded.lock(connector, session, local, watched).await
                    }
                });
                let attempt = attempt.await.map_err(|_| Error::runtime_ended())?;
                match attempt {
                    Ok(Some(held)) => return Ok(held),
                    Ok(None) => refused = Some(Instant::now()),
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
