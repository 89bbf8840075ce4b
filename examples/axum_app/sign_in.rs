//! Sign-in by authorization code (RFC 6749, section 4.1) with PKCE (RFC 7636), `state` and `nonce`
//! (`OpenID` Connect Core, section 3.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msal_cache::endpoint::{AsyncTokenEndpoint, Form, TokenRequest};
use msal_cache::{AccountInfo, Event};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{App, Failure, SCOPES};

/// What the app has to know when the browser returns.
pub(crate) struct SignIn {
    state: String,
    nonce: String,
    verifier: String,
}

impl SignIn {
    pub(crate) fn new() -> Self {
        let random = || Uuid::new_v4().simple().to_string();
        // 64 characters; RFC 7636 asks for 43 to 128.
        Self { state: random(), nonce: random(), verifier: random() + &random() }
    }

    /// The address to which the browser is sent.
    pub(crate) fn address(&self, app: &App, login_hint: Option<&str>) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("client_id", app.client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", &app.redirect_uri)
            .append_pair("scope", &format!("openid profile offline_access {}", SCOPES.join(" ")))
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(login_hint) = login_hint {
            query.append_pair("login_hint", login_hint);
        }
        format!("{}?{}", app.authorization_endpoint, query.finish())
    }

    /// Redeems the code with which the browser returned, and stores the tokens. Returns the user.
    pub(crate) async fn finish(self, app: &App, query: &str) -> Result<AccountInfo, Failure> {
        let parameter = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
        };
        // Another site may have sent the browser here (RFC 6749, section 10.12).
        if parameter("state").as_deref() != Some(&*self.state) {
            return Err("the sign-in did not begin in this browser".into());
        }
        let code = parameter("code")
            .ok_or_else(|| format!("the server returned {:?}", parameter("error")))?;
        let token_endpoint = app.client.token_endpoint()?;
        let form = Form::new()
            .with("client_id", app.client_id)
            .with("grant_type", "authorization_code")
            .with("code", code)
            .with("code_verifier", self.verifier)
            .with("redirect_uri", &*app.redirect_uri)
            .with("client_info", "1");
        let request = TokenRequest::new(&token_endpoint, app.client_id, form);
        let response = app.endpoint.send(&request).await?;
        if response.status() != 200 {
            return Err(format!("the server refused the code: {response:?}").into());
        }
        // The ID token comes from the server over TLS, so its signature needs no check (OpenID
        // Connect Core, section 3.1.3.7).
        let claims = decoded(response.body().get("id_token"), 1)?;
        if claims["nonce"] != *self.nonce || claims["aud"] != app.client_id {
            return Err("the ID token is of another sign-in".into());
        }
        let event = Event::new(app.client_id)
            .token_endpoint(token_endpoint)
            .scope(SCOPES)
            .grant_type("authorization_code")
            .response(response.body().clone());
        let added = app.client.cache().add(&event).await?;
        Ok(added.account().ok_or("the response names no user")?)
    }
}

/// A part of a text of base64url and dots, as JSON.
fn decoded(text: Option<&Value>, part: usize) -> Result<Value, Failure> {
    let text = text.and_then(Value::as_str).and_then(|it| it.split('.').nth(part));
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.ok_or("the response lacks it")?)?)?)
}
