use std::fmt;
use std::sync::Arc;

use msal_cache_core::{
    AsyncCacheStore, CacheStore, CredentialType, Memory, Offload, Ready, Result,
};

use crate::check::Finding;
use crate::engine::{CacheOptions, Engine, Threads, Tokio};
use crate::model::{Decoded, Entry, Event, Fields, Query};
use crate::{TokenCache, TokenCacheBuilder};

/// The async form of [`TokenCache`], over any [`AsyncCacheStore`], in a tokio runtime.
///
/// It has the methods of [`TokenCache`], which describes them; those that read or write are
/// `async`. Their futures are `Send`, and none of them blocks a thread that runs tasks, as long as
/// the store doesn't: [`Offload`] runs a blocking store on the threads for blocking work.
///
/// Cloning is cheap, and clones share one cache. [`From`] makes the async form of a blocking cache,
/// and the reverse; both share what they have read.
///
/// ```
/// use msal_cache::{AsyncTokenCache, Event, Fields};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), msal_cache::Error> {
/// let cache = AsyncTokenCache::in_memory();
/// let event = Event::new("client-id")
///     .token_endpoint("https://login.microsoftonline.com/tenant/oauth2/v2.0/token")
///     .response(Fields::new().set("access_token", "s3cret").set("expires_in", 3600));
/// cache.add(&event).await?;
/// assert_eq!(cache.entries(None).await?.len(), 2);
/// # Ok(())
/// # }
/// ```
pub struct AsyncTokenCache<S>(pub(crate) Arc<Engine<S, Tokio>>);

impl AsyncTokenCache<Ready<Memory>> {
    /// A cache that ends with the process.
    pub fn in_memory() -> Self {
        Self::new(Ready(Memory::new()))
    }
}

impl<S: AsyncCacheStore> AsyncTokenCache<S> {
    /// A cache in this store.
    pub fn new(store: S) -> Self {
        Self::builder(store).build_async()
    }

    /// A cache in this store, with options.
    pub fn builder(store: S) -> TokenCacheBuilder<S> {
        TokenCacheBuilder::new(store)
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// See [`TokenCache::add`].
    pub async fn add(&self, event: &Event) -> Result<()> {
        self.0.add(event).await
    }

    /// See [`TokenCache::search`].
    pub async fn search(
        &self,
        credential_type: CredentialType,
        query: &Query,
    ) -> Result<impl Iterator<Item = Entry> + use<S>> {
        let read = self.read(&credential_type, query).await?;
        Ok(self.0.matches(&read, &credential_type, query).into_iter())
    }

    /// See [`TokenCache::find`].
    pub async fn find(&self, credential_type: CredentialType, query: &Query) -> Result<Vec<Entry>> {
        let read = self.read(&credential_type, query).await?;
        Ok(self.0.matches(&read, &credential_type, query).into_vec())
    }

    /// See [`TokenCache::entries`].
    pub async fn entries(&self, credential_type: Option<CredentialType>) -> Result<Vec<Entry>> {
        self.0.entries(credential_type.as_ref()).await
    }

    /// See [`TokenCache::modify`].
    pub async fn modify(
        &self,
        credential_type: CredentialType,
        old_entry: &Entry,
        new_key_value_pairs: Option<&Fields>,
    ) -> Result<()> {
        self.0.modify(&credential_type, old_entry, new_key_value_pairs).await
    }

    /// See [`TokenCache::remove_rt`].
    pub async fn remove_rt(&self, rt_item: &Entry) -> Result<()> {
        self.modify(CredentialType::RefreshToken, rt_item, None).await
    }

    /// See [`TokenCache::update_rt`].
    pub async fn update_rt(&self, rt_item: &Entry, new_rt: &str) -> Result<()> {
        self.0.update_rt(rt_item, new_rt).await
    }

    /// See [`TokenCache::remove_at`].
    pub async fn remove_at(&self, at_item: &Entry) -> Result<()> {
        self.modify(CredentialType::AccessToken, at_item, None).await
    }

    /// See [`TokenCache::remove_idt`].
    pub async fn remove_idt(&self, idt_item: &Entry) -> Result<()> {
        self.modify(CredentialType::IdToken, idt_item, None).await
    }

    /// See [`TokenCache::remove_account`].
    pub async fn remove_account(&self, account_item: &Entry) -> Result<()> {
        self.modify(CredentialType::Account, account_item, None).await
    }

    /// See [`TokenCache::remove_user`].
    pub async fn remove_user(&self, home_account_id: &str) -> Result<usize> {
        self.0.remove_user(home_account_id).await
    }

    /// See [`TokenCache::purge_expired`].
    pub async fn purge_expired(&self) -> Result<u64> {
        self.0.purge_expired().await
    }

    /// See [`TokenCache::check`].
    pub async fn check(&self) -> Result<Vec<Finding>> {
        self.0.check().await
    }

    /// See [`TokenCache::repair`].
    pub async fn repair(&self) -> Result<Vec<Finding>> {
        self.0.repair().await
    }

    /// See [`TokenCache::serialize`].
    pub async fn serialize(&self) -> Result<String> {
        self.0.serialize().await
    }

    /// See [`TokenCache::deserialize`].
    pub async fn deserialize(&self, state: &str) -> Result<()> {
        self.0.deserialize(state).await
    }

    /// See [`TokenCache::copy_to`].
    pub async fn copy_to<T: AsyncCacheStore>(&self, target: &AsyncTokenCache<T>) -> Result<usize> {
        self.0.copy_to(&target.0).await
    }

    /// See [`TokenCache::has_state_changed`].
    pub fn has_state_changed(&self) -> bool {
        self.0.has_changed()
    }

    async fn read(&self, credential_type: &CredentialType, query: &Query) -> Result<Arc<Decoded>> {
        match query.partition(credential_type) {
            Some(partition) => self.0.partition(&partition).await,
            None => self.0.section(credential_type).await,
        }
    }

    pub(crate) fn build(store: S, options: CacheOptions) -> Self {
        Self(Arc::new(Engine::new(store, Tokio, options)))
    }
}

/// The async form of a blocking cache. Its store runs on the threads for blocking work.
impl<S: CacheStore + 'static> From<TokenCache<S>> for AsyncTokenCache<Offload<S>> {
    fn from(cache: TokenCache<S>) -> Self {
        let (store, state) = (cache.0.store.0.clone(), cache.0.state.clone());
        Self(Arc::new(Engine { store: Offload::from(store), runtime: Tokio, state }))
    }
}

/// The blocking form of an async cache over a blocking store.
impl<S: CacheStore + 'static> From<AsyncTokenCache<Offload<S>>> for TokenCache<S> {
    fn from(cache: AsyncTokenCache<Offload<S>>) -> Self {
        let (store, state) = (cache.0.store.clone().into_inner(), cache.0.state.clone());
        Self(Arc::new(Engine { store: Ready(store), runtime: Threads, state }))
    }
}

impl<S> Clone for AsyncTokenCache<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: fmt::Debug> fmt::Debug for AsyncTokenCache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncTokenCache").field("store", &self.0.store).finish_non_exhaustive()
    }
}
