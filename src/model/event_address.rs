//! The environment and the realm of the tokens of an event, from the address of the token endpoint
//! that issued them.
//!
//! Events come from apps that have sent the request already, and from MSAL Python, so addresses are
//! read as MSAL Python reads them. A client has an [`Authority`](crate::Authority), which is strict.

use std::borrow::Cow;

use crate::model::authority_kind::DSTS;

/// The host in lower case and the first segment of the path, as MSAL Python's
/// `authority.canonicalize` reads them; `None` where the address has no such parts.
///
/// A customer identity authority (`*.ciamlogin.com`) may leave the tenant out; it is then named
/// by its subdomain. The realm of a dSTS has the tenant too, unlike MSAL Python's.
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
    // The parameters of the last segment (RFC 3986, section 3.3) aren't part of its name.
    let last = path.rfind('/').unwrap_or_default();
    let path = path[last..].find(';').map_or(path, |at| &path[..last + at]);
    let host = match authority.rsplit_once('@') {
        // For browsers and most HTTP clients, the host ends at the backslash.
        Some((user, _)) if user.contains('\\') => return None,
        Some((_, host)) => host,
        None => authority,
    };
    let host = match host.strip_prefix('[') {
        Some(literal) => literal.split_once(']')?.0,
        None => host.split(':').next()?,
    };
    if host.contains(['[', ']']) {
        return None;
    }
    let host = host.to_lowercase();
    let mut segments = path.split('/').skip(1);
    let realm = segments.next().filter(|segment| !segment.is_empty());
    match (realm, host.strip_suffix(CIAM)) {
        _ if host.is_empty() => None,
        // The tenants of a dSTS would share one realm, and with it their keys.
        (Some(first), _) if first.eq_ignore_ascii_case(DSTS) => {
            let tenant = segments.next().filter(|segment| !segment.is_empty())?;
            Some((host, format!("{DSTS}/{tenant}")))
        }
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
            ("https://dsts.example/DstsV2/t/oauth2/v2.0/token", "dsts.example", "dstsv2/t"),
            ("https://login.example/t;x", "login.example", "t"),
            ("https://login.example/t;x=/y?z", "login.example", "t;x="),
            ("https://login.example/t;x/token;y", "login.example", "t;x"),
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
            "https://login.example/;x",
            "https:///t",
            "https://login.example?x/t",
            "https://[::1/t",
            "https://login.example[::1]/t",
            "https://dsts.example/dstsv2/",
            r"https://evil.example\@login.microsoftonline.com/common",
        ] {
            assert_eq!(environment_and_realm(endpoint), None, "{endpoint}");
        }
    }
}
