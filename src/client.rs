use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use msal_cache_core::internal::now;
use msal_cache_core::{CacheStore, Error, Memory, Ready, Result};

use crate::TokenCache;
use crate::engine::{Acquisition, Threads};
use crate::model::{
    AccountInfo, AcquireError, AcquiredToken, Authority, ClientConfig, SilentRequest, TokenEndpoint,
};
use crate::plan::{SilentPlan, accounts};

/// The options of a client, for each face.
macro_rules! client_options {
    () => {
        /// Sets the token endpoint, where it doesn't follow from the authority: the `token_endpoint` of
        /// its metadata document (`<authority>/v2.0/.well-known/openid-configuration`). Tokens are
        /// stored under the tenant in this address.
        pub fn with_token_endpoint(mut self, address: impl Into<String>) -> Self {
            self.config.set_token_endpoint(&address.into(), self.cache.0.clouds());
            self
        }

        /// Sets how long before it expires an access token is no longer returned, in seconds. 300
        /// unless set.
        pub fn with_skew(mut self, seconds: i64) -> Self {
            self.config.skew = seconds.max(0);
            self
        }

        /// Sets the capabilities of the app, such as `CP1`: it can handle a claims challenge. They are
        /// part of the claims of each request (`xms_cc`), as MSAL's `client_capabilities`.
        pub fn with_capabilities<C: Into<String>>(
            mut self,
            capabilities: impl IntoIterator<Item = C>,
        ) -> Self {
            let capabilities = capabilities.into_iter().map(Into::into);
            let is_given = |it: &String| !it.trim().is_empty();
            self.config.capabilities = capabilities.filter(is_given).collect();
            self
        }

        /// Sets how long to wait for another thread or process that redeems a refresh token of the same
        /// user, before [`Error::Locked`](crate::Error::Locked). One minute unless set. It should be
        /// longer than the time-out of the endpoint.
        ///
        /// It also bounds how long the commit of a new refresh token is repeated while the server of the
        /// store can't be reached: 20 seconds at most ([`docs::outages`](crate::docs::outages)).
        pub fn with_guard_wait(mut self, wait: Duration) -> Self {
            self.config.guard_wait = wait;
            self
        }

        /// Sets how long a call waits for the refresh of a token that is still valid, before it returns
        /// that token. One second unless set; zero returns it at once.
        ///
        /// The refresh goes on meanwhile, for as long as the endpoint takes, and its response is
        /// stored. Other calls return the valid token at once. After a failed refresh, there is a pause
        /// of 30 seconds, or of the time that the server demands (`Retry-After`, at most one hour).
        ///
        /// A program that ends before the response arrives doesn't store it: see `finish_refreshes` of
        /// the cache.
        pub fn with_refresh_wait(mut self, wait: Duration) -> Self {
            self.config.refresh_wait = wait;
            self
        }

        /// The address of the token endpoint.
        ///
        /// # Errors
        ///
        /// [`Error::Invalid`](crate::Error::Invalid) where the authority is invalid.
        pub fn token_endpoint(&self) -> Result<String> {
            Ok(self.config.authority()?.token_endpoint().to_owned())
        }
    };
}
#[cfg(feature = "tokio")]
pub(crate) use client_options;

/// One app's view of a cache: its accounts, and silent acquisition of tokens.
///
/// [`TokenCache::client`] makes one. It is cheap to make and to clone, and clones share the cache.
pub struct Client<S = Memory> {
    cache: TokenCache<S>,
    config: ClientConfig,
}

