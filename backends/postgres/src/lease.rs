//! Guards as leases: rows that a task renews until the guard is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use msal_cache_core::{Batch, RefreshGuard, Result, Revision};
use tokio::sync::oneshot;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::connection::Connector;
use crate::guard::Guarded;
use crate::id::Id;

/// A guard ends this long after its holder has died, in milliseconds. A holder that has lost it has as long
/// to store.
pub(crate) const LEASE_MS: i32 = 3000;

/// Two renewals may fail before the lease ends.
const RENEWAL: Duration = Duration::from_millis(900);

/// The tokens of the leases that this store holds, or believes to hold, by partition.
#[derive(Default)]
pub(crate) struct Leases(Mutex<HashMap<u128, Id>>);

impl Leases {
    /// The partitions of a batch whose leases are held, and their tokens.
    pub(crate) fn of(&self, batch: &Batch) -> (Vec<Id>, Vec<Id>) {
        let held = self.lock();
        if held.is_empty() {
            return Default::default();
        }
        let partitions = batch.changes().iter().map(|it| Id::of_partition(it.partition()));
        partitions.filter_map(|it| Some((it, *held.get(&it.0)?))).unzip()
    }

    /// The caller learns that these leases were lost.
    pub(crate) fn forget(&self, partitions: &[Id]) {
        let mut held = self.lock();
        for partition in partitions {
            held.remove(&partition.0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Id>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease that was taken.
pub(crate) struct Lease {
    connector: Arc<Connector>,
    client: Arc<Client>,
    guarded: Guarded,
    token: Id,
}

/// What a [`RefreshGuard`] owns. The task that renews the lease sees when it is dropped.
struct HeldLease {
    leases: Arc<Leases>,
    partition: Id,
    _dropped: oneshot::Sender<()>,
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.leases.forget(&[self.partition]);
    }
}

impl Lease {
    /// Takes the lease, and renews it until the guard is dropped.
    pub(crate) async fn take(
        connector: Arc<Connector>,
        client: Arc<Client>,
        leases: Arc<Leases>,
        guarded: Guarded,
        local: RefreshGuard,
        watched: bool,
    ) -> Result<Option<RefreshGuard>> {
        let partition = guarded.partition;
        let lease = Self { connector, client, guarded, token: Revision::unique().into() };
        let sql = "SELECT {lease}($1, $2, $4, $3, $5, $6)";
        let more: [(&(dyn ToSql + Sync), _); 3] =
            [(&lease.guarded.key, Type::INT8), (&LEASE_MS, Type::INT4), (&watched, Type::BOOL)];
        match lease.call(sql, &more).await {
            Ok(rows) if rows.first().is_some_and(|row| row.get(0)) => {}
            Ok(_) => return Ok(None),
            // Another transaction has the row.
            Err(error)
                if error.code().is_some_and(|state| {
                    [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_SERIALIZATION_FAILURE]
                        .contains(state)
                }) =>
            {
                return Ok(None);
            }
            Err(error) => {
                // It may have been taken although the answer was lost.
                let error = lease.connector.error(&error);
                lease.release().await;
                return Err(error);
            }
        }
        leases.lock().insert(partition.0, lease.token);
        let (dropped, is_dropped) = oneshot::channel();
        tokio::spawn(lease.keep(local, is_dropped));
        Ok(Some(RefreshGuard::new(HeldLease { leases, partition, _dropped: dropped })))
    }

    /// Other guards of this store are excluded by `local` until the server has released the lease.
    async fn keep(mut self, local: RefreshGuard, mut is_dropped: oneshot::Receiver<()>) {
        while tokio::time::timeout(RENEWAL, &mut is_dropped).await.is_err() {
            // If it was lost, the server refuses the next commit of its holder.
            let _ = tokio::time::timeout(RENEWAL, self.renew()).await;
        }
        self.release().await;
        drop(local);
    }

    async fn renew(&mut self) -> Result<()> {
        if self.client.is_closed() {
            self.client = Arc::new(self.connector.connect().await?);
        }
        let sql = "UPDATE {guards} \
                   SET ends = clock_timestamp() + $4 * interval '1 millisecond', lost = false \
                   WHERE cache = $1 AND id = $2 AND token = $3";
        let renewed = self.call(sql, &[(&LEASE_MS, Type::INT4)]).await;
        renewed.map(drop).map_err(|error| self.connector.error(&error))
    }

    /// If it fails, the lease ends on its own.
    async fn release(&self) {
        let sql = "DELETE FROM {guards} WHERE cache = $1 AND id = $2 AND token = $3";
        let _ = tokio::time::timeout(RENEWAL, self.call(sql, &[])).await;
    }

    /// Runs a statement with the cache, the partition, the token, and more.
    async fn call(
        &self,
        sql: &str,
        more: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let sql = self.connector.names.sql(sql);
        let Guarded { cache, partition, .. } = &self.guarded;
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            vec![(cache, Type::TEXT), (partition, Type::UUID), (&self.token, Type::UUID)];
        parameters.extend(more.iter().cloned());
        self.client.query_typed(&sql, &parameters).await
    }
}
