//! The environment and the realm of tokens, from the address of the token endpoint.

use std::borrow::Cow;
use std::fmt;

/// The kind of identity provider behind an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthorityType {
    /// Microsoft Entra ID and Microsoft accounts: `MSSTS`.
    Mssts,
    /// Active Directory Federation Services: `ADFS`.
    Adfs,
    /// Another kind, under the name that a library wrote.
    Other(Box<str>),
}

impl AuthorityType {
    /// The name in the cache.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Mssts => "MSSTS",
            Self::Adfs => "ADFS",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for AuthorityType {
    fn from(name: &str) -> Self {
        match name {
            "MSSTS" => Self::Mssts,
            "ADFS" => Self::Adfs,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for AuthorityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The host in lower case and the first segment of the path, as MSAL Python's
/// `authority.canonicalize` reads them; `None` where the address has no such parts.
///
/// A customer identity authority (`*.ciamlogin.com`) may leave the tenant out; it is then named
/// by its subdomain.
pub(crate) fn environment_and_realm(endpoint: &str) -> Option<(String, String)> {
    const CIAM: &str = ".ciamlogin.com";
    // As browsers parse an address: without blanks around it, and without line breaks and tabs.
    let endpoint = endpoint.trim_matches(|char: char| char <= ' ');
    let endpoint = if endpoint.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | b'\t')) {
        Cow::from(endpoint.replace(['\r', '\n', '\t'], ""))
    } else {
        endpoint.into()
    };
    let (scheme, rest) = endpoint.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(literal) => literal.split_once(']')?.0,
        None => host.split(':').next()?,
    };
    if host.contains(['[', ']']) {
        return None;
    }
    let host = host.to_lowercase();
    let realm = path.split('/').nth(1).filter(|segment| !segment.is_empty());
    match (realm, host.strip_suffix(CIAM)) {
        _ if host.is_empty() => None,
        (Some(realm), _) => Some((host.clone(), realm.to_owned())),
        (None, Some(tenant)) => Some((host.clone(), format!("{tenant}.onmicrosoft.com"))),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::environment_and_realm;

    #[test]
    fn the_host_is_the_environment_and_the_first_segment_the_realm() {
        for (endpoint, environment, realm) in [
            (
                "https://login.microsoftonline.com/common/oauth2/v2.0/token",
                "login.microsoftonline.com",
                "common",
            ),
            ("HTTPS://Login.Example:443/Tenant/oauth2", "login.example", "Tenant"),
            ("https://user@login.example/t?a=/b", "login.example", "t"),
            ("https://[::1]:8443/adfs/oauth2/token", "::1", "adfs"),
            ("https://contoso.ciamlogin.com", "contoso.ciamlogin.com", "contoso.onmicrosoft.com"),
            ("https://contoso.ciamlogin.com/tenant", "contoso.ciamlogin.com", "tenant"),
            (
                "https://contoso.b2clogin.com/contoso.onmicrosoft.com/policy/oauth2",
                "contoso.b2clogin.com",
                "contoso.onmicrosoft.com",
            ),
            ("https://contoso.b2clogin.com/tfp/contoso/policy", "contoso.b2clogin.com", "tfp"),
        ] {
            let expected = Some((environment.to_owned(), realm.to_owned()));
            assert_eq!(environment_and_realm(endpoint), expected, "{endpoint}");
        }
    }

    #[test]
    fn other_addresses_have_neither() {
        for endpoint in [
            "",
            "login.example/t",
            "http://login.example/t",
            "https://login.example",
            "https://login.example/",
            "https:///t",
            "https://login.example?x/t",
            "https://[::1/t",
            "https://login.example[::1]/t",
        ] {
            assert_eq!(environment_and_realm(endpoint), None, "{endpoint}");
        }
    }
}
