use std::fmt;

use msal_cache_core::{CacheStore, Memory, Result};

use crate::TokenCache;
use crate::client::authority::Authority;

/// How long before it expires a token is no longer given out, in seconds.
const SKEW: i64 = 300;

/// One app's side of a cache: its accounts, and tokens without a person.
///
/// [`TokenCache::client`] makes one. It is cheap to make and to clone, and clones share the cache.
pub struct Client<S = Memory> {
    pub(crate) cache: TokenCache<S>,
    pub(crate) client_id: String,
    authority: String,
    token_endpoint: Option<String>,
    pub(crate) skew: i64,
}

impl<S: CacheStore> TokenCache<S> {
    /// This cache, as the app sees it that is registered as `client_id` with `authority`, such as
    /// `https://login.microsoftonline.com/<tenant>`.
    ///
    /// An authority that can't be understood is an [`Error::Invalid`](crate::Error::Invalid) of
    /// the first call that needs it.
    pub fn client(&self, client_id: impl Into<String>, authority: impl Into<String>) -> Client<S> {
        Client {
            cache: self.clone(),
            client_id: client_id.into(),
            authority: authority.into(),
            token_endpoint: None,
            skew: SKEW,
        }
    }
}

impl<S: CacheStore> Client<S> {
    /// Where the authority's token endpoint is, if it is elsewhere than its address tells: the
    /// `token_endpoint` of its metadata document
    /// (`<authority>/v2.0/.well-known/openid-configuration`). The tenant in it is the one that
    /// tokens are stored under.
    pub fn with_token_endpoint(mut self, address: impl Into<String>) -> Self {
        self.token_endpoint = Some(address.into());
        self
    }

    /// How long before it expires an access token is no longer given out, in seconds; 300 unless
    /// told otherwise.
    pub fn with_skew(mut self, seconds: i64) -> Self {
        self.skew = seconds.max(0);
        self
    }

    /// Where the authority's token endpoint is.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) where the authority can't be understood.
    pub fn token_endpoint(&self) -> Result<String> {
        self.authority().map(|it| it.token_endpoint)
    }

    pub(crate) fn authority(&self) -> Result<Authority> {
        let authority = Authority::parse(&self.authority)?;
        match &self.token_endpoint {
            Some(address) => authority.with_token_endpoint(address),
            None => Ok(authority),
        }
    }
}

impl<S> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            client_id: self.client_id.clone(),
            authority: self.authority.clone(),
            token_endpoint: self.token_endpoint.clone(),
            skew: self.skew,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.client_id)
            .field("authority", &self.authority)
            .field("token_endpoint", &self.token_endpoint)
            .finish_non_exhaustive()
    }
}
