//! Carrying out a plan.

use msal_cache_core::{CacheStore, Partition, Result};

use crate::client::asked::Asked;
use crate::client::flight::Seat;
use crate::client::plan::{self, SilentPlan};
use crate::client::turn::Turn;
use crate::client::{AcquireError, AcquiredToken};
use crate::{AccountInfo, Client, RefreshReason, SilentRequest, TokenEndpoint, trace};

impl<S: CacheStore> Client<S> {
    /// Acquires a token of this user without a person: from the cache, or for one of the refresh
    /// tokens in it.
    ///
    /// The plan that is carried out is that of [`plan`](Self::plan):
    ///
    /// 1. An access token of this client, tenant and user that has these scopes and doesn't expire
    ///    within the skew is returned.
    /// 2. Else refresh tokens are traded, the newest first. A client that is in the family of
    ///    first-party apps tries the family's first, one that doesn't know tries them until the
    ///    server says `client_mismatch`; then its own follow.
    /// 3. The answer is stored in one commit. It keeps what it leaves out, and replaces the
    ///    refresh token where that is still the one that was traded.
    /// 4. If the refresh fails, a token that is merely to be refreshed by now (`refresh_on`) is
    ///    returned; and while the server gives no answer at all, one within its extended lifetime.
    ///
    /// Threads that need the same token at once share one request and its outcome. Others wait
    /// their turn before they spend a refresh token of the user, processes too (see
    /// [`CacheStore::guard`]), and look again when it comes.
    ///
    /// ```
    /// use msal_cache::{
    ///     AccountInfo, TokenCache, TokenEndpoint, TokenRequest, TokenResponse, TokenSource,
    ///     TransportError,
    /// };
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
    /// [`AcquireError::InteractionRequired`] where there is no refresh token, or the server takes
    /// none; [`AcquireError::Transport`] where it gave no answer and there is no token to fall
    /// back to.
    pub fn acquire_token_silent<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
        account: &AccountInfo,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, AcquireError> {
        self.acquire(&SilentRequest::new(scopes, account), endpoint)
    }

    /// Acquires a token that the app has for itself: from the cache, or from the server by the
    /// client's own credential, which `endpoint` adds (client credentials, RFC 6749, section 4.4).
    ///
    /// # Errors
    ///
    /// [`AcquireError::Refused`] where the server refuses; [`AcquireError::Transport`] where it
    /// gave no answer and there is no token to fall back to.
    pub fn acquire_token_for_client<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, AcquireError> {
        self.acquire(&SilentRequest::for_client(scopes), endpoint)
    }

    /// Acquires a token for a request: the same as
    /// [`acquire_token_silent`](Self::acquire_token_silent) or
    /// [`acquire_token_for_client`](Self::acquire_token_for_client), with all that a request can
    /// say.
    ///
    /// # Errors
    ///
    /// Those of the two.
    pub fn acquire(
        &self,
        request: &SilentRequest,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, AcquireError> {
        let asked = self.asked(request)?;
        let partition = asked.partition();
        let stored = self.cache.partition(&partition)?;
        if let Some(entry) = plan::cached(&asked, &stored.entries, self.cache.now()) {
            trace::hit(&partition, &self.id);
            return Ok(AcquiredToken::cached(entry));
        }
        let plan = self.look(&asked)?;
        if let Some(entry) = plan.cached {
            // Somebody has stored it this moment.
            return Ok(AcquiredToken::cached(entry));
        }
        let reason = plan.reason.unwrap_or(RefreshReason::Absent);
        trace::miss(&partition, &self.id, reason);
        let address = std::ptr::from_ref(endpoint).cast::<()>().addr();
        loop {
            match self.cache.flights().board(asked.flight(), address) {
                Seat::Leader(leader) => {
                    let turn = Turn { client: self, asked: &asked, endpoint, reason };
                    let outcome = turn.take(&plan, &partition);
                    leader.done(outcome.clone());
                    return outcome;
                }
                Seat::Follower(flight) => {
                    if let Some(aging) = plan.still_good() {
                        return Ok(AcquiredToken::aging(aging.clone(), reason));
                    }
                    if let Some(outcome) = flight.wait(address) {
                        return outcome;
                    }
                }
            }
        }
    }

    /// What [`acquire`](Self::acquire) would do now, without doing it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) where client or request can't be understood.
    pub fn plan(&self, request: &SilentRequest) -> Result<SilentPlan> {
        self.look(&self.asked(request)?)
    }

    pub(crate) fn look(&self, asked: &Asked) -> Result<SilentPlan> {
        let stored = self.cache.partition(&asked.partition())?;
        let mut plan = SilentPlan::of(asked, &stored.entries, self.cache.now());
        // A hit needs no more than one look-up.
        if plan.cached.is_none() && !plan.is_for_client {
            let metadata = self.cache.partition(&Partition::app_metadata())?;
            plan.add_attempts(asked, &stored.entries, &metadata.entries);
        }
        Ok(plan)
    }
}
