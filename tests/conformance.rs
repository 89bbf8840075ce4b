//! The examples of a store of your own keep what a store promises.

use std::sync::{Arc, Mutex, Weak};

use msal_cache::store::{CacheStore, Document};
use msal_cache_core::conformance::{Harness, Persistent};
use tempfile::TempDir;

use crate::store_in_redb::RedbStore;
use crate::your_own_store::Variable;

/// The small door: a string in a variable.
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

/// The variable is the harness's, so a document that is opened anew finds it.
impl Persistent for InVariable {}

/// The big door: a database of `redb`. A file of it is opened once in a process and shared.
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
            let database = redb::Database::create(self.folder.path().join("cache.redb")).unwrap();
            let store = Arc::new(RedbStore::new(database).unwrap());
            *open = Arc::downgrade(&store);
            store
        })
    }
}

impl Persistent for InRedb {}

/// The same through a pointer that forgets what it points to.
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
