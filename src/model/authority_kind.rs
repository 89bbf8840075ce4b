//! Kinds of authorities, and what tells them apart.

/// The first segment of the path of a dSTS.
pub(crate) const DSTS: &str = "dstsv2";

pub(super) const ADFS: &str = "adfs";
pub(super) const TRUST_FRAMEWORK: &str = "tfp";
pub(crate) const CIAM_DOMAIN: &str = ".ciamlogin.com";
const B2C_DOMAINS: [&str; 4] = [".b2clogin.com", ".b2clogin.cn", ".b2clogin.us", ".b2clogin.de"];

/// Hosts of Microsoft Entra ID (`WELL_KNOWN_AUTHORITY_HOSTS` of MSAL Python).
pub(crate) const ENTRA_HOSTS: [&str; 13] = [
    "login.microsoftonline.com",
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
    "login.microsoftonline.de",
    "login-us.microsoftonline.com",
    "login.microsoftonline.us",
    "login.usgovcloudapi.net",
    "login.sovcloud-identity.fr",
    "login.sovcloud-identity.de",
    "login.sovcloud-identity.sg",
];

/// The kind of an [`Authority`](crate::Authority).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthorityKind {
    /// A tenant of Microsoft Entra ID, or `common`, `organizations` or `consumers`.
    Aad,
    /// A policy of Azure AD B2C.
    B2c,
    /// A tenant of Microsoft Entra External ID, on a host of its own.
    Ciam,
    /// Active Directory Federation Services.
    Adfs,
    /// A tenant of a datacenter security token service, within Microsoft.
    Dsts,
    /// Another ``OpenID`` Connect provider.
    Oidc,
}

pub(super) const METADATA: [&str; 2] = [".well-known", "openid-configuration"];

/// What follows an authority in the addresses of its endpoints.
const PASTED: [&[&str]; 12] = [
    &METADATA,
    &["oauth2", "v2.0", "token"],
    &["oauth2", "v2.0", "authorize"],
    &["oauth2", "v2.0", "devicecode"],
    &["oauth2", "v2.0", "logout"],
    &["discovery", "v2.0", "keys"],
    &["oauth2", "token"],
    &["oauth2", "authorize"],
    &["oauth2", "devicecode"],
    &["oauth2", "logout"],
    &["oauth2", "v2.0"],
    &["oauth2"],
];

/// Removes an end, if the segments have it.
pub(super) fn strip(segments: &mut Vec<&str>, end: &[&str]) -> bool {
    let Some(start) = segments.len().checked_sub(end.len()) else { return false };
    let has_end = is(&segments[start..], end);
    if has_end {
        segments.truncate(start);
    }
    has_end
}

pub(super) fn is(segments: &[&str], names: &[&str]) -> bool {
    segments.len() == names.len()
        && segments.iter().zip(names).all(|(one, other)| one.eq_ignore_ascii_case(other))
}

pub(super) type TenantAndPolicy = [Option<String>; 2];

/// Removes what doesn't belong to an authority.
pub(super) fn strip_pasted(segments: &mut Vec<&str>) {
    let _ = PASTED.iter().any(|end| strip(segments, end));
    strip(segments, &["v2.0"]);
}

/// The kind, by the host and the path (`AuthorityInfo.GetAuthorityType` of MSAL .NET).
pub(super) fn kind_of(
    host: &str,
    segments: &[&str],
) -> Result<(AuthorityKind, TenantAndPolicy), String> {
    let owned = |text: &str| Some(text.to_owned());
    let first = segments.first().copied().unwrap_or_default();
    let is_b2c_host = B2C_DOMAINS.iter().any(|it| host.ends_with(it));
    if let Some(name) = host.strip_suffix(CIAM_DOMAIN) {
        return match segments {
            [] => Ok((AuthorityKind::Ciam, [Some(format!("{name}.onmicrosoft.com")), None])),
            [tenant] => Ok((AuthorityKind::Ciam, [owned(check_tenant(tenant)?), None])),
            _ => {
                Err(format!("its path has more than a tenant; {}", like("ciamlogin.com/<tenant>")))
            }
        };
    }
    if first.eq_ignore_ascii_case(ADFS) {
        return match segments {
            [_] => Ok((AuthorityKind::Adfs, [None, None])),
            _ => Err(format!("its path continues after adfs; {}", like("<host>/adfs"))),
        };
    }
    if first.eq_ignore_ascii_case(DSTS) {
        return match segments {
            [_, tenant] => Ok((AuthorityKind::Dsts, [owned(check_tenant(tenant)?), None])),
            _ => Err(format!("a dSTS has one tenant; {}", like("<host>/dstsv2/<tenant>"))),
        };
    }
    if first.eq_ignore_ascii_case(TRUST_FRAMEWORK) {
        return match segments {
            [_, tenant, policy] => {
                let names = [owned(check_tenant(tenant)?), owned(check_tenant(policy)?)];
                Ok((AuthorityKind::B2c, names))
            }
            _ => Err(format!(
                "it needs a tenant and a policy; {}",
                like("<host>/tfp/<tenant>/<policy>")
            )),
        };
    }
    match segments {
        [] => Err(format!(
            "it has no tenant; {}. For another `OpenID` Connect provider, use Authority::oidc",
            like("login.microsoftonline.com/<tenant>")
        )),
        [tenant, policy] if is_b2c_host || is_policy(policy) => {
            Ok((AuthorityKind::B2c, [owned(check_tenant(tenant)?), owned(check_tenant(policy)?)]))
        }
        [tenant] if is_b2c_host => Ok((AuthorityKind::B2c, [owned(check_tenant(tenant)?), None])),
        _ if is_b2c_host => Err(format!(
            "its path has more than a tenant and a policy; {}",
            like("<name>.b2clogin.com/<tenant>/<policy>")
        )),
        [tenant] => Ok((AuthorityKind::Aad, [owned(check_tenant(tenant)?), None])),
        _ if ENTRA_HOSTS.contains(&host) => Err(format!(
            "its path has more than a tenant; {}",
            like("login.microsoftonline.com/<tenant>")
        )),
        _ => Ok((AuthorityKind::Oidc, [None, None])),
    }
}

fn like(example: &str) -> String {
    format!("it should be like https://{example}")
}

fn is_policy(segment: &str) -> bool {
    segment.get(..4).is_some_and(|it| it.eq_ignore_ascii_case("b2c_"))
}

fn check_tenant(segment: &str) -> Result<&str, String> {
    if segment.contains('%') {
        return Err("its tenant or policy has a percent sign; neither needs one".into());
    }
    Ok(segment)
}
