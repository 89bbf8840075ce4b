//! A request of a client, checked and completed: what a plan is made for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msal_cache_core::{Error, Partition, Result, Revision};
use serde_json::Value;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::model::{
    AuthorityHosts, ClientConfig, Decoded, Event, Form, Profile, SilentRequest, TokenOwner,
    merged_claims, schema,
};
use crate::plan::facts::{ext_cache_key_of, python_str};

/// The grant type of a request on behalf of a user.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The parameter by which tokens on behalf of a user have an extended cache key of their own. It has the
/// name of the field of other MSAL libraries.
const USER_ASSERTION_HASH: &str = "user_assertion_hash";

/// As in MSAL .NET: the SHA-256 of the assertion, in base64url.
fn assertion_hash(assertion: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(assertion))
}

/// A request of a client, checked.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedRequest {
    pub(crate) client_id: String,
    pub(crate) authority: Arc<AuthorityHosts>,
    pub(crate) skew: i64,
    pub(crate) guard_wait: Duration,
    pub(crate) refresh_wait: Duration,
    pub(crate) request: SilentRequest,
    /// Without a type in the request, any type for a token with a key, and `Bearer` for one
    /// without.
    pub(crate) token_type: Option<String>,
    pub(crate) key_id: Option<String>,
    pub(crate) ext_cache_key: Option<String>,
    claims: Option<String>,
    capabilities: Arc<[String]>,
}

impl ResolvedRequest {
    /// Checks a request of this client.
    pub(crate) fn new(
        client: &ClientConfig,
        request: &SilentRequest,
        profile: Profile,
    ) -> Result<Self> {
        let mut request = request.clone();
        if let Some(assertion) = &request.user_assertion {
            if assertion.trim().is_empty() {
                return Err(Error::invalid("user_assertion", "it is empty"));
            }
            request.data = request.data.set(USER_ASSERTION_HASH, assertion_hash(assertion));
        }
        // Before a refresh token is redeemed for a token that can't be stored.
        profile.check(&Event::new(&client.id).data(request.data.clone()))?;
        let authority = client.authority()?;
        let text =
            |name: &str| request.data.get(name).map(|value| python_str(name, value)).transpose();
        let non_empty = |text: Option<String>| text.filter(|it| !it.trim().is_empty());
        let (token_type, key_id) = (non_empty(text("token_type")?), non_empty(text("key_id")?));
        if token_type.as_deref() == Some("ssh-cert") {
            if non_empty(text("req_cnf")?).is_none() {
                let reason = "an SSH certificate needs the public key, as a JSON Web Key";
                return Err(Error::invalid("data.req_cnf", reason));
            }
            if key_id.is_none() {
                let reason = "an SSH certificate needs the id of the key in req_cnf";
                return Err(Error::invalid("data.key_id", reason));
            }
        }
        let token_type = token_type.or_else(|| key_id.is_none().then(|| schema::BEARER.to_owned()));
        client.check_id()?;
        if request.scopes.is_empty() {
            let reason = "name one, such as User.Read or https://graph.microsoft.com/.default";
            return Err(Error::invalid("scopes", reason));
        }
        match &request.home_account_id {
            Some(home) if home.trim().is_empty() => {
                return Err(Error::invalid("account", "its home_account_id is empty"));
            }
            Some(_) => {
                if request.scopes.iter().any(|it| {
                    schema::REQUESTED_SCOPES.iter().any(|own| it.eq_ignore_ascii_case(own))
                }) {
                    let reason =
                        "openid, profile and offline_access are requested anyway; leave them out";
                    return Err(Error::invalid("scopes", reason));
                }
            }
            None => {
                if request.user_assertion.is_none() && authority.is_multi_tenant() {
                    let reason = "an app's own tokens belong to one tenant; name it instead of \
                                  common, organizations or consumers";
                    return Err(Error::invalid("authority", reason));
                }
            }
        }
        request.claims_challenge = request.claims_challenge.filter(|it| !it.trim().is_empty());
        let claims = merged_claims(
            request.claims_challenge.as_deref(),
            &client.capabilities,
            request.data.get("client_claims").and_then(Value::as_str),
        )?;
        Ok(Self {
            client_id: client.id.clone(),
            authority,
            skew: client.skew,
            guard_wait: client.guard_wait,
            refresh_wait: client.refresh_wait,
            ext_cache_key: ext_cache_key_of(&request.data)?,
            request,
            token_type,
            key_id,
            claims,
            capabilities: client.capabilities.clone(),
        })
    }

    /// The same request without `force_refresh`.
    pub(crate) fn unforced(&self) -> Self {
        Self { request: self.request.clone().force_refresh(false), ..self.clone() }
    }

