use std::fmt;
use std::panic;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{AsyncCacheStore, Error, Memory, Offload, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::AsyncTokenCache;
use crate::client::client_options;
use crate::engine::{Acquisition, Tokio};
use crate::model::{
    AccountInfo, AcquireError, AcquireResult, AcquiredToken, AsyncTokenEndpoint, Authority,
    ClientConfig, SilentRequest,
};
use crate::plan::{SilentPlan, accounts};

/// The async form of [`Client`](crate::Client): one app's view of an async cache.
///
/// It has the methods of [`Client`](crate::Client), which describes them; those that read, write or
/// send a request are `async`.
///
/// **Cancellation.** A request that has begun ends even if its future is dropped: the server may
/// have replaced the refresh token, so the response is stored, and other callers that wait for the
/// token get it. It runs as a task of the tokio runtime, and is lost only if that runtime shuts
/// down: await [`finish_refreshes`](AsyncTokenCache::finish_refreshes) before.
///
/// **Runtimes.** Acquiring a token from the server needs a tokio runtime of any flavor; outside of one
/// it is an [`Error::Runtime`].
pub struct AsyncClient<S = Offload<Memory>> {
    cache: AsyncTokenCache<S>,
    config: ClientConfig,
}

impl<S: AsyncCacheStore> AsyncTokenCache<S> {
    /// The view of the app that is registered as `client_id` with `authority`. See
    /// [`TokenCache::client`](crate::TokenCache::client).
    pub fn client<A>(&self, client_id: impl Into<String>, authority: A) -> AsyncClient<S>
    where
        A: TryInto<Authority, Error: Into<Error>>,
    {
        let config =
            ClientConfig::new(client_id.into(), self.0.authority(authority), self.0.clouds());
        AsyncClient { cache: self.clone(), config }
    }
}

impl<S: AsyncCacheStore> AsyncClient<S> {
    client_options!();

    /// The cache.
    pub fn cache(&self) -> &AsyncTokenCache<S> {
        &self.cache
    }

    #[cfg(feature = "http-async")]
    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// The same client at an authority, mostly its own one with its metadata.
    #[cfg(feature = "azure")]
    pub(crate) fn at(&self, authority: Authority) -> Self {
        let (cache, mut client) = (&self.cache.0, self.clone());
        client.config.set_authority(cache.authority(authority), cache.clouds());
        client
    }

    /// See [`Client::authority`](crate::Client::authority).
    pub fn authority(&self) -> Result<Authority> {
        Ok(self.config.authority()?.authority().clone())
    }

    /// See [`Client::accounts`](crate::Client::accounts).
    pub async fn accounts(&self) -> Result<Vec<AccountInfo>> {
        self.cache.0.accounts(&self.config).await
    }

    /// See [`Client::accounts_named`](crate::Client::accounts_named).
    pub async fn accounts_named(&self, username: &str) -> Result<Vec<AccountInfo>> {
        Ok(accounts::named(self.accounts().await?, username))
    }

    /// See [`Client::account`](crate::Client::account).
    pub async fn account(&self, home_account_id: &str) -> Result<Option<AccountInfo>> {
        self.cache.0.account(&self.config, home_account_id).await
    }

    /// See [`Client::remove_account`](crate::Client::remove_account).
    pub async fn remove_account(&self, account: &AccountInfo) -> Result<usize> {
        self.cache.0.remove_account(&self.config, account).await
    }

    /// See [`Client::remove_tokens_for_client`](crate::Client::remove_tokens_for_client).
    pub async fn remove_tokens_for_client(&self) -> Result<usize> {
        self.cache.0.remove_tokens_for_client(&self.config).await
    }

    /// See [`Client::acquire_token_silent`](crate::Client::acquire_token_silent).
    pub async fn acquire_token_silent<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
        account: &AccountInfo,
        endpoint: &(impl AsyncTokenEndpoint + Clone + 'static),
    ) -> Result<AcquiredToken, AcquireError>
    where
        S: 'static,
    {
        let request = SilentRequest::new(scopes, account);
        self.acquire(&request, endpoint).await
    }

    /// See [`Client::acquire_token_for_client`](crate::Client::acquire_token_for_client).
    pub async fn acquire_token_for_client<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
        endpoint: &(impl AsyncTokenEndpoint + Clone + 'static),
    ) -> Result<AcquiredToken, AcquireError>
    where
        S: 'static,
    {
        let request = SilentRequest::for_client(scopes);
        self.acquire(&request, endpoint).await
    }

    /// See [`Client::acquire_token_on_behalf_of`](crate::Client::acquire_token_on_behalf_of).
    pub async fn acquire_token_on_behalf_of<T: AsRef<str>>(
        &self,
        user_assertion: &str,
        scopes: impl IntoIterator<Item = T>,
        endpoint: &(impl AsyncTokenEndpoint + Clone + 'static),
    ) -> Result<AcquiredToken, AcquireError>
    where
        S: 'static,
    {
        let request = SilentRequest::on_behalf_of(scopes, user_assertion);
        self.acquire(&request, endpoint).await
    }

    /// See [`Client::acquire`](crate::Client::acquire).
    pub async fn acquire(
        &self,
        request: &SilentRequest,
        endpoint: &(impl AsyncTokenEndpoint + Clone + 'static),
    ) -> Result<AcquiredToken, AcquireError>
    where
        S: 'static,
    {
        let endpoint = (endpoint.clone(), endpoint.identity());
        self.cache.0.acquire(&self.config, request, endpoint, finish, start).await
    }

    /// See [`Client::plan`](crate::Client::plan).
    pub async fn plan(&self, request: &SilentRequest) -> Result<SilentPlan> {
        self.cache.0.plan(&self.config, request).await
    }

    /// See [`Client::invalidate`](crate::Client::invalidate).
    pub async fn invalidate(&self, token: &AcquiredToken) -> Result<bool> {
        self.cache.0.evict(token.entry()).await
    }
}

/// Runs an acquisition as a task of its own, which the caller's future doesn't take along when it is
/// dropped.
async fn finish<S, E>(acquisition: Acquisition<Arc<S>, Tokio, E>) -> AcquireResult
where
    S: AsyncCacheStore + 'static,
    E: AsyncTokenEndpoint + 'static,
{
    let runtime = Handle::try_current().map_err(|_| Error::no_runtime())?;
    joined(runtime.spawn(acquisition.run())).await?
}

/// What a task returns.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> Result<T> {
    match task.await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => panic::resume_unwind(panic),
            Err(_) => Err(Error::runtime_ended()),
        },
    }
}

/// Starts such a task, if a runtime is there.
fn start<S, E>(acquisition: Acquisition<Arc<S>, Tokio, E>) -> Option<Acquisition<Arc<S>, Tokio, E>>
where
    S: AsyncCacheStore + 'static,
    E: AsyncTokenEndpoint + 'static,
{
    let Ok(runtime) = Handle::try_current() else { return Some(acquisition) };
    drop(runtime.spawn(acquisition.run()));
    None
}

impl<S> Clone for AsyncClient<S> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), config: self.config.clone() }
    }
}

impl<S: fmt::Debug> fmt::Debug for AsyncClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncClient").field("config", &self.config).finish_non_exhaustive()
    }
}
