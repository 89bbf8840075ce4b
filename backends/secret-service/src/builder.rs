use std::time::Duration;

use msal_cache_core::{Document, Result};
use msal_cache_file::{FileStore, Permissions};

use crate::{OnLocked, SecretEntry, SecretServiceBlob, SecretServiceOptions, SecretServiceStore};

/// Sets the options of a [`SecretServiceStore`].
///
/// ```no_run
/// use std::time::Duration;
/// use msal_cache_secret_service::{OnLocked, SecretEntry, SecretServiceStore};
///
/// # fn main() -> Result<(), msal_cache_core::Error> {
/// let store = SecretServiceStore::builder(SecretEntry::app("contoso-mail")?)
///     .on_locked(OnLocked::Error)
///     .lock_timeout(Duration::from_secs(5))
///     .open()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SecretServiceStoreBuilder {
    entry: SecretEntry,
    options: SecretServiceOptions,
    lock_timeout: Duration,
}

impl SecretServiceStore {
    /// Opens the cache in this entry with the default options. See [`SecretServiceStoreBuilder::open`].
    pub fn open(entry: SecretEntry) -> Result<Self> {
        Self::builder(entry).open()
    }

    /// The cache in this entry, with options.
    pub fn builder(entry: SecretEntry) -> SecretServiceStoreBuilder {
        let (options, lock_timeout) = (SecretServiceOptions::default(), Duration::from_secs(15));
        SecretServiceStoreBuilder { entry, options, lock_timeout }
    }
}

impl SecretServiceStoreBuilder {
    /// What to do about a locked collection; see [`SecretServiceOptions::on_locked`].
    pub fn on_locked(mut self, on_locked: OnLocked) -> Self {
        self.options = self.options.on_locked(on_locked);
        self
    }

    /// How long a call of the service may take; see [`SecretServiceOptions::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.timeout(timeout);
        self
    }

    /// How long a prompt waits for the user; see [`SecretServiceOptions::prompt_timeout`].
    pub fn prompt_timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.prompt_timeout(timeout);
        self
    }

    /// How long a writer waits for the lock of the other libraries, before it returns
    /// [`Error::Locked`](msal_cache_core::Error::Locked). 15 seconds unless set.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Opens the store. This connects to the service, and reads and writes nothing: an entry that is missing
    /// is an empty cache, and the first write creates it. `TokenCache::verify` proves that the entry can be
    /// read and written, and unlocks it.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](msal_cache_core::Error::Unavailable) with a
    /// [`SecretServiceFailure`](crate::SecretServiceFailure) where there is no bus or no service;
    /// [`Error::Io`](msal_cache_core::Error::Io) where the signal file can't be looked at, and
    /// [`Error::Insecure`](msal_cache_core::Error::Insecure) where it is no regular file.
    pub fn open(self) -> Result<SecretServiceStore> {
        Ok(SecretServiceStore::over(Document::new(self.open_blob()?)))
    }

    /// Opens the text of the entry, for a wrapper around it. The errors are those of [`open`](Self::open).
    pub fn open_blob(self) -> Result<SecretServiceBlob> {
        // The signal file holds nothing, and other libraries create it with the mode that they like.
        let signal = FileStore::builder(self.entry.signal())
            .permissions(Permissions::Ignore)
            .lock_timeout(self.lock_timeout)
            .open_blob()?;
        Ok(SecretServiceBlob::new(self.options.connect()?, self.entry, signal))
    }
}
