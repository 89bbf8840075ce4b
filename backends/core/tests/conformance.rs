//! The stores of this crate, pointers to them, and stores that wrap them pass the conformance suite.

use std::sync::{Arc, Mutex};

use msal_cache_core::conformance::{Faults, Guarding, Harness, Persistent};
use msal_cache_core::{
    Blob, BlobStore, CacheStore, Document, Error, Memory, Result, Revision, conformance,
    delegate_store,
};

struct InMemory(Arc<Memory>);

impl Harness for InMemory {
    type Store = Arc<Memory>;

    fn new() -> Self {
        Self(Arc::new(Memory::new()))
    }

    fn open(&self) -> Self::Store {
        self.0.clone()
    }
}

impl Guarding for InMemory {}

mod memory {
    msal_cache_core::conformance!(super::InMemory: Guarding);
}

/// A store that wraps another one.
#[derive(Debug)]
struct Delegating(Arc<Memory>);

#[deny(clippy::missing_trait_methods)]
impl CacheStore for Delegating {
    delegate_store!(self => self.0);
}

struct InDelegating(InMemory);

impl Harness for InDelegating {
    type Store = Delegating;

    fn new() -> Self {
        Self(InMemory::new())
    }

    fn open(&self) -> Self::Store {
        Delegating(self.0.open())
    }
}

impl Guarding for InDelegating {}

mod delegating {
    msal_cache_core::conformance!(super::InDelegating: Guarding);
}

/// A string in memory, the simplest place for a document.
type Variable = Arc<Mutex<(Revision, Vec<u8>)>>;

/// A handle of a variable, whose swaps may fail.
#[derive(Debug)]
struct Handle {
    variable: Variable,
    fails: bool,
}

impl BlobStore for Handle {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        let (revision, bytes) = &*self.variable.lock().unwrap();
        Ok(match *revision {
            Revision::ABSENT => Blob::Absent,
            revision if known == Some(revision) => Blob::Unchanged,
            revision => Blob::Present(revision, bytes.clone().into()),
        })
    }

    fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        let mut held = self.variable.lock().unwrap();
        if held.0 != expected {
            return Err(Error::Conflict);
        }
        if self.fails {
            return Err(Error::backend("variable", "the disk is full"));
        }
        *held = (Revision::unique(), bytes.to_vec());
        Ok(held.0)
    }
}

struct InDocument(Variable);

impl InDocument {
    fn handle(&self, fails: bool) -> Handle {
        Handle { variable: self.0.clone(), fails }
    }
}

impl Harness for InDocument {
    type Store = Document<Handle>;

    fn new() -> Self {
        Self(Arc::new(Mutex::new((Revision::ABSENT, Vec::new()))))
    }

    fn open(&self) -> Self::Store {
        Document::new(self.handle(false))
    }
}

/// The variable belongs to the harness, so it outlives the documents.
impl Persistent for InDocument {}

impl Faults for InDocument {
    fn open_failing(&self) -> Vec<Box<dyn CacheStore>> {
        vec![Box::new(Document::new(self.handle(true)))]
    }
}

mod document {
    msal_cache_core::conformance!(super::InDocument: Persistent, Faults);
}

/// Places that are opened as pointers to stores.
macro_rules! pointing {
    ($($module:ident: $over:ident, $store:ty, $open:expr;)*) => {$(
        mod $module {
            use super::*;

            struct Place($over);

            impl Harness for Place {
                type Store = $store;

                fn new() -> Self {
                    Self($over::new())
                }

                fn open(&self) -> Self::Store {
                    let open: fn(&$over) -> $store = $open;
                    open(&self.0)
                }
            }

            conformance!(Place);
        }
    )*};
}

// A reference to a leaked store lives long enough.
pointing! {
    boxed_memory: InMemory, Box<dyn CacheStore>, |it| Box::new(it.open());
    borrowed_memory: InMemory, &'static Memory, |it| &**Box::leak(Box::new(it.open()));
    shared_document: InDocument, Arc<Document<Handle>>, |it| Arc::new(it.open());
    boxed_document: InDocument, Box<dyn CacheStore>, |it| Box::new(it.open());
    borrowed_document: InDocument, &'static dyn CacheStore, |it| Box::leak(Box::new(it.open()));
    document_of_a_shared_blob: InDocument, Document<Arc<Handle>>,
        |it| Document::new(Arc::new(it.handle(false)));
    document_of_a_boxed_blob: InDocument, Document<Box<dyn BlobStore>>,
        |it| Document::new(Box::new(it.handle(false)));
    document_of_a_borrowed_blob: InDocument, Document<&'static Handle>,
        |it| Document::new(Box::leak(Box::new(it.handle(false))));
}
