use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::internal::{LoadStamp, LocalRevisions};
use msal_cache_core::{
    AsyncCacheStore, Batch, Change, ChangeSignal, CredentialType, Error, Expect, Load, Op,
    Partition, Record, RefreshGuard, Result, Revision, Snapshot, Watch,
};
use redis::{ScriptInvocation, Value, cmd};

use crate::error::RedisFailure;
use crate::guard;
use crate::keys::{Keys, field};
use crate::leases::Leases;
use crate::reply::{Placed, Reply, hex};
use crate::scripts::{Scripts, millis};
use crate::server::{Attempt, Server};
use crate::state::{Replication, StoreState};
use crate::tracking::sweep;
use crate::watch;

/// How often a listing starts again, because more than a thousand users were deleted meanwhile.
const ATTEMPTS: u32 = 64;

/// Bounds the work of one script of a listing, in records.
const LIST_WORK: u32 = 100;

/// How many records one script of a purge deletes.
const PURGE_RECORDS: usize = 25;

/// The largest number that a score of a sorted set represents exactly.
const LARGEST_SCORE: i64 = 1 << 53;

/// A token cache on a Redis or Valkey server. See the [crate documentation](crate).
///
/// Clones share the connection.
#[derive(Clone)]
pub struct RedisStore(Arc<StoreState>);

impl RedisStore {
    pub(crate) fn new(
        server: Server,
        replication: Option<Replication>,
        keys: Keys,
        local: Option<Arc<LocalRevisions>>,
        idle: Option<Duration>,
    ) -> Self {
        let (scripts, leases) = (Scripts::new(), Leases::default());
        Self(Arc::new(StoreState { server, replication, keys, scripts, leases, idle, local }))
    }

    /// Whether the server reports changes to this process at the moment, so that look-ups of what has
    /// not changed need no round trip.
    pub fn is_tracking(&self) -> bool {
        self.0.local.as_ref().is_some_and(|local| local.is_tracking())
    }

    /// Connects, if it isn't connected.
    pub(crate) async fn check(&self) -> Result<()> {
        self.0.server.call(false, |_| async { Ok(()) }).await?;
        if let Some(Replication { server, .. }) = &self.0.replication {
            // Returns at once, and fails now where the permission is missing.
            let call = |Attempt { mut connection, .. }| async move {
                cmd("WAIT").arg(0).arg(1).query_async::<u32>(&mut connection).await
            };
            server.call(false, call).await?;
        }
        Ok(())
    }

