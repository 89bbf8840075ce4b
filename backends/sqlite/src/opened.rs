//! The database that a store has open, and when it has to be opened anew.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{Error, Result, event};
use parking_lot::Mutex;
use rusqlite::Connection;

use crate::builder::SqliteOptions;
use crate::database::Database;
use crate::pool::Pool;

/// A reader looks after this time whether the path still leads to the file that is open.
const RECENT: Duration = Duration::from_millis(10);

/// The pauses between attempts to empty the log, which readers prevent.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A database that is open.
pub(crate) struct Opened {
    pub(crate) pool: Pool,
    /// The process that has opened it. SQLite doesn't notice that a process was forked, and the
    /// child has none of the locks of its parent.
    process: u32,
    /// When the path was looked at last.
    looked: Mutex<Instant>,
    /// Whether the path led to another file.
    is_stale: AtomicBool,
    /// Whether a thread tries to empty the log.
    is_emptying: AtomicBool,
}

/// All that this process has open, or has inherited, each with the process that opened it.
///
/// The id is kept beside the pointer, so that what this process has opened is never held here, not
/// even for a moment: its owner's `drop` has to be the one that closes the connections.
static ALL: Mutex<Vec<(u32, Weak<Opened>)>> = Mutex::new(Vec::new());

/// Databases that can't be used in this process: a thread of its parent was using them when this
/// process was forked.
static UNUSABLE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

impl Opened {
    /// Opens the database at a path.
    pub(crate) fn open(path: &Path, options: SqliteOptions) -> Result<Arc<Self>> {
        abandon_inherited();
        if UNUSABLE.lock().iter().any(|unusable| unusable == path) {
            return Err(Error::backend(
                "SQLite",
                "this process was forked while another thread used the database: start a new \
                 process instead, or fork before the database is opened",
            ));
        }
        let (database, first) = Database::open(path, options)?;
        Ok(Self::new(database, first))
    }

    pub(crate) fn new(database: Database, first: Connection) -> Arc<Self> {
        let opened = Arc::new(Self {
            pool: Pool::new(database, first),
            process: process::id(),
            looked: Mutex::new(Instant::now()),
            is_stale: false.into(),
            is_emptying: false.into(),
        });
        let mut all = ALL.lock();
        all.retain(|(_, it)| it.strong_count() > 0);
        all.push((opened.process, Arc::downgrade(&opened)));
        opened
    }

    /// Whether it can be used, as far as is known without a look at the path.
    pub(crate) fn is_usable(&self) -> bool {
        self.pool.database().is_in_memory()
            || (self.process == process::id() && !self.is_stale.load(Ordering::Relaxed))
    }

    /// Whether the path still leads to the file, and is safe. Looks again after a short time only.
    pub(crate) fn check_for_reading(&self) -> Result<bool> {
        let database = self.pool.database();
        if database.is_in_memory() {
            return Ok(true);
        }
        let now = Instant::now();
        {
            let mut looked = self.looked.lock();
            if now.saturating_duration_since(*looked) < RECENT {
                return Ok(true);
            }
            *looked = now;
        }
        if self.look() {
            database.check_way()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether the path still leads to the file.
    pub(crate) fn look(&self) -> bool {
        let is_same = self.pool.database().is_same_file();
        if !is_same {
            self.is_stale.store(true, Ordering::Relaxed);
        }
        is_same
    }

    /// Tries to empty the log until readers permit it, or the store is dropped.
    pub(crate) fn empty_log_later(self: &Arc<Self>) {
        if self.is_emptying.swap(true, Ordering::Relaxed) {
            return;
        }
        let opened = Arc::downgrade(self);
        let retry = move || {
            let mut pause = FIRST_PAUSE;
            loop {
                thread::sleep(pause);
                pause = LONGEST_PAUSE.min(pause * 2);
                let Some(opened) = opened.upgrade() else { return };
                if !opened.is_usable() || opened.pool.empty_log(Duration::ZERO) {
                    opened.is_emptying.store(false, Ordering::Relaxed);
                    return;
                }
            }
        };
        if thread::Builder::new().name("msal-cache-log".into()).spawn(retry).is_err() {
            // The next sign-out tries again.
            self.is_emptying.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Opened {
    /// Closes the connections. SQLite would delete the log beside the path, which belongs to another
    /// file if this one was replaced, and to the parent process after a fork.
    fn drop(&mut self) {
        if !self.is_usable() || !self.look() {
            self.pool.abandon();
        }
    }
}

/// Closes all connections that this process has inherited: SQLite would use the locks of the parent
/// process for new connections, too.
fn abandon_inherited() {
    let here = process::id();
    let inherited: Vec<_> = {
        let all = ALL.lock();
        all.iter()
            .filter(|(process, _)| *process != here)
            .filter_map(|(_, it)| it.upgrade())
            .collect()
    };
    for opened in inherited {
        let path = opened.pool.database().path();
        if opened.pool.abandon() {
            event!(debug, path = %path.display(), "closed what was open before the fork");
        } else {
            UNUSABLE.lock().push(path.to_owned());
        }
    }
}
