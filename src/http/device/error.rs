use msal_cache_core::Error;

use crate::engine::RedeemError;
use crate::model::{ServerError, TransportError};

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

/// Why a flow ended without tokens.
pub(crate) enum PollEnd {
    Cancelled,
    TimedOut,
    Expired,
    Failed(RedeemError),
}

impl DeviceFlowError {
    fn of(error: ServerError) -> Self {
        match error.error() {
            "expired_token" | "code_expired" => Self::Expired,
            "access_denied" | "authorization_declined" => Self::Declined(error),
            _ => Self::Refused(error),
        }
    }

    pub(super) fn of_end(end: PollEnd) -> Self {
        match end {
            PollEnd::Cancelled => Self::Cancelled,
            PollEnd::Expired | PollEnd::TimedOut => Self::Expired,
            PollEnd::Failed(error) => error.into(),
        }
    }
}

impl From<RedeemError> for DeviceFlowError {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Refused(error) => Self::of(error),
            RedeemError::Transport(error) => Self::Transport(error),
            RedeemError::InvalidResponse(error) => error.into(),
            #[cfg(feature = "http-async")]
            RedeemError::Runtime(error) => error.into(),
            RedeemError::NotStored { source, .. } => {
                Error::invalid("the response", source.to_string()).into()
            }
        }
    }
}
