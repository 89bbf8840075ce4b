use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{TryStreamExt, pin_mut};
use msal_cache_core::internal::LoadStamp;
use msal_cache_core::{
    AsyncCacheStore, Batch, ChangeSignal, CredentialType, Error, Json, Load, Partition, Record,
    RefreshGuard, Result, Revision, Snapshot, Watch,
};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

#[cfg(doc)]
use crate::builder::PostgresStoreBuilder;
use crate::calls::Call;
use crate::connection::{Connector, ServerStart};
use crate::error::{PostgresFailure, STORE, is_definite, is_fenced, is_rolled_back};
use crate::guard::HeldGuards;
use crate::id::Id;
use crate::listener::Listener;
use crate::pool::{Lent, Pool};
use crate::write::Arguments;

/// The tokens of a cache in the tables of a PostgreSQL database, which many machines share.
///
/// Clones share the pool of connections. From blocking code, use it by
/// [`Blocking`](msal_cache_core::Blocking).
#[derive(Clone)]
pub struct PostgresStore(Arc<Shared>);

struct Shared {
    name: String,
    pool: Pool,
    connector: Arc<Connector>,
    guards: HeldGuards,
    /// What is known without asking; `None` where each look-up has to ask.
    listener: Option<Arc<Listener>>,
}

/// How often a call is repeated that was rolled back for the sake of others.
const ATTEMPTS: u32 = 64;

/// How many partitions one transaction of a purge locks.
const CHUNK: i32 = 1000;

/// The pause between two questions whether a commit was applied.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// Why a call failed.
enum Failure {
    /// The server has rolled it back, or it was never sent.
    Definite(Error),
    /// A lease was lost, so it has rolled it back.
    Fenced,
    /// The answer is lost.
    Lost(Error),
    /// The server didn't answer in time.
    Late(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fenced => Error::Conflict,
            Failure::Definite(error) | Failure::Lost(error) | Failure::Late(error) => error,
        }
    }
}

impl PostgresStore {
    pub(crate) fn new(
        name: String,
        pool: Pool,
        connector: Arc<Connector>,
        listener: Option<Arc<Listener>>,
    ) -> Self {
        Self(Arc::new(Shared { name, pool, connector, guards: HeldGuards::default(), listener }))
    }

    /// Whether the server notifies this process of changes at the moment, so that look-ups of what has
    /// not changed need no round trip; see [`PostgresStoreBuilder::max_staleness`].
    pub fn is_tracking(&self) -> bool {
        self.0.listener.as_ref().is_some_and(|listener| listener.is_tracking())
    }

