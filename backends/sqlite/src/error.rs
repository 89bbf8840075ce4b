//! From what SQLite and the system say to what the caller is told.

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use msal_cache_core::Error;
use rusqlite::ErrorCode;

/// The name of this store in errors.
const STORE: &str = "SQLite";

/// What one attempt may fail with.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What SQLite says. Its messages name tables, columns and statements, all of them of this
    /// crate, and never a value.
    Sqlite(rusqlite::Error),
    /// The database was changed while it was read without a lock.
    Disturbed,
    /// What the caller is told as it is.
    Told(Error),
}

/// The result of one attempt.
pub(crate) type Attempt<T> = std::result::Result<T, Failure>;

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl Failure {
    /// Whether others are in the way, so that the same attempt may succeed in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                // The last is said where many processes start reading at the same moment.
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::FileLockingProtocolFailed
                )
            ),
            Self::Disturbed => true,
            Self::Told(_) => false,
        }
    }

    /// Whether SQLite could not create or use a file beside the database.
    pub(crate) fn lacks_side_files(&self) -> bool {
        matches!(self, Self::Sqlite(error) if matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
        ))
    }

    /// What the caller is told.
    pub(crate) fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Sqlite(error) => translate(error, path),
            Self::Disturbed => Error::Io {
                operation: "read",
                path: path.to_owned(),
                source: io::ErrorKind::Interrupted.into(),
            },
            Self::Told(error) => error,
        }
    }
}

fn translate(error: rusqlite::Error, path: &Path) -> Error {
    let corrupt = |reason: &str| Error::Corrupt {
        place: path.display().to_string(),
        reason: reason.into(),
        position: None,
    };
    let file = |operation, kind, error| Error::Io {
        operation,
        path: path.to_owned(),
        source: io::Error::new(kind, error),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => corrupt("it is not a SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => corrupt("the database is damaged"),
        Some(ErrorCode::ReadOnly) => read_only(path, error),
        Some(ErrorCode::DiskFull) => file("write", io::ErrorKind::StorageFull, error),
        Some(ErrorCode::SystemIoFailure) => file("read or write", io::ErrorKind::Other, error),
        Some(ErrorCode::CannotOpen) => file("open", io::ErrorKind::Other, error),
        _ => match error {
            rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::Utf8Error(..) => corrupt("a column holds what it never should"),
            error => Error::backend(STORE, error),
        },
    }
}

/// The database can be read and not written.
pub(crate) fn read_only(path: &Path, said: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    let source = io::Error::new(io::ErrorKind::ReadOnlyFilesystem, said);
    Error::ReadOnly { path: path.to_owned(), source }
}
