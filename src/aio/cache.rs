use std::fmt;
use std::sync::Arc;

use msal_cache_core::{
    AsyncCacheStore, Blocking, CacheStore, CredentialType, Memory, Offload, Ready, Result,
};

use crate::check::Finding;
use crate::engine::{CacheOptions, Engine, Threads, Tokio};
use crate::model::{Added, Clock, Decoded, Entry, Event, Fields, Query};
use crate::{TokenCache, TokenCacheBuilder};

/// The async form of [`TokenCache`], over any [`AsyncCacheStore`], in a tokio runtime.
///
/// It has the methods of [`TokenCache`], which describes them; those that read or write are
/// `async`. Their futures are `Send`, and none of them blocks a thread that runs tasks, as long as
/// the store doesn't: [`Offload`] runs a blocking store on the threads for blocking work.
///
/// Cloning is cheap, and clones share one cache. [`From`] makes the async form of a blocking cache,
/// and the reverse; both share what they have read, and their refreshes.
/// [`to_blocking`](Self::to_blocking) makes the blocking form of a cache over a store that is async
/// itself.
///
/// **Cancellation.** A future that is dropped leaves the cache consistent: what it would have stored is
/// stored as a whole or not at all. See the [guide](crate::docs::asynchronous).
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
pub struct AsyncTokenCache<S = Offload<Memory>>(pub(crate) Arc<AsyncEngine<S>>);

/// The engine of the async face. The store is shared with blocking faces of the cache.
pub(crate) type AsyncEngine<S> = Engine<Arc<S>, Tokio>;

impl AsyncTokenCache {
    /// A cache that ends with the process.
    pub fn in_memory() -> Self {
        Self::new(Offload::new(Memory::new()))
    }
}

impl<S: AsyncCacheStore> AsyncTokenCache<S> {
    /// A cache in this store.
    pub fn new(store: S) -> Self {
        Self::builder(store).build_async()
    }

    /// A cache in this store that reads the time from this clock.
    pub fn with_clock(store: S, clock: Arc<dyn Clock>) -> Self {
        Self::builder(store).clock(clock).build_async()
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
    pub async fn add(&self, event: &Event) -> Result<Added> {
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

    /// See [`TokenCache::verify`]. Where the future is dropped, the record that it writes may be left; it
    /// expires after five minutes.
    pub async fn verify(&self) -> Result<()> {
        self.0.verify().await
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

    /// Waits until no refresh is in flight, including those whose callers have been dropped. A refresh
    /// that starts meanwhile is waited for, too.
    ///
    /// Call it before the runtime shuts down, once the program accepts no more work: a runtime that
    /// shuts down drops its tasks, and a refresh token that a server has just replaced would be lost
    /// with the response. Put a deadline around it, since it takes as long as the server.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let cache = msal_cache::AsyncTokenCache::in_memory();
    /// # use std::time::Duration;
    /// let ended = tokio::time::timeout(Duration::from_secs(10), cache.finish_refreshes()).await;
    /// # assert!(ended.is_ok());
    /// # }
    /// ```
    pub async fn finish_refreshes(&self) {
        self.0.finish_refreshes().await;
    }

    /// The blocking form of this cache, for threads outside of the runtime. Both share the store, what
    /// they have read, and their refreshes.
    ///
    /// For a store that is async itself. The blocking form of a cache over [`Offload`] is made by
    /// [`From`], and needs no runtime.
    ///
    /// # Errors
    ///
    /// Those of [`Blocking::new`]: [`Error::Invalid`](crate::Error::Invalid) within a runtime.
    pub fn to_blocking(&self) -> Result<TokenCache<Blocking<Arc<S>>>> {
        let store = Ready(Arc::new(Blocking::new(self.0.store.clone())?));
        let state = self.0.state.clone();
        Ok(TokenCache(Arc::new(Engine { store, runtime: Threads, state })))
    }

    async fn read(&self, credential_type: &CredentialType, query: &Query) -> Result<Arc<Decoded>> {
        match query.partition(credential_type) {
            Some(partition) => match self.0.current(&partition) {
                Some(current) => Ok(current),
                None => self.0.look_up(&partition).await,
            },
            None => self.0.look_up_section(credential_type).await,
        }
    }

    pub(crate) fn build(store: S, options: CacheOptions) -> Self {
        Self(Arc::new(Engine::new(Arc::new(store), Tokio, options, false)))
    }
}

/// The async form of a blocking cache. Its store runs on the threads for blocking work.
impl<S: CacheStore + 'static> From<TokenCache<S>> for AsyncTokenCache<Offload<S>> {
    fn from(cache: TokenCache<S>) -> Self {
        let (store, state) = (cache.0.store.0.clone(), cache.0.state.clone());
        let store = Arc::new(Offload::from(store));
        Self(Arc::new(Engine { store, runtime: Tokio, state }))
    }
}

/// The blocking form of an async cache over a blocking store.
impl<S: CacheStore + 'static> From<AsyncTokenCache<Offload<S>>> for TokenCache<S> {
    fn from(cache: AsyncTokenCache<Offload<S>>) -> Self {
        let store = Offload::clone(&cache.0.store).into_inner();
        let state = cache.0.state.clone();
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
