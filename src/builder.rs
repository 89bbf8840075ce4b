use std::fmt;
use std::sync::Arc;

use msal_cache_core::CacheStore;

use crate::{Clock, Clouds, Limits, Profile, SystemClock, TokenCache};

/// Makes a [`TokenCache`] with options; see [`TokenCache::builder`].
pub struct TokenCacheBuilder<S> {
    pub(crate) store: S,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) profile: Profile,
    pub(crate) clouds: Clouds,
    pub(crate) limits: Limits,
}

impl<S> TokenCacheBuilder<S> {
    pub(crate) fn new(store: S) -> Self {
        let (profile, clouds) = (Profile::default(), Clouds::default());
        let (clock, limits) = (Arc::new(SystemClock), Limits::default());
        Self { store, clock, profile, clouds, limits }
    }

    /// For whom the cache writes. The default is [`Profile::Python`].
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// What the cache asks for the time. The default is the clock of the system.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Which hosts are one cloud. The default is the table that the other libraries are built
    /// with.
    pub fn clouds(mut self, clouds: Clouds) -> Self {
        self.clouds = clouds;
        self
    }

    /// How much the cache stores, and keeps in memory. The default is to store everything.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The cache.
    pub fn build(self) -> TokenCache<S>
    where
        S: CacheStore,
    {
        TokenCache::of(self)
    }
}

impl<S: fmt::Debug> fmt::Debug for TokenCacheBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCacheBuilder")
            .field("store", &self.store)
            .field("profile", &self.profile)
            .field("clouds", &self.clouds)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
