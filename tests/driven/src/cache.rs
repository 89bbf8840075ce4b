use std::fmt;
use std::sync::Arc;

use msal_cache::account::Added;
use msal_cache::check::Finding;
use msal_cache::clock::Clock;
use msal_cache::cloud::Clouds;
use msal_cache::outage::OutagePolicy;
use msal_cache::store::CacheStore;
use msal_cache::{
    AsyncTokenCache, CredentialType, Entry, Event, Fields, Limits, Memory, Profile, Query, Result,
};

use crate::wait;
use crate::waits::Waits;

/// `msal_cache::TokenCache`, driven asynchronously.
pub struct TokenCache<S = Memory>(pub(crate) AsyncTokenCache<Waits<S>>);

impl TokenCache {
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(Memory::new())
    }
}

impl<S: CacheStore> TokenCache<S> {
    pub fn new(store: S) -> Self {
        Self::builder(store).build()
    }

    pub fn with_clock(store: S, clock: Arc<dyn Clock>) -> Self {
        Self::builder(store).clock(clock).build()
    }

    pub fn builder(store: S) -> TokenCacheBuilder<S> {
        TokenCacheBuilder(AsyncTokenCache::builder(Waits(store)))
    }

    pub fn store(&self) -> &S {
        &self.0.store().0
    }

    pub fn add(&self, event: &Event) -> Result<Added> {
        wait(self.0.add(event))
    }

    pub fn search(
        &self,
        credential_type: CredentialType,
        query: &Query,
    ) -> Result<impl Iterator<Item = Entry> + use<S>> {
        Ok(self.find(credential_type, query)?.into_iter())
    }

    pub fn find(&self, credential_type: CredentialType, query: &Query) -> Result<Vec<Entry>> {
        wait(self.0.find(credential_type, query))
    }

    pub fn entries(&self, credential_type: Option<CredentialType>) -> Result<Vec<Entry>> {
        wait(self.0.entries(credential_type))
    }

    pub fn modify(
        &self,
        credential_type: CredentialType,
        old_entry: &Entry,
        new_key_value_pairs: Option<&Fields>,
    ) -> Result<()> {
        wait(self.0.modify(credential_type, old_entry, new_key_value_pairs))
    }

    pub fn remove_rt(&self, rt_item: &Entry) -> Result<()> {
        wait(self.0.remove_rt(rt_item))
    }

    pub fn update_rt(&self, rt_item: &Entry, new_rt: &str) -> Result<()> {
        wait(self.0.update_rt(rt_item, new_rt))
    }

    pub fn remove_at(&self, at_item: &Entry) -> Result<()> {
        wait(self.0.remove_at(at_item))
    }

    pub fn remove_idt(&self, idt_item: &Entry) -> Result<()> {
        wait(self.0.remove_idt(idt_item))
    }

    pub fn remove_account(&self, account_item: &Entry) -> Result<()> {
        wait(self.0.remove_account(account_item))
    }

    pub fn remove_user(&self, home_account_id: &str) -> Result<usize> {
        wait(self.0.remove_user(home_account_id))
    }

    pub fn purge_expired(&self) -> Result<u64> {
        wait(self.0.purge_expired())
    }

    pub fn verify(&self) -> Result<()> {
        wait(self.0.verify())
    }

    pub fn check(&self) -> Result<Vec<Finding>> {
        wait(self.0.check())
    }

    pub fn repair(&self) -> Result<Vec<Finding>> {
        wait(self.0.repair())
    }

    pub fn serialize(&self) -> Result<String> {
        wait(self.0.serialize())
    }

    pub fn deserialize(&self, state: &str) -> Result<()> {
        wait(self.0.deserialize(state))
    }

    pub fn copy_to<T: CacheStore>(&self, target: &TokenCache<T>) -> Result<usize> {
        wait(self.0.copy_to(&target.0))
    }

    pub fn finish_refreshes(&self) {
        wait(self.0.finish_refreshes());
    }

    pub fn has_state_changed(&self) -> bool {
        self.0.has_state_changed()
    }
}

impl<S> Clone for TokenCache<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: fmt::Debug> fmt::Debug for TokenCache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `msal_cache::TokenCacheBuilder`, for a cache that is driven asynchronously.
#[derive(Debug)]
pub struct TokenCacheBuilder<S>(msal_cache::TokenCacheBuilder<Waits<S>>);

impl<S: CacheStore> TokenCacheBuilder<S> {
    pub fn profile(self, profile: Profile) -> Self {
        Self(self.0.profile(profile))
    }

    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self(self.0.clock(clock))
    }

    pub fn clouds(self, clouds: Clouds) -> Self {
        Self(self.0.clouds(clouds))
    }

    pub fn outage_policy(self, policy: OutagePolicy) -> Self {
        Self(self.0.outage_policy(policy))
    }

    pub fn limits(self, limits: Limits) -> Self {
        Self(self.0.limits(limits))
    }

    pub fn build(self) -> TokenCache<S> {
        TokenCache(self.0.build_async())
    }
}
