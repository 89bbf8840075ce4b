use std::fmt;
use std::sync::Arc;

use msal_cache_core::Error;

use crate::model::{
    AccessToken, AcquireMetadata, AnsweredBy, AuthorityHosts, Cost, Entry, InteractionRequired,
    MendedBy, Secret, ServerError, TransportError,
};

/// An access token that an app can use now, where it came from, and why a refresh happened.
///
/// `Debug` prints no secret. Cloning shares the token.
#[derive(Clone, Debug)]
pub struct AcquiredToken {
    entry: Entry,
    source: TokenSource,
    metadata: AcquireMetadata,
    refresh_error: Option<Arc<AcquireError>>,
    owner: Option<TokenOwner>,
}

/// A token, or why there is none.
pub(crate) type AcquireResult = Result<AcquiredToken, AcquireError>;

/// What the cache knows of the user of a token. It is put together when it is asked for.
#[derive(Clone)]
pub(crate) struct TokenOwner {
    /// The accounts of the partition.
    pub(crate) accounts: Arc<[Entry]>,
    pub(crate) authority: Arc<AuthorityHosts>,
}

impl fmt::Debug for TokenOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenOwner({} accounts)", self.accounts.len())
    }
}

/// Where a token came from. The names are those of MSAL Python's `token_source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenSource {
    /// The cache; also where another thread or process has just stored it.
    Cache,
    /// The server, in response to this call or to a call of another thread that this one waited
    /// for.
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

/// Why no cached access token could be returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RefreshReason {
    /// The cache holds no access token for this request.
    Absent,
    /// The cached one has expired or is about to.
    Expired,
    /// The cached one is valid, but the server asked to refresh it by now (`refresh_in`).
    Aging,
    /// The cached one was stored in the future: the clock was set back since, so it is unknown when
    /// the token expires.
    ClockMovedBack,
    /// The caller asked for a new one.
    ForceRefresh,
    /// The caller has a claims challenge, which no cached token satisfies.
    ClaimsChallenge,
}

impl RefreshReason {
    /// `absent`, `expired`, `aging`, `clock_moved_back`, `force_refresh` or `claims_challenge`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Expired => "expired",
            Self::Aging => "aging",
            Self::ClockMovedBack => "clock_moved_back",
            Self::ForceRefresh => "force_refresh",
            Self::ClaimsChallenge => "claims_challenge",
        }
    }
}

impl AcquiredToken {
    pub(crate) fn cached(entry: Entry) -> Self {
        let metadata = AcquireMetadata::new(AnsweredBy::Store, None);
        Self { entry, source: TokenSource::Cache, metadata, refresh_error: None, owner: None }
    }

    pub(crate) fn issued(entry: Entry, reason: RefreshReason) -> Self {
        let metadata = AcquireMetadata::new(AnsweredBy::Server, Some(reason));
        Self {
            entry,
            source: TokenSource::IdentityProvider,
            metadata,
            refresh_error: None,
            owner: None,
        }
    }

    /// A cached token that is valid, while another thread or process refreshes it.
    pub(crate) fn aging(entry: Entry, reason: RefreshReason) -> Self {
        let metadata = AcquireMetadata::new(AnsweredBy::Store, Some(reason));
        Self { entry, source: TokenSource::Cache, metadata, refresh_error: None, owner: None }
    }

    pub(crate) fn fallback(entry: Entry, reason: RefreshReason, error: AcquireError) -> Self {
        Self::aging(entry, reason).after(error)
    }

    /// The same token after a refresh that has failed.
    pub(crate) fn after(mut self, error: AcquireError) -> Self {
        self.refresh_error = Some(Arc::new(error));
        self
    }

    #[inline]
    pub(crate) fn answered_by(mut self, level: AnsweredBy) -> Self {
        self.metadata.set_answered_by(level);
        self
    }

    #[inline]
    pub(crate) fn owned_by(mut self, owner: Option<TokenOwner>) -> Self {
        self.owner = owner;
        self
    }

    pub(crate) fn owner(&self) -> Option<&TokenOwner> {
        self.owner.as_ref()
    }

    #[inline]
    pub(crate) fn at_cost(mut self, cost: Cost) -> Self {
        self.metadata.set_cost(cost);
        self
    }

