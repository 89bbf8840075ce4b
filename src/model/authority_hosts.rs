//! The address of an authority, and the hosts of its cloud.

use msal_cache_core::{Error, Result};

use crate::model::{Clouds, Hosts, environment_and_realm};

/// An authority, its token endpoint and the hosts of its cloud.
#[derive(Clone, Debug)]
pub(crate) struct AuthorityHosts {
    /// The host, in lower case.
    pub(crate) environment: String,
    /// The tenant that access tokens and ID tokens are stored under.
    pub(crate) realm: String,
    pub(crate) token_endpoint: String,
    /// The names of its cloud.
    pub(crate) hosts: Hosts,
}

impl AuthorityHosts {
    /// Reads `https://<host>/<tenant>`, with or without a policy behind it, or
    /// `https://<host>/adfs`.
    pub(crate) fn parse(authority: &str, clouds: &Clouds) -> Result<Self> {
        let invalid = || {
            let expected = "it should be like https://login.microsoftonline.com/<tenant>";
            Error::invalid("authority", expected)
        };
        let (environment, realm) = environment_and_realm(authority).ok_or_else(invalid)?;
        let end = authority.find(['?', '#']).unwrap_or(authority.len());
        let address = authority[..end].trim().trim_end_matches('/');
        // A customer identity authority may omit the tenant; its subdomain names it.
        let has_path = address.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
        let tenant = if has_path { String::new() } else { format!("/{realm}") };
        // AD FS has no version in its paths.
        let is_adfs = realm.eq_ignore_ascii_case("adfs") && has_path;
        let path = if is_adfs { "/oauth2/token" } else { "/oauth2/v2.0/token" };
        let token_endpoint = format!("{address}{tenant}{path}");
        let hosts = Hosts::of(clouds, &environment);
        Ok(Self { environment, realm, token_endpoint, hosts })
    }

    /// The same authority with the token endpoint that its metadata document names.
    pub(crate) fn with_token_endpoint(self, token_endpoint: &str) -> Result<Self> {
        let (_, realm) = environment_and_realm(token_endpoint).ok_or_else(|| {
            Error::invalid("token_endpoint", "it should be like https://<host>/<tenant>/...")
        })?;
        Ok(Self { realm, token_endpoint: token_endpoint.to_owned(), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_endpoint_follows_from_the_authority() {
        for (authority, expected, realm) in [
            (
                "https://login.microsoftonline.com/common",
                "https://login.microsoftonline.com/common/oauth2/v2.0/token",
                "common",
            ),
            ("https://Login.Example/T/", "https://Login.Example/T/oauth2/v2.0/token", "T"),
            ("https://sts.contoso.com/adfs", "https://sts.contoso.com/adfs/oauth2/token", "adfs"),
            (
                "https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_in?x=y",
                "https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_in/oauth2/v2.0/token",
                "contoso.onmicrosoft.com",
            ),
            (
                "https://contoso.ciamlogin.com",
                "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/token",
                "contoso.onmicrosoft.com",
            ),
            ("https://127.0.0.1:8443/t", "https://127.0.0.1:8443/t/oauth2/v2.0/token", "t"),
        ] {
            let authority = AuthorityHosts::parse(authority, &Clouds::default()).unwrap();
            assert_eq!(authority.token_endpoint, expected);
            assert_eq!(authority.realm, realm);
        }
    }
}
