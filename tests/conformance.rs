//! The example stores pass the conformance tests.

use std::sync::{Arc, Mutex, Weak};
use std::thread;

use msal_cache::store::{CacheStore, Document};
use msal_cache_core::conformance::{Harness, Persistent};
use tempfile::TempDir;

use crate::store_in_redb::RedbStore;
use crate::your_own_store::Variable;

/// A `BlobStore`: a string in a variable.
struct InVariable(Arc<Variable>);

impl Harness for InVariable {
    type Store = Document<Arc<Variable>>;

    fn new() -> Self {
        Self(Arc::default())
    }

    fn open(&self) -> Self::Store {
        Document::new(self.0.clone())
    }
}

/// The harness owns the variable, so a document that is opened again finds it.
impl Persistent for InVariable {}

/// A `CacheStore`: a `redb` database, which a process opens once and shares.
struct InRedb {
    folder: TempDir,
    open: Mutex<Weak<RedbStore>>,
}

impl Harness for InRedb {
    type Store = Arc<RedbStore>;

    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), open: Mutex::default() }
    }

    fn open(&self) -> Self::Store {
        let mut open = self.open.lock().unwrap();
        open.upgrade().unwrap_or_else(|| {
            let database = loop {
                match redb::Database::create(self.folder.path().join("cache.redb")) {
                    // Another thread has dropped the last handle, and is closing the database.
                    Err(redb::DatabaseError::DatabaseAlreadyOpen) => thread::yield_now(),
                    created => break created.unwrap(),
                }
            };
            let store = Arc::new(RedbStore::new(database).unwrap());
            *open = Arc::downgrade(&store);
            store
        })
    }
}

impl Persistent for InRedb {}

/// The same store as a trait object.
struct Boxed<H>(H);

impl<H: Harness<Store: 'static>> Harness for Boxed<H> {
    type Store = Box<dyn CacheStore>;

    fn new() -> Self {
        Self(H::new())
    }

    fn open(&self) -> Self::Store {
        Box::new(self.0.open())
    }
}

mod small_door {
    msal_cache_core::conformance!(super::InVariable: Persistent);
}

mod small_door_boxed {
    msal_cache_core::conformance!(super::Boxed<super::InVariable>);
}

mod big_door {
    msal_cache_core::conformance!(super::InRedb: Persistent);
}

mod big_door_boxed {
    msal_cache_core::conformance!(super::Boxed<super::InRedb>);
}
