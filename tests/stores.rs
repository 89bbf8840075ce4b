//! All stores of this crate, so that a test can run on each.

use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::store::{CacheStore, Document};
use msal_cache::{Memory, TokenCache};

use crate::common::over;
use crate::your_own_store::Variable;

/// An empty cache over a store, and its clock.
pub(crate) type Opened = (TokenCache<Box<dyn CacheStore>>, Arc<ManualClock>);

/// Opens a new, separate cache.
pub(crate) type Open = fn() -> Opened;

pub(crate) fn memory() -> Opened {
    over(Box::new(Memory::new()))
}

pub(crate) fn document() -> Opened {
    over(Box::new(Document::new(Variable::default())))
}

#[cfg(feature = "file")]
pub(crate) fn file() -> Opened {
    on_disk::open(|folder| msal_cache::FileStore::open(folder.join("cache.json")).unwrap())
}

#[cfg(feature = "sqlite")]
pub(crate) fn sqlite() -> Opened {
    on_disk::open(|folder| msal_cache::SqliteStore::open(folder.join("cache.db")).unwrap())
}

/// All stores.
pub(crate) const EVERY: &[Open] = &[
    memory,
    document,
    #[cfg(feature = "file")]
    file,
    #[cfg(feature = "sqlite")]
    sqlite,
];

#[cfg(any(feature = "file", feature = "sqlite"))]
mod on_disk {
    use std::path::Path;
    use std::time::Duration;

    use msal_cache::store::{Batch, Load, Partition, RefreshGuard, Revision};
    use msal_cache::{CredentialType, Result};
    use tempfile::TempDir;

    use super::{CacheStore, Opened, over};

    /// A store and its temporary directory.
    #[derive(Debug)]
    struct Kept<S>(S, #[expect(dead_code, reason = "a drop removes the directory")] TempDir);

    pub(super) fn open<S: CacheStore + 'static>(store: impl FnOnce(&Path) -> S) -> Opened {
        let folder = tempfile::tempdir().unwrap();
        over(Box::new(Kept(store(folder.path()), folder)))
    }

    impl<S: CacheStore> CacheStore for Kept<S> {
        fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
            self.0.load(partition, known)
        }

        fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
            self.0.load_many(wanted)
        }

        fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
            self.0.commit(batch)
        }

        fn list(&self, section: Option<&CredentialType>, known: Option<Revision>) -> Result<Load> {
            self.0.list(section, known)
        }

        fn purge(&self, now: i64) -> Result<u64> {
            self.0.purge(now)
        }

        fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
            self.0.guard(partition, wait)
        }
    }
}

/// Defines a test for each case and store. A case takes [`Open`].
macro_rules! on_every_store {
    ($($case:ident)*) => {
        crate::stores::on_every_store! { @ memory: $($case)* }
        crate::stores::on_every_store! { @ document: $($case)* }
        #[cfg(feature = "file")]
        crate::stores::on_every_store! { @ file: $($case)* }
        #[cfg(feature = "sqlite")]
        crate::stores::on_every_store! { @ sqlite: $($case)* }
    };
    (@ $store:ident: $($case:ident)*) => {
        mod $store {
            $(
                #[test]
                fn $case() {
                    super::$case(crate::stores::$store);
                }
            )*
        }
    };
}
pub(crate) use on_every_store;
