//! The connection to a server: made when it is needed, checked, and made again when it was lost.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use msal_cache_core::{Error, Result};
use redis::Script;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ProtocolVersion, RedisError, RedisResult,
};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::credentials::{CredentialSource, Credentials};
use crate::error::{RedisFailure, code_of, corrupt, is_lost, translate};
use crate::tracking::Tracking;

/// A server, and the connection to it that all calls share.
pub(crate) struct Server {
    info: ConnectionInfo,
    source: Option<CredentialSource>,
    timeout: Duration,
    /// The key that holds the version of the layout.
    meta: String,
    probe: Script,
    /// The address, for errors.
    pub(crate) name: String,
    tracking: Option<Arc<Tracking>>,
    current: Arc<Mutex<Current>>,
}

#[derive(Default)]
struct Current {
    connection: Option<Connection>,
    /// Counts the connections, so that a call drops only the one that it used.
    number: u64,
}

struct Connection {
    calls: MultiplexedConnection,
    /// Runs as long as the connection is used.
    _heartbeat: Option<Heartbeat>,
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
    /// Whether the call is repeated: it may have been carried out already.
    pub(crate) again: bool,
}

impl Server {
    pub(crate) fn new(
        info: ConnectionInfo,
        source: Option<CredentialSource>,
        timeout: Duration,
        meta: String,
        tracking: Option<Arc<Tracking>>,
    ) -> Self {
        let name = format!("the server at {}", info.addr());
        let probe = Script::new(include_str!("scripts/probe.lua"));
        Self { info, source, timeout, meta, probe, name, tracking, current: Arc::default() }
    }

    async fn attempt(&self, again: bool) -> Result<Attempt> {
        // Other calls wait for this connection instead of making their own.
        let mut current = self.current.lock().await;
        if let Some(Connection { calls, .. }) = &current.connection {
            return Ok(Attempt { connection: calls.clone(), number: current.number, again });
        }
        Handle::try_current().map_err(|_| Error::no_runtime())?;
        current.number += 1;
        let number = current.number;
        let made = match tokio::time::timeout(self.timeout, self.connect(number)).await {
            Ok(made) => made,
            Err(_) => Err(self.unreachable("it doesn't answer")),
        };
        if made.is_err()
            && let Some(tracking) = &self.tracking
        {
            tracking.local.end(number);
        }
        let connection = made?;
        let calls = connection.calls.clone();
        current.connection = Some(connection);
        Ok(Attempt { connection: calls, number, again })
    }

    async fn connect(&self, number: u64) -> Result<Connection> {
        let mut redis = self.info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        if let Some(source) = &self.source {
            let Credentials { username, password } = source.get().await?;
            if let Some(username) = username {
                redis = redis.set_username(username);
            }
            redis = redis.set_password(password);
        }
        let info = self.info.clone().set_redis_settings(redis);
        let client = Client::open(info).map_err(|error| self.error(&error))?;
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
        let calls = client.get_multiplexed_async_connection_with_config(&config).await;
        let mut calls = calls.map_err(|error| self.error(&error))?;
        self.check(&mut calls).await?;
        let heartbeat = self.track(&mut calls, number).await.map_err(|error| self.error(&error))?;
        Ok(Connection { calls, _heartbeat: heartbeat })
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
            drop_connection(&current, number).await;
        }))))
    }

    /// Refuses a server on which the cache would lose data, and data of another version.
    async fn check(&self, connection: &mut MultiplexedConnection) -> Result<()> {
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
        if let Some(policy) =
            field(&memory, "maxmemory_policy").filter(|it| it.starts_with("allkeys"))
        {
            let (server, policy) = (self.name.clone(), policy.to_owned());
            return Err(RedisFailure::Evicts { server, policy }.into());
        }
        let mut probe = self.probe.key(format!("{}:probe-1", self.meta));
        probe.key(format!("{}:probe-2", self.meta)).key(&self.meta);
        let version: RedisResult<Option<String>> = probe.invoke_async(connection).await;
        if version.map_err(|error| self.error(&error))?.is_some_and(|version| version != "1") {
            return Err(corrupt(&self.name, "it was written by a newer version of msal-cache"));
        }
        Ok(())
    }

    /// Calls the server, and once more on a new connection if the connection was lost. A call that
    /// doesn't answer in time is not repeated.
    pub(crate) async fn call<T, F>(
        &self,
        writes: bool,
        mut call: impl FnMut(Attempt) -> F,
    ) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        for again in [false, true] {
            let attempt = self.attempt(again).await?;
            let number = attempt.number;
            let error = match call(attempt).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            self.after(&error, number).await;
            if again || !is_lost(&error) || error.is_timeout() {
                return Err(self.failed(&error, writes));
            }
        }
        unreachable!("the second attempt returns")
    }

    /// Drops a connection that failed, or whose server became a replica after a failover.
    async fn after(&self, error: &RedisError, number: u64) {
        if is_lost(error) || code_of(error) == "READONLY" {
            if let Some(tracking) = &self.tracking {
                tracking.local.end(number);
            }
            drop_connection(&Arc::downgrade(&self.current), number).await;
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

async fn drop_connection(current: &Weak<Mutex<Current>>, number: u64) {
    if let Some(current) = current.upgrade() {
        let mut current = current.lock().await;
        if current.number == number {
            current.connection = None;
        }
    }
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
