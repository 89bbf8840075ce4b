//! The migration of a user from another cache, by the refresh token that it has.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "http-async")]
use msal_cache_core::AsyncCacheStore;
#[cfg(feature = "http")]
use msal_cache_core::{CacheStore, Ready, internal::now};
use msal_cache_core::{Error, Result};
use zeroize::Zeroizing;

#[cfg(feature = "http-async")]
use super::detached;
use super::id_token::IdTokenRules;
use super::signature;
#[cfg(feature = "http-async")]
use crate::AsyncClient;
#[cfg(feature = "http")]
use crate::Client;
use crate::engine::{Grant, Redemption};
#[cfg(feature = "http-async")]
use crate::model::AsyncTokenEndpoint;
#[cfg(feature = "http")]
use crate::model::TokenEndpoint;
use crate::model::{
    AcquireError, AcquiredToken, AuthorityHosts, ClientConfig, Clouds, Event, Fields, Form,
    TokenRequest, TokenResponse, merged_claims, schema,
};

const GRANT: &str = "refresh_token";

/// A sign-in with a refresh token of another cache, which [`run`](Self::run) carries out.
///
/// `Client::refresh_token` and `AsyncClient::refresh_token` make one. `Debug` prints no secret.
#[must_use = "a sign-in begins with `run`"]
pub struct RefreshTokenSignIn<C> {
    client: C,
    refresh_token: Zeroizing<String>,
    scopes: Vec<String>,
    claims_challenge: Option<String>,
    issuer: Option<String>,
    verifies_signature: bool,
}

impl<C> RefreshTokenSignIn<C> {
    fn new<T: AsRef<str>>(
        client: C,
        refresh_token: &str,
        scopes: impl IntoIterator<Item = T>,
    ) -> Self {
        let (refresh_token, scopes) = (refresh_token.to_owned(), schema::scopes_of_all(scopes));
        let refresh_token = refresh_token.into();
        let (claims_challenge, issuer, verifies_signature) = Default::default();
        Self { client, refresh_token, scopes, claims_challenge, issuer, verifies_signature }
    }

    /// Sets the claims challenge of an API or of an earlier response
    /// ([`ServerError::claims`](crate::endpoint::ServerError::claims)).
    pub fn claims_challenge(mut self, claims: impl Into<String>) -> Self {
        self.claims_challenge = Some(claims.into());
        self
    }

    /// Sets the issuer of the ID token, if the response has one. See
    /// [`SignIn::issuer`](super::SignIn::issuer).
    ///
    /// A response with the ID token of another issuer is not stored, and where the server has
    /// replaced the refresh token, the new one is lost.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Checks the signature of the ID token, too. See
    /// [`SignIn::verify_signature`](super::SignIn::verify_signature). The keys are requested before the
    /// token is redeemed.
    ///
    /// A response without an ID token, or with a wrong signature, is not stored, and where the server has
    /// replaced the refresh token, the new one is lost.
    pub fn verify_signature(mut self) -> Self {
        self.verifies_signature = true;
        self
    }

    fn grant(mut self, config: &ClientConfig) -> Result<RefreshTokenGrant, AcquireError> {
        self.scopes.extend(schema::REQUESTED_SCOPES.map(str::to_owned));
        self.scopes.sort_unstable();
        self.scopes.dedup();
        RefreshTokenGrant::new(config, self).map_err(AcquireError::of_arguments)
    }
}

impl<C> fmt::Debug for RefreshTokenSignIn<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshTokenSignIn").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// A refresh token that isn't in the cache.
struct RefreshTokenGrant {
    scopes: Vec<String>,
    issuer: Option<String>,
    authority: Arc<AuthorityHosts>,
    request: TokenRequest,
    /// Where the keys are, if the signature is checked.
    keys: Option<String>,
}

impl RefreshTokenGrant {
    fn new<C>(config: &ClientConfig, sign_in: RefreshTokenSignIn<C>) -> Result<Self> {
        let RefreshTokenSignIn { refresh_token, scopes, claims_challenge, issuer, .. } = sign_in;
        config.check_id()?;
        if refresh_token.is_empty() {
            return Err(Error::invalid("refresh_token", "it is empty"));
        }
        let authority = config.authority()?;
        let keys =
            sign_in.verifies_signature.then(|| signature::jwks_uri(&authority)).transpose()?;
        let mut form = Form::new()
            .with("client_id", config.id.as_str())
            .with("grant_type", GRANT)
            .with("client_info", "1")
            .with("scope", scopes.join(" "))
            .with("refresh_token", refresh_token.as_str());
        if let Some(claims) =
            merged_claims(claims_challenge.as_deref(), &config.capabilities, None)?
        {
            form = form.with("claims", claims);
        }
        let request = TokenRequest::new(authority.token_endpoint(), &config.id, form);
        Ok(Self { scopes, issuer, authority, request, keys })
    }
}

