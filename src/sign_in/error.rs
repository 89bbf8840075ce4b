use std::io;
use std::sync::Arc;

use msal_cache_core::Error;

use crate::engine::RedeemError;
use crate::model::{AcquiredToken, ServerError, TransportError};

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// The app cancelled the sign-in.
    #[error("the sign-in was cancelled")]
    Cancelled,

    /// The user didn't finish the sign-in before the deadline, or closed the page.
    #[error("the sign-in was not finished in time; try again, or set a longer timeout")]
    TimedOut,

    /// The user, or an administrator, declined the sign-in (`access_denied`).
    #[error("the sign-in was declined")]
    Declined(#[source] ServerError),

    /// The server refused the app, the request or the code.
    #[error("the server refused the sign-in")]
    Refused(#[source] ServerError),

    /// No browser could be opened.
    #[error(
        "no browser could be opened; set BROWSER, show the address by `open_with`, or sign in by \
         device code"
    )]
    Browser(#[source] io::Error),

    /// The redirect URI can't be listened on, such as a port that another program uses.
    #[error("cannot listen on port {port} of this machine (0 is any free port)")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// Why it can't be used.
        source: io::Error,
    },

    /// The token endpoint could not be reached, or sent no usable response.
    #[error(transparent)]
    Transport(#[from] TransportError),

    /// The response of the token endpoint can't be used, or its ID token is that of another app, issuer
    /// or sign-in. Nothing of it was stored.
    #[error("the token endpoint returned an unusable response")]
    InvalidResponse(#[source] Error),

    /// The answer that the browser brought to a web app isn't part of this sign-in: its `state` is
    /// another one or missing, or it has neither a code nor an error. No code was redeemed.
    #[error("the answer is not part of this sign-in; begin it again in the same browser")]
    ForeignAnswer,

    /// The code for the device expired before the user signed in.
    #[error("the code expired before the user signed in; begin again for a new one")]
    Expired,

    /// The operating system provides no random numbers. No browser was opened.
    #[error("the operating system provides no random numbers")]
    Random(#[source] io::Error),

    /// The tokio runtime is missing, or it ended before the tokens were stored.
    #[error(transparent)]
    Runtime(Error),

    /// The client, an option, the scopes or a state are invalid. Nothing was sent.
    #[error(transparent)]
    Invalid(#[from] Error),

    /// The user has signed in, but the tokens could not be stored. The access token is valid, and an app
    /// can use it.
    #[error("the user has signed in, but the tokens could not be stored")]
    NotStored {
        /// The access token.
        token: Box<AcquiredToken>,
        /// Why it could not be stored.
        source: Arc<Error>,
    },
}

impl From<RedeemError> for SignInError {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Refused(error) => Self::of(error),
            RedeemError::Transport(error) => Self::Transport(error),
            RedeemError::InvalidResponse(error) => Self::InvalidResponse(error),
            RedeemError::NotStored { token, source } => Self::NotStored { token, source },
            #[cfg(feature = "http-async")]
            RedeemError::Runtime(error) => Self::Runtime(error),
        }
    }
}

impl SignInError {
    pub(super) fn of(error: ServerError) -> Self {
        match error.error() {
            "access_denied" | "authorization_declined" => Self::Declined(error),
            "expired_token" | "code_expired" => Self::Expired,
            _ => Self::Refused(error),
        }
    }

    /// The error of the server, where it refused.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            Self::Declined(error) | Self::Refused(error) => Some(error),
            _ => None,
        }
    }
}