impl<S: CacheStore> TokenCache<S> {
    /// The view of the app that is registered as `client_id` with `authority`, such as
    /// `https://login.microsoftonline.com/<tenant>`.
    ///
    /// The authority is an [`Authority`], which is valid, or a text. A text is parsed at once; if it
    /// is invalid, the first call that needs it returns the [`Error::Invalid`].
    /// An app that reads it from its configuration finds out earlier with [`Authority::parse`]:
    ///
    /// ```
    /// use msal_cache::{Authority, TokenCache};
    ///
    /// let cache = TokenCache::in_memory();
    /// let client = cache.client("client-id", "https://login.microsoftonline.com/common");
    /// # let configured = "https://login.microsoftonline.com/contoso.com";
    /// let other = cache.client("client-id", Authority::parse(configured)?);
    /// # let _ = (client, other);
    /// # Ok::<(), msal_cache::Error>(())
    /// ```
    pub fn client<A>(&self, client_id: impl Into<String>, authority: A) -> Client<S>
    where
        A: TryInto<Authority, Error: Into<Error>>,
    {
        let config =
            ClientConfig::new(client_id.into(), self.0.authority(authority), self.0.clouds());
        Client { cache: self.clone(), config }
    }
}

impl<S: CacheStore> Client<S> {
    client_options!();

    /// The cache.
    pub fn cache(&self) -> &TokenCache<S> {
        &self.cache
    }

    /// The authority.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where it was given as a text that is invalid.
    pub fn authority(&self) -> Result<Authority> {
        Ok(self.config.authority()?.authority().clone())
    }

    #[cfg(feature = "http")]
    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// The users who are signed in to this cloud, by any of its hosts and in any tenant, through
    /// this client or another one that shares the cache. In the order of their first sign-in, as
    /// far as the store keeps it.
    ///
    /// The first account has no special meaning: an app with several lets its user choose.
    ///
    /// ```
    /// use msal_cache::TokenCache;
    ///
    /// let cache = TokenCache::in_memory();
    /// cache.deserialize(r#"{"Account": {
    ///     "one": {"home_account_id": "uid.home", "environment": "login.windows.net",
    ///             "realm": "home", "username": "alice@contoso.com"},
    ///     "two": {"home_account_id": "uid.home", "environment": "login.microsoftonline.com",
    ///             "realm": "guest", "username": "alice_contoso.com#EXT#@fabrikam.com"}
    /// }}"#)?;
    /// let client = cache.client("client-id", "https://login.microsoftonline.com/common");
    /// let accounts = client.accounts()?;
    /// assert_eq!(accounts.len(), 1);
    /// assert_eq!(accounts[0].username(), Some("alice@contoso.com"));
    /// assert_eq!(accounts[0].tenant_profiles().len(), 2);
    /// # Ok::<(), msal_cache::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the authority is invalid.
    pub fn accounts(&self) -> Result<Vec<AccountInfo>> {
        now(self.cache.0.accounts(&self.config))
    }

    /// The [`accounts`](Self::accounts) with this user name, ignoring case; none for a blank name.
    ///
    /// # Errors
    ///
    /// Those of [`accounts`](Self::accounts).
    pub fn accounts_named(&self, username: &str) -> Result<Vec<AccountInfo>> {
        Ok(accounts::named(self.accounts()?, username))
    }

    /// The account of this user, if signed in: one look-up, however many accounts there are.
    ///
    /// # Errors
    ///
    /// Those of [`accounts`](Self::accounts).
    pub fn account(&self, home_account_id: &str) -> Result<Option<AccountInfo>> {
        now(self.cache.0.account(&self.config, home_account_id))
    }

    /// Signs a user out: removes the accounts, all access and ID tokens, and the refresh tokens of
    /// this client and of its family, in one commit, under any keys. Records of the user that this
    /// version doesn't know are removed too. Returns the number of removed records.
    ///
    /// The refresh tokens of other clients are kept, as in MSAL Python. Where no other client shares
    /// the cache, nothing of the user is left in it; [`TokenCache::remove_user`] leaves nothing in
    /// any case.
    ///
    /// A refresh in flight doesn't sign the user in again.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the authority is invalid.
    pub fn remove_account(&self, account: &AccountInfo) -> Result<usize> {
        now(self.cache.0.remove_account(&self.config, account))
    }

