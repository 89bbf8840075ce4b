use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use msal_cache::endpoint::{
    AsyncTokenEndpoint, TokenEndpoint, TokenRequest, TokenResponse, TransportError,
    TransportErrorKind,
};
use msal_cache::plan::SilentPlan;
use msal_cache::store::{CacheStore, Offload};
use msal_cache::{
    AccountInfo, AcquireError, AcquiredToken, AsyncClient, Authority, Error, Memory, Result,
    SilentRequest,
};
use tokio::sync::oneshot;

use crate::waits::Waits;
use crate::{RUNTIME, TokenCache, wait};

/// `msal_cache::Client`, driven asynchronously.
pub struct Client<S = Memory> {
    cache: TokenCache<S>,
    pub(crate) client: AsyncClient<Waits<S>>,
}

impl<S: CacheStore> TokenCache<S> {
    pub fn client<A>(&self, client_id: impl Into<String>, authority: A) -> Client<S>
    where
        A: TryInto<Authority, Error: Into<Error>>,
    {
        Client { cache: self.clone(), client: self.0.client(client_id, authority) }
    }
}

impl<S: CacheStore> Client<S> {
    fn map(self, change: impl FnOnce(AsyncClient<Waits<S>>) -> AsyncClient<Waits<S>>) -> Self {
        Self { cache: self.cache, client: change(self.client) }
    }

    pub fn with_token_endpoint(self, address: impl Into<String>) -> Self {
        self.map(|it| it.with_token_endpoint(address))
    }

    pub fn with_skew(self, seconds: i64) -> Self {
        self.map(|it| it.with_skew(seconds))
    }

    pub fn with_capabilities<C: Into<String>>(
        self,
        capabilities: impl IntoIterator<Item = C>,
    ) -> Self {
        self.map(|it| it.with_capabilities(capabilities))
    }

    pub fn with_guard_wait(self, wait: Duration) -> Self {
        self.map(|it| it.with_guard_wait(wait))
    }

    pub fn with_refresh_wait(self, wait: Duration) -> Self {
        self.map(|it| it.with_refresh_wait(wait))
    }

    pub fn cache(&self) -> &TokenCache<S> {
        &self.cache
    }

    pub fn token_endpoint(&self) -> Result<String> {
        self.client.token_endpoint()
    }

    pub fn accounts(&self) -> Result<Vec<AccountInfo>> {
        wait(self.client.accounts())
    }

    pub fn accounts_named(&self, username: &str) -> Result<Vec<AccountInfo>> {
        wait(self.client.accounts_named(username))
    }

    pub fn account(&self, home_account_id: &str) -> Result<Option<AccountInfo>> {
        wait(self.client.account(home_account_id))
    }

    pub fn remove_account(&self, account: &AccountInfo) -> Result<usize> {
        wait(self.client.remove_account(account))
    }

    pub fn remove_tokens_for_client(&self) -> Result<usize> {
        wait(self.client.remove_tokens_for_client())
    }

    pub fn plan(&self, request: &SilentRequest) -> Result<SilentPlan> {
        wait(self.client.plan(request))
    }

    pub fn invalidate(&self, token: &AcquiredToken) -> Result<bool> {
        wait(self.client.invalidate(token))
    }
}

impl<S: CacheStore + 'static> Client<S> {
    pub fn acquire_token_silent<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
        account: &AccountInfo,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, AcquireError> {
        self.acquire(&SilentRequest::new(scopes, account), endpoint)
    }

    pub fn acquire_token_for_client<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, AcquireError> {
        self.acquire(&SilentRequest::for_client(scopes), endpoint)
    }

    /// Runs the acquisition as a task. This thread calls the blocking endpoint for it.
    pub fn acquire(
        &self,
        request: &SilentRequest,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, AcquireError> {
        if let Some(endpoint) = endpoint.detached() {
            return wait(self.client.acquire(request, &Offload::new(endpoint)));
        }
        let (calls, received) = mpsc::channel();
        let (client, request) = (self.client.clone(), request.clone());
        let remote = Remote(calls);
        let task = RUNTIME.spawn(async move { client.acquire(&request, &remote).await });
        // The loop ends when the task drops its sender.
        while let Ok(Call { request, answer }) = received.recv() {
            // The task panics if the endpoint panics.
            let sent = catch_unwind(AssertUnwindSafe(|| endpoint.send(&request)));
            // The task may have been dropped.
            let _ = answer.send(sent);
        }
        match wait(task) {
            Ok(done) => done,
            Err(error) => resume_unwind(error.into_panic()),
        }
    }
}

impl<S> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), client: self.client.clone() }
    }
}

impl<S: fmt::Debug> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.fmt(f)
    }
}

struct Call {
    request: TokenRequest,
    answer: oneshot::Sender<thread::Result<Result<TokenResponse, TransportError>>>,
}

/// An endpoint that sends its requests to a thread and waits for the response.
#[derive(Clone)]
struct Remote(mpsc::Sender<Call>);

impl AsyncTokenEndpoint for Remote {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let gone = || TransportError::new(TransportErrorKind::Other, "the caller is gone");
        let (answer, answered) = oneshot::channel();
        let call = Call { request: request.clone(), answer };
        self.0.send(call).map_err(|_| gone())?;
        match answered.await.map_err(|_| gone())? {
            Ok(answer) => answer,
            Err(panic) => resume_unwind(panic),
        }
    }
}
