//! The metadata document of an authority (`OpenID` Connect Discovery 1.0), and what it must say.

#[cfg(any(feature = "http", feature = "http-async"))]
pub(crate) use validation::{document_address, is_known_cloud};

/// What the metadata document of an authority says (`OpenID` Connect Discovery 1.0, section 3; RFC 8414).
///
/// `HttpEndpoint::discover` fetches and validates it, and returns an
/// [`Authority`](crate::Authority) that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
    jwks_uri: Option<String>,
}

/// What replaces the tenant in the issuer of a document for several tenants of Entra ID.
#[cfg(any(feature = "http", feature = "http-async"))]
pub(crate) const TENANT_PLACEHOLDER: &str = "{tenantid}";

impl Metadata {
    /// The issuer, as it is written in ID tokens. For `common` and `organizations` of Entra ID it contains
    /// `{tenantid}`, in place of the tenant of the user.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where a browser begins a sign-in (RFC 6749, section 3.1).
    pub fn authorization_endpoint(&self) -> Option<&str> {
        self.authorization_endpoint.as_deref()
    }

    /// Where token requests are sent (RFC 6749, section 3.2).
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// Where a sign-in by device code begins (RFC 8628, section 3.1).
    pub fn device_authorization_endpoint(&self) -> Option<&str> {
        self.device_authorization_endpoint.as_deref()
    }

    /// Where the keys are by which ID tokens are signed (RFC 7517, section 5).
    pub fn jwks_uri(&self) -> Option<&str> {
        self.jwks_uri.as_deref()
    }

    /// The issuer of an ID token with this tenant (`tid`).
    #[cfg(any(feature = "http", feature = "http-async"))]
    pub(crate) fn is_issuer(&self, issuer: &str, tenant: Option<&str>) -> bool {
        match self.issuer.split_once(TENANT_PLACEHOLDER) {
            None => issuer == self.issuer,
            Some((before, after)) => tenant.is_some_and(|tenant| {
                let rest = issuer.strip_prefix(before).and_then(|it| it.strip_prefix(tenant));
                rest == Some(after)
            }),
        }
    }

    /// The issuer, where it is the same for all users.
    #[cfg(any(feature = "http", feature = "http-async"))]
    pub(crate) fn only_issuer(&self) -> Option<&str> {
        Some(self.issuer()).filter(|it| !it.contains(TENANT_PLACEHOLDER))
    }
}

#[cfg(any(feature = "http", feature = "http-async"))]
mod validation {
    use msal_cache_core::{Error, Result};
    use serde_json::Value;

    use super::{Metadata, TENANT_PLACEHOLDER};
    use crate::model::address::Address;
    use crate::model::authority_kind::{CIAM_DOMAIN, ENTRA_HOSTS};
    use crate::model::{Authority, AuthorityKind, Clouds, Fields, Hosts, same_tenant};

    const PATH: &str = ".well-known/openid-configuration";

    /// Takes the place of the placeholder while an issuer is parsed.
    const ANY_TENANT: &str = "00000000-0000-0000-0000-000000000000";

    /// The address of the metadata document of an authority.
    pub(crate) fn document_address(authority: &Authority) -> String {
        let version = match authority.kind() {
            AuthorityKind::Adfs | AuthorityKind::Oidc => "",
            _ => "v2.0/",
        };
        format!("{}/{version}{PATH}", authority.as_str())
    }

    /// Whether it is a host of Entra ID that Microsoft has published.
    pub(crate) fn is_known_cloud(host: &str) -> bool {
        Clouds::default().of(host).is_some() || ENTRA_HOSTS.contains(&host)
    }