    /// Whether cached access tokens are not returned, however valid.
    pub(crate) fn skips_cached(&self) -> bool {
        self.request.force_refresh || self.request.claims_challenge.is_some()
    }

    /// The partition of all records that a plan may use, but the metadata of clients.
    pub(crate) fn partition(&self) -> Partition {
        let (client, realm) = (&self.client_id, self.authority.realm(None));
        let app = || Partition::app(client, realm, self.ext_cache_key.as_deref());
        self.request.home_account_id.as_deref().map_or_else(app, Partition::user)
    }

    /// What is known of the user, where the user's partition holds this; `None` for an app's own
    /// tokens.
    pub(crate) fn owner(&self, stored: Option<&Decoded>) -> Option<TokenOwner> {
        let accounts = stored.filter(|_| !self.is_for_client())?.accounts();
        Some(TokenOwner { accounts, authority: self.authority.clone() })
    }

    /// The partition of an app's own tokens that a library has stored without a realm.
    pub(crate) fn partition_without_realm(&self) -> Option<Partition> {
        let may_exist = self.is_for_client() && self.authority.may_lack_realm();
        let ext_cache_key = self.ext_cache_key.as_deref();
        may_exist.then(|| Partition::app(&self.client_id, "", ext_cache_key))
    }

    /// Whether the app requests a token on behalf of a user.
    pub(crate) fn is_on_behalf_of(&self) -> bool {
        self.request.user_assertion.is_some()
    }

    /// Whether the app requests a token for itself, or on behalf of a user: it belongs to no account.
    pub(crate) fn is_for_client(&self) -> bool {
        self.request.home_account_id.is_none()
    }

    /// The scopes to request from the server, sorted.
    pub(crate) fn scopes(&self) -> BTreeSet<&str> {
        let mut scopes: BTreeSet<_> = self.request.scopes.iter().map(String::as_str).collect();
        if self.request.home_account_id.is_some() {
            scopes.extend(schema::REQUESTED_SCOPES);
        }
        if self.is_on_behalf_of() {
            scopes.insert(schema::OFFLINE_ACCESS);
        }
        scopes
    }

    /// The form of a client credentials request (RFC 6749, section 4.4.2), or of one on behalf of a user
    /// (RFC 7523, section 2.1, with the parameter of Microsoft's servers).
    pub(crate) fn client_form(&self) -> Result<Form> {
        if let Some(assertion) = &self.request.user_assertion {
            let form = self.form(JWT_BEARER)?.with("assertion", assertion.as_str());
            let form = form.with("requested_token_use", "on_behalf_of");
            return Ok(form.with("scope", self.scope()));
        }
        Ok(self.form("client_credentials")?.with("scope", self.scope()))
    }

    /// The form that redeems a refresh token (RFC 6749, section 6).
    pub(crate) fn refresh_form(&self, refresh_token: &str) -> Result<Form> {
        let form = self.form("refresh_token")?.with("refresh_token", refresh_token);
        Ok(form.with("scope", self.scope()))
    }

    fn scope(&self) -> String {
        self.scopes().into_iter().collect::<Vec<_>>().join(" ")
    }

    fn form(&self, grant_type: &'static str) -> Result<Form> {
        let mut form = Form::new()
            .with("client_id", &self.client_id)
            .with("grant_type", grant_type)
            .with("client_info", "1");
        for (name, value) in self.request.data.iter() {
            // Part of the claims, or of the key in the cache.
            if name == "client_claims" || name == USER_ASSERTION_HASH {
                continue;
            }
            let value = python_str(name, value)?;
            if !value.is_empty() {
                form = form.with(name.to_owned(), value);
            }
        }
        Ok(match &self.claims {
            Some(claims) => form.with("claims", claims),
            None => form,
        })
    }

    /// Identifies requests that can share one response.
    pub(crate) fn identity(&self) -> Revision {
        let request = &self.request;
        let lower = |it: &String| it.to_ascii_lowercase();
        let scopes: Vec<_> = request.scopes.iter().map(lower).collect();
        // The data may contain a secret.
        let mut parts = Vec::from(
            [
                self.client_id.clone(),
                self.authority.as_str().to_owned(),
                self.authority.token_endpoint().to_owned(),
                request.home_account_id.clone().unwrap_or_default(),
                scopes.join(" "),
                format!("{} {}", request.force_refresh, self.skew),
                self.claims.clone().unwrap_or_default(),
                self.capabilities.join(" "),
            ]
            .map(Zeroizing::new),
        );
        for (name, value) in request.data.iter() {
            parts.extend([name.to_owned(), value.to_string()].map(Zeroizing::new));
        }
        Revision::of_contents(parts.iter().map(|it| it.as_bytes()))
    }
}
