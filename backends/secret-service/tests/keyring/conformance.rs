//! The store passes the conformance suite, with both encodings.

use std::ffi::{OsStr, OsString};

use msal_cache_core::conformance::{Guarding, Harness, Persistent, Processes};
use msal_cache_secret_service::{Encoding, SecretService, SecretServiceStore};
use tempfile::TempDir;

use crate::support::{entry, unused_name};

struct InKeyring<const BASE64: bool> {
    folder: TempDir,
    name: String,
}

impl<const BASE64: bool> InKeyring<BASE64> {
    fn open(folder: &std::path::Path, name: &str) -> SecretServiceStore {
        // The collection of the session is not written to the disk, which takes most of the time.
        let (encoding, collection) =
            if BASE64 { (Encoding::Base64, "session") } else { (Encoding::Json, "default") };
        let entry = entry(folder, name).encoding(encoding).collection(collection);
        SecretServiceStore::open(entry).unwrap()
    }
}

impl<const BASE64: bool> Harness for InKeyring<BASE64> {
    type Store = SecretServiceStore;

    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), name: unused_name() }
    }

    fn open(&self) -> Self::Store {
        Self::open(self.folder.path(), &self.name)
    }
}

impl<const BASE64: bool> Drop for InKeyring<BASE64> {
    fn drop(&mut self) {
        let service = SecretService::connect().unwrap();
        service.remove(&entry(self.folder.path(), &self.name)).unwrap();
    }
}

impl<const BASE64: bool> Guarding for InKeyring<BASE64> {}

impl<const BASE64: bool> Persistent for InKeyring<BASE64> {}

impl<const BASE64: bool> Processes for InKeyring<BASE64> {
    fn address(&self) -> OsString {
        format!("{}\n{}", self.folder.path().display(), self.name).into()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        let (folder, name) = address.to_str().and_then(|it| it.split_once('\n')).unwrap();
        Self::open(folder.as_ref(), name)
    }
}

mod json {
    msal_cache_core::conformance!(super::InKeyring<false>: Guarding, Persistent, Processes);
}

mod base64 {
    msal_cache_core::conformance!(super::InKeyring<true>: Guarding, Persistent, Processes);
}
