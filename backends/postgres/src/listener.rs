//! What makes local answers certain: the server notifies this process of each change on a connection of its
//! own, and a heartbeat proves that it still does.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::select;
use msal_cache_core::internal::{LoadStamp, LocalRevisions, wall_clock};
use msal_cache_core::{Error, Partition, Result, Revision, event};
use tokio::sync::oneshot;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

use crate::connection::{Connector, SERVER_START, ServerStart};
use crate::id::Id;

/// How many heartbeats are sent while local answers count.
const BEATS: u32 = 4;

/// The pause between two attempts to listen.
const PAUSE: Duration = Duration::from_secs(1);

/// The pause between two questions whether earlier transactions have ended.
const EARLIER_PAUSE: Duration = Duration::from_millis(10);

/// After this time, a look-up asks even if no change was reported. It bounds what no commit of a store
/// reports: rows that an operator changes by SQL.
const KEPT: Duration = Duration::from_secs(60);

/// How long the message that ends listening may take.
const RELEASE: Duration = Duration::from_millis(250);

/// How many partitions have known ids; twice the revisions that are known.
const IDS: usize = 1 << 16;

/// Listens until it is dropped.
pub(crate) struct Listener {
    state: Arc<State>,
    _dropped: oneshot::Sender<()>,
}

struct State {
    local: LocalRevisions,
    /// What partitions are known by in `local`, by their ids: those that were loaded since the map was
    /// emptied.
    keys: Mutex<HashMap<u128, u64>>,
    /// The server that notifies, and the number of the connection; 0 if there is none.
    server: AtomicI64,
    begun: AtomicU64,
    numbers: AtomicU64,
    connector: Arc<Connector>,
    cache: String,
    id: Id,
    channel: String,
    interval: Duration,
    /// A heartbeat finds that the row in the table counts for this long at least.
    margin: Duration,
}

/// A connection that listens.
struct Listening {
    client: Arc<Client>,
    number: u64,
    beat: Statement,
}

impl Listener {
    /// Listens to the changes of a cache.
    pub(crate) async fn start(
        connector: Arc<Connector>,
        cache: &str,
        limit: Duration,
    ) -> Result<Self> {
        let channel = format!("msal_{:032x}", Id::of_record(&connector.names.of(""), cache).0);
        let state = Arc::new(State {
            local: LocalRevisions::new(limit),
            keys: Mutex::default(),
            server: AtomicI64::new(0),
            begun: AtomicU64::new(0),
            numbers: AtomicU64::new(0),
            connector,
            cache: cache.into(),
            id: Revision::unique().into(),
            channel,
            interval: limit / BEATS,
            margin: Duration::from_secs(10) + limit * 2,
        });
        let first = state.open().await?;
        // A missing right is an error now.
        state.register(&first.client).await.map_err(|error| state.connector.error(&error))?;
        let (dropped, is_dropped) = oneshot::channel();
        tokio::spawn(state.clone().keep(first, is_dropped));
        Ok(Self { state, _dropped: dropped })
    }

    #[inline]
    pub(crate) fn local(&self) -> &LocalRevisions {
        &self.state.local
    }

    pub(crate) fn is_tracking(&self) -> bool {
        self.state.local.is_tracking()
    }

    /// To be called before a partition is loaded; `None` if what is loaded can't be remembered.
    pub(crate) fn stamp(&self, partition: &Partition, id: Id) -> Option<LoadStamp> {
        let State { local, keys, begun, .. } = &*self.state;
        let number = begun.load(Ordering::SeqCst);
        if number == 0 {
            return None;
        }
        let mut keys = lock(keys);
        if keys.len() >= IDS {
            keys.clear();
            local.forget_all();
        }
        keys.insert(id.0, local.key(partition.as_str()));
        drop(keys);
        Some(local.stamp(partition, number))
    }