    fn reply(&self) -> Reply<'_> {
        Reply { server: &self.0.server.name }
    }

    /// The keys, revisions, and operations of a batch as the arguments of its script.
    fn prepare<'a>(&'a self, batch: &Batch, revision: &str, again: bool) -> ScriptInvocation<'a> {
        let StoreState { keys, scripts, leases, .. } = &*self.0;
        let mut call = scripts.commit.prepare_invoke();
        for key in keys.shared() {
            call.key(key);
        }
        call.arg(&keys.partitions).arg(revision).arg(millis(self.0.idle)).arg(&keys.guards);
        call.arg(if again { "again" } else { "" });
        for change in batch.changes() {
            let partition = change.partition();
            call.key(keys.partition(partition)).arg(partition.as_str());
            call.arg(match change.expect() {
                Expect::Any => String::new(),
                Expect::Revision(expected) => hex(expected),
            });
            call.arg(leases.token(partition).unwrap_or_default()).arg(change.ops().len());
            for op in change.ops() {
                match op {
                    Op::Put(record) => {
                        let expires = record.expires_on().map(|it| score(it).to_string());
                        call.arg("p").arg(field(record.credential_type(), record.key()));
                        call.arg(expires.unwrap_or_default()).arg(record.value().expose());
                    }
                    Op::Delete { credential_type, key } => {
                        call.arg("d").arg(field(credential_type, key));
                    }
                }
            }
        }
        call
    }

    /// Whether a command tells at less cost than the script of a load that a partition is still at
    /// `known`. Not where uses are noted, and not where local answers count: what isn't answered there
    /// has changed most likely, and would cost a second round trip.
    fn asks_first(&self) -> bool {
        self.0.idle.is_none() && !self.is_tracking()
    }

    /// Whether a partition is still at `known`.
    async fn is_still(&self, partition: &Partition, known: Revision) -> Result<bool> {
        let StoreState { keys, server, .. } = &*self.0;
        let stored: Option<String> = server
            .call(false, |Attempt { mut connection, .. }| async move {
                cmd("HGET")
                    .arg(keys.partition(partition))
                    .arg("r")
                    .query_async(&mut connection)
                    .await
            })
            .await?;
        let stored = stored.as_deref().unwrap_or("0");
        Ok(stored.split(' ').next() == Some(&hex(known)))
    }

    /// Deletes the partitions whose time is over.
    async fn sweep(&self) -> Result<()> {
        let StoreState { keys, scripts, server, idle, .. } = &*self.0;
        loop {
            let sweep = async |Attempt { mut connection, .. }| {
                sweep(&scripts.sweep, keys, *idle, &mut connection).await
            };
            if !server.call(true, sweep).await? {
                return Ok(());
            }
        }
    }

    /// Reads the store in chunks. `None` if the listing has to start again.
    async fn list_once(&self, section: &str, known: Option<Revision>) -> Result<Option<Load>> {
        let StoreState { keys, scripts, server, .. } = &*self.0;
        let known = known.map(hex).unwrap_or_default();
        let (mut start, mut cursor) = (String::new(), "0".to_owned());
        let mut found: HashMap<String, Vec<Placed>> = HashMap::new();
        loop {
            let (start_now, cursor_now, known) = (&start, &cursor, &known);
            let reply: Value = server
                .call(false, |Attempt { mut connection, .. }| async move {
                    let mut call = scripts.list.prepare_invoke();
                    call.key(&keys.meta).key(&keys.parts).key(&keys.gone);
                    call.arg(&keys.partitions).arg(section).arg(known);
                    call.arg(start_now).arg(cursor_now).arg(LIST_WORK);
                    call.invoke_async(&mut connection).await
                })
                .await?;
            let reply = match reply {
                Value::Int(0) => return Ok(Some(Load::Unchanged)),
                Value::Int(_) => return Ok(None),
                reply => self.reply().items(reply)?,
            };
            let mut reply = reply.into_iter();
            let revision = self.reply().revision(reply.next())?;
            start = self.reply().text(reply.next())?;
            let more = matches!(reply.next(), Some(Value::Int(1)));
            let (deleted, pages) = (reply.next(), reply.next());
            for name in self.reply().items(deleted.unwrap_or(Value::Nil))? {
                found.remove(&self.reply().text(Some(name))?);
            }
            let mut pages = self.reply().items(pages.unwrap_or(Value::Nil))?.into_iter();
            while let Some(name) = pages.next() {
                let name = self.reply().text(Some(name))?;
                cursor = self.reply().text(pages.next())?;
                let fields = self.reply().items(pages.next().unwrap_or(Value::Nil))?;
                found.insert(name, self.reply().fields(fields)?.1);
            }
            if !more {
                let mut records: Vec<_> = found.into_values().flatten().collect();
                records.sort_unstable_by_key(|(position, _)| *position);
                let records: Vec<Record> = records.into_iter().map(|(_, it)| it).collect();
                return Ok(Some(Load::Snapshot(Snapshot::new(revision, records))));
            }
        }
    }
}

