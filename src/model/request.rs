use std::collections::BTreeSet;
use std::fmt;

use zeroize::Zeroizing;

use crate::model::{AccountInfo, Fields, schema};

/// A request for a token without user interaction: for a user, or for the app itself.
///
/// Scopes are a set: order, repetition and ASCII case don't matter.
///
/// ```
/// use msal_cache::{AccountInfo, SilentRequest};
///
/// let alice = AccountInfo::of("uid.utid");
/// let plain = SilentRequest::new(["User.Read"], &alice);
/// let after_a_401 = SilentRequest::new(["User.Read"], &alice)
///     .claims_challenge(r#"{"access_token":{"nbf":{"essential":true}}}"#);
/// let own = SilentRequest::for_client(["https://graph.microsoft.com/.default"]);
/// # let _ = (plain, after_a_401, own);
/// ```
#[derive(Clone, PartialEq)]
pub struct SilentRequest {
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) home_account_id: Option<String>,
    pub(crate) force_refresh: bool,
    pub(crate) claims_challenge: Option<String>,
    pub(crate) data: Fields,
    /// The token of the user on whose behalf the app requests one.
    pub(crate) user_assertion: Option<Zeroizing<String>>,
}

impl SilentRequest {
    /// Requests a token of this user with at least these scopes. Each item may hold several,
    /// separated by spaces.
    ///
    /// `openid`, `profile` and `offline_access` are requested anyway, and must not be given.
    pub fn new<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>, account: &AccountInfo) -> Self {
        Self {
            home_account_id: Some(account.home_account_id().to_owned()),
            ..Self::for_client(scopes)
        }
    }

    /// Requests a token for the app itself (client credentials, RFC 6749, section 4.4).
    pub fn for_client<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self {
            scopes: schema::scopes_of_all(scopes).into_iter().collect(),
            home_account_id: None,
            force_refresh: false,
            claims_challenge: None,
            data: Fields::new(),
            user_assertion: None,
        }
    }

    /// Requests a token on behalf of a user, whose access token for this app is the assertion; see
    /// [`acquire_token_on_behalf_of`](crate::Client::acquire_token_on_behalf_of).
    pub fn on_behalf_of<S: AsRef<str>>(
        scopes: impl IntoIterator<Item = S>,
        user_assertion: impl Into<String>,
    ) -> Self {
        let user_assertion = Some(Zeroizing::new(user_assertion.into()));
        Self { user_assertion, ..Self::for_client(scopes) }
    }

    /// Skips cached access tokens, valid or not.
    pub fn force_refresh(mut self, force: bool) -> Self {
        self.force_refresh = force;
        self
    }

    /// Skips cached access tokens and requests one with these claims: the JSON that an API returned
    /// with its refusal (`WWW-Authenticate: Bearer ... claims="..."`, decoded).
    pub fn claims_challenge(mut self, claims: impl Into<String>) -> Self {
        self.claims_challenge = Some(claims.into());
        self
    }

    /// Further parameters of the request. `token_type` and `key_id` request a token of that type,
    /// bound to that key (with `req_cnf`, an SSH certificate or a proof of possession). Those that
    /// make up an extended cache key, such as `fmi_path`, select tokens with that key (see
    /// [`ext_cache_key`](crate::store::ext_cache_key())).
    pub fn data(mut self, data: Fields) -> Self {
        self.data = data;
        self
    }
}

impl fmt::Debug for SilentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SilentRequest")
            .field("scopes", &self.scopes)
            .field("home_account_id", &self.home_account_id)
            .field("force_refresh", &self.force_refresh)
            .field("claims_challenge", &self.claims_challenge.is_some())
            .field("data", &self.data)
            .field("user_assertion", &self.user_assertion.is_some())
            .finish()
    }
}