    /// Remembers what was loaded, if the server that has answered is the one that notifies: another one may
    /// be behind.
    pub(crate) fn learn(&self, stamp: &LoadStamp, server: Option<ServerStart>, revision: Revision) {
        if server == Some(self.state.server.load(Ordering::SeqCst)) {
            self.state.local.learn(stamp, revision, Some(KEPT));
        }
    }

    /// A partition has changed.
    pub(crate) fn forget(&self, id: Id) {
        self.state.forget(id.0);
    }
}

impl State {
    /// What is notified of is forgotten before the next answer on the connection is handled.
    fn hear(&self, channel: &str, ids: &str) {
        if channel != self.channel {
            return;
        }
        for id in ids.split(',') {
            match u128::from_str_radix(&id.replace('-', ""), 16) {
                Ok(id) => self.forget(id),
                Err(_) => self.local.forget_all(),
            }
        }
        self.local.watchers.notify();
    }

    fn forget(&self, id: u128) {
        if let Some(key) = lock(&self.keys).get(&id) {
            self.local.forget_key(*key);
        }
    }

    /// Connects and listens.
    async fn open(self: &Arc<Self>) -> Result<Listening> {
        let number = self.numbers.fetch_add(1, Ordering::SeqCst) + 1;
        let state = self.clone();
        let hears = move |heard: Option<&tokio_postgres::Notification>| match heard {
            Some(it) => state.hear(it.channel(), it.payload()),
            None => state.end(number),
        };
        let connector = &self.connector;
        let client = connector.connect_hearing(Box::new(hears)).await?;
        let listen = async {
            client.batch_execute(&format!("LISTEN {}", self.channel)).await?;
            // Whether the row counts, and for how long, in terms of `margin`.
            let sql = "SELECT ends > clock_timestamp() + $3 * interval '1 millisecond', \
                              ends > clock_timestamp() + $3 * interval '2 milliseconds' \
                       FROM {listeners} WHERE cache = $1 AND id = $2 AND NOT pg_is_in_recovery()";
            let types = [Type::TEXT, Type::UUID, Type::INT8];
            client.prepare_typed(&connector.names.sql(sql), &types).await
        };
        let beat = connector.in_time(listen).await?.map_err(|error| connector.error(&error))?;
        Ok(Listening { client: Arc::new(client), number, beat })
    }

    /// Tells all writers of the cache to notify. Returns the server; `None` while its queue of
    /// notifications is filled.
    async fn register(
        &self,
        client: &Client,
    ) -> Result<Option<ServerStart>, tokio_postgres::Error> {
        let sql = format!(
            "INSERT INTO {{listeners}} (cache, id, channel, ends) \
             SELECT $1, $2, $4, clock_timestamp() + $3 * interval '3 milliseconds' \
             WHERE pg_notification_queue_usage() < 0.25 \
             ON CONFLICT (cache, id) DO UPDATE SET ends = excluded.ends RETURNING {SERVER_START}"
        );
        let rows = self.call(client, &sql, &[(&self.channel, Type::TEXT)]).await?;
        rows.first().map(|row| row.try_get(0)).transpose()
    }

