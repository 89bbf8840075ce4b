use std::sync::Arc;

use msal_cache_core::Error;

use crate::http::MetadataError;
use crate::model::{AcquireError, ServerError};
use crate::sign_in::SignInError;

/// Why a [`Credential`](super::Credential) has no token. It is the cause of the
/// [`azure_core::Error`], whose `downcast_ref` returns it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// No token was acquired without the user, and no sign-in could change that or is configured.
    #[error(transparent)]
    Acquire(#[from] AcquireError),

    /// The sign-in failed. Calls that waited for it have the same error.
    #[error(transparent)]
    SignIn(Arc<SignInError>),

    /// It isn't known where the endpoints of the authority are, and discovery failed.
    #[error(transparent)]
    Discovery(Arc<MetadataError>),

    /// The cache has no account that matches, and no sign-in is configured.
    #[error(
        "the user is not signed in; configure a sign-in by `browser` or `device_code`, or sign in \
         by another app that shares the cache"
    )]
    NoAccount,

    /// The cache has several accounts that match, and no sign-in is configured.
    #[error(
        "the cache has {count} accounts that match; choose one by `account`, `record` or `login_hint`"
    )]
    SeveralAccounts {
        /// How many match.
        count: usize,
    },

    /// Another user than the chosen one has signed in. Their tokens are in the cache, and this
    /// credential doesn't use them.
    #[error("another user than the chosen one has signed in; sign in again, or choose that user")]
    OtherUser,

    /// [`authenticate`](super::Credential::authenticate) needs a sign-in, and none is configured.
    #[error("no sign-in is configured; configure it by `browser` or `device_code`")]
    NoSignIn,

    /// The response to a sign-in names no user, so there is nothing to remember.
    #[error("the response to the sign-in names no user")]
    NoUser,

    /// No scope was given.
    #[error("no scopes specified")]
    NoScopes,
}

impl CredentialError {
    /// The error of the server, where it refused.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            Self::Acquire(error) => error.server_error(),
            Self::SignIn(error) => error.server_error(),
            Self::Discovery(error) => match &**error {
                MetadataError::Refused { source, .. }
                | MetadataError::UnknownHost { source, .. } => Some(source),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a sign-in of the user can change it.
    pub fn is_interaction_required(&self) -> bool {
        match self {
            Self::Acquire(error) => error.is_interaction_required(),
            Self::SignIn(_) | Self::NoAccount | Self::OtherUser => true,
            _ => false,
        }
    }
}

impl From<MetadataError> for CredentialError {
    fn from(error: MetadataError) -> Self {
        Self::Discovery(Arc::new(error))
    }
}

impl From<Error> for CredentialError {
    fn from(error: Error) -> Self {
        Self::Acquire(AcquireError::of_arguments(error))
    }
}

impl From<CredentialError> for azure_core::Error {
    fn from(error: CredentialError) -> Self {
        Self::new(azure_core::error::ErrorKind::Credential, error)
    }
}
