//! The migration of a user from another cache, by the refresh token that it has.

use std::sync::Arc;

#[cfg(feature = "http-async")]
use msal_cache_core::AsyncCacheStore;
#[cfg(feature = "http")]
use msal_cache_core::{CacheStore, Ready, internal::now};
use msal_cache_core::{Error, Result};

#[cfg(feature = "http-async")]
use super::detached;
use super::id_token::IdTokenRules;
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
    AcquireError, AcquiredToken, AuthorityHosts, ClientConfig, Clouds, Event, Form, TokenRequest,
    TokenResponse, merged_claims, schema,
};

const GRANT: &str = "refresh_token";

/// A refresh token that isn't in the cache.
struct RefreshTokenGrant {
    scopes: Vec<String>,
    authority: Arc<AuthorityHosts>,
    request: TokenRequest,
}

impl RefreshTokenGrant {
    fn new<T: AsRef<str>>(
        config: &ClientConfig,
        refresh_token: &str,
        scopes: impl IntoIterator<Item = T>,
    ) -> Result<Self> {
        config.check_id()?;
        if refresh_token.is_empty() {
            return Err(Error::invalid("refresh_token", "it is empty"));
        }
        let authority = config.authority()?;
        let mut scopes = schema::scopes_of_all(scopes);
        scopes.extend(schema::REQUESTED_SCOPES.map(str::to_owned));
        scopes.sort_unstable();
        scopes.dedup();
        let mut form = Form::new()
            .with("client_id", config.id.as_str())
            .with("grant_type", GRANT)
            .with("client_info", "1")
            .with("scope", scopes.join(" "))
            .with("refresh_token", refresh_token);
        if let Some(claims) = merged_claims(None, &config.capabilities, None)? {
            form = form.with("claims", claims);
        }
        let request = TokenRequest::new(authority.token_endpoint(), &config.id, form);
        Ok(Self { scopes, authority, request })
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
            issuer: None,
            now,
        };
        rules.check_if_present(response.body())
    }
}

#[cfg(feature = "http")]
impl<S: CacheStore> Client<S> {
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
        let grant = RefreshTokenGrant::new(self.config(), refresh_token, scopes);
        let grant = grant.map_err(AcquireError::of_arguments)?;
        Ok(now(Redemption::new(&self.cache().0, Ready(endpoint), grant).run())?)
    }
}

#[cfg(feature = "http-async")]
impl<S: AsyncCacheStore + 'static> AsyncClient<S> {
    /// Signs a user in with a refresh token from elsewhere. It is that of the blocking
    /// `Client::acquire_token_by_refresh_token`. A request that has been sent ends without this future.
    pub async fn acquire_token_by_refresh_token<T: AsRef<str>>(
        &self,
        refresh_token: &str,
        scopes: impl IntoIterator<Item = T>,
        endpoint: &(impl AsyncTokenEndpoint + Clone + 'static),
    ) -> Result<AcquiredToken, AcquireError> {
        let grant = RefreshTokenGrant::new(self.config(), refresh_token, scopes);
        let grant = grant.map_err(AcquireError::of_arguments)?;
        let redemption = Redemption::new(&self.cache().0, endpoint.clone(), grant);
        Ok(detached::redeem(redemption).await?)
    }
}
