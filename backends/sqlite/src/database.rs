use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use msal_cache_core::{Error, Result, event};
use msal_cache_disk::FolderUse;
use msal_cache_disk::error::{absent, io};
use msal_cache_disk::folder::{self, beside};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::builder::SqliteOptions;
use crate::error::{SqlFailure, SqlResult, read_only};
use crate::files::CheckedFile;
use crate::platform::FileId;
use crate::schema::{self, JournalMode, Journals};
use crate::wait::BusyWait;
use crate::{Journal, Synchronous, files, platform};

/// The capacity of the statement cache: more than this crate has statements.
const STATEMENTS: usize = 32;

/// A database, and how to connect to it.
pub(crate) struct Database {
    /// The path that the user gave, absolute. For messages.
    path: PathBuf,
    options: SqliteOptions,
    medium: Medium,
    read_only: bool,
}

enum Medium {
    /// A database in memory, which ends with its only connection.
    Memory,
    File {
        /// The path with symbolic links resolved.
        file: PathBuf,
        id: FileId,
        folder_use: FolderUse,
        /// Whether SQLite can't create its files beside the database. Then the database is opened
        /// as immutable, and read without locks.
        immutable: bool,
    },
}

/// Tells whether a file has changed, as far as its metadata shows.
#[derive(PartialEq, Eq)]
pub(crate) struct FileStamp {
    id: FileId,
    size: u64,
    modified: Option<SystemTime>,
    has_log: bool,
}

impl Database {
    /// Creates a database in memory, and returns its connection.
    pub(crate) fn in_memory() -> Result<(Self, Connection)> {
        let (path, options) = (PathBuf::from(":memory:"), SqliteOptions::default());
        let database = Self { path, options, medium: Medium::Memory, read_only: false };
        let connect = || -> SqlResult<Connection> {
            let connection = database.configured(Connection::open_in_memory()?)?;
            let nothing = || Ok(());
            schema::migrate(&connection, &database.path, &nothing, &mut database.busy_wait())?;
            Ok(connection)
        };
        let connection = connect().map_err(|failure| failure.into_error(&database.path))?;
        Ok((database, connection))
    }

    /// Opens the database at a path, or creates it, and returns its first connection.
    pub(crate) fn open(path: &Path, options: SqliteOptions) -> Result<(Self, Connection)> {
        let CheckedFile { file, found, folder_use } = files::prepare(path, options.permissions)?;
        let id = platform::file_id(&found);
        let medium = Medium::File { file, id, folder_use, immutable: false };
        let mut database = Self { path: path.to_owned(), options, medium, read_only: false };
        let journals = database.journals();
        let mut busy_wait = database.busy_wait();
        loop {
            match database.connect_first(journals, &mut busy_wait) {
                Ok(connection) => {
                    busy_wait.report(path);
                    return Ok((database, connection));
                }
                Err(failure) if failure.is_transient() && busy_wait.pause() => {}
                Err(failure) if failure.lacks_side_files() && database.make_immutable() => {
                    event!(
                        warn,
                        path = %path.display(),
                        "SQLite can't create its files beside the database: reading without locks"
                    );
                }
                Err(failure) => return Err(database.to_error(failure, &busy_wait)),
            }
        }
    }

    /// Opens the first connection, checks whose database it is, and migrates it.
    fn connect_first(
        &mut self,
        journals: Journals,
        busy_wait: &mut BusyWait,
    ) -> SqlResult<Connection> {
        // The database may belong to another application. Closing the last connection would write
        // an existing log into it.
        let has_log = self.has_log()?;
        let connection = self.connect()?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        self.read_only = connection.is_readonly(c"main")?;
        let before_write = || self.check_before_write();
        schema::prepare(
            &connection,
            &self.path,
            journals,
            self.read_only,
            &before_write,
            busy_wait,
        )?;
        if self.is_shared()
            && let Medium::File { file, .. } = &self.medium
        {
            // SQLite may have opened one that another user has created since the first check.
            files::check_beside(self.options.permissions, file)?;
        }
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        Ok(connection)
    }

