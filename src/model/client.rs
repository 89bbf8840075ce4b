use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::Result;

use crate::model::{AuthorityHosts, Clouds};

/// How long before it expires a token is no longer returned, in seconds.
const SKEW: i64 = 300;

/// Longer than HTTP clients wait for a response.
const GUARD_WAIT: Duration = Duration::from_secs(60);

/// What a client is configured with.
#[derive(Clone, Debug)]
pub(crate) struct ClientConfig {
    pub(crate) id: String,
    pub(crate) authority: String,
    pub(crate) token_endpoint: Option<String>,
    /// The authority as it was parsed; `None` where it is invalid.
    parsed: Option<Arc<AuthorityHosts>>,
    pub(crate) capabilities: Arc<[String]>,
    pub(crate) skew: i64,
    pub(crate) guard_wait: Duration,
}

impl ClientConfig {
    pub(crate) fn new(id: String, authority: String, clouds: &Clouds) -> Self {
        let mut config = Self {
            id,
            authority,
            token_endpoint: None,
            parsed: None,
            capabilities: Arc::default(),
            skew: SKEW,
            guard_wait: GUARD_WAIT,
        };
        config.parsed = config.parse(clouds).ok().map(Arc::new);
        config
    }

    pub(crate) fn set_token_endpoint(&mut self, address: String, clouds: &Clouds) {
        self.token_endpoint = Some(address);
        self.parsed = self.parse(clouds).ok().map(Arc::new);
    }

    /// The parsed authority, or why it is invalid.
    pub(crate) fn authority(&self, clouds: &Clouds) -> Result<Arc<AuthorityHosts>> {
        match &self.parsed {
            Some(authority) => Ok(authority.clone()),
            None => self.parse(clouds).map(Arc::new),
        }
    }

    fn parse(&self, clouds: &Clouds) -> Result<AuthorityHosts> {
        let authority = AuthorityHosts::parse(&self.authority, clouds)?;
        match &self.token_endpoint {
            Some(address) => authority.with_token_endpoint(address),
            None => Ok(authority),
        }
    }
}
