//! The connection to a server: made when it is needed, checked, and made again when it was lost.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use msal_cache_core::internal::CredentialSource;
use msal_cache_core::{Credentials, Error, Result};
use redis::Script;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ProtocolVersion, RedisError, RedisResult,
};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::error::{RedisFailure, code_of, corrupt, is_lost, is_moving, translate};
use crate::nodes::Nodes;
use crate::tracking::Tracking;

/// How often a node may redirect to another one.
const REDIRECTIONS: usize = 16;

/// The pause before a call is repeated that was refused because the cache is on its way to another node.
const MOVING: Duration = Duration::from_millis(20);

/// A server, and the connection to it that all calls share.
pub(crate) struct Server {
    nodes: Nodes,
    source: Option<CredentialSource>,
    timeout: Duration,
    /// Counts the connections, so that a call drops only the one that it used.
    numbers: AtomicU64,
    /// The key that holds the version of the layout.
    meta: String,
    probe: Script,
    /// The address, for errors.
    pub(crate) name: String,
    tracking: Option<Arc<Tracking>>,
    /// Whether the keys of users expire, so that a full server may delete them early.
    limits_users: bool,
    /// Read by each call, and never while a task waits.
    current: Arc<RwLock<Option<Connection>>>,
    /// Held by the call that connects; other calls wait for its connection instead of making their own.
    connecting: Mutex<()>,
}

struct Connection {
    calls: MultiplexedConnection,
    number: u64,
    since: Instant,
    /// Runs as long as the connection is used.
    _heartbeat: Option<Heartbeat>,
}

impl Connection {
    fn attempt(&self, again: bool) -> Attempt {
        let Self { calls, number, since, .. } = self;
        Attempt { connection: calls.clone(), number: *number, since: *since, again }
    }
}

struct Heartbeat(JoinHandle<()>);

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a call is made with.
pub(crate) struct Attempt {
    pub(crate) connection: MultiplexedConnection,
    /// The number of the connection.
    pub(crate) number: u64,
    /// When it was made.
    pub(crate) since: Instant,
    /// Whether the call is repeated: it may have been carried out already.
    pub(crate) again: bool,
}

impl Server {
    pub(crate) fn new(
        nodes: Nodes,
        source: Option<CredentialSource>,
        timeout: Duration,
        meta: String,
        tracking: Option<Arc<Tracking>>,
        limits_users: bool,
    ) -> Self {
        let (name, numbers) = (nodes.name(), AtomicU64::new(1));
        let probe = Script::new(include_str!("scripts/probe.lua"));
        Self {
            nodes,
            source,
            timeout,
            numbers,
            meta,
            probe,
            name,
            tracking,
            limits_users,
            current: Arc::default(),
            connecting: Mutex::default(),
        }
    }

    async fn attempt(&self, again: bool) -> Result<Attempt> {
        if let Some(attempt) = self.connected(again) {
            return Ok(attempt);
        }
        let _connecting = self.connecting.lock().await;
        if let Some(attempt) = self.connected(again) {
            return Ok(attempt);
        }
        Handle::try_current().map_err(|_| Error::no_runtime())?;
        let connection = match tokio::time::timeout(self.timeout, self.connect()).await {
            Ok(made) => made?,
            Err(_) => return Err(self.unreachable("it doesn't answer")),
        };
        let attempt = connection.attempt(again);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        Ok(attempt)
    }