    /// Opens another connection. Fails if the path now leads to another file.
    pub(crate) fn connect(&self) -> SqlResult<Connection> {
        let Medium::File { file, immutable, .. } = &self.medium else {
            let reason = "the connection to the database in memory was lost";
            return Err(Error::backend("SQLite", reason).into());
        };
        self.check_same_file()?;
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = if *immutable {
            let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            let uri = format!("file:{}?immutable=1", platform::uri(file));
            Connection::open_with_flags(uri, flags)?
        } else {
            Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_READ_WRITE)?
        };
        self.configured(connection)
    }

    fn configured(&self, connection: Connection) -> SqlResult<Connection> {
        // `BusyWait` waits instead.
        connection.busy_timeout(Duration::ZERO)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
        // On macOS, `fsync` without `fullfsync` doesn't reach the disk.
        connection.execute_batch(match self.options.synchronous {
            Synchronous::Full => {
                "PRAGMA secure_delete = ON; PRAGMA fullfsync = ON; PRAGMA synchronous = FULL"
            }
            Synchronous::Normal => "PRAGMA secure_delete = ON; PRAGMA synchronous = NORMAL",
        })?;
        Ok(connection)
    }

    /// The journals that the options and the file system require.
    fn journals(&self) -> Journals {
        let always = |mode| Journals { new: mode, existing: Some(mode) };
        if self.is_shared() {
            event!(
                debug,
                path = %self.path.display(),
                "other users can create files in the folder: using a rollback journal"
            );
            return always(JournalMode::Rollback);
        }
        match (self.options.journal, self.folder()) {
            (Journal::Wal, _) => always(JournalMode::Wal),
            (Journal::Auto, Some(folder)) if platform::is_local(folder).unwrap_or(false) => {
                Journals { new: JournalMode::Wal, existing: None }
            }
            (Journal::Auto, _) => {
                event!(
                    debug,
                    path = %self.path.display(),
                    "not a local file system: using a rollback journal"
                );
                always(JournalMode::Rollback)
            }
            (Journal::Rollback, _) => always(JournalMode::Rollback),
        }
    }

    /// Switches to reading without locks. Returns false if that isn't possible, not necessary, or
    /// done already.
    fn make_immutable(&mut self) -> bool {
        let writable = self.folder().is_none_or(platform::can_create_in);
        if writable || !matches!(self.has_log(), Ok(false)) {
            return false;
        }
        match &mut self.medium {
            Medium::File { immutable, .. } if !*immutable => {
                *immutable = true;
                true
            }
            _ => false,
        }
    }

    /// Whether there may be commits that are not in the database file yet.
    fn has_log(&self) -> SqlResult<bool> {
        let Medium::File { file, .. } = &self.medium else { return Ok(false) };
        let log = absent(beside(file, "-wal").metadata()).map_err(io("look at", file))?;
        Ok(log.is_some_and(|log| log.len() > 0))
    }

    /// Whether other users can create files beside the database.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.medium, Medium::File { folder_use: FolderUse::Shared, .. })
    }

    /// Whether the path still leads to the file that was opened. SQLite would go on using the old
    /// file, which no other process opens any more.
    pub(crate) fn is_same_file(&self) -> bool {
        let Medium::File { id, .. } = &self.medium else { return true };
        self.path.metadata().is_ok_and(|found| platform::file_id(&found) == *id)
    }

    /// Fails if the path doesn't lead to the file that was opened.
    fn check_same_file(&self) -> Result<()> {
        if self.is_same_file() {
            return Ok(());
        }
        let reason = "the file was removed or replaced while it was open";
        Err(io("find", &self.path)(io::Error::new(io::ErrorKind::NotFound, reason)))
    }

    /// Checks, with the write lock, that the path leads to the file that was opened, and that no
    /// other user can open or replace it, or the journal.
    pub(crate) fn check_before_write(&self) -> Result<()> {
        let Medium::File { file, folder_use, .. } = &self.medium else { return Ok(()) };
        self.check_same_file()?;
        let permissions = self.options.permissions;
        permissions.check_names(std::slice::from_ref(file))?;
        let found = file.symlink_metadata().map_err(io("look at", file))?;
        files::check_found(permissions, &self.path, file, &found)?;
        match folder_use {
            FolderUse::Private => Ok(()),
            FolderUse::Shared => files::reserve_journal(permissions, file),
        }
    }

    /// Checks the folders on the way to the database.
    pub(crate) fn check_way(&self) -> Result<()> {
        match &self.medium {
            Medium::Memory => Ok(()),
            Medium::File { .. } => self.options.permissions.check_way(&self.path).map(drop),
        }
    }

    /// What a reader without locks compares before and after. `None` for other readers.
    pub(crate) fn stamp(&self) -> Result<Option<FileStamp>> {
        let Medium::File { file, immutable: true, .. } = &self.medium else { return Ok(None) };
        let found = file.metadata().map_err(io("look at", file))?;
        Ok(Some(FileStamp {
            id: platform::file_id(&found),
            size: found.len(),
            modified: found.modified().ok(),
            has_log: beside(file, "-wal").metadata().is_ok_and(|log| log.len() > 0),
        }))
    }

    /// The error for a failure that isn't tried again.
    pub(crate) fn to_error(&self, failure: SqlFailure, busy_wait: &BusyWait) -> Error {
        if failure.is_transient() {
            let waited = busy_wait.waited();
            return Error::Locked { path: self.path.clone(), holder: None, waited };
        }
        match failure {
            // SQLite reports a journal that it can't create as a file that it can't open.
            SqlFailure::Sqlite(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen)
                    && !self.folder().is_none_or(platform::can_create_in) =>
            {
                read_only(&self.path, error)
            }
            failure => failure.into_error(&self.path),
        }
    }

    /// Fails if the database can only be read.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.read_only {
            return Err(read_only(&self.path, "the database was opened read-only"));
        }
        Ok(())
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.medium, Medium::Memory)
    }

    /// The file, with symbolic links resolved. `None` for a database in memory.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.medium {
            Medium::Memory => None,
            Medium::File { file, .. } => Some(file),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn options(&self) -> SqliteOptions {
        self.options
    }

    pub(crate) fn busy_wait(&self) -> BusyWait {
        BusyWait::new(self.options.busy_timeout)
    }

    fn folder(&self) -> Option<&Path> {
        self.file().map(folder::of)
    }
}
