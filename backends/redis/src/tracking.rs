//! What makes local answers certain: the server reports each change (`CLIENT TRACKING` in broadcast
//! mode) on the connection that all calls use, and a heartbeat proves that it still does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use msal_cache_core::internal::{LocalRevisions, wall_clock};
use msal_cache_core::{Revision, event};
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, RedisResult, Script, Value, cmd};

use crate::keys::Keys;
use crate::reply::hex;
use crate::scripts::{self, millis};

/// How many heartbeats are sent while local answers count.
const BEATS: u32 = 4;

/// How many names one heartbeat reads, and how many heartbeats follow each other.
const NAMES: usize = 400;
const PAGES: usize = 40;

pub(crate) struct Tracking {
    pub(crate) local: Arc<LocalRevisions>,
    keys: Keys,
    heartbeat: Script,
    sweep: Script,
    /// How long a user is kept that is not used.
    idle: Option<Duration>,
    interval: Duration,
    /// Counts the reports.
    heard: AtomicU64,
}

/// How often each process deletes what is over.
const SWEEPS: Duration = Duration::from_secs(2);

/// How many partitions are deleted at once.
const SWEPT: usize = 20;

/// Deletes partitions whose time is over, and returns whether there are more.
pub(crate) async fn sweep(
    script: &Script,
    keys: &Keys,
    idle: Option<Duration>,
    connection: &mut MultiplexedConnection,
) -> RedisResult<bool> {
    let mut call = script.prepare_invoke();
    for key in keys.shared() {
        call.key(key);
    }
    call.arg(&keys.partitions).arg(hex(Revision::unique())).arg(millis(idle)).arg(SWEPT);
    call.invoke_async(connection).await
}

/// What is known of the history of a store.
#[derive(Default)]
pub(crate) struct History {
    /// The last change, as the server counts them.
    last: String,
    /// How many reports had arrived.
    heard: u64,
}

/// The reply to a heartbeat.
type Beat = (String, String, u8, Vec<String>);

impl Tracking {
    pub(crate) fn new(
        local: Arc<LocalRevisions>,
        keys: Keys,
        limit: Duration,
        idle: Option<Duration>,
    ) -> Self {
        let sweep = scripts::sweep();
        let heartbeat = Script::new(include_str!("scripts/heartbeat.lua"));
        Self {
            local,
            keys,
            heartbeat,
            sweep,
            idle,
            interval: limit / BEATS,
            heard: AtomicU64::new(0),
        }
    }

    /// Handles what the server sends without a request. It is called in the order of the replies.
    pub(crate) fn hear(&self, number: u64, push: &PushInfo) {
        match push.kind {
            PushKind::Disconnection => self.local.end(number),
            PushKind::Invalidate => {
                match push.data.first() {
                    Some(Value::Array(keys)) => keys.iter().for_each(|key| self.forget(key)),
                    // `FLUSHALL`.
                    _ => self.local.forget_all(),
                }
                self.heard.fetch_add(1, Ordering::SeqCst);
                self.local.watchers.notify();
            }
            _ => {}
        }
    }

    fn forget(&self, key: &Value) {
        let Value::BulkString(key) = key else { return self.local.forget_all() };
        let name = key.strip_prefix(self.keys.partitions.as_bytes());
        if let Some(name) = name.and_then(|name| str::from_utf8(name).ok()) {
            self.local.forget(name);
        }
    }

    /// Asks the server to report changes on this connection. Returns what the heartbeats start with;
    /// `None` where the server or the user can't.
    pub(crate) async fn start(
        &self,
        connection: &mut MultiplexedConnection,
        number: u64,
    ) -> RedisResult<Option<History>> {
        let mut track = cmd("CLIENT");
        track.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(&self.keys.partitions);
        let tracked = track.query_async::<()>(connection).await;
        let known = match tracked {
            Ok(()) => {
                self.local.begin(number);
                self.beat(connection, History::default()).await
            }
            Err(error) => Err(error),
        };
        match known {
            Err(error) if error.is_io_error() || error.is_unrecoverable_error() => Err(error),
            Ok(known @ Some(_)) => Ok(known),
            Ok(None) | Err(_) => {
                event!(
                    warn,
                    target: "msal_cache::redis",
                    "the server doesn't report changes, so each look-up asks it"
                );
                self.local.end(number);
                Ok(None)
            }
        }
    }

    /// Sends heartbeats until one fails, or the server isn't the primary any more.
    pub(crate) async fn run(
        &self,
        mut connection: MultiplexedConnection,
        number: u64,
        mut known: History,
    ) {
        let mut swept = Instant::now();
        loop {
            let sent = wall_clock();
            match self.beat(&mut connection, known).await {
                Ok(Some(last)) => known = last,
                Ok(None) => break,
                Err(error) => {
                    let reason = error.category();
                    event!(debug, target: "msal_cache::redis", reason, "a heartbeat failed");
                    break;
                }
            }
            self.local.confirm(number, sent);
            if swept.elapsed() > SWEEPS {
                swept = Instant::now();
                // In the background, so a failure is none of a caller; it is repeated.
                let _ = sweep(&self.sweep, &self.keys, self.idle, &mut connection).await;
            }
            tokio::time::sleep(self.interval).await;
        }
        self.local.end(number);
    }

    /// Returns the history, after all changes in it have been noted; `None` where the server
    /// isn't the primary.
    ///
    /// The server has reported these changes already. Here they are read, so that a report that
    /// was lost is noticed.
    async fn beat(
        &self,
        connection: &mut MultiplexedConnection,
        mut known: History,
    ) -> RedisResult<Option<History>> {
        for page in 0.. {
            if page == PAGES {
                known.last.clear();
            }
            let mut call = self.heartbeat.key(&self.keys.meta);
            call.key(&self.keys.parts).key(&self.keys.gone).arg(&known.last).arg(NAMES);
            let (role, last, follows, names): Beat = call.invoke_async(connection).await?;
            if role != "master" {
                return Ok(None);
            }
            let heard = self.heard.load(Ordering::SeqCst);
            // Changes that were reported and aren't in the history: another one has replaced it.
            let is_replaced = follows == 2 || last == known.last && heard != known.heard;
            if is_replaced || page == PAGES {
                self.local.forget_all();
            }
            for name in &names {
                self.local.forget(name);
            }
            if !names.is_empty() || is_replaced || page == PAGES {
                self.local.watchers.notify();
            }
            known = History { last, heard };
            if follows != 1 {
                break;
            }
        }
        Ok(Some(known))
    }
}
