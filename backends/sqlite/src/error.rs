//! Failures of one attempt, and the errors that they become.

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use msal_cache_core::Error;
use rusqlite::{ErrorCode, ffi};

/// The name of this store in errors.
const STORE: &str = "SQLite";

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum SqlFailure {
    /// An error of SQLite. Its message names tables, columns and statements of this crate, and
    /// never a value.
    Sqlite(rusqlite::Error),
    /// The database changed while it was read without a lock.
    ChangedWhileRead,
    /// An error that is returned as it is.
    Final(Error),
}

/// The result of one attempt.
pub(crate) type SqlResult<T> = std::result::Result<T, SqlFailure>;

impl From<rusqlite::Error> for SqlFailure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for SqlFailure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl SqlFailure {
    /// The database is busy.
    pub(crate) fn busy() -> Self {
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        Self::Sqlite(rusqlite::Error::SqliteFailure(busy, None))
    }

    /// Whether another user of the database is the cause, so that a later attempt may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                // The last one occurs when many processes start reading at the same moment.
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::FileLockingProtocolFailed
                )
            ),
            Self::ChangedWhileRead => true,
            Self::Final(_) => false,
        }
    }

    /// Whether SQLite could not create or use a file beside the database.
    pub(crate) fn lacks_side_files(&self) -> bool {
        matches!(self, Self::Sqlite(error) if matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
        ))
    }

    /// The error to return.
    pub(crate) fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Sqlite(error) => translate(error, path),
            Self::ChangedWhileRead => Error::Io {
                operation: "read",
                path: path.to_owned(),
                source: io::ErrorKind::Interrupted.into(),
            },
            Self::Final(error) => error,
        }
    }
}

fn translate(error: rusqlite::Error, path: &Path) -> Error {
    let file = |operation, kind, error| Error::Io {
        operation,
        path: path.to_owned(),
        source: io::Error::new(kind, error),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => corrupt(path, "it is not a SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => corrupt(path, "the database is damaged"),
        Some(ErrorCode::ReadOnly) => read_only(path, error),
        Some(ErrorCode::DiskFull) => file("write", io::ErrorKind::StorageFull, error),
        Some(ErrorCode::SystemIoFailure) if is_out_of_space(&error) => {
            file("write", io::ErrorKind::StorageFull, error)
        }
        Some(ErrorCode::SystemIoFailure) => file("read or write", io::ErrorKind::Other, error),
        Some(ErrorCode::CannotOpen) => file("open", io::ErrorKind::Other, error),
        _ => match error {
            // Each query for one row is for one that the schema requires.
            rusqlite::Error::QueryReturnedNoRows => corrupt(path, "the database is damaged"),
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::Utf8Error(..) => {
                corrupt(path, "a column holds a value of the wrong type")
            }
            error => Error::backend(STORE, error),
        },
    }
}

/// Whether there was no room for the index of the write-ahead log, which readers need, too.
fn is_out_of_space(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|it| it.extended_code == ffi::SQLITE_IOERR_SHMSIZE)
}

/// The file is not a database of this store, or it is damaged.
pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> Error {
    Error::Corrupt { place: path.display().to_string(), reason: reason.into(), position: None }
}

/// The database can be read but not written.
pub(crate) fn read_only(path: &Path, reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    let source = io::Error::new(io::ErrorKind::ReadOnlyFilesystem, reason);
    Error::ReadOnly { path: path.to_owned(), source }
}
