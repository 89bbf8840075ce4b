use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use msal_cache_core::{Error, Result};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::SignInError;
use super::options::{Options, Prompt, ResponseMode};
use super::{random, signature};
use crate::http::address;
use crate::model::{
    AuthorityHosts, AuthorityKind, ClientConfig, ForeignText, Metadata, merged_claims, schema,
};

/// A sign-in that has begun: what the server was asked, and the secrets that tie its answer to it.
///
/// [`begin_sign_in`](super::SignIn::begin_sign_in) returns it, and `finish_sign_in` of the client takes
/// it. In between, the web app keeps it where only the browser that began can bring it back. It
/// implements `Serialize` and `Deserialize`; see [`docs::sign_in`](crate::docs::sign_in) for
/// places to keep it. `Debug` prints no secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignInState {
    client_id: String,
    /// Of the server that was asked.
    token_endpoint: String,
    pub(super) scopes: Vec<String>,
    claims: Option<String>,
    redirect_uri: String,
    pub(super) issuer: Option<String>,
    /// Whether the signature of the ID token is checked.
    #[serde(default)]
    pub(super) verifies_signature: bool,
    /// When it can no longer be finished, in seconds since the epoch.
    expires_on: i64,
    /// Sent to the server and back, so that only its answers are taken (RFC 6749, section 10.12).
    #[serde(with = "secret")]
    pub(super) state: Zeroizing<String>,
    /// Comes back in the ID token, which thereby belongs to this sign-in.
    #[serde(with = "secret")]
    pub(super) nonce: Zeroizing<String>,
    /// Proves that the sender of the code is who began (RFC 7636).
    #[serde(with = "secret")]
    pub(super) verifier: Zeroizing<String>,
}

impl SignInState {
    /// Draws the random numbers. Fails where the client or an option is invalid.
    pub(super) fn new(
        config: &ClientConfig,
        options: &Options,
        redirect_uri: String,
        now: i64,
        lifetime: Duration,
    ) -> Result<Self, SignInError> {
        config.check_id()?;
        let mut scopes = options.scopes.clone();
        scopes.extend(schema::REQUESTED_SCOPES.map(str::to_owned));
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let challenge = options.claims_challenge.as_deref();
        let authority = config.authority()?;
        if options.verifies_signature {
            signature::jwks_uri(&authority)?;
        }
        let only_issuer = authority.metadata().and_then(Metadata::only_issuer).map(str::to_owned);
        Ok(Self {
            client_id: config.id.clone(),
            token_endpoint: authority.token_endpoint().to_owned(),
            scopes: sorted(scopes),
            claims: merged_claims(challenge, &config.capabilities, None)?,
            redirect_uri,
            issuer: options.issuer.clone().or(only_issuer),
            verifies_signature: options.verifies_signature,
            expires_on: now.saturating_add(lifetime),
            state: random::token()?,
            nonce: random::token()?,
            verifier: random::token()?,
        })
    }

    /// Checks a state that comes back, and returns the authority of the client.
    pub(super) fn authority(
        &self,
        config: &ClientConfig,
        now: i64,
    ) -> Result<Arc<AuthorityHosts>, SignInError> {
        let authority = config.authority()?;
        if self.client_id != config.id || self.token_endpoint != authority.token_endpoint() {
            return Err(Error::invalid("state", "it is that of another client").into());
        }
        if now >= self.expires_on {
            return Err(SignInError::TimedOut);
        }
        Ok(authority)
    }

    /// The address for the browser (RFC 6749, section 4.1.1).
    pub(super) fn address(
        &self,
        authority: &AuthorityHosts,
        options: &Options,
        mode: ResponseMode,
    ) -> Result<String> {
        let endpoint =
            authorization_endpoint(authority, options.authorization_endpoint.as_deref())?;
        let mut scopes = self.scopes.clone();
        scopes.extend(options.extra_scopes.iter().cloned());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("client_id", &self.client_id)
            .append_pair("response_type", "code")
            .append_pair("response_mode", mode.as_str())
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &sorted(scopes).join(" "))
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce)
            .append_pair("code_challenge", &random::challenge(&self.verifier))
            .append_pair("code_challenge_method", "S256")
            .append_pair("client_info", "1");
        let optional = [
            ("prompt", options.prompt.map(Prompt::as_str)),
            ("login_hint", options.login_hint.as_deref()),
            ("domain_hint", options.domain_hint.as_deref()),
            ("claims", self.claims.as_deref()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let separator = if endpoint.query().is_some() { '&' } else { '?' };
        Ok(format!("{endpoint}{separator}{}", query.finish()))
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(super) fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    pub(super) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }
}

fn sorted(mut scopes: Vec<String>) -> Vec<String> {
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// The configured one, that of the metadata, or the token endpoint's sibling.
fn authorization_endpoint(authority: &AuthorityHosts, configured: Option<&str>) -> Result<Uri> {
    let invalid = |reason: &str| Error::invalid("authorization_endpoint", reason);
    let discovered = authority.metadata().and_then(Metadata::authorization_endpoint);
    if let Some(address) = configured.or(discovered) {
        return address::parse(address).map_err(invalid);
    }
    let sibling = authority.token_endpoint().strip_suffix("/token");
    match sibling.filter(|_| authority.kind() != AuthorityKind::Oidc) {
        Some(base) => address::parse(&format!("{base}/authorize")).map_err(invalid),
        None => Err(invalid(
            "it doesn't follow from the authority; use the authority that `discover_issuer` of the \
             endpoint returns, or set it from the metadata document of the provider",
        )),
    }
}

impl fmt::Debug for SignInState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInState")
            // It may have been read from a cookie.
            .field("client_id", &ForeignText(&self.client_id))
            .field("expires_on", &self.expires_on)
            .finish_non_exhaustive()
    }
}

mod secret {
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(
        secret: &Zeroizing<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}
