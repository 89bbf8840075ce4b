use std::path::{Path, PathBuf};
use std::time::Duration;

use msal_cache_core::Result;
use msal_cache_disk::{Permissions, absolute};

use crate::SqliteStore;

/// The options of a [`SqliteStore`].
///
/// ```
/// use std::time::Duration;
///
/// use msal_cache_sqlite::{Journal, Permissions, SqliteStore, Synchronous};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.db");
/// let store = SqliteStore::builder(path)
///     .permissions(Permissions::Repair)
///     .busy_timeout(Duration::from_secs(5))
///     .synchronous(Synchronous::Normal)
///     .journal(Journal::Wal)
///     .open()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStoreBuilder {
    path: PathBuf,
    options: SqliteOptions,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct SqliteOptions {
    pub(crate) permissions: Permissions,
    pub(crate) busy_timeout: Duration,
    pub(crate) synchronous: Synchronous,
    pub(crate) journal: Journal,
}

/// When a commit is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// Before the commit returns.
    #[default]
    Full,
    /// Some time after the commit returns. If the machine loses power, the last commits may be
    /// lost: the latest first, and each as a whole. A process that ends or crashes loses none. With
    /// a rollback journal, a loss of power may damage the database on some file systems, according
    /// to the documentation of SQLite.
    Normal,
}

/// How SQLite makes a commit atomic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Journal {
    /// On a local file system, a write-ahead log for a new database, and the journal that it has
    /// for an existing one. On a network or unknown file system, a rollback journal.
    #[default]
    Auto,
    /// A write-ahead log, on any file system.
    Wal,
    /// A rollback journal. Readers and the writer wait for each other.
    Rollback,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            permissions: Permissions::default(),
            busy_timeout: Duration::from_secs(15),
            synchronous: Synchronous::default(),
            journal: Journal::default(),
        }
    }
}

impl SqliteStoreBuilder {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), options: SqliteOptions::default() }
    }

    /// What to do if other users can open the database. The default is [`Permissions::Refuse`].
    pub fn permissions(mut self, permissions: Permissions) -> Self {
        self.options.permissions = permissions;
        self
    }

    /// How long a call waits for a busy database before it returns
    /// [`Error::Locked`](msal_cache_core::Error::Locked). The default is 15 seconds.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.options.busy_timeout = timeout;
        self
    }

    /// When a commit is durable. The default is [`Synchronous::Full`].
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.options.synchronous = synchronous;
        self
    }

    /// How SQLite makes a commit atomic. The default is [`Journal::Auto`].
    pub fn journal(mut self, journal: Journal) -> Self {
        self.options.journal = journal;
        self
    }

    /// Opens the database, or creates it. A database of an older version is migrated, in one
    /// transaction.
    ///
    /// # Errors
    ///
    /// - [`Insecure`](msal_cache_core::Error::Insecure) if the path leads to something other than
    ///   a regular file, or if [`Permissions`] doesn't allow the permissions of the file;
    /// - [`Corrupt`](msal_cache_core::Error::Corrupt) if the file isn't a SQLite database, is
    ///   damaged, belongs to another application, or was written by a newer version of this crate;
    /// - [`Locked`](msal_cache_core::Error::Locked) if other processes kept it busy until the end
    ///   of the [`busy_timeout`](Self::busy_timeout);
    /// - [`ReadOnly`](msal_cache_core::Error::ReadOnly) if it has to be created or
    ///   migrated, and can't be written;
    /// - [`Io`](msal_cache_core::Error::Io) if the path can't be resolved.
    pub fn open(self) -> Result<SqliteStore> {
        SqliteStore::at(&absolute(&self.path)?, self.options)
    }
}
