//! What every subcommand uses: the global flags, the output and the opened store.

use msal_cache::Entry;

use crate::failure::Failure;
use crate::flags::GlobalArgs;
use crate::out::Out;
use crate::progress;
use crate::store::{Access, Cache, StoreRef};

/// The context of a subcommand.
pub(crate) struct Run<'a> {
    pub(crate) common: &'a GlobalArgs,
    pub(crate) out: &'a mut Out,
}

/// An opened store and all its entries.
pub(crate) struct Loaded {
    pub(crate) store: StoreRef,
    pub(crate) cache: Cache,
    pub(crate) entries: Vec<Entry>,
}

impl Run<'_> {
    pub(crate) fn open(&self, name: &str, access: Access) -> Result<(StoreRef, Cache), Failure> {
        let store = StoreRef::parse(name)?;
        let cache = store.open(self.common, access)?;
        Ok((store, cache))
    }

    /// Opens an existing store and reads all its entries.
    pub(crate) fn load(&self, name: &str) -> Result<Loaded, Failure> {
        let (store, cache) = self.open(name, Access::Existing)?;
        let entries = progress::during("Reading", || cache.entries(None))?;
        Ok(Loaded { store, cache, entries })
    }

    pub(crate) fn now(&self) -> i64 {
        self.out.calendar.now
    }
}
