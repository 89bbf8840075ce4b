//! The Secret Service store of `msal-cache`: a cache in the key store of the Linux desktop (GNOME Keyring,
//! `KWallet`, `KeePassXC`), as the other MSAL libraries use it.
//!
//! [`SecretServiceStore`] is the store, [`SecretEntry`] names the entry, and [`SecretServiceStoreBuilder`]
//! has the options. [`SecretServiceBlob`] is the text of the entry without its meaning, for a wrapper that
//! stores another text. [`SecretService`] reads and writes other secrets, such as a key.
//!
//! ```no_run
//! use msal_cache_file::Cae;
//! use msal_cache_secret_service::{SecretEntry, SecretServiceStore};
//!
//! # fn main() -> Result<(), msal_cache_core::Error> {
//! // The cache of `azure-identity` for Python.
//! let store = SecretServiceStore::open(SecretEntry::developer_tools(Cae::Without)?)?;
//! // A cache of your own.
//! let store = SecretServiceStore::open(SecretEntry::app("contoso-mail")?)?;
//! # Ok(()) }
//! ```
//!
//! # Guarantees
//!
//! - **One entry** holds the whole document: as JSON for MSAL Python and Node, as base64 for MSAL .NET, Go
//!   and Java. A write replaces it as a whole.
//! - **The lock** is the one of the other libraries: `<signal file>.lockfile`, taken as the file store takes
//!   it. A write reads the entry under the lock, and conflicts where another program has changed it. The
//!   service itself has neither a lock nor a conditional write.
//! - **The signal file** is touched after each write, so that other libraries read the entry again. A reader
//!   of this crate looks at it as well; where another program doesn't touch it, its change is noticed a
//!   second later.
//! - **The bus** carries no secret in plain text: each connection agrees on a key (Diffie-Hellman), and
//!   secrets are encrypted with it (AES-128-CBC). It protects against those who only listen, such as
//!   `dbus-monitor`. Programs that may use the bus may ask the service, too.
//! - **A locked collection** is unlocked by a prompt, or is an error: [`OnLocked`].
//! - **Every call ends**: a service that doesn't answer is [`SecretServiceFailure::TimedOut`].
//! - **No runtime** is needed; within tokio, use `Offload`. The bus has a thread of its own.
//!
//! # Systems
//!
//! Linux. On other systems the crate compiles, and opening a store is
//! [`SecretServiceFailure::Unsupported`]: the Keychain of macOS and the Data Protection API of Windows are
//! not supported.

#![forbid(unsafe_code)]

mod blob;
mod builder;
mod encoding;
mod entry;
mod failure;
mod service;
mod shared;
mod signal;
mod store;

pub use blob::SecretServiceBlob;
pub use builder::SecretServiceStoreBuilder;
pub use encoding::Encoding;
pub use entry::SecretEntry;
pub use failure::SecretServiceFailure;
pub use service::{OnLocked, SecretService, SecretServiceOptions};
pub use shared::DeveloperToolsStore;
pub use store::SecretServiceStore;