    /// Removes all tokens that this app has for itself or on behalf of users, in every tenant and with
    /// every extended cache key, in one commit. Returns their number.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the authority is invalid.
    pub fn remove_tokens_for_client(&self) -> Result<usize> {
        now(self.cache.0.remove_tokens_for_client(&self.config))
    }

    /// Acquires a token of this user without user interaction: from the cache, or by a refresh
    /// token in it (RFC 6749, section 6).
    ///
    /// It carries out the [`plan`](Self::plan):
    ///
    /// 1. A cached access token of this client, tenant and user that has these scopes and doesn't
    ///    expire within the skew is returned.
    /// 2. Else refresh tokens are redeemed, the newest first. A client in the family of first-party
    ///    apps tries the tokens of the family first; a client that doesn't know whether it is in it
    ///    tries them until the server responds `client_mismatch`; then its own tokens follow.
    /// 3. The response is stored in one commit. The refresh token is replaced if it is still the
    ///    redeemed one.
    /// 4. If the refresh fails, a valid token that was only to be refreshed (`refresh_on`) is
    ///    returned; and while the server doesn't respond, one within its extended lifetime. A valid
    ///    token is returned after a second in any case, while the refresh goes on in a thread (see
    ///    [`with_refresh_wait`](Self::with_refresh_wait)), if the endpoint and the store can be used
    ///    there ([`TokenEndpoint::detached`], [`CacheStore::detached`]).
    ///
    /// Threads that need the same token at the same time share one request and its result. Others,
    /// also of other processes, wait before they redeem a refresh token of the same user (see
    /// [`CacheStore::guard`]), and read the cache again then.
    ///
    /// ```
    /// use msal_cache::acquire::TokenSource;
    /// use msal_cache::endpoint::{TokenEndpoint, TokenRequest, TokenResponse, TransportError};
    /// use msal_cache::{AccountInfo, TokenCache};
    ///
    /// struct Server;
    ///
    /// impl TokenEndpoint for Server {
    ///     fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
    ///         assert_eq!(request.form().get("refresh_token"), Some("old"));
    ///         TokenResponse::from_json(
    ///             200,
    ///             r#"{"access_token": "s3cret", "expires_in": 3600, "refresh_token": "new"}"#,
    ///         )
    ///     }
    /// }
    ///
    /// let cache = TokenCache::in_memory();
    /// cache.deserialize(r#"{"RefreshToken": {"key": {
    ///     "secret": "old", "home_account_id": "uid.utid", "client_id": "client-id",
    ///     "environment": "login.microsoftonline.com"
    /// }}}"#)?;
    /// let client = cache.client("client-id", "https://login.microsoftonline.com/common");
    /// let account = AccountInfo::of("uid.utid");
    ///
    /// let token = client.acquire_token_silent(&["User.Read"], &account, &Server)?;
    /// assert_eq!(token.secret().expose(), "s3cret");
    /// assert_eq!(token.source(), TokenSource::IdentityProvider);
    ///
    /// let token = client.acquire_token_silent(&["User.Read"], &account, &Server)?;
    /// assert_eq!(token.source(), TokenSource::Cache);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AcquireError::InteractionRequired`] where there is no refresh token, or the server accepts
    /// none; [`AcquireError::Configuration`] where it refuses the app, which no sign-in can change;
    /// [`AcquireError::Transport`] where the server doesn't respond and there is no token to fall back
    /// to; [`AcquireError::Invalid`] where an argument is wrong.
    pub fn acquire_token_silent<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
        account: &AccountInfo,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, AcquireError> {
        self.acquire(&SilentRequest::new(scopes, account), endpoint)
    }

    /// Acquires a token for the app itself: from the cache, or from the server by the credential of
    /// the client, which `endpoint` adds (client credentials, RFC 6749, section 4.4).
    ///
    /// # Errors
    ///
    /// [`AcquireError::Configuration`] where the server refuses the app, [`AcquireError::Refused`]
    /// where it refuses for another reason; [`AcquireError::Transport`] where it doesn't respond and
    /// there is no token to fall back to; [`AcquireError::Invalid`] where an argument is wrong.
    pub fn acquire_token_for_client<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, AcquireError> {
        self.acquire(&SilentRequest::for_client(scopes), endpoint)
    }

