//! The conformance suite on sealed stores.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use msal_cache_core::conformance::{Faults, Guarding, Harness, Persistent, Processes};
use msal_cache_core::{Blocking, CacheStore, Document, Memory, Offload};
use msal_cache_file::{FileBlob, FileStore};
use msal_cache_sealed::{Key, KeyRing, Sealed, SealedBlob};
use msal_cache_sqlite::{SqliteStore, Synchronous};
use tempfile::TempDir;

/// The same keys in each process of a test.
fn keys() -> KeyRing {
    let key = |byte| Key::from_bytes(&[byte; 32]).unwrap();
    KeyRing::new([(1, key(1)), (7, key(7))]).unwrap()
}

fn sealed<S>(store: S, hidden: bool) -> Sealed<S> {
    let sealed = Sealed::new(store, "conformance", keys());
    if hidden { sealed.hide_names() } else { sealed }
}

struct InMemory<const HIDDEN: bool>(Arc<Memory>);

impl<const HIDDEN: bool> Harness for InMemory<HIDDEN> {
    type Store = Sealed<Arc<Memory>>;

    fn new() -> Self {
        Self(Arc::default())
    }

    fn open(&self) -> Self::Store {
        sealed(self.0.clone(), HIDDEN)
    }
}

impl<const HIDDEN: bool> Guarding for InMemory<HIDDEN> {}

struct InFile(TempDir);

impl Harness for InFile {
    type Store = Document<SealedBlob<FileBlob>>;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Self::Store {
        Self::open_at(&self.address())
    }
}

impl Guarding for InFile {}

impl Persistent for InFile {}

impl Processes for InFile {
    fn address(&self) -> OsString {
        self.0.path().join("cache.sealed").into()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        let file = FileStore::builder(address).open_blob().unwrap();
        Document::new(SealedBlob::new(file, "conformance", keys()))
    }
}

impl Faults for InFile {
    fn open_failing(&self) -> Vec<Box<dyn CacheStore>> {
        let full = FileStore::builder(self.address()).max_size(64 << 10).open_blob().unwrap();
        vec![Box::new(Document::new(SealedBlob::new(full, "conformance", keys())))]
    }
}

struct InDatabase<const HIDDEN: bool>(TempDir);

impl<const HIDDEN: bool> Harness for InDatabase<HIDDEN> {
    type Store = Sealed<SqliteStore>;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Self::Store {
        Self::open_at(&self.address())
    }
}

impl<const HIDDEN: bool> Guarding for InDatabase<HIDDEN> {}

impl<const HIDDEN: bool> Persistent for InDatabase<HIDDEN> {}

impl<const HIDDEN: bool> Processes for InDatabase<HIDDEN> {
    fn address(&self) -> OsString {
        self.0.path().join("cache.db").into()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        // The power doesn't fail here.
        let builder = SqliteStore::builder(address).synchronous(Synchronous::Normal);
        sealed(builder.open().unwrap(), HIDDEN)
    }
}

/// An async store, in its blocking form.
struct Async(TempDir);

impl Harness for Async {
    type Store = Blocking<Sealed<Offload<SqliteStore>>>;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Self::Store {
        let builder = SqliteStore::builder(self.0.path().join("cache.db"));
        let store = builder.synchronous(Synchronous::Normal).open().unwrap();
        Blocking::new(sealed(Offload::new(store), true)).unwrap()
    }
}

impl Persistent for Async {}

mod memory {
    msal_cache_core::conformance!(super::InMemory<false>: Guarding);
}

mod memory_with_hidden_names {
    msal_cache_core::conformance!(super::InMemory<true>: Guarding);
}

mod file {
    msal_cache_core::conformance!(super::InFile: Guarding, Persistent, Processes, Faults);
}

mod sqlite {
    msal_cache_core::conformance!(super::InDatabase<false>: Guarding, Persistent, Processes);
}

mod sqlite_with_hidden_names {
    msal_cache_core::conformance!(super::InDatabase<true>: Guarding, Persistent, Processes);
}

mod asynchronous {
    msal_cache_core::conformance!(super::Async: Persistent);
}
