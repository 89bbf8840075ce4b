use msal_cache_core::Error;

use crate::http::throttle::SendResult;
use crate::model::{ServerError, TransportError, TransportErrorKind};

/// Why a sign-in by device code failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceFlowError {
    /// The app cancelled the sign-in.
    #[error("the sign-in was cancelled")]
    Cancelled,

    /// The code expired before the user signed in.
    #[error("the code expired before the user signed in")]
    Expired,

    /// The user declined the sign-in.
    #[error("the user declined the sign-in")]
    Declined(#[source] ServerError),

    /// The server refused the client or the sign-in.
    #[error("the server refused the sign-in")]
    Refused(#[source] ServerError),

    /// The server could not be reached or sent no usable response.
    #[error(transparent)]
    Transport(#[from] TransportError),

    /// The client's authority, the claims challenge or the server's response is invalid.
    #[error(transparent)]
    Invalid(#[from] Error),
}

impl DeviceFlowError {
    pub(super) fn of(error: ServerError) -> Self {
        match error.error() {
            "expired_token" | "code_expired" => Self::Expired,
            "access_denied" | "authorization_declined" => Self::Declined(error),
            _ => Self::Refused(error),
        }
    }
}

/// Turns a response that says nothing about the request into an error: that of a server in an
/// outage, and one that is neither a success nor an OAuth error.
pub(super) fn usable(result: SendResult) -> SendResult {
    let response = result?;
    if response.is_outage() {
        return Err(TransportError::unavailable(&response));
    }
    if !(200..300).contains(&response.status()) && ServerError::of(&response).is_none() {
        let reason = "it is neither a success nor an OAuth error";
        return Err(response.error(TransportError::new(TransportErrorKind::Malformed, reason)));
    }
    Ok(response)
}
