use std::time::Duration;

use msal_cache_core::Result;
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use crate::database::Database;
use crate::error::{Attempt, Failure};
use crate::wait::Patience;

/// How many threads read at the same moment; more of them wait for one that is done.
const CONNECTIONS: usize = 8;

/// The connections to one database. The one that was used last is used next, so that one thread
/// finds its pages in memory.
pub(crate) struct Pool {
    database: Database,
    connections: Mutex<Connections>,
    returned: Condvar,
    most: usize,
    /// Held by the thread that writes. The others wait here, where they are woken, and not in
    /// SQLite, where they would have to ask again and again.
    writing: Mutex<()>,
}

struct Connections {
    idle: Vec<Connection>,
    lent: usize,
}

impl Pool {
    pub(crate) fn new(database: Database, first: Connection) -> Self {
        let most = if database.is_in_memory() { 1 } else { CONNECTIONS };
        let connections = Mutex::new(Connections { idle: vec![first], lent: 0 });
        Self { database, connections, returned: Condvar::new(), most, writing: Mutex::new(()) }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Reads, again and again while others are in the way.
    pub(crate) fn read<T>(&self, work: impl Fn(&Connection) -> Attempt<T>) -> Result<T> {
        self.patiently(self.database.patience(), |_| {
            let before = self.database.stamp()?;
            let done = self.with(before.is_none(), &work);
            if before.is_some() && before != self.database.stamp()? {
                return Err(Failure::Disturbed);
            }
            done
        })
    }

    /// Writes, one thread at a time, again and again while others are in the way.
    pub(crate) fn write<T>(
        &self,
        work: impl Fn(&Connection, &mut Patience) -> Attempt<T>,
    ) -> Result<T> {
        self.database.check_writable()?;
        let mut patience = self.database.patience();
        let alone = self.writing.try_lock().or_else(|| {
            let left = patience.start();
            self.writing.try_lock_for(left)
        });
        let Some(_alone) = alone else {
            let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            let busy = Failure::Sqlite(rusqlite::Error::SqliteFailure(busy, None));
            return Err(self.database.told(busy, &patience));
        };
        self.patiently(patience, |patience| {
            self.with(true, |connection| work(connection, patience))
        })
    }

    /// Moves what the write-ahead log holds into the database, and empties the log; `false` where
    /// others were in the way for so long. Without a log there is nothing to do.
    pub(crate) fn empty_log(&self, wait: Duration) -> bool {
        let mut patience = Patience::new(wait);
        let checkpoint = |connection: &Connection| -> Attempt<bool> {
            let row = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], row)? == 0)
        };
        loop {
            match self.with(true, checkpoint) {
                Ok(true) => return true,
                Err(failure) if !failure.is_passing() => return false,
                _ if patience.pause() => {}
                _ => return false,
            }
        }
    }

    fn patiently<T>(
        &self,
        mut patience: Patience,
        mut attempt: impl FnMut(&mut Patience) -> Attempt<T>,
    ) -> Result<T> {
        loop {
            match attempt(&mut patience) {
                Ok(value) => {
                    patience.done(self.database.path());
                    return Ok(value);
                }
                Err(failure) if failure.is_passing() && patience.pause() => {}
                Err(failure) => return Err(self.database.told(failure, &patience)),
            }
        }
    }

    /// Lends a connection to `work`: an idle one, unless it has to be `kept` no longer than this.
    fn with<T>(&self, kept: bool, work: impl FnOnce(&Connection) -> Attempt<T>) -> Attempt<T> {
        let mut connections = self.connections.lock();
        while connections.lent >= self.most {
            self.returned.wait(&mut connections);
        }
        connections.lent += 1;
        let idle = connections.idle.pop();
        drop(connections);

        let mut lent = Lent { pool: self, back: None };
        let connection = match idle {
            Some(connection) if kept => connection,
            _ => self.database.connect()?,
        };
        let done = work(&connection);
        if kept && connection.is_autocommit() {
            lent.back = Some(connection);
        }
        done
    }
}

/// A connection that is lent. What isn't given back, after a panic or because a transaction could
/// not be ended, is closed and leaves its place to another one.
struct Lent<'a> {
    pool: &'a Pool,
    back: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut connections = self.pool.connections.lock();
        connections.lent -= 1;
        connections.idle.extend(self.back.take());
        drop(connections);
        self.pool.returned.notify_one();
    }
}
