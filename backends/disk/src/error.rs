//! Conversion of system errors.

use std::io;
use std::path::Path;

use msal_cache_core::Error;

/// Converts the error of `operation` on `path`.
pub fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { operation, path: path.to_owned(), source }
}

/// Converts the error of an `operation` that creates or replaces `path`, where nothing was written
/// before it: [`Error::ReadOnly`] where the medium or its permissions prevent writing.
pub fn writing(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error::ReadOnly { path: path.to_owned(), source }
        }
        _ => Error::Io { operation, path: path.to_owned(), source },
    }
}

/// Converts `NotFound` to `None`.
///
/// # Errors
///
/// Every other error of `result`.
pub fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