    /// The transactions that may have changed something, and not notified since they began earlier.
    async fn writers(&self, client: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
        let sql = self.connector.names.sql(
            "SELECT virtualtransaction FROM pg_locks WHERE relation = '{sessions}'::regclass \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND mode = 'RowExclusiveLock' AND granted",
        );
        let rows = client.query_typed(&sql, &[]).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    /// Sends a heartbeat. Returns whether the writers still notify.
    async fn beat(&self, on: &Listening) -> Result<bool, tokio_postgres::Error> {
        let rows = on.client.query(&on.beat, &[&self.cache, &self.id, &self.margin_ms()]).await?;
        match rows.first().map(|row| (row.get(0), row.get(1))) {
            Some((true, true)) => Ok(true),
            Some((true, false)) => {
                let sql = "UPDATE {listeners} \
                           SET ends = clock_timestamp() + $3 * interval '3 milliseconds' \
                           WHERE cache = $1 AND id = $2 AND ends > clock_timestamp() RETURNING true";
                Ok(!self.call(&on.client, sql, &[]).await?.is_empty())
            }
            _ => Ok(false),
        }
    }

    /// Sends heartbeats until one fails, or the writers don't notify any more.
    async fn run(&self, on: &Listening) -> Result<()> {
        let connector = &self.connector;
        let failed = |error: tokio_postgres::Error| connector.error(&error);
        let server = loop {
            let registered = connector.in_time(self.register(&on.client)).await?;
            if let Some(server) = registered.map_err(failed)? {
                break server;
            }
            self.local.watchers.notify();
            tokio::time::sleep(PAUSE).await;
        };
        let mut earlier = connector.in_time(self.writers(&on.client)).await?.map_err(failed)?;
        while !earlier.is_empty() {
            tokio::time::sleep(EARLIER_PAUSE).await;
            let now = connector.in_time(self.writers(&on.client)).await?.map_err(failed)?;
            earlier.retain(|it| now.contains(it));
        }
        self.server.store(server, Ordering::SeqCst);
        self.local.begin(on.number);
        self.begun.store(on.number, Ordering::SeqCst);
        // What was changed before was not reported.
        self.local.watchers.notify();
        loop {
            let sent = wall_clock();
            if !connector.in_time(self.beat(on)).await?.map_err(failed)? {
                return Ok(());
            }
            self.local.confirm(on.number, sent);
            tokio::time::sleep(self.interval).await;
        }
    }

    /// Local answers that this connection makes certain end.
    fn end(&self, number: u64) {
        let _ = self.begun.compare_exchange(number, 0, Ordering::SeqCst, Ordering::SeqCst);
        self.local.end(number);
    }

    /// Listens, and connects again after a failure, until the listener is dropped.
    async fn keep(self: Arc<Self>, first: Listening, is_dropped: oneshot::Receiver<()>) {
        let current = Mutex::new(first.client.clone());
        let work = pin!(async {
            let mut on = first;
            loop {
                let started = Instant::now();
                if let Err(error) = self.run(&on).await {
                    self.failed(&error);
                }
                self.end(on.number);
                if started.elapsed() < PAUSE {
                    tokio::time::sleep(PAUSE).await;
                }
                on = self.reopen().await;
                *lock(&current) = on.client.clone();
            }
        });
        select(work, is_dropped).await;
        // Otherwise the writers notify until the row has ended.
        let client = lock(&current).clone();
        let sql = "DELETE FROM {listeners} WHERE cache = $1 AND id = $2 AND $3 > 0";
        let _ = tokio::time::timeout(RELEASE, self.call(&client, sql, &[])).await;
    }

    async fn reopen(self: &Arc<Self>) -> Listening {
        loop {
            match self.open().await {
                Ok(listening) => return listening,
                Err(error) => self.failed(&error),
            }
            // Nothing is reported meanwhile.
            self.local.watchers.notify();
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn failed(&self, error: &Error) {
        let (server, reason) = (self.connector.server.as_str(), error.to_string());
        event!(
            debug,
            target: "msal_cache::postgres",
            server,
            reason,
            "no connection listens to changes, so each look-up asks the server"
        );
    }

    /// Runs a statement with the cache, the row, the margin, and more.
    async fn call(
        &self,
        client: &Client,
        sql: &str,
        more: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let (sql, margin) = (self.connector.names.sql(sql), self.margin_ms());
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            vec![(&self.cache, Type::TEXT), (&self.id, Type::UUID), (&margin, Type::INT8)];
        parameters.extend(more.iter().cloned());
        client.query_typed(&sql, &parameters).await
    }

    fn margin_ms(&self) -> i64 {
        i64::try_from(self.margin.as_millis()).unwrap_or(i64::MAX)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
