use std::error::Error as StdError;
use std::io;

use msal_cache_core::Error;

use crate::http::wire::kind_of;
use crate::model::{TransportError, TransportErrorKind};

pub(super) fn unreachable(
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> TransportError {
    TransportError::new(TransportErrorKind::Unreachable, error)
}

/// The error of a request without a tokio runtime, whose timers and sockets panic.
pub(in crate::http) fn no_runtime(error: Error) -> TransportError {
    TransportError::new(TransportErrorKind::Other, error)
}

pub(super) fn timed_out(kind: TransportErrorKind, what: &str) -> TransportError {
    TransportError::new(kind, io::Error::new(io::ErrorKind::TimedOut, format!("timeout: {what}")))
}

/// Classifies an error of hyper.
pub(super) fn transport_error(error: hyper::Error) -> TransportError {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let kind = match io {
        _ if error.is_parse() => TransportErrorKind::Malformed,
        // A chunk has no valid length.
        Some(io) if matches!(io.kind(), io::ErrorKind::InvalidInput) => {
            TransportErrorKind::Malformed
        }
        Some(io) => kind_of(io),
        None if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => {
            TransportErrorKind::Interrupted
        }
        None => TransportErrorKind::Other,
    };
    TransportError::new(kind, error)
}