    /// What a call is made with, if there is a connection.
    fn connected(&self, again: bool) -> Option<Attempt> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(current.as_ref()?.attempt(again))
    }

    /// Connects to the first node that answers, or to the one that it names.
    async fn connect(&self) -> Result<Connection> {
        let mut settings = self.nodes.settings().clone().set_protocol(ProtocolVersion::RESP3);
        if let Some(source) = &self.source {
            let Credentials { username, password } = source.get().await?;
            if let Some(username) = username {
                settings = settings.set_username(username);
            }
            settings = settings.set_password(password);
        }
        let share = self.timeout / self.nodes.count();
        let mut failure = None;
        for info in self.nodes.candidates(share).await? {
            let info = info.set_redis_settings(settings.clone());
            let made = tokio::time::timeout(share, self.connect_by(info)).await;
            match made.unwrap_or_else(|_| Err(self.unreachable("it doesn't answer"))) {
                Ok(connection) => return Ok(connection),
                Err(error @ Error::Unavailable { .. }) => failure = failure.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| self.unreachable("it has no address")))
    }

    /// Connects to a node, or to the one to which it redirects.
    async fn connect_by(&self, mut info: ConnectionInfo) -> Result<Connection> {
        let mut redirections = 0;
        loop {
            let error = match self.connect_to(&info).await? {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            match self.nodes.redirected(&info, &error) {
                Some(to) if redirections < REDIRECTIONS => {
                    info = to.set_redis_settings(info.redis_settings().clone());
                    redirections += 1;
                }
                None if is_moving(&error) => {}
                _ => return Err(self.error(&error)),
            }
            if redirections != 1 {
                // Until the nodes agree, or the timeout of the caller.
                tokio::time::sleep(MOVING).await;
            }
        }
    }

    async fn connect_to(&self, info: &ConnectionInfo) -> Result<RedisResult<Connection>> {
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        // A script may take its time; a call that is abandoned has an unknown outcome.
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        if let Some(tracking) = &self.tracking {
            let tracking = tracking.clone();
            config = config.set_push_sender(move |push| {
                tracking.hear(number, &push);
                Ok::<(), SendError>(())
            });
        }
        let connect = async {
            let client = Client::open(info.clone())?;
            client.get_multiplexed_async_connection_with_config(&config).await
        };
        let mut calls = connect.await.map_err(|error| self.error(&error))?;
        if let Err(error) = self.check(info, &mut calls).await? {
            return Ok(Err(error));
        }
        let heartbeat = self.track(&mut calls, number).await.map_err(|error| self.error(&error))?;
        let since = Instant::now();
        Ok(Ok(Connection { calls, number, since, _heartbeat: heartbeat }))
    }

    /// Starts what keeps local answers true on a new connection.
    async fn track(
        &self,
        calls: &mut MultiplexedConnection,
        number: u64,
    ) -> RedisResult<Option<Heartbeat>> {
        let Some(tracking) = &self.tracking else { return Ok(None) };
        let Some(known) = tracking.start(calls, number).await? else { return Ok(None) };
        let (tracking, calls) = (tracking.clone(), calls.clone());
        let current = Arc::downgrade(&self.current);
        Ok(Some(Heartbeat(tokio::spawn(async move {
            tracking.run(calls, number, known).await;
            drop_connection(&current, number);
        }))))
    }

    /// Refuses a server on which the cache would lose data, and data of another version. The inner
    /// error is the one of the server, which may name the node to use.
    async fn check(
        &self,
        info: &ConnectionInfo,
        connection: &mut MultiplexedConnection,
    ) -> Result<RedisResult<()>> {
        let mut all = redis::pipe();
        all.cmd("INFO").arg("server").cmd("INFO").arg("memory");
        let replies: RedisResult<(String, String)> = all.query_async(connection).await;
        let (server, memory) = replies.map_err(|error| self.error(&error))?;
        let found = field(&server, "redis_version").unwrap_or("unknown");
        if is_too_old(found) {
            return Err(
                RedisFailure::TooOld { server: self.name.clone(), found: found.into() }.into()
            );
        }
        if let Some(policy) = field(&memory, "maxmemory_policy").filter(|it| {
            it.starts_with("allkeys") || self.limits_users && it.starts_with("volatile")
        }) {
            let (server, policy) = (self.name.clone(), policy.to_owned());
            return Err(RedisFailure::Evicts { server, policy }.into());
        }
        let mut probe = self.probe.key(format!("{}:probe-1", self.meta));
        probe.key(format!("{}:probe-2", self.meta)).key(&self.meta);
        let version = match probe.invoke_async::<Option<String>>(connection).await {
            Ok(version) => version,
            Err(error) => return Ok(Err(error)),
        };
        if version.is_some_and(|version| version != "1") {
            return Err(corrupt(&self.name, "it was written by a newer version of msal-cache"));
        }
        if field(&server, "redis_mode") == Some("cluster") {
            self.nodes.learn(info, connection).await;
        }
        Ok(Ok(()))
    }

    /// Calls the server, and once more on a new connection if the connection was lost. A call that
    /// doesn't answer in time is not repeated. Where the server refuses a call because the cache is
    /// on another node, or on its way to one, the call is repeated until the timeout.
    pub(crate) async fn call<T, F>(
        &self,
        writes: bool,
        mut call: impl FnMut(Attempt) -> F,
    ) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (mut again, mut started) = (false, None);
        loop {
            let attempt = self.attempt(again).await?;
            let number = attempt.number;
            let error = match call(attempt).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            self.after(&error, number);
            if is_moving(&error) {
                let started = started.get_or_insert_with(Instant::now);
                if started.elapsed() < self.timeout {
                    tokio::time::sleep(MOVING).await;
                    continue;
                }
            }
            if again || !is_lost(&error) || error.is_timeout() {
                return Err(self.failed(&error, writes));
            }
            again = true;
        }
    }

    /// Drops a connection that failed, or whose server became a replica after a failover.
    fn after(&self, error: &RedisError, number: u64) {
        if is_lost(error) || matches!(code_of(error), "READONLY" | "MOVED") {
            if let Some(tracking) = &self.tracking {
                tracking.local.end(number);
            }
            drop_connection(&Arc::downgrade(&self.current), number);
        }
    }

    fn failed(&self, error: &RedisError, writes: bool) -> Error {
        if writes && is_lost(error) {
            let reason = error.category().to_owned();
            return RedisFailure::OutcomeUnknown { server: self.name.clone(), reason }.into();
        }
        self.error(error)
    }

    fn error(&self, error: &RedisError) -> Error {
        translate(&self.name, error)
    }

    fn unreachable(&self, reason: &str) -> Error {
        RedisFailure::Unreachable { server: self.name.clone(), reason: reason.into() }.into()
    }
}

fn drop_connection(current: &Weak<RwLock<Option<Connection>>>, number: u64) {
    let Some(current) = current.upgrade() else { return };
    let mut current = current.write().unwrap_or_else(PoisonError::into_inner);
    let dropped = current.take_if(|connection| connection.number == number);
    // The end of a connection runs other code, which may ask for the next one.
    drop(current);
    drop(dropped);
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The value of a line `name:value`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// Whether the version is before 6.2. An unknown one isn't.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (6, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for version in ["5.0.14", "6.0.16", "2.8"] {
            assert!(is_too_old(version), "{version}");
        }
        for version in ["6.2.0", "7.0.15", "10.0.1", "unknown", ""] {
            assert!(!is_too_old(version), "{version}");
        }
    }

    #[test]
    fn a_field_of_the_servers_report_is_found_by_its_whole_name() {
        let info = "# Memory\r\nmaxmemory_policy_x:a\r\nmaxmemory_policy:noeviction\r\n";
        assert_eq!(field(info, "maxmemory_policy"), Some("noeviction"));
        assert_eq!(field(info, "memory"), None);
    }
}
