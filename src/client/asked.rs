//! What a client and a request ask for, checked and written out: what a plan is made from.

use std::collections::BTreeSet;
use std::sync::Arc;

use msal_cache_core::{Error, Partition, Result, Revision};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::client::claims;
use crate::client::view::Site;
use crate::{Form, SilentRequest, response};

/// Asked for with every token of a user: an ID token, the user's name, a refresh token.
const RESERVED_SCOPES: [&str; 3] = ["offline_access", "openid", "profile"];

/// Authorities that are no tenant, so no app is at home there.
const NO_TENANTS: [&str; 3] = ["common", "organizations", "consumers"];

/// A request of a client, checked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) client_id: String,
    pub(crate) site: Arc<Site>,
    pub(crate) skew: i64,
    pub(crate) request: SilentRequest,
    /// As the request names them; else the type doesn't matter with a key, and is `Bearer`
    /// without.
    pub(crate) token_type: Option<String>,
    pub(crate) key_id: Option<String>,
    pub(crate) ext_cache_key: Option<String>,
    claims: Option<String>,
    capabilities: Vec<String>,
}

impl Asked {
    pub(crate) fn new(
        client_id: &str,
        site: Arc<Site>,
        skew: i64,
        capabilities: &[String],
        request: &SilentRequest,
    ) -> Result<Self> {
        let text = |name: &str| {
            request.data.get(name).map(|value| response::python_str(name, value)).transpose()
        };
        let non_empty = |text: Option<String>| text.filter(|it| !it.is_empty());
        let (token_type, key_id) = (non_empty(text("token_type")?), non_empty(text("key_id")?));
        if token_type.as_deref() == Some("ssh-cert") {
            if non_empty(text("req_cnf")?).is_none() {
                let reason = "an SSH certificate needs it: the public key, as a JSON Web Key";
                return Err(Error::invalid("data.req_cnf", reason));
            }
            if key_id.is_none() {
                let reason = "an SSH certificate needs it: the name of the key in req_cnf";
                return Err(Error::invalid("data.key_id", reason));
            }
        }
        let token_type = token_type.or_else(|| key_id.is_none().then(|| "Bearer".to_owned()));
        match &request.home_account_id {
            Some(home) if home.is_empty() => {
                return Err(Error::invalid("account", "its home_account_id is empty"));
            }
            Some(_) => {
                if request.scopes.iter().any(|it| RESERVED_SCOPES.contains(&it.as_str())) {
                    let reason =
                        "openid, profile and offline_access are asked for anyway; leave them out";
                    return Err(Error::invalid("scopes", reason));
                }
            }
            None => {
                let realm = site.authority.realm.to_lowercase();
                if NO_TENANTS.contains(&realm.as_str()) {
                    let reason = "an app's own tokens are those of one tenant; name it instead of \
                                  common, organizations or consumers";
                    return Err(Error::invalid("authority", reason));
                }
                if request.scopes.is_empty() {
                    let reason = "name one, such as https://graph.microsoft.com/.default";
                    return Err(Error::invalid("scopes", reason));
                }
            }
        }
        let claims = claims::merged(
            request.claims_challenge.as_deref(),
            capabilities,
            request.data.get("client_claims").and_then(Value::as_str),
        )?;
        Ok(Self {
            client_id: client_id.to_owned(),
            site,
            skew,
            request: request.clone(),
            token_type,
            key_id,
            ext_cache_key: response::ext_cache_key_of(&request.data)?,
            claims,
            capabilities: capabilities.to_vec(),
        })
    }

    /// The same, content with a cached token.
    pub(crate) fn unforced(&self) -> Self {
        Self { request: self.request.clone().force_refresh(false), ..self.clone() }
    }

    /// Where all records are that a plan may use.
    pub(crate) fn partition(&self) -> Partition {
        let (client, realm) = (&self.client_id, &self.site.authority.realm);
        let app = || Partition::app(client, realm, self.ext_cache_key.as_deref());
        self.request.home_account_id.as_deref().map_or_else(app, Partition::user)
    }

    /// The scopes to ask the server for, sorted.
    pub(crate) fn scopes(&self) -> BTreeSet<&str> {
        let mut scopes: BTreeSet<_> = self.request.scopes.iter().map(String::as_str).collect();
        if self.request.home_account_id.is_some() {
            scopes.extend(RESERVED_SCOPES);
        }
        scopes
    }

    /// The form that asks for an app's own token.
    pub(crate) fn client_form(&self) -> Result<Form> {
        Ok(self.form("client_credentials")?.with("scope", self.scope()))
    }

    /// The form that trades a refresh token.
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
            // It is part of the claims.
            if name == "client_claims" {
                continue;
            }
            let value = response::python_str(name, value)?;
            if !value.is_empty() {
                form = form.with(name.to_owned(), value);
            }
        }
        Ok(match &self.claims {
            Some(claims) => form.with("claims", claims),
            None => form,
        })
    }

    /// What is the same for two requests that one answer is for.
    pub(crate) fn flight(&self) -> Revision {
        let request = &self.request;
        let lower = |it: &String| it.to_ascii_lowercase();
        let scopes: Vec<_> = request.scopes.iter().map(lower).collect();
        // The data may hold a secret.
        let mut parts = Vec::from(
            [
                self.client_id.clone(),
                self.site.authority.token_endpoint.clone(),
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