    impl Metadata {
        /// Validates a document that was fetched for this authority. `others` are hosts on which endpoints
        /// may be, besides those of the authority and the issuer.
        pub(crate) fn validate(
            authority: &Authority,
            document: &Fields,
            others: &[String],
        ) -> Result<Self> {
            let text = |name: &'static str| match document.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.as_str())),
                Some(_) => Err(Error::invalid(name, "it is not a string")),
            };
            let required = |name: &'static str| {
                text(name)?.ok_or_else(|| Error::invalid(name, "it is missing"))
            };
            let issuer = required("issuer")?;
            let issuer_host = check_issuer(authority, issuer)
                .map_err(|reason| Error::invalid("issuer", reason))?;
            let cloud = Hosts::of(&Clouds::default(), authority.environment());
            let check = |name: &'static str, address: &str| {
                let invalid = |reason: String| Error::invalid(name, reason);
                let parsed = Address::parse(address).map_err(invalid)?;
                if address.contains('#') {
                    return Err(invalid("it has a fragment".into()));
                }
                let host = &parsed.host;
                let is_allowed = *host == issuer_host
                    || cloud.rank(Some(host)).is_some()
                    || others.iter().any(|it| it.eq_ignore_ascii_case(host));
                if is_allowed {
                    return Ok(address.to_owned());
                }
                Err(invalid(format!(
                    "its host, {host}, is neither that of the authority nor that of the issuer; if it \
                     belongs to the provider, allow it by `metadata_host`"
                )))
            };
            let optional = |name| text(name)?.map(|address| check(name, address)).transpose();
            Ok(Self {
                issuer: issuer.to_owned(),
                token_endpoint: check("token_endpoint", required("token_endpoint")?)?,
                authorization_endpoint: optional("authorization_endpoint")?,
                device_authorization_endpoint: optional("device_authorization_endpoint")?,
                jwks_uri: optional("jwks_uri")?,
            })
        }
    }

    /// Checks the issuer of a document, and returns its host. The error is the reason.
    fn check_issuer(authority: &Authority, issuer: &str) -> Result<String, String> {
        let is_template = issuer.contains(TENANT_PLACEHOLDER);
        if is_template && !authority.is_multi_tenant() {
            return Err("it is that of all tenants, and the authority is one tenant".into());
        }
        let filled = issuer.replacen(TENANT_PLACEHOLDER, ANY_TENANT, 1);
        let parsed = Address::parse(&filled)?;
        if parsed.query.is_some() || filled.contains('#') {
            return Err("it has a query or a fragment".into());
        }
        let segments = parsed.segments()?;
        let own = Address::parse(authority.as_str())?;
        let is_own_host = parsed.host == own.host && parsed.port == own.port;
        let is_entra = authority.kind() == AuthorityKind::Aad && is_known_cloud(&own.host);
        let is_valid = match authority.kind() {
            // The issuer of a tenant is the same on all hosts of a cloud.
            AuthorityKind::Aad if is_entra => {
                let cloud = Hosts::of(&Clouds::default(), &own.host);
                let is_version_2 = segments.len() == 2 && segments[1] == "v2.0";
                parsed.port.is_none() && cloud.rank(Some(&parsed.host)).is_some() && is_version_2
            }
            // OpenID Connect Discovery 1.0, section 4.3.
            AuthorityKind::Oidc => {
                is_own_host && segments == own.segments()?
                    || is_customer_tenant(&parsed.host, &segments, own.segments()?.first())
            }
            AuthorityKind::Ciam => {
                is_own_host || is_customer_tenant(&parsed.host, &segments, segments.first())
            }
            // A custom domain of a customer tenant looks like a tenant on an unknown host.
            AuthorityKind::Aad => {
                is_own_host || is_customer_tenant(&parsed.host, &segments, own.segments()?.first())
            }
            AuthorityKind::B2c | AuthorityKind::Adfs | AuthorityKind::Dsts => is_own_host,
        };
        if !is_valid {
            let of = authority.as_str();
            return Err(match authority.kind() {
                AuthorityKind::Oidc => {
                    format!("it is not {of}, for which the document was requested")
                }
                _ => format!("it is not an issuer of {of}"),
            });
        }
        let tenant = authority.tenant().filter(|it| is_guid(it));
        let is_other = |tenant: &str| !segments.iter().any(|it| same_tenant(it, tenant));
        if is_entra && tenant.is_some_and(is_other) {
            return Err("it is that of another tenant".into());
        }
        Ok(parsed.host)
    }

    /// Whether it is `https://<tenant>.ciamlogin.com`, with or without the tenant and the version in its path:
    /// the issuer of a customer tenant, also where that has a domain of its own (`OidcRetrieverWithCache.cs`
    /// of MSAL .NET).
    fn is_customer_tenant(host: &str, segments: &[&str], tenant: Option<&&str>) -> bool {
        let Some(tenant) = tenant else { return false };
        let is_host =
            host.strip_suffix(CIAM_DOMAIN).is_some_and(|it| it.eq_ignore_ascii_case(tenant));
        is_host
            && match segments {
                [] => true,
                [one] => one.eq_ignore_ascii_case(tenant),
                [one, version] => one.eq_ignore_ascii_case(tenant) && *version == "v2.0",
                _ => false,
            }
    }

    fn is_guid(text: &str) -> bool {
        text.len() == 36 && text.bytes().all(|it| it.is_ascii_hexdigit() || it == b'-')
    }
}
