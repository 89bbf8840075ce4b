//! Caches in the key store of the desktop (Secret Service), and the keys of apps there.

use std::path::{Path, PathBuf};

use msal_cache::Error;
use msal_cache::store::BlobStore;

use crate::failure::Failure;
use crate::flags::GlobalArgs;
use crate::well_known::APP;

/// The beginning of the name of a store.
const PREFIX: &str = "secret-service:";

/// The caches of the developer tools, by the names of their files.
const SHARED: [&str; 4] = ["shared", "shared-cae", "dotnet", "dotnet-cae"];

/// Whether this build and this system have a key store.
pub(crate) const IS_SUPPORTED: bool = cfg!(all(feature = "secret-service", target_os = "linux"));

/// The names of the entries of the developer tools.
pub(crate) fn shared() -> impl Iterator<Item = String> {
    SHARED.iter().map(|it| format!("{PREFIX}{it}"))
}

/// Whether a store has the name of an entry.
pub(crate) fn is_entry(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The name of the entry of an app.
#[cfg(feature = "secret-service")]
fn name_of(app: &str) -> String {
    format!("{PREFIX}{APP}{app}")
}

/// A cache in the key store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyStoreEntry {
    /// As it was named.
    name: String,
    local_path: PathBuf,
}

impl KeyStoreEntry {
    /// Parses the name of a store, unless it is something else.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, Failure> {
        let Some(place) = text.strip_prefix(PREFIX) else { return Ok(None) };
        let is_app = place.strip_prefix(APP).is_some_and(|app| !app.is_empty());
        if !is_app && !SHARED.contains(&place) {
            let reason = format!("{text} is no entry of the key store");
            let hint = "name secret-service:app:NAME, or shared, shared-cae, dotnet or dotnet-cae after the colon";
            return Err(Failure::usage(reason).with_hint(hint));
        }
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
        let path: String = text.chars().map(|it| if is_plain(it) { it } else { '-' }).collect();
        Ok(Some(Self { name: text.to_owned(), local_path: path.into() }))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What an exported file is beside: a path in the current folder.
    pub(crate) fn local_path(&self) -> &Path {
        &self.local_path
    }

    /// The app whose cache it is.
    pub(crate) fn app(&self) -> Option<&str> {
        self.name.strip_prefix(PREFIX)?.strip_prefix(APP)
    }
}

#[cfg(feature = "secret-service")]
mod service {
    use msal_cache::FileStore;
    use msal_cache::file::{Cae, LockHolder};
    use msal_cache::secret_service::{
        SecretEntry, SecretService, SecretServiceFailure, SecretServiceStore,
    };
    use std::error::Error as _;

    use super::{APP, BlobStore, Error, Failure, GlobalArgs, KeyStoreEntry, PREFIX};

    impl KeyStoreEntry {
        fn entry(&self) -> msal_cache::Result<SecretEntry> {
            match self.name.strip_prefix(PREFIX).unwrap_or_default() {
                "shared" => SecretEntry::developer_tools(Cae::Without),
                "shared-cae" => SecretEntry::developer_tools(Cae::With),
                "dotnet" => SecretEntry::dotnet_tools(Cae::Without),
                "dotnet-cae" => SecretEntry::dotnet_tools(Cae::With),
                app => SecretEntry::app(app.strip_prefix(APP).unwrap_or(app)),
            }
        }

        pub(crate) fn open(&self, common: &GlobalArgs) -> Result<Box<dyn BlobStore>, Failure> {
            open(self.entry()?, common)
        }

        pub(crate) fn lock_holder(&self) -> Result<Option<LockHolder>, Failure> {
            Ok(FileStore::lock_holder(self.entry()?.signal())?)
        }
    }

    /// The names of the entries that are in the key store, locked or not. Those of apps come last.
    pub(crate) fn present() -> Result<Vec<String>, Failure> {
        let service = SecretService::connect()?;
        let mut names = Vec::new();
        for name in super::shared() {
            let Some(entry) = KeyStoreEntry::parse(&name)? else { continue };
            // Where the environment doesn't name the signal file, no program uses the entry.
            if let Ok(entry) = entry.entry()
                && service.contains(&entry)?
            {
                names.push(name);
            }
        }
        names.extend(service.apps()?.iter().map(|app| super::name_of(app)));
        Ok(names)
    }

    /// The keys of an app.
    pub(crate) fn keys_of(app: &str, common: &GlobalArgs) -> Result<Box<dyn BlobStore>, Failure> {
        open(SecretEntry::keys_of(app)?, common)
    }

    fn open(entry: SecretEntry, common: &GlobalArgs) -> Result<Box<dyn BlobStore>, Failure> {
        let builder = SecretServiceStore::builder(entry).lock_timeout(common.lock_timeout);
        Ok(Box::new(builder.open_blob()?))
    }

    /// Advice about a key store that fails.
    pub(crate) fn advice(error: &Error) -> Option<&'static str> {
        Some(match error.source()?.downcast_ref()? {
            SecretServiceFailure::NoBus { .. } => {
                "without a desktop, run it by dbus-run-session with a key store that is unlocked"
            }
            SecretServiceFailure::NoService => "install a key store, such as gnome-keyring",
            SecretServiceFailure::Locked { .. }
            | SecretServiceFailure::Dismissed { .. }
            | SecretServiceFailure::NoCollection { .. } => "unlock the key store first",
            _ => return None,
        })
    }
}

#[cfg(not(feature = "secret-service"))]
mod service {
    use msal_cache::file::LockHolder;

    use super::{BlobStore, Error, Failure, GlobalArgs, KeyStoreEntry};

    impl KeyStoreEntry {
        #[expect(clippy::unused_self, reason = "the form with the feature needs it")]
        pub(crate) fn open(&self, _: &GlobalArgs) -> Result<Box<dyn BlobStore>, Failure> {
            Err(lacks())
        }

        #[expect(clippy::unused_self, reason = "the form with the feature needs it")]
        pub(crate) fn lock_holder(&self) -> Result<Option<LockHolder>, Failure> {
            Err(lacks())
        }
    }

    pub(crate) fn present() -> Result<Vec<String>, Failure> {
        Err(lacks())
    }

    pub(crate) fn keys_of(_: &str, _: &GlobalArgs) -> Result<Box<dyn BlobStore>, Failure> {
        Err(lacks())
    }

    fn lacks() -> Failure {
        let reason = "this build of msal-cache can't use the key store of the desktop";
        let hint =
            "install it with the feature: cargo install msal-cache --features cli,secret-service";
        Failure::usage(reason).with_hint(hint)
    }

    pub(crate) fn advice(_: &Error) -> Option<&'static str> {
        None
    }
}

pub(crate) use service::{advice, keys_of, present};
