use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{Error, Result};

use crate::model::{Authority, AuthorityHosts, Clouds};

/// How long before it expires a token is no longer returned, in seconds.
const SKEW: i64 = 300;

/// Longer than HTTP clients wait for a response.
const GUARD_WAIT: Duration = Duration::from_secs(60);

/// Servers mostly respond sooner, so that the caller gets the new token, and a short program doesn't
/// end before the response is stored.
const REFRESH_WAIT: Duration = Duration::from_secs(1);

/// What a client is configured with.
#[derive(Clone, Debug)]
pub(crate) struct ClientConfig {
    pub(crate) id: String,
    /// Or the field that is invalid, and why. The text isn't kept: it may contain a password.
    authority: Result<Arc<AuthorityHosts>, [String; 2]>,
    pub(crate) capabilities: Arc<[String]>,
    pub(crate) skew: i64,
    pub(crate) guard_wait: Duration,
    pub(crate) refresh_wait: Duration,
}

impl ClientConfig {
    pub(crate) fn new(id: String, authority: Result<Authority>, clouds: &Clouds) -> Self {
        Self {
            id,
            authority: checked(authority, clouds),
            capabilities: Arc::default(),
            skew: SKEW,
            guard_wait: GUARD_WAIT,
            refresh_wait: REFRESH_WAIT,
        }
    }

    /// Refuses a blank client id: it names no client.
    pub(crate) fn check_id(&self) -> Result<()> {
        if self.id.trim().is_empty() {
            return Err(Error::invalid("client_id", "it is empty"));
        }
        Ok(())
    }

    #[cfg(feature = "azure")]
    pub(crate) fn set_authority(&mut self, authority: Result<Authority>, clouds: &Clouds) {
        self.authority = checked(authority, clouds);
    }

    pub(crate) fn set_token_endpoint(&mut self, address: &str, clouds: &Clouds) {
        if let Ok(known) = &self.authority {
            let authority = known.authority().clone().with_token_endpoint(address);
            self.authority = checked(authority, clouds);
        }
    }

    /// The authority, or why it is invalid.
    pub(crate) fn authority(&self) -> Result<Arc<AuthorityHosts>> {
        match &self.authority {
            Ok(authority) => Ok(authority.clone()),
            Err([field, reason]) => Err(Error::invalid(field, reason)),
        }
    }
}

fn checked(
    authority: Result<Authority>,
    clouds: &Clouds,
) -> Result<Arc<AuthorityHosts>, [String; 2]> {
    match authority {
        Ok(authority) => Ok(Arc::new(AuthorityHosts::new(authority, clouds))),
        Err(Error::Invalid { field, reason }) => Err([field, reason]),
        Err(error) => Err(["authority".into(), error.to_string()]),
    }
}
