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
pub struct Builder {
    path: PathBuf,
    options: Options,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) permissions: Permissions,
    pub(crate) busy_timeout: Duration,
    pub(crate) synchronous: Synchronous,
    pub(crate) journal: Journal,
}

/// When a commit is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// Before it returns.
    #[default]
    Full,
    /// A moment later. The last commits may be lost when the machine loses power, in their
    /// order and each of them whole; not when a process ends, however it does. With a rollback
    /// journal, SQLite says of this setting that on some file systems a loss of power may damage
    /// the database.
    Normal,
}

/// How a commit is made atomic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Journal {
    /// A write-ahead log for a new database on a local file system, a rollback journal wherever
    /// the file system is of a network or unknown. A local database that exists already stays
    /// what it is.
    #[default]
    Auto,
    /// A write-ahead log, whatever the file system is.
    Wal,
    /// A rollback journal. Readers and the writer wait for each other.
    Rollback,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            permissions: Permissions::default(),
            busy_timeout: Duration::from_secs(15),
            synchronous: Synchronous::default(),
            journal: Journal::default(),
        }
    }
}

impl Builder {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), options: Options::default() }
    }

    /// What to do about a database that others can open. [`Permissions::Refuse`] unless set.
    pub fn permissions(mut self, permissions: Permissions) -> Self {
        self.options.permissions = permissions;
        self
    }

    /// How long to wait for others before [`Error::Locked`](msal_cache_core::Error::Locked).
    /// 15 seconds unless set.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.options.busy_timeout = timeout;
        self
    }

    /// When a commit is on the disk. [`Synchronous::Full`] unless set.
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.options.synchronous = synchronous;
        self
    }

    /// How a commit is made atomic. [`Journal::Auto`] unless set.
    pub fn journal(mut self, journal: Journal) -> Self {
        self.options.journal = journal;
        self
    }

    /// Opens the database, or creates it.
    ///
    /// # Errors
    ///
    /// - [`Insecure`](msal_cache_core::Error::Insecure) where something stands at the path that isn't a file, or that
    ///   [`Permissions`] doesn't let pass;
    /// - [`Corrupt`](msal_cache_core::Error::Corrupt) where the file is no SQLite database, is a damaged one, belongs to
    ///   another application, or was written by a newer version of this crate;
    /// - [`Locked`](msal_cache_core::Error::Locked) where others kept it busy until the deadline;
    /// - [`ReadOnly`](msal_cache_core::Error::ReadOnly) where it is missing and can't be created;
    /// - [`Io`](msal_cache_core::Error::Io) where the path leads nowhere.
    pub fn open(self) -> Result<SqliteStore> {
        SqliteStore::at(&absolute(&self.path)?, self.options)
    }
}
