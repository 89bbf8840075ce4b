use std::time::Duration;

use msal_cache_core::Result;
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::database::Database;
use crate::error::{SqlFailure, SqlResult};
use crate::wait::BusyWait;

/// The largest number of connections. Further threads wait until one is returned.
const CONNECTIONS: usize = 8;

/// The connections to one database. The one that was returned last is used first, so a single
/// thread finds its pages in the cache of its connection.
pub(crate) struct Pool {
    database: Database,
    connections: Mutex<Connections>,
    returned: Condvar,
    limit: usize,
    /// Held by the thread that writes. The others wait for it, and are woken, instead of polling
    /// the database.
    writing: Mutex<()>,
}

struct Connections {
    idle: Vec<Connection>,
    lent: usize,
}

impl Pool {
    pub(crate) fn new(database: Database, first: Connection) -> Self {
        let limit = if database.is_in_memory() { 1 } else { CONNECTIONS };
        let connections = Mutex::new(Connections { idle: vec![first], lent: 0 });
        Self { database, connections, returned: Condvar::new(), limit, writing: Mutex::new(()) }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Reads, and tries again while the database is busy.
    pub(crate) fn read<T>(&self, work: impl Fn(&Connection) -> SqlResult<T>) -> Result<T> {
        self.retry(self.database.busy_wait(), |_| {
            let before = self.database.stamp()?;
            let done = self.with(before.is_none(), &work);
            if before.is_some() && before != self.database.stamp()? {
                return Err(SqlFailure::ChangedWhileRead);
            }
            done
        })
    }

    /// Writes, one thread at a time, and tries again while the database is busy.
    pub(crate) fn write<T>(
        &self,
        work: impl Fn(&Connection, &mut BusyWait) -> SqlResult<T>,
    ) -> Result<T> {
        self.database.check_writable()?;
        let mut busy_wait = self.database.busy_wait();
        let writing = self.writing.try_lock().or_else(|| {
            let left = busy_wait.start();
            self.writing.try_lock_for(left)
        });
        let Some(_writing) = writing else {
            return Err(self.database.to_error(SqlFailure::busy(), &busy_wait));
        };
        self.retry(busy_wait, |busy_wait| self.with(true, |connection| work(connection, busy_wait)))
    }

    /// Moves the contents of the write-ahead log into the database, and empties the log. Returns
    /// false if readers prevented it for `wait`. A database without a log needs nothing.
    pub(crate) fn empty_log(&self, wait: Duration) -> bool {
        let mut busy_wait = BusyWait::new(wait);
        let checkpoint = |connection: &Connection| -> SqlResult<bool> {
            let row = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], row)? == 0)
        };
        loop {
            match self.with(true, checkpoint) {
                Ok(true) => return true,
                Err(failure) if !failure.is_transient() => return false,
                _ if busy_wait.pause() => {}
                _ => return false,
            }
        }
    }

    /// Closes the connections that this process has inherited by a `fork`, without touching the
    /// files: its parent goes on using them. Returns false if a thread of the parent was using one
    /// at that moment, which can't be closed.
    pub(crate) fn abandon(&self) -> bool {
        // A thread that doesn't exist in this process may have it locked.
        let Some(mut connections) = self.connections.try_lock_for(Duration::from_secs(1)) else {
            return false;
        };
        let whole = connections.lent == 0;
        for connection in connections.idle.drain(..) {
            let config = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            if connection.set_db_config(config, true).is_err() {
                std::mem::forget(connection);
                return false;
            }
        }
        whole
    }

    fn retry<T>(
        &self,
        mut busy_wait: BusyWait,
        mut attempt: impl FnMut(&mut BusyWait) -> SqlResult<T>,
    ) -> Result<T> {
        loop {
            match attempt(&mut busy_wait) {
                Ok(value) => {
                    busy_wait.report(self.database.path());
                    return Ok(value);
                }
                Err(failure) if failure.is_transient() && busy_wait.pause() => {}
                Err(failure) => return Err(self.database.to_error(failure, &busy_wait)),
            }
        }
    }

    /// Lends a connection to `work`. If it isn't to be `kept`, it is a new one, which is closed
    /// afterwards.
    fn with<T>(&self, kept: bool, work: impl FnOnce(&Connection) -> SqlResult<T>) -> SqlResult<T> {
        let mut connections = self.connections.lock();
        while connections.lent >= self.limit {
            self.returned.wait(&mut connections);
        }
        connections.lent += 1;
        let idle = connections.idle.pop();
        drop(connections);

        let mut lent = LentConnection { pool: self, back: None };
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

/// A connection that is lent. After a panic, or if its transaction could not be ended, it is
/// closed instead of returned.
struct LentConnection<'a> {
    pool: &'a Pool,
    back: Option<Connection>,
}

impl Drop for LentConnection<'_> {
    fn drop(&mut self) {
        let mut connections = self.pool.connections.lock();
        connections.lent -= 1;
        connections.idle.extend(self.back.take());
        drop(connections);
        self.pool.returned.notify_one();
    }
}
