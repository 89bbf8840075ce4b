use std::fmt;
use std::sync::Arc;

use msal_cache_core::CacheStore;

use crate::TokenCache;
use crate::engine::CacheOptions;
use crate::model::{Clock, Clouds, Limits, OutagePolicy, Profile};

/// Builds a [`TokenCache`] with options; see [`TokenCache::builder`].
pub struct TokenCacheBuilder<S> {
    store: S,
    options: CacheOptions,
}

impl<S> TokenCacheBuilder<S> {
    pub(crate) fn new(store: S) -> Self {
        Self { store, options: CacheOptions::default() }
    }

    /// For which libraries the cache writes. [`Profile::Python`] unless set.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.options.profile = profile;
        self
    }

    /// The source of the time. The clock of the system unless set.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.options.clock = clock;
        self
    }

    /// Which hosts belong to one cloud. The table of the other MSAL libraries unless set.
    pub fn clouds(mut self, clouds: Clouds) -> Self {
        self.options.clouds = clouds;
        self
    }

    /// How much the cache stores, and keeps in memory. Unlimited storage unless set.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = limits;
        self
    }

    /// What look-ups do while the server of the store can't be reached. They return the error unless
    /// set.
    pub fn outage_policy(mut self, policy: OutagePolicy) -> Self {
        self.options.outages = policy;
        self
    }

    /// Builds the cache.
    pub fn build(self) -> TokenCache<S>
    where
        S: CacheStore,
    {
        TokenCache::build(self.store, self.options)
    }
}

#[cfg(feature = "tokio")]
impl<S: msal_cache_core::AsyncCacheStore> TokenCacheBuilder<S> {
    /// Builds the async form of the cache.
    pub fn build_async(self) -> crate::AsyncTokenCache<S> {
        crate::AsyncTokenCache::build(self.store, self.options)
    }
}

impl<S: fmt::Debug> fmt::Debug for TokenCacheBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCacheBuilder")
            .field("store", &self.store)
            .field("options", &self.options)
            .finish()
    }
}
