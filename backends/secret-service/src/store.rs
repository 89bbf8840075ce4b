use std::fmt;
use std::sync::Arc;

use msal_cache_core::{CacheStore, Document, delegate_store};

use crate::{SecretEntry, SecretServiceBlob};

/// A token cache in one entry of the key store, with the attributes, the signal file and the lock of the
/// other MSAL libraries, so that they can share it.
///
/// Several handles, threads and processes can have the same entry open. In async code, use it by `Offload`.
pub struct SecretServiceStore(Document<SecretServiceBlob>);

impl SecretServiceStore {
    /// The entry.
    pub fn entry(&self) -> &SecretEntry {
        self.0.blob().entry()
    }

    pub(crate) fn over(document: Document<SecretServiceBlob>) -> Self {
        Self(document)
    }
}

#[deny(clippy::missing_trait_methods)]
impl CacheStore for SecretServiceStore {
    delegate_store!(self => self.0, except detached);

    fn detached(self: Arc<Self>) -> Option<Arc<dyn CacheStore>> {
        Some(self)
    }
}

impl fmt::Debug for SecretServiceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretServiceStore").field(&format_args!("{}", self.entry())).finish()
    }
}
