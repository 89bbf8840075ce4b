//! The service: a connection that is made again when it is lost.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "absent.rs")]
mod connection;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use msal_cache_core::{Bytes, Error, Result, event};

use self::connection::Connection;
use crate::{SecretEntry, SecretServiceFailure};

/// What to do where the collection of an entry is locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnLocked {
    /// Ask the user to unlock it, by the prompt of the service, and to create the default collection where
    /// there is none. Without a display, the service dismisses the prompt:
    /// [`SecretServiceFailure::Dismissed`].
    #[default]
    Prompt,
    /// Return [`SecretServiceFailure::Locked`] or [`SecretServiceFailure::NoCollection`]. For programs that
    /// must not open a window, or wait for one.
    Error,
}

/// Sets the options of a [`SecretService`].
#[derive(Clone, Copy, Debug)]
pub struct SecretServiceOptions {
    pub(crate) on_locked: OnLocked,
    pub(crate) timeout: Duration,
    pub(crate) prompt_timeout: Duration,
}

impl Default for SecretServiceOptions {
    fn default() -> Self {
        let [timeout, prompt_timeout] = [30, 120].map(Duration::from_secs);
        Self { on_locked: OnLocked::default(), timeout, prompt_timeout }
    }
}

impl SecretServiceOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do about a locked collection. [`OnLocked::Prompt`] unless set.
    pub fn on_locked(mut self, on_locked: OnLocked) -> Self {
        self.on_locked = on_locked;
        self
    }

    /// How long a call of the service may take. 30 seconds unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a prompt waits for the user. Two minutes unless set.
    pub fn prompt_timeout(mut self, timeout: Duration) -> Self {
        self.prompt_timeout = timeout;
        self
    }

    /// Connects to the service on the session bus, and agrees on a key with it.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and [`Error::Backend`] with a [`SecretServiceFailure`].
    pub fn connect(self) -> Result<SecretService> {
        let connection = Arc::new(Connection::open(self)?);
        Ok(SecretService { options: self, connection: Mutex::new(Some(connection)) })
    }
}

/// The Secret Service on the session bus: secrets by their [`SecretEntry`]. All calls block, and may be made
/// from many threads at once.
///
/// [`SecretServiceStore`](crate::SecretServiceStore) keeps a token cache in it. This is for other secrets of
/// an app, with a schema of their own. It touches no signal file and takes no lock.
///
/// ```no_run
/// use msal_cache_secret_service::{SecretEntry, SecretService};
///
/// # fn main() -> Result<(), msal_cache_core::Error> {
/// let service = SecretService::connect()?;
/// let password = SecretEntry::new("com.contoso.password", "/home/alice/.contoso/signal")?
///     .attribute("user", "alice");
/// if service.read(&password)?.is_none() {
///     service.write(&password, b"correct horse battery staple")?;
/// }
/// # Ok(()) }
/// ```
pub struct SecretService {
    options: SecretServiceOptions,
    /// `None` after it was lost.
    connection: Mutex<Option<Arc<Connection>>>,
}

impl SecretService {
    /// Connects with the default options.
    ///
    /// # Errors
    ///
    /// Those of [`SecretServiceOptions::connect`].
    pub fn connect() -> Result<Self> {
        SecretServiceOptions::new().connect()
    }

    /// The contents of an entry; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and [`Error::Backend`] with a [`SecretServiceFailure`]; [`Error::Corrupt`] where the contents have another
    /// encoding.
    pub fn read(&self, entry: &SecretEntry) -> Result<Option<Bytes>> {
        let secret = self.call(|connection| connection.read(entry))?;
        secret.map(|secret| entry.own_encoding().decode(secret, &entry.to_string())).transpose()
    }

    /// Whether there is an entry. Nothing is unlocked: it is also found in a locked collection.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and [`Error::Backend`] with a [`SecretServiceFailure`].
    pub fn contains(&self, entry: &SecretEntry) -> Result<bool> {
        self.call(|connection| connection.contains(entry))
    }

    /// The names of the apps that have an entry of [`SecretEntry::app`], in order. Nothing is unlocked.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and [`Error::Backend`] with a [`SecretServiceFailure`].
    pub fn apps(&self) -> Result<Vec<String>> {
        self.call(Connection::apps)
    }

    /// Replaces the contents of an entry, or creates it.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and [`Error::Backend`] with a [`SecretServiceFailure`].
    pub fn write(&self, entry: &SecretEntry, contents: &[u8]) -> Result<()> {
        let secret = entry.own_encoding().encode(contents);
        self.call(|connection| connection.write(entry, secret.expose()))
    }

    /// Deletes an entry, and returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and [`Error::Backend`] with a [`SecretServiceFailure`].
    pub fn remove(&self, entry: &SecretEntry) -> Result<bool> {
        self.call(|connection| connection.remove(entry))
    }

    /// Makes a call, and once more on a new connection where the service has refused it: it may have been
    /// started again, and know neither the connection nor the entry. Each call has the same result if it is
    /// repeated.
    fn call<T>(&self, call: impl Fn(&Connection) -> Result<T, SecretServiceFailure>) -> Result<T> {
        let connection = match self.current() {
            Some(connection) => connection,
            None => self.reconnect()?,
        };
        match call(&connection) {
            Err(SecretServiceFailure::Refused { operation, reason }) => {
                event!(debug, operation, reason, "connecting to the Secret Service again");
                *self.lock() = None;
                call(&*self.reconnect()?).map_err(Error::from)
            }
            done => done.map_err(Error::from),
        }
    }

    fn current(&self) -> Option<Arc<Connection>> {
        self.lock().clone()
    }

    fn reconnect(&self) -> Result<Arc<Connection>> {
        let connection = Arc::new(Connection::open(self.options)?);
        *self.lock() = Some(connection.clone());
        Ok(connection)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Connection>>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SecretService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretService").field("options", &self.options).finish_non_exhaustive()
    }
}