impl Grant for RefreshTokenGrant {
    fn request(&self) -> &TokenRequest {
        &self.request
    }

    fn event(&self) -> Event {
        Event::new(self.request.client_id()).grant_type(GRANT).scope(&self.scopes)
    }

    fn authority(&self) -> &Arc<AuthorityHosts> {
        &self.authority
    }

    /// As for a refresh (`OpenID` Connect Core, section 12.2).
    fn check(&self, response: &TokenResponse, clouds: &Clouds, now: i64) -> Result<()> {
        let rules = IdTokenRules {
            client_id: self.request.client_id(),
            nonce: None,
            authority: &self.authority,
            clouds,
            issuer: self.issuer.as_deref(),
            now,
        };
        rules.check_if_present(response.body())
    }

    fn keys(&self) -> Option<&str> {
        self.keys.as_deref()
    }

    fn check_signature(&self, response: &TokenResponse, keys: &Fields) -> Result<bool> {
        signature::check(response, keys)
    }
}

#[cfg(feature = "http")]
impl<S: CacheStore> RefreshTokenSignIn<&Client<S>> {
    /// Redeems the refresh token, and stores the response in one commit. Returns the access token; its
    /// [`account`](AcquiredToken::account) is the user.
    ///
    /// # Errors
    ///
    /// [`AcquireError::InteractionRequired`] where the server doesn't accept the token; else those of
    /// [`acquire_token_silent`](Client::acquire_token_silent).
    pub fn run(self, endpoint: &dyn TokenEndpoint) -> Result<AcquiredToken, AcquireError> {
        let client = self.client;
        let grant = self.grant(client.config())?;
        Ok(now(Redemption::new(&client.cache().0, Ready(endpoint), grant).run())?)
    }
}

#[cfg(feature = "http-async")]
impl<S: AsyncCacheStore + 'static> RefreshTokenSignIn<&AsyncClient<S>> {
    /// See `run` of the blocking form. A request that has been sent ends without this future.
    ///
    /// # Errors
    ///
    /// See the variants of [`AcquireError`].
    pub async fn run(
        self,
        endpoint: &(impl AsyncTokenEndpoint + Clone + 'static),
    ) -> Result<AcquiredToken, AcquireError> {
        let client = self.client;
        let grant = self.grant(client.config())?;
        Ok(detached::redeem(Redemption::new(&client.cache().0, endpoint.clone(), grant)).await?)
    }
}

#[cfg(feature = "http")]
impl<S: CacheStore> Client<S> {
    /// Begins a sign-in with a refresh token from elsewhere, to move a user into this cache. It has
    /// options; without them, it is [`acquire_token_by_refresh_token`](Self::acquire_token_by_refresh_token).
    pub fn refresh_token<T: AsRef<str>>(
        &self,
        refresh_token: &str,
        scopes: impl IntoIterator<Item = T>,
    ) -> RefreshTokenSignIn<&Self> {
        RefreshTokenSignIn::new(self, refresh_token, scopes)
    }

    /// Signs a user in with a refresh token from elsewhere, to move it into this cache: redeems it, and
    /// stores the response in one commit. Returns the access token; its
    /// [`account`](AcquiredToken::account) is the user. Later tokens come from
    /// [`acquire_token_silent`](Self::acquire_token_silent).
    ///
    /// The token was issued to this client id, or belongs to its family. Where the server replaces it,
    /// the other cache has one that is spent.
    ///
    /// # Errors
    ///
    /// [`AcquireError::InteractionRequired`] where the server doesn't accept the token; else those of
    /// [`acquire_token_silent`](Self::acquire_token_silent).
    pub fn acquire_token_by_refresh_token<T: AsRef<str>>(
        &self,
        refresh_token: &str,
        scopes: impl IntoIterator<Item = T>,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, AcquireError> {
        self.refresh_token(refresh_token, scopes).run(endpoint)
    }
}

#[cfg(feature = "http-async")]
impl<S: AsyncCacheStore + 'static> AsyncClient<S> {
    /// Begins a sign-in with a refresh token from elsewhere, as the blocking `Client::refresh_token`.
    pub fn refresh_token<T: AsRef<str>>(
        &self,
        refresh_token: &str,
        scopes: impl IntoIterator<Item = T>,
    ) -> RefreshTokenSignIn<&Self> {
        RefreshTokenSignIn::new(self, refresh_token, scopes)
    }

    /// Signs a user in with a refresh token from elsewhere. It is that of the blocking
    /// `Client::acquire_token_by_refresh_token`. A request that has been sent ends without this future.
    pub async fn acquire_token_by_refresh_token<T: AsRef<str>>(
        &self,
        refresh_token: &str,
        scopes: impl IntoIterator<Item = T>,
        endpoint: &(impl AsyncTokenEndpoint + Clone + 'static),
    ) -> Result<AcquiredToken, AcquireError> {
        self.refresh_token(refresh_token, scopes).run(endpoint).await
    }
}
