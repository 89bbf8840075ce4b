//! The file store passes the conformance suite, also through pointers.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use msal_cache_core::CacheStore;
use msal_cache_core::conformance::{Faults, Guarding, Harness, Persistent, Processes};
use msal_cache_file::FileStore;
use tempfile::TempDir;

struct InFile(TempDir);

impl Harness for InFile {
    type Store = FileStore;

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
        self.0.path().join("cache.json").into()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        FileStore::open(address).unwrap()
    }
}

impl Faults for InFile {
    fn open_failing(&self) -> Vec<Box<dyn CacheStore>> {
        let full = FileStore::builder(self.address()).max_size(64 << 10);
        vec![Box::new(full.open().unwrap())]
    }
}

/// The same store through a pointer.
struct Pointed<const SHARED: bool>(InFile);

impl Harness for Pointed<true> {
    type Store = Arc<FileStore>;

    fn new() -> Self {
        Self(InFile::new())
    }

    fn open(&self) -> Self::Store {
        Arc::new(self.0.open())
    }
}

impl Harness for Pointed<false> {
    type Store = Box<dyn CacheStore>;

    fn new() -> Self {
        Self(InFile::new())
    }

    fn open(&self) -> Self::Store {
        Box::new(self.0.open())
    }
}

mod file {
    msal_cache_core::conformance!(super::InFile: Guarding, Persistent, Processes, Faults);
}

mod shared {
    msal_cache_core::conformance!(super::Pointed<true>);
}

mod boxed {
    msal_cache_core::conformance!(super::Pointed<false>);
}
