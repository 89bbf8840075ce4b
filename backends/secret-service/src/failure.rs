use std::time::Duration;

use msal_cache_core::Error;

/// The name of this store in errors.
const STORE: &str = "Secret Service";

/// The cause of an [`Error::Unavailable`] of this store where it can't be reached or doesn't answer, else of
/// an [`Error::Backend`]. Each names the way out. None contains a text of the
/// service, which may quote a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretServiceFailure {
    /// The system has no Secret Service.
    #[error(
        "the Secret Service is a service of Linux desktops, and not of this system; keep the tokens in a \
         file or in memory"
    )]
    Unsupported,

    /// The session bus can't be reached: there is no desktop session, as in a container, a service of
    /// the system, or a session by SSH.
    #[error(
        "the D-Bus session bus can't be reached ({reason}); run the program in a desktop session, or by \
         dbus-run-session with a key store, or keep the tokens in a file or in memory"
    )]
    NoBus {
        /// What failed.
        reason: String,
    },

    /// No program on the bus provides the service.
    #[error(
        "no program provides the Secret Service (org.freedesktop.secrets); install and start \
         gnome-keyring, KWallet or KeePassXC, or keep the tokens in a file or in memory"
    )]
    NoService,

    /// The service has no collection of this name.
    #[error(
        "the Secret Service has no collection {collection:?}; create it, for example in Seahorse or by \
         unlocking the key store for the first time, or permit a prompt with OnLocked::Prompt"
    )]
    NoCollection {
        /// The alias of the collection.
        collection: String,
    },

    /// The collection or the entry is locked, and no prompt is permitted.
    #[error(
        "{place} is locked; unlock the key store (by the login to the desktop, in Seahorse, or by \
         gnome-keyring-daemon --unlock), or permit a prompt with OnLocked::Prompt"
    )]
    Locked {
        /// The entry, or its collection.
        place: String,
    },

    /// The prompt to unlock was dismissed, or could not be shown.
    #[error(
        "the prompt to unlock {place} was dismissed, or there is no display to show it; unlock the key \
         store first, or keep the tokens in a file or in memory"
    )]
    Dismissed {
        /// The entry, or its collection.
        place: String,
    },

    /// The service didn't answer in time. A write may have been applied.
    #[error(
        "the Secret Service did not {operation} within {} s; look for a prompt that waits for an answer, \
         or start the key store again", waited.as_secs()
    )]
    TimedOut {
        /// The operation, such as `read`.
        operation: &'static str,
        /// How long the call waited.
        waited: Duration,
    },

    /// The service returned an error, or something unexpected.
    #[error("the Secret Service refused to {operation}: {reason}")]
    Refused {
        /// The operation, such as `read`.
        operation: &'static str,
        /// The name of its error.
        reason: String,
    },
}

impl From<SecretServiceFailure> for Error {
    fn from(failure: SecretServiceFailure) -> Self {
        match failure {
            SecretServiceFailure::NoBus { .. }
            | SecretServiceFailure::NoService
            | SecretServiceFailure::TimedOut { .. } => {
                Self::Unavailable { store: STORE, source: failure.into() }
            }
            failure => Self::backend(STORE, failure),
        }
    }
}
