//! The authorization code grant without input and output (RFC 6749, section 4.1.3).

use std::sync::Arc;

use msal_cache_core::Result;

use super::id_token::IdTokenRules;
use super::signature;
use super::state::SignInState;
use crate::engine::Grant;
use crate::model::{AuthorityHosts, Clouds, Event, Fields, Form, TokenRequest, TokenResponse};

const GRANT: &str = "authorization_code";

/// The code that a browser has brought.
pub(super) struct CodeGrant {
    begun: SignInState,
    authority: Arc<AuthorityHosts>,
    request: TokenRequest,
    keys: Option<String>,
}

impl CodeGrant {
    /// Fails where the signature is to be checked, and the authority has no keys.
    pub(super) fn new(
        begun: SignInState,
        authority: Arc<AuthorityHosts>,
        code: &str,
    ) -> Result<Self> {
        let keys = begun.verifies_signature.then(|| signature::jwks_uri(&authority)).transpose()?;
        let mut form = Form::new()
            .with("client_id", begun.client_id())
            .with("grant_type", GRANT)
            .with("client_info", "1")
            .with("scope", begun.scopes.join(" "))
            .with("redirect_uri", begun.redirect_uri())
            .with("code", code)
            .with("code_verifier", begun.verifier.as_str());
        if let Some(claims) = begun.claims() {
            form = form.with("claims", claims);
        }
        let request = TokenRequest::new(authority.token_endpoint(), begun.client_id(), form);
        Ok(Self { begun, authority, request, keys })
    }
}

impl Grant for CodeGrant {
    fn request(&self) -> &TokenRequest {
        &self.request
    }

    fn event(&self) -> Event {
        Event::new(self.begun.client_id()).grant_type(GRANT).scope(&self.begun.scopes)
    }

    fn authority(&self) -> &Arc<AuthorityHosts> {
        &self.authority
    }

    fn check(&self, response: &TokenResponse, clouds: &Clouds, now: i64) -> Result<()> {
        let rules = IdTokenRules {
            client_id: self.begun.client_id(),
            nonce: Some(&self.begun.nonce),
            authority: &self.authority,
            clouds,
            issuer: self.begun.issuer.as_deref(),
            now,
        };
        rules.check(response.body())
    }

    fn keys(&self) -> Option<&str> {
        self.keys.as_deref()
    }

    fn check_signature(&self, response: &TokenResponse, keys: &Fields) -> Result<bool> {
        signature::check(response, keys)
    }
}
