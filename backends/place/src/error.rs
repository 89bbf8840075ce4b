//! From what the system says to what the caller is told.

use std::io;
use std::path::Path;

use msal_cache_core::Error;

/// The system refused `operation` on `path`.
pub fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { operation, path: path.to_owned(), source }
}

/// The same for an operation that creates or replaces, before which nothing was written: where
/// the medium is at fault, the caller is told that the place is read-only.
pub fn writing(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error::ReadOnly { path: path.to_owned(), source }
        }
        _ => Error::Io { operation, path: path.to_owned(), source },
    }
}

/// Whether something is absent; any other failure stays one.
///
/// # Errors
///
/// Those of `result`, but for `NotFound`.
pub fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
