//! The cache of the developer tools, wherever they keep it.

use std::error::Error as _;
use std::sync::Arc;

use msal_cache_core::{CacheStore, Error, Result, delegate_store};
use msal_cache_file::{Cae, FileStore, Location, OnCorrupt};

use crate::signal::holds_json;
use crate::{SecretEntry, SecretServiceFailure, SecretServiceStore};

/// The cache that Microsoft's developer tools share, where they keep it on this machine: in the key store, or
/// in plain text in the file of [`Location::developer_tools`].
///
/// It follows the rule of `azure-identity`. The key store is used where it works. Where it can't be reached
/// or unlocked, the file is used if it holds JSON in plain text, because the tools write it then; if it
/// doesn't, the failure of the key store is returned, and no plain text is written.
///
/// ```no_run
/// use msal_cache_file::Cae;
/// use msal_cache_secret_service::DeveloperToolsStore;
///
/// # fn main() -> Result<(), msal_cache_core::Error> {
/// let store = DeveloperToolsStore::open(Cae::Without)?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DeveloperToolsStore {
    /// The tools encrypt.
    SecretService(Box<SecretServiceStore>),
    /// The tools have stored plain text.
    File(Box<FileStore>),
}

impl DeveloperToolsStore {
    /// The cache of the Azure SDK for Python; see [`SecretEntry::developer_tools`].
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and [`Error::Backend`] with a [`SecretServiceFailure`], and those of [`FileStore::open`] for the file.
    pub fn open(cae: Cae) -> Result<Self> {
        Self::of(SecretEntry::developer_tools(cae)?, Location::developer_tools(cae)?)
    }

    /// The cache of `Azure.Identity` for .NET and Azure PowerShell; see [`SecretEntry::dotnet_tools`].
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_dotnet(cae: Cae) -> Result<Self> {
        Self::of(SecretEntry::dotnet_tools(cae)?, Location::dotnet_tools(cae)?)
    }

    fn of(entry: SecretEntry, plain: Location) -> Result<Self> {
        let opened = SecretServiceStore::open(entry).and_then(|store| {
            // A locked key store is found by reading.
            store.list(None, None)?;
            Ok(store)
        });
        match opened {
            Ok(store) => Ok(Self::SecretService(Box::new(store))),
            Err(error) if is_unusable(&error) && holds_json(plain.path())? => {
                let store = FileStore::builder(plain).on_corrupt(OnCorrupt::Error).open()?;
                Ok(Self::File(Box::new(store)))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether the key store can't be used at all, rather than that an entry can't be read.
fn is_unusable(error: &Error) -> bool {
    let failure = error.source().and_then(|it| it.downcast_ref::<SecretServiceFailure>());
    failure.is_some()
}

impl CacheStore for DeveloperToolsStore {
    delegate_store!(self => *self.chosen(), except detached);

    fn detached(self: Arc<Self>) -> Option<Arc<dyn CacheStore>> {
        Some(self)
    }
}

impl DeveloperToolsStore {
    fn chosen(&self) -> &dyn CacheStore {
        match self {
            Self::SecretService(store) => &**store,
            Self::File(store) => &**store,
        }
    }
}
