use std::sync::Arc;

use crate::client::AcquireError;
use crate::{AccessToken, Entry, Secret};

/// An access token that an app can use now, where it came from, and why a refresh happened.
///
/// `Debug` prints no secret. Cloning shares the token.
#[derive(Clone, Debug)]
pub struct AcquiredToken {
    entry: Entry,
    source: TokenSource,
    refresh_reason: Option<RefreshReason>,
    refresh_error: Option<Arc<AcquireError>>,
}

/// Where a token came from. The names are those of MSAL Python's `token_source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenSource {
    /// The cache held it; also where another thread or process put it there a moment ago.
    Cache,
    /// The server issued it, for this call or for one of another thread that this one waited for.
    IdentityProvider,
}

impl TokenSource {
    /// `cache` or `identity_provider`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::IdentityProvider => "identity_provider",
        }
    }
}

/// Why the access token in the cache, if there was one, was not good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RefreshReason {
    /// The cache holds no access token for this request.
    Absent,
    /// There is one, and it has expired or is about to.
    Expired,
    /// There is one that is good, and the server asked to renew it by now (`refresh_in`).
    Aging,
    /// There is one that was stored in the future: the clock was moved back since, and when the
    /// token expires can't be told.
    ClockMovedBack,
    /// The caller asked for a new one.
    ForceRefresh,
    /// The caller brought a claims challenge, which no cached token answers.
    ClaimsChallenge,
}

impl AcquiredToken {
    pub(crate) fn cached(entry: Entry) -> Self {
        Self { entry, source: TokenSource::Cache, refresh_reason: None, refresh_error: None }
    }

    pub(crate) fn issued(entry: Entry, reason: RefreshReason) -> Self {
        let source = TokenSource::IdentityProvider;
        Self { entry, source, refresh_reason: Some(reason), refresh_error: None }
    }

    /// A cached one that is good, and that another thread or process is refreshing.
    pub(crate) fn aging(entry: Entry, reason: RefreshReason) -> Self {
        let source = TokenSource::Cache;
        Self { entry, source, refresh_reason: Some(reason), refresh_error: None }
    }

    pub(crate) fn fallback(entry: Entry, reason: RefreshReason, error: AcquireError) -> Self {
        let (source, refresh_error) = (TokenSource::Cache, Some(Arc::new(error)));
        Self { entry, source, refresh_reason: Some(reason), refresh_error }
    }

    /// The token in clear: what follows `Bearer ` in a request.
    pub fn secret(&self) -> Secret<'_> {
        Secret::new(self.entry.known("secret").unwrap_or_default())
    }

    /// The token with all that the cache knows about it: scopes, times, tenant.
    pub fn access_token(&self) -> AccessToken<'_> {
        AccessToken(&self.entry)
    }

    /// The entry of the token, as it stands in the cache.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Where it came from.
    pub fn source(&self) -> TokenSource {
        self.source
    }

    /// Why it was refreshed, or why that was tried; `None` where the cached one was good.
    pub fn refresh_reason(&self) -> Option<RefreshReason> {
        self.refresh_reason
    }

    /// Why the refresh failed, where this is the token that was to be refreshed. It is one that is
    /// still good; or, while the server gives no answer, one within its extended lifetime
    /// (`ext_expires_in`), which some APIs accept then.
    pub fn refresh_error(&self) -> Option<&AcquireError> {
        self.refresh_error.as_deref()
    }
}
