use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{
    Batch, CacheStore, ChangeSignal, CredentialType, Guards, Load, Partition, RefreshGuard, Result,
    Revision, Watch, event, notice,
};
use msal_cache_disk::GuardFile;
use parking_lot::Mutex;
use rusqlite::Connection;

use crate::builder::SqliteOptions;
use crate::database::Database;
use crate::error::SqlResult;
use crate::opened::Opened;
use crate::transaction::{TransactionKind, transaction};
use crate::{SqliteStoreBuilder, read, write};

/// How long a sign-out, once it is committed, waits for readers before it gives up emptying the
/// log.
pub(crate) const WAIT_FOR_READERS: Duration = Duration::from_secs(1);

/// How often a watched database is asked: one indexed row.
const POLL: Duration = Duration::from_millis(200);

/// A token cache in a SQLite database.
///
/// Several handles, threads and processes may use one database.
///
/// ```
/// use msal_cache_core::{Batch, CacheStore, CredentialType, Expect, Json, Record};
/// use msal_cache_sqlite::SqliteStore;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app/cache.db");
/// let store = SqliteStore::open(&path)?;
///
/// let value = Json::new(r#"{"home_account_id": "uid.utid", "environment": "example.org"}"#)?;
/// let account = Record::new(CredentialType::Account, "uid.utid-example.org-", value);
/// let mut batch = Batch::new();
/// batch.change(account.partition(), Expect::Any).put(account.clone());
/// store.commit(&batch)?;
/// assert!(path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SqliteStore {
    opened: Mutex<Arc<Opened>>,
    /// The absolute path; `None` for a database in memory.
    path: Option<PathBuf>,
    /// The guards of a database in memory. Those of a file are files.
    guards: Guards,
}

impl SqliteStore {
    /// Opens the database at `path`, or creates it, with the default options. See
    /// [`SqliteStoreBuilder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).open()
    }

    /// Returns the options for opening the database at `path`.
    pub fn builder(path: impl AsRef<Path>) -> SqliteStoreBuilder {
        SqliteStoreBuilder::new(path.as_ref())
    }

    /// Creates a database in memory, which ends with the store.
    ///
    /// ```
    /// use msal_cache_sqlite::SqliteStore;
    ///
    /// let store = SqliteStore::in_memory()?;
    /// assert_eq!(store.path(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_memory() -> Result<Self> {
        let (database, first) = Database::in_memory()?;
        let opened = Mutex::new(Opened::new(database, first));
        Ok(Self { opened, path: None, guards: Guards::new() })
    }

    /// The absolute path of the database, with symbolic links unresolved. `None` for a database in
    /// memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(crate) fn at(path: &Path, options: SqliteOptions) -> Result<Self> {
        let opened = Mutex::new(Opened::open(path, options)?);
        Ok(Self { opened, path: Some(path.to_owned()), guards: Guards::new() })
    }

    /// The database that is open. It is opened anew in a child process, and if the path leads to
    /// another file.
    pub(crate) fn opened(&self) -> Result<Arc<Opened>> {
        let mut opened = self.opened.lock();
        if opened.is_usable() {
            return Ok(opened.clone());
        }
        let database = opened.pool.database();
        let (path, options) = (database.path().to_owned(), database.options());
        *opened = Opened::open(&path, options)?;
        notice::info(&path, format_args!("opened the database anew"));
        Ok(opened.clone())
    }

    /// Reads, from the file to which the path leads.
    pub(crate) fn read<T>(&self, work: impl Fn(&Opened) -> Result<T>) -> Result<T> {
        let mut opened = self.opened()?;
        if !opened.check_for_reading()? {
            opened = self.opened()?;
        }
        work(&opened)
    }

    /// Writes, to the file to which the path leads. Returns the database that was written.
    fn write<T>(&self, work: impl Fn(&Connection) -> SqlResult<T>) -> Result<(T, Arc<Opened>)> {
        let mut attempts = 3;
        loop {
            let opened = self.opened()?;
            let database = opened.pool.database();
            let written = opened.pool.write(|connection, busy_wait| {
                transaction(connection, TransactionKind::Immediate, busy_wait, || {
                    database.check_before_write()?;
                    work(connection)
                })
            });
            attempts -= 1;
            match written {
                Err(_) if attempts > 0 && !opened.look() => {}
                written => return Ok((written?, opened)),
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl CacheStore for SqliteStore {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.read(|opened| opened.pool.read(|connection| read::load(connection, partition, known)))
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.read(|opened| {
            opened.pool.read(|connection| match wanted {
                // One partition is read consistently without a transaction.
                [] | [_] => read::load_many(connection, wanted),
                _ => {
                    let busy_wait = &mut opened.pool.database().busy_wait();
                    transaction(connection, TransactionKind::Deferred, busy_wait, || {
                        read::load_many(connection, wanted)
                    })
                }
            })
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        // Checking expectations needs no lock, and works in a read-only database.
        if batch.is_empty() {
            return self.read(|opened| {
                opened.pool.read(|connection| {
                    let busy_wait = &mut opened.pool.database().busy_wait();
                    transaction(connection, TransactionKind::Deferred, busy_wait, || {
                        write::commit(connection, batch)
                    })
                })
            });
        }
        let (revisions, opened) = self.write(|connection| write::commit(connection, batch))?;
        // A partition is emptied when a user signs out. The log may still hold the tokens.
        if revisions.contains(&Revision::ABSENT) && !opened.pool.empty_log(WAIT_FOR_READERS) {
            let path = opened.pool.database().path();
            event!(debug, path = %path.display(), "readers keep the log from being emptied");
            opened.empty_log_later();
        }
        Ok(revisions)
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.read(|opened| {
            opened.pool.read(|connection| read::list(connection, credential_type, known))
        })
    }

    fn purge(&self, now: i64) -> Result<u64> {
        // Mostly nothing has expired, and finding that out needs no write lock.
        let any_expired =
            |opened: &Opened| opened.pool.read(|connection| write::any_expired(connection, now));
        if !self.read(any_expired)? {
            return Ok(0);
        }
        Ok(self.write(|connection| write::purge(connection, now))?.0)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        // Not a transaction, which would block all writers while the guard is held.
        let opened = self.opened()?;
        let database = opened.pool.database();
        match database.file() {
            Some(path) => {
                let permissions = database.options().permissions;
                Ok(RefreshGuard::new(GuardFile::take(path, permissions, partition, wait)?))
            }
            None => self.guards.enter(partition, wait),
        }
    }

    /// By polling: SQLite reports the changes of other processes only to those who ask.
    fn watch(&self, _: ChangeSignal) -> Result<Watch> {
        Ok(Watch::polling_every(POLL))
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        // What another connection has committed is only found by reading.
        let _ = (partition, known);
        false
    }

    fn is_shared(&self) -> bool {
        false
    }

    /// False: every verb may wait for other processes, or for the disk.
    fn is_immediate(&self) -> bool {
        false
    }

    fn detached(self: Arc<Self>) -> Option<Arc<dyn CacheStore>> {
        Some(self)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_deref().unwrap_or(Path::new(":memory:"));
        f.debug_tuple("SqliteStore").field(&path).finish()
    }
}