impl AsyncCacheStore for RedisStore {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        if let Some(known) = known
            && self.asks_first()
            && self.is_still(partition, known).await?
        {
            return Ok(Load::Unchanged);
        }
        let mut loads = self.load_many(&[(partition, known)]).await?;
        loads.pop().ok_or_else(|| self.reply().unexpected())
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let StoreState { keys, scripts, server, local, idle, .. } = &*self.0;
        let (stamps, loads): (Vec<LoadStamp>, Vec<Value>) = server
            .call(false, |Attempt { mut connection, number, .. }| async move {
                let stamp = |(partition, _): &(&Partition, _)| {
                    Some(local.as_ref()?.stamp(partition, number))
                };
                let stamps = wanted.iter().filter_map(stamp).collect();
                let mut call = scripts.load.prepare_invoke();
                call.key(&keys.meta).key(&keys.parts).key(&keys.due);
                call.arg(millis(*idle)).arg(keys.partitions.len());
                for (partition, known) in wanted {
                    call.key(keys.partition(partition)).arg(known.map(hex).unwrap_or_default());
                }
                Ok((stamps, call.invoke_async(&mut connection).await?))
            })
            .await?;
        let loads = loads.into_iter().map(|load| self.reply().load(load));
        let loads = loads.collect::<Result<Vec<Load>>>()?;
        if let Some(local) = local {
            for ((stamp, load), (_, known)) in stamps.iter().zip(&loads).zip(wanted) {
                let revision = match load {
                    Load::Snapshot(snapshot) => Some(snapshot.revision()),
                    Load::Unchanged => *known,
                };
                if let Some(revision) = revision {
                    // The server has to hear of a use now and then.
                    local.learn(stamp, revision, idle.map(|idle| idle / 16));
                }
            }
        }
        Ok(loads)
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        if batch.changes().is_empty() {
            return Ok(Vec::new());
        }
        let revision = hex(Revision::unique());
        let revision = revision.as_str();
        let replication = self.0.replication.as_ref();
        let server = replication.map_or(&self.0.server, |it| &it.server);
        let (reply, copies): (Value, u32) = server
            .call(true, |Attempt { mut connection, again, .. }| async move {
                let call = self.prepare(batch, revision, again);
                let reply = call.invoke_async(&mut connection).await?;
                let copies = match (replication, &reply) {
                    (Some(Replication { replicas, wait, .. }), Value::Array(_)) => {
                        let mut command = cmd("WAIT");
                        command
                            .arg(replicas)
                            .arg(millis(Some(*wait)))
                            .query_async(&mut connection)
                            .await?
                    }
                    _ => 0,
                };
                Ok((reply, copies))
            })
            .await?;
        if let (Some(Replication { replicas, .. }), Value::Array(_)) = (replication, &reply)
            && copies < *replicas
        {
            let (server, replicas) = (server.name.clone(), *replicas);
            return Err(RedisFailure::NotReplicated { server, replicas, copies }.into());
        }
        match reply {
            Value::Int(0) => Err(Error::Conflict),
            Value::Int(_) => {
                let partitions = batch.changes().iter().map(Change::partition);
                partitions.for_each(|partition| self.0.leases.forget(partition));
                Err(Error::Conflict)
            }
            reply => {
                let mut reply = self.reply().items(reply)?.into_iter();
                let revisions = reply.by_ref().take(batch.changes().len());
                let revisions = revisions.map(|it| self.reply().revision(Some(it))).collect();
                if let Some(local) = &self.0.local {
                    // The server reports it as well, but maybe later.
                    batch.changes().iter().for_each(|it| local.forget(it.partition().as_str()));
                    for partition in reply {
                        local.forget(&self.reply().text(Some(partition))?);
                    }
                }
                revisions
            }
        }
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        let section = credential_type.map_or("*", CredentialType::as_str);
        for _ in 0..ATTEMPTS {
            if let Some(load) = self.list_once(section, known).await? {
                return Ok(load);
            }
        }
        Err(Error::Contended { place: self.0.server.name.clone(), attempts: ATTEMPTS })
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        let StoreState { keys, scripts, server, .. } = &*self.0;
        let mut purged = 0;
        self.sweep().await?;
        loop {
            let (deleted, found): (u64, usize) = server
                .call(true, |Attempt { mut connection, .. }| async move {
                    let mut call = scripts.purge.prepare_invoke();
                    for key in keys.shared() {
                        call.key(key);
                    }
                    call.arg(&keys.partitions)
                        .arg(hex(Revision::unique()))
                        .arg(millis(self.0.idle));
                    call.arg(score(now)).arg(PURGE_RECORDS);
                    call.invoke_async(&mut connection).await
                })
                .await?;
            purged += deleted;
            if deleted > 0
                && let Some(local) = &self.0.local
            {
                local.forget_all();
            }
            if found < PURGE_RECORDS {
                return Ok(purged);
            }
        }
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        guard::guard(&self.0, partition, wait).await
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        watch::watch(&self.0, signal).await
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        self.0.local.as_ref().is_some_and(|local| local.is_unchanged(partition, known))
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore").field(&self.0.server).finish()
    }
}

/// An expiry as a score, which is a floating-point number.
fn score(expires_on: i64) -> i64 {
    expires_on.clamp(-LARGEST_SCORE, LARGEST_SCORE)
}
