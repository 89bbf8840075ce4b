//! The validation of an ID token that came from the token endpoint over TLS (`OpenID` Connect Core,
//! section 3.1.3.7). TLS replaces the check of the signature.

use msal_cache_core::{Error, Result};
use serde_json::Value;

use crate::http::address;
use crate::model::{AuthorityHosts, AuthorityKind, CONSUMERS_ID, Clouds, Fields, jwt, same_tenant};

/// How far the clocks of this machine and the server may differ, in seconds.
const LEEWAY: i64 = 300;

/// What an ID token must say.
pub(super) struct IdTokenRules<'a> {
    pub(super) client_id: &'a str,
    /// That of the request. Grants without one have a request that no other party could send.
    pub(super) nonce: Option<&'a str>,
    pub(super) authority: &'a AuthorityHosts,
    pub(super) clouds: &'a Clouds,
    /// The issuer, where the app has set it.
    pub(super) issuer: Option<&'a str>,
    pub(super) now: i64,
}

const FIELD: &str = "response.id_token";

fn wrong(claim: &str, reason: impl Into<String>) -> Error {
    Error::invalid(format!("{FIELD}.{claim}"), reason.into())
}

impl IdTokenRules<'_> {
    /// Checks the ID token of a response, if there is one.
    pub(super) fn check_if_present(&self, response: &Fields) -> Result<()> {
        if response.get("id_token").is_none_or(Value::is_null) {
            Ok(())
        } else {
            self.check(response)
        }
    }

    /// Checks the ID token of a response.
    pub(super) fn check(&self, response: &Fields) -> Result<()> {
        let missing =
            || Error::invalid(FIELD, "it is missing, though the scope `openid` was requested");
        let token = response.get("id_token").and_then(Value::as_str).ok_or_else(missing)?;
        let claims = jwt::claims(FIELD, token)?;
        let text = |name| claims.get(name).and_then(Value::as_str);
        self.check_issuer(text("iss"), text("tid"))?;
        self.check_audience(&claims)?;
        if self.nonce.is_some() && text("nonce") != self.nonce {
            return Err(wrong("nonce", "it is that of another sign-in"));
        }
        let seconds = |name| claims.get(name).and_then(Value::as_f64);
        #[expect(clippy::cast_precision_loss, reason = "times have less than 52 bits")]
        let (now, leeway) = (self.now as f64, LEEWAY as f64);
        let clock = "check the clock of this machine";
        match seconds("exp") {
            Some(expires) if now < expires + leeway => {}
            Some(_) => return Err(wrong("exp", format!("the token has expired; {clock}"))),
            None => return Err(wrong("exp", "it is missing, or not a number")),
        }
        if seconds("nbf").is_some_and(|it| it > now + leeway) {
            return Err(wrong("nbf", format!("the token is not valid yet; {clock}")));
        }
        if seconds("iat").is_some_and(|it| it > now + leeway) {
            return Err(wrong("iat", format!("the token was issued in the future; {clock}")));
        }
        Ok(())
    }

    fn check_issuer(&self, issuer: Option<&str>, tenant: Option<&str>) -> Result<()> {
        let issuer = issuer.ok_or_else(|| wrong("iss", "it is missing"))?;
        if let Some(expected) = self.issuer {
            return if issuer == expected {
                Ok(())
            } else {
                Err(wrong("iss", "it is not the issuer that the app or the metadata has set"))
            };
        }
        let metadata = self.authority.metadata();
        if metadata.is_some_and(|it| !it.is_issuer(issuer, tenant)) {
            return Err(wrong("iss", "it is not the issuer of the metadata document"));
        }
        let set = "; if it is right, set it by `issuer`";
        let uri = address::parse(issuer).map_err(|it| wrong("iss", it))?;
        let host = address::bare_host(&uri).to_ascii_lowercase();
        let authority = self.authority;
        // The metadata has the issuer of a cloud that has been discovered.
        if authority.cloud().is_some()
            || self.clouds.of(authority.environment()).is_none()
            || authority.kind() != AuthorityKind::Aad
        {
            let ciam = authority.kind() == AuthorityKind::Ciam && host.ends_with(".ciamlogin.com");
            return if metadata.is_some() || host == authority.environment() || ciam {
                Ok(())
            } else {
                Err(wrong("iss", format!("its host is not that of the authority{set}")))
            };
        }
        // Microsoft Entra ID, whose issuers contain the id of the tenant.
        let tenant = tenant.ok_or_else(|| wrong("tid", "it is missing"))?;
        if authority.hosts.rank(Some(&host)).is_none() {
            return Err(wrong("iss", format!("its host is not one of the authority's cloud{set}")));
        }
        if uri.path() != format!("/{tenant}/v2.0") || uri.query().is_some() {
            return Err(wrong("iss", format!("it is not that of the tenant in `tid`{set}")));
        }
        let asked = authority.tenant().unwrap_or_default();
        let is_personal = same_tenant(tenant, CONSUMERS_ID);
        let is_allowed = match &*asked.to_ascii_lowercase() {
            "common" => true,
            "organizations" => !is_personal,
            // A domain is one of the tenant's names, which the token doesn't say.
            name if name.contains('.') => !is_personal,
            _ => same_tenant(tenant, asked),
        };
        if is_allowed { Ok(()) } else { Err(wrong("tid", "it is not the tenant of the authority")) }
    }

    fn check_audience(&self, claims: &Fields) -> Result<()> {
        let is_own = |it: &Value| it.as_str() == Some(self.client_id);
        let (is_for_client, is_for_others) = match claims.get("aud") {
            Some(Value::Array(all)) => (all.iter().any(is_own), all.len() > 1),
            Some(one) => (is_own(one), false),
            None => (false, false),
        };
        if !is_for_client {
            return Err(wrong("aud", "it is not this client"));
        }
        match claims.get("azp") {
            None if is_for_others => {
                Err(wrong("azp", "it is missing, and there are other audiences"))
            }
            Some(party) if !is_own(party) => Err(wrong("azp", "it is not this client")),
            _ => Ok(()),
        }
    }
}
