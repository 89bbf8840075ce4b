//! Caches and their clock.

use std::sync::Arc;

use msal_cache::clock::{Clock, ManualClock, SystemClock};
use msal_cache::store::CacheStore;
use msal_cache::{Memory, TokenCache};

use crate::flags::GlobalArgs;

/// A cache in any store.
pub(crate) type Cache = TokenCache<Box<dyn CacheStore>>;

/// An empty cache in memory.
pub(crate) fn in_memory(common: &GlobalArgs) -> Cache {
    let store: Box<dyn CacheStore> = Box::new(Memory::new());
    TokenCache::with_clock(store, clock(common))
}

/// The system clock, or the time given by `--now`.
pub(crate) fn clock(common: &GlobalArgs) -> Arc<dyn Clock> {
    match common.now {
        Some(now) => Arc::new(ManualClock::new(now)),
        None => Arc::new(SystemClock),
    }
}