    /// Reads in one round trip. If the connection turns out to be lost, it is repeated once on a new
    /// one. Returns the server that has answered, where that matters.
    async fn read(
        &self,
        call: Call,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(Vec<Row>, Option<ServerStart>)> {
        let connector = &self.0.connector;
        let mut repeated = false;
        loop {
            let session = self.0.pool.get().await?;
            match connector.in_time(session.query(call, parameters)).await? {
                Ok(rows) => {
                    let server = session.server;
                    session.give_back();
                    return Ok((rows, server));
                }
                Err(error) if !is_definite(&error) && !repeated => repeated = true,
                Err(error) => {
                    keep_unless_lost(session, &error);
                    return Err(connector.error(&error));
                }
            }
        }
    }

    /// Calls a function that writes, on this session, and again while it is rolled back for others.
    async fn write(
        &self,
        session: Lent,
        call: Call,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Failure> {
        let connector = &self.0.connector;
        for attempt in 0..ATTEMPTS {
            let answer = session.query(call, parameters);
            match connector.in_time(answer).await.map_err(|late| Failure::Late(late.into()))? {
                Ok(mut rows) => {
                    session.give_back();
                    return Ok(rows.remove(0));
                }
                Err(error) if is_rolled_back(&error) => {
                    let pause = u64::from(attempt.min(20));
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=pause))).await;
                }
                Err(error) if is_fenced(&error) => {
                    session.give_back();
                    return Err(Failure::Fenced);
                }
                Err(error) => {
                    let definite = is_definite(&error);
                    keep_unless_lost(session, &error);
                    let error = connector.error(&error);
                    return Err(if definite {
                        Failure::Definite(error)
                    } else {
                        Failure::Lost(error)
                    });
                }
            }
        }
        session.give_back();
        let place = connector.server.clone();
        Err(Failure::Definite(Error::Contended { place, attempts: ATTEMPTS }))
    }

    /// What a commit returned whose answer is lost: `None` if it was not applied, and never will be.
    /// Asks for as long as a call may take.
    async fn settle(&self, session: Id, drawn: Id) -> Result<Option<Vec<Id>>> {
        let started = Instant::now();
        let name = self.0.name.as_str();
        loop {
            match self.read(Call::Settle, &[&name, &session, &drawn]).await {
                Ok((rows, _)) => return Ok(rows.first().and_then(|row| row.get(0))),
                Err(Error::Unavailable { .. })
                    if started.elapsed() + SETTLE_PAUSE < self.0.connector.timeout =>
                {
                    tokio::time::sleep(SETTLE_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// To be called before a partition is loaded.
    fn stamp(&self, partition: &Partition, id: Id) -> Option<LoadStamp> {
        self.0.listener.as_ref()?.stamp(partition, id)
    }

    /// Remembers what was loaded.
    fn learn(&self, stamp: Option<&LoadStamp>, server: Option<ServerStart>, revision: Revision) {
        if let (Some(listener), Some(stamp)) = (&self.0.listener, stamp) {
            listener.learn(stamp, server, revision);
        }
    }

    /// The revisions that a commit returned, and after them the partitions that lost a key to others. The
    /// server notifies of them as well, but maybe later.
    fn committed(&self, batch: &Batch, ids: Vec<Id>) -> Vec<Revision> {
        let changes = batch.changes();
        if let Some(listener) = &self.0.listener {
            for change in changes {
                listener.local().forget(change.partition().as_str());
            }
            ids.iter().skip(changes.len()).for_each(|id| listener.forget(*id));
        }
        ids.into_iter().take(changes.len()).map(Revision::from).collect()
    }

    /// Lists on a session, as long as rows arrive.
    async fn list_on(
        &self,
        session: &Lent,
        credential_type: Option<&CredentialType>,
    ) -> Result<Result<Load, tokio_postgres::Error>> {
        let connector = &self.0.connector;
        let name = self.0.name.as_str();
        let section = credential_type.map(|it| it.as_str().as_bytes());
        let (call, parameters): (_, Vec<&(dyn ToSql + Sync)>) = match &section {
            Some(section) => (Call::List, vec![&name, section]),
            None => (Call::ListAll, vec![&name]),
        };
        let rows = match connector.in_time(session.rows(call, &parameters)).await? {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error)),
        };
        pin_mut!(rows);
        let (mut revision, mut records) = (Revision::ABSENT, Vec::new());
        // The rows come as they are read: those of a large cache aren't kept twice.
        loop {
            match connector.in_time(rows.try_next()).await? {
                Ok(Some(row)) => {
                    revision = whole(&row);
                    records.extend(record(&row, 1)?);
                }
                Ok(None) => return Ok(Ok(Load::Snapshot(Snapshot::new(revision, records)))),
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

/// Returns a connection to the pool unless it is lost, or its server can't be written any more after
/// a failover.
fn keep_unless_lost(session: Lent, error: &tokio_postgres::Error) {
    if is_definite(error) && error.code().is_none_or(|state| state.code() != "25006") {
        session.give_back();
    }
}

impl AsyncCacheStore for PostgresStore {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        let (name, id) = (self.0.name.as_str(), Id::of_partition(partition));
        let known_id = known.map(Id::from);
        let stamp = self.stamp(partition, id);
        let (rows, server) = self.read(Call::Load, &[&name, &id, &known_id]).await?;
        let revision = rows.first().map_or(Revision::ABSENT, |row| row.get::<_, Id>(0).into());
        self.learn(stamp.as_ref(), server, revision);
        if known == Some(revision) {
            return Ok(Load::Unchanged);
        }
        let records = rows.iter().filter_map(|row| record(row, 1).transpose());
        Ok(Load::Snapshot(Snapshot::new(revision, records.collect::<Result<_>>()?)))
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        let name = self.0.name.as_str();
        let ids: Vec<_> = wanted.iter().map(|(it, _)| Id::of_partition(it)).collect();
        let known: Vec<_> = wanted.iter().map(|(_, known)| known.map(Id::from)).collect();
        let stamps = wanted.iter().zip(&ids).map(|((it, _), id)| self.stamp(it, *id));
        let stamps: Vec<_> = stamps.collect();
        let (rows, server) = self.read(Call::LoadMany, &[&name, &ids, &known]).await?;
        let mut found = vec![(Revision::ABSENT, Vec::new()); wanted.len()];
        for row in rows {
            let at = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or_default();
            let (revision, records) = &mut found[at];
            *revision = row.get::<_, Id>(1).into();
            records.extend(record(&row, 2)?);
        }
        for (stamp, (revision, _)) in stamps.iter().zip(&found) {
            self.learn(stamp.as_ref(), server, *revision);
        }
        let loads = found.into_iter().zip(wanted).map(|((revision, records), (_, known))| {
            if *known == Some(revision) {
                Load::Unchanged
            } else {
                Load::Snapshot(Snapshot::new(revision, records))
            }
        });
        Ok(loads.collect())
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        if batch.changes().is_empty() {
            return Ok(Vec::new());
        }
        let arguments = Arguments::of(batch);
        let (guarded, tokens) = self.0.guards.leases.of(batch);
        let name = self.0.name.as_str();
        let revisions = |ids: Vec<Id>| self.committed(batch, ids);
        let mut repeated = false;
        loop {
            let session = self.0.pool.get().await?;
            let id = session.id;
            let parameters = arguments.parameters(&name, &id);
            let done = if guarded.is_empty() {
                self.write(session, Call::Commit, &parameters).await
            } else {
                let mut fenced: Vec<&(dyn ToSql + Sync)> = vec![&guarded, &tokens];
                fenced.extend(parameters);
                self.write(session, Call::Fenced, &fenced).await
            };
            let (error, may_repeat) = match done {
                Ok(row) => return Ok(revisions(row.get(0))),
                Err(Failure::Fenced) => {
                    // The caller reads again, and then may commit.
                    self.0.guards.leases.forget(&guarded);
                    return Err(Error::Conflict);
                }
                Err(Failure::Definite(error)) => return Err(error),
                Err(Failure::Lost(error)) => (error, !repeated),
                Err(Failure::Late(error)) => (error, false),
            };
            match self.settle(id, arguments.drawn).await {
                Ok(Some(ids)) => return Ok(revisions(ids)),
                Ok(None) if may_repeat => repeated = true,
                Ok(None) => return Err(error),
                Err(error) => {
                    let source: &dyn std::error::Error = match &error {
                        Error::Unavailable { source, .. } | Error::Backend { source, .. } => {
                            &**source
                        }
                        other => other,
                    };
                    let (server, reason) = (self.0.connector.server.clone(), source.to_string());
                    // Its notification arrives, if it was applied, but maybe later.
                    self.committed(batch, Vec::new());
                    return Err(PostgresFailure::OutcomeUnknown { server, reason }.into());
                }
            }
        }
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        if known.is_some() {
            let (rows, _) = self.read(Call::Whole, &[&self.0.name.as_str()]).await?;
            if known == rows.first().map(whole) {
                return Ok(Load::Unchanged);
            }
        }
        let mut repeated = false;
        loop {
            let session = self.0.pool.get().await?;
            match self.list_on(&session, credential_type).await? {
                Ok(load) => {
                    session.give_back();
                    return Ok(load);
                }
                Err(error) if !is_definite(&error) && !repeated => repeated = true,
                Err(error) => {
                    keep_unless_lost(session, &error);
                    return Err(self.0.connector.error(&error));
                }
            }
        }
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        let name = self.0.name.as_str();
        let mut purged = 0;
        loop {
            let drawn = Id::from(Revision::unique());
            let session = self.0.pool.get().await?;
            let id = session.id;
            let parameters: [&(dyn ToSql + Sync); 5] = [&name, &id, &now, &drawn, &CHUNK];
            let row = self.write(session, Call::Purge, &parameters);
            match u64::try_from(row.await?.get::<_, i64>(0)) {
                Ok(count) => purged += count,
                Err(_) => break,
            }
        }
        if let Some(listener) = self.0.listener.as_ref().filter(|_| purged > 0) {
            listener.local().forget_all();
        }
        Ok(purged)
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        let Shared { guards, connector, name, .. } = &*self.0;
        guards.enter(connector, name, partition, wait).await
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        let Some(listener) = &self.0.listener else {
            return Ok(Watch::polling_every(Watch::DEFAULT_INTERVAL));
        };
        let watching = listener.local().watchers.watch(signal);
        Ok(Watch::notified((watching, listener.clone())))
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        self.0.listener.as_ref().is_some_and(|it| it.local().is_unchanged(partition, known))
    }
}

/// The revision of the whole cache.
fn whole(row: &Row) -> Revision {
    let hash = row.get::<_, &[u8]>(0).first_chunk().copied();
    hash.map_or(Revision::ABSENT, |bytes| Revision::from_u128(u128::from_be_bytes(bytes)))
}

/// The record in the columns from this one on, if the row has one.
fn record(row: &Row, column: usize) -> Result<Option<Record>> {
    let Some(section) = row.get::<_, Option<&[u8]>>(column) else { return Ok(None) };
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_| Error::Corrupt {
            place: STORE.into(),
            reason: "a record is not UTF-8".into(),
            position: None,
        })
    };
    let section = CredentialType::from(&*text(section)?);
    let (key, value) = (text(row.get(column + 1))?, text(row.get(column + 2))?);
    Ok(Some(Record::new(section, key, Json::from_stored(value))))
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Connector { server, names, .. } = &*self.0.connector;
        f.debug_struct("PostgresStore")
            .field("server", server)
            .field("schema", &names.schema)
            .field("prefix", &names.prefix)
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
