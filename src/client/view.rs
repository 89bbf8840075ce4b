use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{CacheStore, Memory, Result};

use crate::client::asked::Asked;
use crate::client::authority::Authority;
#[cfg(feature = "http")]
use crate::client::claims;
use crate::client::hosts::Hosts;
use crate::{Event, Profile, SilentRequest, TokenCache, family};

/// How long before it expires a token is no longer given out, in seconds.
const SKEW: i64 = 300;

/// Longer than HTTP clients wait for an answer.
const GUARD_WAIT: Duration = Duration::from_secs(60);

/// An authority and the hosts of its cloud.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) authority: Authority,
    pub(crate) hosts: Hosts,
}

/// One app's side of a cache: its accounts, and tokens without a person.
///
/// [`TokenCache::client`] makes one. It is cheap to make and to clone, and clones share the cache.
pub struct Client<S = Memory> {
    pub(crate) cache: TokenCache<S>,
    pub(crate) id: String,
    authority: String,
    token_endpoint: Option<String>,
    /// Both of them, read; none where they can't be.
    site: Option<Arc<Site>>,
    capabilities: Arc<[String]>,
    skew: i64,
    pub(crate) guard_wait: Duration,
}

impl<S: CacheStore> TokenCache<S> {
    /// This cache, as the app sees it that is registered as `client_id` with `authority`, such as
    /// `https://login.microsoftonline.com/<tenant>`.
    ///
    /// An authority that can't be understood is an [`Error::Invalid`](crate::Error::Invalid) of
    /// the first call that needs it.
    pub fn client(&self, client_id: impl Into<String>, authority: impl Into<String>) -> Client<S> {
        let mut client = Client {
            cache: self.clone(),
            id: client_id.into(),
            authority: authority.into(),
            token_endpoint: None,
            site: None,
            capabilities: Arc::default(),
            skew: SKEW,
            guard_wait: GUARD_WAIT,
        };
        client.site = client.read_site().ok().map(Arc::new);
        client
    }
}

impl<S: CacheStore> Client<S> {
    /// Where the authority's token endpoint is, if it is elsewhere than its address tells: the
    /// `token_endpoint` of its metadata document
    /// (`<authority>/v2.0/.well-known/openid-configuration`). The tenant in it is the one that
    /// tokens are stored under.
    pub fn with_token_endpoint(mut self, address: impl Into<String>) -> Self {
        self.token_endpoint = Some(address.into());
        self.site = self.read_site().ok().map(Arc::new);
        self
    }

    /// How long before it expires an access token is no longer given out, in seconds; 300 unless
    /// told otherwise.
    pub fn with_skew(mut self, seconds: i64) -> Self {
        self.skew = seconds.max(0);
        self
    }

    /// What the app can do, such as `CP1`: answer a claims challenge. It is part of the claims of
    /// each request (`xms_cc`), as MSAL's `client_capabilities`.
    pub fn with_capabilities<C: Into<String>>(
        mut self,
        capabilities: impl IntoIterator<Item = C>,
    ) -> Self {
        self.capabilities = capabilities.into_iter().map(Into::into).collect();
        self
    }

    /// How long to wait for another thread or process that is trading a refresh token of the same
    /// user, before it is [`Error::Locked`](crate::Error::Locked); a minute unless told otherwise.
    /// It should be longer than the endpoint's time-out.
    pub fn with_guard_wait(mut self, wait: Duration) -> Self {
        self.guard_wait = wait;
        self
    }

    /// The cache.
    pub fn cache(&self) -> &TokenCache<S> {
        &self.cache
    }

    /// Where the authority's token endpoint is.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) where the authority can't be understood.
    pub fn token_endpoint(&self) -> Result<String> {
        Ok(self.site()?.authority.token_endpoint.clone())
    }

    /// The `claims` that an interactive request of this client asks for.
    #[cfg(feature = "http")]
    pub(crate) fn claims(&self, challenge: Option<&str>) -> Result<Option<String>> {
        claims::merged(challenge, &self.capabilities, None)
    }

    pub(crate) fn asked(&self, request: &SilentRequest) -> Result<Asked> {
        if self.cache.profile() == Profile::Family {
            // Before a refresh token is spent on it.
            family::check(&Event::new(&self.id).data(request.data.clone()))?;
        }
        Asked::new(&self.id, self.site()?, self.skew, &self.capabilities, request)
    }

    pub(crate) fn site(&self) -> Result<Arc<Site>> {
        match &self.site {
            Some(site) => Ok(site.clone()),
            None => self.read_site().map(Arc::new),
        }
    }

    fn read_site(&self) -> Result<Site> {
        let authority = Authority::parse(&self.authority)?;
        let authority = match &self.token_endpoint {
            Some(address) => authority.with_token_endpoint(address)?,
            None => authority,
        };
        let hosts = Hosts::of(self.cache.clouds(), &authority.environment);
        Ok(Site { authority, hosts })
    }
}

impl<S> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            id: self.id.clone(),
            authority: self.authority.clone(),
            token_endpoint: self.token_endpoint.clone(),
            site: self.site.clone(),
            capabilities: self.capabilities.clone(),
            skew: self.skew,
            guard_wait: self.guard_wait,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.id)
            .field("authority", &self.authority)
            .field("token_endpoint", &self.token_endpoint)
            .finish_non_exhaustive()
    }
}
