//! The steps of an authorization code grant without input and output: the request to the server, and
//! what its responses must be.

use std::sync::Arc;

use http::Uri;
use msal_cache_core::{Error, Result};
use serde_json::Value;
use zeroize::Zeroizing;

use super::error::SignInError;
use super::id_token::IdTokenRules;
use super::options::Options;
use super::random;
use crate::http::address;
use crate::model::{
    AuthorityHosts, AuthorityKind, ClientConfig, Clouds, Event, Form, ServerError, TokenRequest,
    TokenResponse, TransportError, TransportErrorKind, merged_claims, schema,
};
use crate::plan::refresh::granted;

const GRANT: &str = "authorization_code";

/// A sign-in that has begun: what the server was asked, and the secrets that tie its answers to it.
pub(super) struct BegunSignIn {
    client_id: String,
    authority: Arc<AuthorityHosts>,
    scopes: Vec<String>,
    claims: Option<String>,
    redirect_uri: String,
    issuer: Option<String>,
    /// Sent to the server and back, so that only its answers are taken (RFC 6749, section 10.12).
    pub(super) state: Zeroizing<String>,
    /// Comes back in the ID token, which thereby belongs to this sign-in.
    nonce: Zeroizing<String>,
    /// Proves that the sender of the code is who began (RFC 7636).
    verifier: Zeroizing<String>,
}

impl BegunSignIn {
    /// Draws the random numbers. Fails where the client or an option is invalid.
    pub(super) fn new(
        config: &ClientConfig,
        options: &Options,
        redirect_uri: String,
    ) -> Result<Self> {
        config.check_id()?;
        let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"/-._~".contains(&it);
        if !options.path.bytes().all(is_plain) {
            let reason = "it has other characters than letters, digits and /-._~";
            return Err(Error::invalid("path", reason));
        }
        let mut scopes = options.scopes.clone();
        scopes.extend(schema::REQUESTED_SCOPES.map(str::to_owned));
        scopes.sort_unstable();
        scopes.dedup();
        let challenge = options.claims_challenge.as_deref();
        Ok(Self {
            client_id: config.id.clone(),
            authority: config.authority()?,
            scopes,
            claims: merged_claims(challenge, &config.capabilities, None)?,
            redirect_uri,
            issuer: options.issuer.clone(),
            state: random::token()?,
            nonce: random::token()?,
            verifier: random::token()?,
        })
    }

    /// The address for the browser (RFC 6749, section 4.1.1).
    pub(super) fn address(&self, options: &Options) -> Result<String> {
        let endpoint = self.authorization_endpoint(options.authorization_endpoint.as_deref())?;
        let mut scopes = self.scopes.clone();
        scopes.extend(options.extra_scopes.iter().cloned());
        scopes.sort_unstable();
        scopes.dedup();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("client_id", &self.client_id)
            .append_pair("response_type", "code")
            .append_pair("response_mode", options.response_mode.as_str())
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce)
            .append_pair("code_challenge", &random::challenge(&self.verifier))
            .append_pair("code_challenge_method", "S256")
            .append_pair("client_info", "1");
        let optional = [
            ("prompt", options.prompt.map(super::Prompt::as_str)),
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

    /// The configured one, or the token endpoint's sibling.
    fn authorization_endpoint(&self, configured: Option<&str>) -> Result<Uri> {
        let invalid = |reason: &str| Error::invalid("authorization_endpoint", reason);
        if let Some(address) = configured {
            return address::parse(address).map_err(invalid);
        }
        let sibling = self.authority.token_endpoint().strip_suffix("/token");
        match sibling.filter(|_| self.authority.kind() != AuthorityKind::Oidc) {
            Some(base) => address::parse(&format!("{base}/authorize")).map_err(invalid),
            None => Err(invalid(
                "it doesn't follow from the authority; set it from the metadata document of the \
                 provider",
            )),
        }
    }

    /// The request that redeems the code (RFC 6749, section 4.1.3).
    pub(super) fn token_request(&self, code: &str) -> TokenRequest {
        let mut form = Form::new()
            .with("client_id", self.client_id.as_str())
            .with("grant_type", GRANT)
            .with("client_info", "1")
            .with("scope", self.scopes.join(" "))
            .with("redirect_uri", self.redirect_uri.as_str())
            .with("code", code)
            .with("code_verifier", self.verifier.as_str());
        if let Some(claims) = &self.claims {
            form = form.with("claims", claims.as_str());
        }
        TokenRequest::new(self.authority.token_endpoint(), &self.client_id, form)
    }

    /// The event to store, from the response of the token endpoint.
    pub(super) fn event(
        &self,
        sent: Result<TokenResponse, TransportError>,
        clouds: &Clouds,
        now: i64,
    ) -> Result<Event, SignInError> {
        let response = sent?;
        if response.is_outage() {
            return Err(TransportError::unavailable(&response).into());
        }
        if let Some(error) = ServerError::of(&response) {
            return Err(SignInError::of(error));
        }
        if !(200..300).contains(&response.status()) {
            let reason = "it is neither a success nor an OAuth error";
            let error = TransportError::new(TransportErrorKind::Malformed, reason);
            return Err(response.error(error).into());
        }
        self.checked(&response, clouds, now).map_err(SignInError::InvalidResponse)
    }

    fn checked(&self, response: &TokenResponse, clouds: &Clouds, now: i64) -> Result<Event> {
        let body = response.body();
        if body.get("access_token").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Error::invalid("response.access_token", "it is missing"));
        }
        let rules = IdTokenRules {
            client_id: &self.client_id,
            nonce: &self.nonce,
            authority: &self.authority,
            clouds,
            issuer: self.issuer.as_deref(),
            now,
        };
        rules.check(body)?;
        let event = Event::new(&*self.client_id)
            .authority(self.authority.authority())
            .grant_type(GRANT)
            .response(body.clone());
        Ok(match granted(body)? {
            Some(granted) => event.scope([granted]),
            None => event.scope(&self.scopes),
        })
    }

    pub(super) fn authority(&self) -> &Arc<AuthorityHosts> {
        &self.authority
    }
}
