use std::fmt;
use std::path::Path;
use std::time::Duration;

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Guards, Load, Partition, RefreshGuard, Result, Revision,
    notice,
};
use msal_cache_disk::GuardFile;

use crate::builder::Options;
use crate::database::Database;
use crate::pool::Pool;
use crate::transaction::{Lock, transaction};
use crate::{Builder, read, write};

/// How long a sign-out, which is done, waits for readers to let the log be emptied.
const PATIENCE_FOR_READERS: Duration = Duration::from_secs(1);

/// A token cache in a SQLite database.
///
/// Several handles, threads and processes may have one database open.
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
/// batch.change(account.partition(), Expect::Any).put(account);
/// store.commit(&batch)?;
/// assert!(path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SqliteStore(Pool, Guards);

impl SqliteStore {
    /// Opens or creates the database at `path` with the default options. See [`Builder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).open()
    }

    /// The database at `path`, with options.
    pub fn builder(path: impl AsRef<Path>) -> Builder {
        Builder::new(path.as_ref())
    }

    /// A database of this process only, gone with the store.
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
        Ok(Self(Pool::new(database, first), Guards::new()))
    }

    /// The path of the database, absolute, symbolic links unresolved. None for one in memory.
    pub fn path(&self) -> Option<&Path> {
        let database = self.0.database();
        (!database.is_in_memory()).then(|| database.path())
    }

    pub(crate) fn at(path: &Path, options: Options) -> Result<Self> {
        let (database, first) = Database::open(path, options)?;
        Ok(Self(Pool::new(database, first), Guards::new()))
    }
}

#[deny(clippy::missing_trait_methods)]
impl CacheStore for SqliteStore {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.0.read(|connection| read::load(connection, partition, known))
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.0.read(|connection| match wanted {
            // One partition is read consistently without a transaction.
            [] | [_] => read::load_many(connection, wanted),
            _ => {
                let patience = &mut self.0.database().patience();
                transaction(connection, Lock::Nothing, patience, || {
                    read::load_many(connection, wanted)
                })
            }
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        // Checking alone needs no lock, and works where nothing can be written.
        if batch.is_empty() {
            return self.0.read(|connection| {
                let patience = &mut self.0.database().patience();
                transaction(connection, Lock::Nothing, patience, || {
                    write::commit(connection, batch)
                })
            });
        }
        let revisions = self.0.write(|connection, patience| {
            transaction(connection, Lock::Writing, patience, || {
                self.0.database().check_in_place()?;
                write::commit(connection, batch)
            })
        })?;
        // Whoever empties a partition signs a user out. What the log still holds of that user
        // goes too, unless readers are in the way for long: then it goes with a later checkpoint.
        if revisions.contains(&Revision::ABSENT) && !self.0.empty_log(PATIENCE_FOR_READERS) {
            notice::debug(self.0.database().path(), format_args!("the log could not be emptied"));
        }
        Ok(revisions)
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.0.read(|connection| read::list(connection, credential_type, known))
    }

    fn purge(&self, now: i64) -> Result<u64> {
        // Looking first disturbs nobody, and mostly there is nothing to do.
        if !self.0.read(|connection| write::any_expired(connection, now))? {
            return Ok(0);
        }
        self.0.write(|connection, patience| {
            transaction(connection, Lock::Writing, patience, || {
                self.0.database().check_in_place()?;
                write::purge(connection, now)
            })
        })
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        // Not a transaction: that would keep everybody from writing for as long as it is held.
        match self.0.database().file() {
            Some(path) => Ok(RefreshGuard::new(GuardFile::take(path, partition, wait)?)),
            None => self.1.enter(partition, wait),
        }
    }

    /// Every verb may wait for other processes, and for the disk.
    fn is_immediate(&self) -> bool {
        false
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteStore").field(&self.0.database().path()).finish()
    }
}
