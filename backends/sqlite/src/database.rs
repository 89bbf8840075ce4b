use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use msal_cache_core::{Error, Result, notice};
use msal_cache_disk::error::{absent, io};
use msal_cache_disk::folder::{self, beside};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::builder::Options;
use crate::error::{Attempt, Failure, read_only};
use crate::platform::Identity;
use crate::schema::{self, JournalMode, Journals};
use crate::wait::Patience;
use crate::{Journal, Synchronous, place, platform};

/// As many statements as this crate has, with room to spare.
const STATEMENTS: usize = 32;

/// A database, and how connections to it are made.
pub(crate) struct Database {
    /// The path that the user named, absolute; for messages.
    path: PathBuf,
    options: Options,
    at: At,
    read_only: bool,
}

enum At {
    /// In this process only, and gone with its one connection.
    Memory,
    File {
        /// The file that the path names at last.
        file: PathBuf,
        identity: Identity,
        /// Whether SQLite can't have its files beside it, and reads without locks.
        frozen: bool,
    },
}

/// What tells that a file is still as it was, in so far as a `stat` does.
#[derive(PartialEq, Eq)]
pub(crate) struct Stamp(Identity, u64, Option<SystemTime>, bool);

impl Database {
    /// A new database in memory, and its connection.
    pub(crate) fn in_memory() -> Result<(Self, Connection)> {
        let path = PathBuf::from(":memory:");
        let database = Self { path, options: Options::default(), at: At::Memory, read_only: false };
        let connect = || -> Attempt<Connection> {
            let connection = database.configured(Connection::open_in_memory()?)?;
            schema::migrate(
                &connection,
                &database.path,
                &mut Patience::new(database.options.busy_timeout),
            )?;
            Ok(connection)
        };
        let connection = connect().map_err(|failure| failure.into_error(&database.path))?;
        Ok((database, connection))
    }

    /// The database at a path, created if it is missing, and its first connection.
    pub(crate) fn open(path: &Path, options: Options) -> Result<(Self, Connection)> {
        let file = place::prepare(path)?;
        place::check(options.permissions, &file)?;
        let found = file.metadata().map_err(io("look at", path))?;
        let at = At::File { file, identity: platform::identity(&found), frozen: false };
        let mut database = Self { path: path.to_owned(), options, at, read_only: false };
        let journals = database.journals();
        let mut patience = Patience::new(options.busy_timeout);
        loop {
            match database.connect_first(journals, &mut patience) {
                Ok(connection) => {
                    patience.done(path);
                    return Ok((database, connection));
                }
                Err(failure) if failure.is_passing() && patience.pause() => {}
                Err(failure) if failure.lacks_side_files() && database.freeze() => {
                    let what =
                        "SQLite can't create its files beside the database: reading without locks";
                    notice::warn(path, format_args!("{what}"));
                }
                Err(failure) => return Err(database.told(failure, &patience)),
            }
        }
    }

    fn connect_first(
        &mut self,
        journals: Journals,
        patience: &mut Patience,
    ) -> Attempt<Connection> {
        // Nobody knows yet whose database this is. A log that stands there stays where it is:
        // closing the last connection would write it into the database.
        let has_log = self.has_log()?;
        let connection = self.connect()?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        self.read_only = connection.is_readonly(c"main")?;
        schema::settle(&connection, &self.path, journals, self.read_only, patience)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        Ok(connection)
    }

