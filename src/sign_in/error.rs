use std::io;
use std::sync::Arc;

use msal_cache_core::Error;

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

    /// The client, an option or the scopes are invalid, or the system has no random numbers. No browser
    /// was opened.
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

impl SignInError {
    pub(super) fn of(error: ServerError) -> Self {
        match error.error() {
            "access_denied" => Self::Declined(error),
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