    /// The token in clear text: what follows `Bearer ` in a request.
    pub fn secret(&self) -> Secret<'_> {
        Secret::new(self.entry.known("secret").unwrap_or_default())
    }

    /// The token with its scopes, times and tenant.
    pub fn access_token(&self) -> AccessToken<'_> {
        AccessToken(&self.entry)
    }

    /// The entry of the token, as it is stored.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Where it came from.
    pub fn source(&self) -> TokenSource {
        self.source
    }

    /// Why it was refreshed, or why that was tried; `None` where a cached token was returned at
    /// once.
    pub fn refresh_reason(&self) -> Option<RefreshReason> {
        self.metadata.refresh_reason()
    }

    /// Which level had it, and the times that it took.
    ///
    /// ```
    /// # use msal_cache::{AccountInfo, Client, endpoint::TokenEndpoint};
    /// # fn run(client: &Client, alice: &AccountInfo, endpoint: &dyn TokenEndpoint)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let token = client.acquire_token_silent(["User.Read"], alice, endpoint)?;
    /// let it = token.metadata();
    /// println!("{} after {:?} in HTTP", it.answered_by().as_str(), it.time_in_http());
    /// # Ok(())
    /// # }
    /// ```
    pub fn metadata(&self) -> AcquireMetadata {
        self.metadata
    }

    /// Why the refresh failed, where this is the token that was to be refreshed. It is still valid;
    /// or, while the server doesn't respond, it is within its extended lifetime
    /// (`ext_expires_in`), which some APIs accept then.
    pub fn refresh_error(&self) -> Option<&AcquireError> {
        self.refresh_error.as_deref()
    }
}

/// Why no token was acquired, and who can change it.
///
/// | variant | who can change it |
/// |---|---|
/// | [`InteractionRequired`](Self::InteractionRequired) | the user, by a sign-in |
/// | [`Configuration`](Self::Configuration), [`Refused`](Self::Refused) | the owner of the app |
/// | [`Invalid`](Self::Invalid) | the caller: an argument is wrong |
/// | [`Transport`](Self::Transport) | time: the server or the network doesn't respond |
/// | [`InvalidResponse`](Self::InvalidResponse) | the operator of the server |
/// | [`Cache`](Self::Cache), [`NotStored`](Self::NotStored) | the operator of the machine: the store |
///
/// It can be cloned, since all callers that wait for one request get its error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// The user has to sign in: there is no refresh token, or the server accepts none of them.
    #[error(transparent)]
    InteractionRequired(InteractionRequired),

    /// The server refuses the app, its registration or its request, for a user or for itself:
    /// `invalid_client`, such as an expired secret, `unauthorized_client`, `invalid_scope`,
    /// `invalid_request`, and the like. A sign-in wouldn't change that: the owner of the app has to.
    #[error("the token endpoint refused the app, which its owner can change and a sign-in can't")]
    Configuration(#[source] ServerError),

    /// The server refused a request that the app made for itself, for another reason. A sign-in
    /// wouldn't change that.
    #[error("the token endpoint refused the client")]
    Refused(#[source] ServerError),

    /// An argument is invalid: the authority, the scopes, the account, the claims or the data. No
    /// request was sent.
    #[error(transparent)]
    Invalid(Arc<Error>),

    /// The server didn't respond, and there is no token to fall back to.
    #[error(transparent)]
    Transport(TransportError),

    /// The server's response can't be used. Nothing of it was stored.
    #[error("the token endpoint returned an unusable response")]
    InvalidResponse(#[source] Arc<Error>),

    /// The cache can't be used.
    #[error(transparent)]
    Cache(Arc<Error>),

    /// The token was acquired, but could not be stored. It is valid, and an app can use it. The
    /// next call sends a request again; where the server has also replaced the refresh token, the
    /// new one is lost.
    #[error("the token was acquired, but could not be stored")]
    NotStored {
        /// The token.
        token: Box<AcquiredToken>,
        /// Why it could not be stored.
        source: Arc<Error>,
    },
}

impl AcquireError {
    /// The error of arguments that are invalid, or of a cache that can't be used.
    pub(crate) fn of_arguments(error: Error) -> Self {
        match error {
            Error::Invalid { .. } => Self::Invalid(Arc::new(error)),
            error => error.into(),
        }
    }

    /// The error of a request for a user, or for the app itself, that the server refuses.
    pub(crate) fn refused(error: ServerError, is_for_client: bool) -> Self {
        match (error.mended_by(), is_for_client) {
            (MendedBy::Owner, _) => Self::Configuration(error),
            (_, true) => Self::Refused(error),
            (_, false) => Self::InteractionRequired(InteractionRequired::refused(error)),
        }
    }

    /// Whether the user has to sign in.
    pub fn is_interaction_required(&self) -> bool {
        matches!(self, Self::InteractionRequired(_))
    }

    /// The error of the server, where it refused.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            Self::InteractionRequired(required) => required.server_error(),
            Self::Configuration(error) | Self::Refused(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for AcquireError {
    fn from(error: Error) -> Self {
        Self::Cache(Arc::new(error))
    }
}

impl From<TransportError> for AcquireError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}