    /// One more connection to the database that was opened first, or an error.
    pub(crate) fn connect(&self) -> Attempt<Connection> {
        let At::File { file, frozen, .. } = &self.at else {
            return Err(Error::backend("SQLite", "the database in memory is gone").into());
        };
        self.check_in_place()?;
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = if *frozen {
            let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            let uri = format!("file:{}?immutable=1", platform::uri(file));
            Connection::open_with_flags(uri, flags)?
        } else {
            Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_READ_WRITE)?
        };
        self.configured(connection)
    }

    fn configured(&self, connection: Connection) -> Attempt<Connection> {
        // Waiting is done by `Patience`.
        connection.busy_timeout(std::time::Duration::ZERO)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
        // `fullfsync` is for macOS, where flushing a file means little without it.
        connection.execute_batch(match self.options.synchronous {
            Synchronous::Full => {
                "PRAGMA secure_delete = ON; PRAGMA fullfsync = ON; PRAGMA synchronous = FULL"
            }
            Synchronous::Normal => "PRAGMA secure_delete = ON; PRAGMA synchronous = NORMAL",
        })?;
        Ok(connection)
    }

    /// The journals that the options and the file system ask for.
    fn journals(&self) -> Journals {
        let always = |mode| Journals { new: mode, existing: Some(mode) };
        match (self.options.journal, self.folder()) {
            (Journal::Wal, _) => always(JournalMode::Wal),
            (Journal::Auto, Some(folder)) if platform::is_local(folder).unwrap_or(false) => {
                Journals { new: JournalMode::Wal, existing: None }
            }
            (Journal::Auto, _) => {
                let what = "not a local file system: using a rollback journal";
                notice::debug(&self.path, format_args!("{what}"));
                always(JournalMode::Rollback)
            }
            (Journal::Rollback, _) => always(JournalMode::Rollback),
        }
    }

    /// Turns to reading without locks, where SQLite can't have its files and doesn't need them.
    fn freeze(&mut self) -> bool {
        let writable = self.folder().is_none_or(platform::can_create_in);
        if writable || !matches!(self.has_log(), Ok(false)) {
            return false;
        }
        match &mut self.at {
            At::File { frozen, .. } if !*frozen => {
                *frozen = true;
                true
            }
            _ => false,
        }
    }

    /// Whether there are commits that are not in the database file yet.
    fn has_log(&self) -> Attempt<bool> {
        let At::File { file, .. } = &self.at else { return Ok(false) };
        let log = absent(beside(file, "-wal").metadata()).map_err(io("look at", file))?;
        Ok(log.is_some_and(|log| log.len() > 0))
    }

    /// Fails where the file at the path is another one than was opened. SQLite would write into
    /// the old one, which nobody will ever read.
    pub(crate) fn check_in_place(&self) -> Result<()> {
        let At::File { file, identity, .. } = &self.at else { return Ok(()) };
        let found = file.metadata().map_err(io("find", file))?;
        if platform::identity(&found) == *identity {
            return Ok(());
        }
        Err(io("find", file)(io::Error::new(
            io::ErrorKind::NotFound,
            "another file was put in its place while it was open",
        )))
    }

    /// What a reader without locks compares before and after; nothing for all others.
    pub(crate) fn stamp(&self) -> Result<Option<Stamp>> {
        match &self.at {
            At::File { file, frozen: true, .. } => {
                let found: Metadata = file.metadata().map_err(io("look at", file))?;
                let has_log = beside(file, "-wal").metadata().is_ok_and(|log| log.len() > 0);
                let modified = found.modified().ok();
                Ok(Some(Stamp(platform::identity(&found), found.len(), modified, has_log)))
            }
            _ => Ok(None),
        }
    }

    /// What the caller is told of a failure.
    pub(crate) fn told(&self, failure: Failure, patience: &Patience) -> Error {
        if failure.is_passing() {
            let waited = patience.waited();
            return Error::Locked { path: self.path.clone(), holder: None, waited };
        }
        match failure {
            // It says that it can't open a journal, where that can't be created.
            Failure::Sqlite(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen)
                    && !self.folder().is_none_or(platform::can_create_in) =>
            {
                read_only(&self.path, error)
            }
            failure => failure.into_error(&self.path),
        }
    }

    /// The error of a write, if this can only be read.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.read_only {
            return Err(read_only(&self.path, "the database was opened for reading only"));
        }
        Ok(())
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.at, At::Memory)
    }

    /// The file that the path names at last; none in memory.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.at {
            At::Memory => None,
            At::File { file, .. } => Some(file),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience::new(self.options.busy_timeout)
    }

    fn folder(&self) -> Option<&Path> {
        match &self.at {
            At::Memory => None,
            At::File { file, .. } => Some(folder::of(file)),
        }
    }
}
