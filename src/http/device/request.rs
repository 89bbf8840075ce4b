use msal_cache_core::Error;

use crate::model::{Authority, ClientConfig, Form, TokenRequest, merged_claims, schema};

/// A request for a device code (RFC 8628, section 3.1).
pub(in crate::http) struct DeviceCodeRequest {
    pub(super) request: TokenRequest,
    pub(super) scopes: Vec<String>,
    /// Under which the tokens are stored.
    pub(super) authority: Authority,
}

impl DeviceCodeRequest {
    pub(in crate::http) fn new<T: AsRef<str>>(
        config: &ClientConfig,
        scopes: impl IntoIterator<Item = T>,
        claims_challenge: Option<&str>,
    ) -> Result<Self, Error> {
        let mut scopes = schema::scopes_of_all(scopes);
        scopes.extend(schema::REQUESTED_SCOPES.map(str::to_owned));
        scopes.sort_unstable();
        scopes.dedup();
        let mut form =
            Form::new().with("client_id", config.id.as_str()).with("scope", scopes.join(" "));
        if let Some(claims) = merged_claims(claims_challenge, &config.capabilities, None)? {
            form = form.with("claims", claims);
        }
        let authority = config.authority()?;
        let request = TokenRequest::new(authority.token_endpoint(), &config.id, form);
        Ok(Self { request, scopes, authority: authority.authority().clone() })
    }
}