    /// Acquires a token on behalf of a user, who has called this app with an access token for it, the
    /// assertion (Microsoft's on-behalf-of flow): from the cache, by the refresh token of the same
    /// assertion, or by the assertion with the credential of the client, which `endpoint` adds.
    ///
    /// The app has validated the assertion. The tokens are found by it alone, apart from those of all other
    /// flows, and belong to no account: see the [guide](crate::docs::acquiring_tokens).
    ///
    /// # Errors
    ///
    /// [`AcquireError::InteractionRequired`] where the server requires the user: return its
    /// [`claims`](crate::endpoint::ServerError::claims) to the caller of the app. Else those of
    /// [`acquire_token_for_client`](Self::acquire_token_for_client).
    pub fn acquire_token_on_behalf_of<T: AsRef<str>>(
        &self,
        user_assertion: &str,
        scopes: impl IntoIterator<Item = T>,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, AcquireError> {
        self.acquire(&SilentRequest::on_behalf_of(scopes, user_assertion), endpoint)
    }

    /// Acquires a token for a request, which has all options of
    /// [`acquire_token_silent`](Self::acquire_token_silent),
    /// [`acquire_token_for_client`](Self::acquire_token_for_client) and
    /// [`acquire_token_on_behalf_of`](Self::acquire_token_on_behalf_of).
    ///
    /// # Errors
    ///
    /// Those of the three.
    pub fn acquire(
        &self,
        request: &SilentRequest,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, AcquireError> {
        let identity = endpoint.identity();
        // A thread doesn't abandon its call.
        let finish = Acquisition::run;
        now(self.cache.0.acquire(&self.config, request, (Ready(endpoint), identity), finish, start))
    }

    /// What [`acquire`](Self::acquire) would do now, without doing it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the client or the request is invalid.
    pub fn plan(&self, request: &SilentRequest) -> Result<SilentPlan> {
        now(self.cache.0.plan(&self.config, request))
    }

    /// Removes an access token that an API has refused (status 401), so that the next call acquires
    /// a new one. A token that has replaced it is kept. Returns whether it was removed.
    ///
    /// ```
    /// # use msal_cache::endpoint::TokenEndpoint;
    /// # use msal_cache::{AccountInfo, Client, SilentRequest};
    /// # fn run(client: &Client, alice: &AccountInfo, endpoint: &dyn TokenEndpoint)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let token = client.acquire_token_silent(["User.Read"], alice, endpoint)?;
    /// # let status = 401;
    /// if status == 401 {
    ///     client.invalidate(&token)?;
    ///     let token = client.acquire_token_silent(["User.Read"], alice, endpoint)?;
    /// #   let _ = token;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn invalidate(&self, token: &AcquiredToken) -> Result<bool> {
        now(self.cache.0.evict(token.entry()))
    }
}

/// An acquisition over a blocking store and endpoint.
type BlockingAcquisition<'a, S> = Acquisition<Ready<Arc<S>>, Threads, Ready<&'a dyn TokenEndpoint>>;

/// Runs an acquisition in a thread of its own, if the store and the endpoint can be used there.
fn start<S: CacheStore>(
    acquisition: BlockingAcquisition<'_, S>,
) -> Option<BlockingAcquisition<'_, S>> {
    let (store, endpoint) = (acquisition.store().0.clone(), acquisition.endpoint().0);
    let (Some(store), Some(endpoint)) = (store.detached(), endpoint.detached()) else {
        return Some(acquisition);
    };
    let acquisition = acquisition.with(Ready(store), Ready(endpoint));
    // Where there are too many threads, it is dropped, and the caller gets the valid token.
    let thread = thread::Builder::new().name("msal-cache refresh".into());
    drop(thread.spawn(move || now(acquisition.run())));
    None
}

impl<S> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), config: self.config.clone() }
    }
}

impl<S: fmt::Debug> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}
