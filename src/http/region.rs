//! Regional endpoints of Microsoft Entra ID, for an app's own tokens.

use http::Uri;
use http::uri::{Authority, Parts};

use super::address;
use crate::model::{CIAM_DOMAIN, Clouds, Form};

/// The variable of Azure Functions, App Service and others with the region in which an app runs.
const VARIABLE: &str = "REGION_NAME";

/// The host of the regional endpoints of the public cloud, whose other hosts have none.
const PUBLIC: (&str, &str) = ("login.microsoftonline.com", "login.microsoft.com");

/// Parses the name of a region, such as `westus2` or `West US 2`. The error is the reason.
pub(super) fn parse(name: &str) -> Result<String, &'static str> {
    let name: String =
        name.chars().filter(|it| *it != ' ').collect::<String>().to_ascii_lowercase();
    if name.is_empty() {
        return Err("it is empty");
    }
    // `_VALID_REGION_RE` of MSAL Python.
    let is_plain = name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    if name.len() > 63
        || !is_plain
        || !name.starts_with(|it: char| it.is_ascii_alphabetic())
        || name.ends_with('-')
    {
        return Err("it is not the name of a region, such as westus2");
    }
    Ok(name)
}

/// The region of the environment, or `None` where there is none.
pub(super) fn of_env() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|it| !it.trim().is_empty())
}

/// The regional form of the address of a token request, if it has one: a request for an app's own tokens, to
/// a tenant of Entra ID (`_get_regional_authority` of MSAL Python, `RegionManager.cs` of MSAL .NET).
pub(super) fn regional(to: &Uri, form: &Form, region: &str) -> Option<Uri> {
    if form.get("grant_type") != Some("client_credentials") {
        return None;
    }
    let host = to.host()?.to_ascii_lowercase();
    let mut segments = to.path().split('/').skip(1);
    let is_tenant = segments.next().is_some_and(|it| !it.is_empty())
        && segments.eq(["oauth2", "v2.0", "token"]);
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_name = host.contains('.') && !last.bytes().all(|it| it.is_ascii_digit());
    let is_other = host.starts_with('[') || host.ends_with(CIAM_DOMAIN) || to.port().is_some();
    if !is_tenant || !is_name || is_other || address::is_loopback(&host) {
        return None;
    }
    let clouds = Clouds::default();
    let network = clouds.of(&host).map_or(&*host, |cloud| cloud.preferred_network());
    let network = if network == PUBLIC.0 { PUBLIC.1 } else { network };
    let authority: Authority = format!("{region}.{network}").parse().ok()?;
    let mut parts: Parts = to.clone().into_parts();
    parts.authority = Some(authority);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::{parse, regional};
    use crate::model::Form;

    #[test]
    fn only_app_tokens_of_tenants_have_regional_endpoints() {
        let app = Form::new().with("grant_type", "client_credentials");
        let of = |address: &str| regional(&address.parse().unwrap(), &app, "westus2");
        for (host, expected) in [
            ("login.microsoftonline.com", "westus2.login.microsoft.com"),
            ("LOGIN.microsoft.com", "westus2.login.microsoft.com"),
            ("login.windows.net", "westus2.login.microsoft.com"),
            ("sts.windows.net", "westus2.login.microsoft.com"),
            ("login.microsoftonline.us", "westus2.login.microsoftonline.us"),
            ("login.usgovcloudapi.net", "westus2.login.microsoftonline.us"),
            ("login.chinacloudapi.cn", "westus2.login.partner.microsoftonline.cn"),
            ("login.sovcloud-identity.fr", "westus2.login.sovcloud-identity.fr"),
            ("login.private.example", "westus2.login.private.example"),
        ] {
            let end = "contoso/oauth2/v2.0/token";
            let regional = of(&format!("https://{host}/{end}")).unwrap();
            assert_eq!(regional.to_string(), format!("https://{expected}/{end}"));
        }
        for address in [
            "https://login.microsoftonline.com/contoso/oauth2/token",
            "https://login.microsoftonline.com/contoso/oauth2/v2.0/devicecode",
            "https://contoso.b2clogin.com/contoso/b2c_1_in/oauth2/v2.0/token",
            "https://contoso.ciamlogin.com/contoso/oauth2/v2.0/token",
            "https://sts.contoso.example/adfs/oauth2/token",
            "https://idp.example/realms/staff/oauth2/v2.0/token",
            "https://127.0.0.1/contoso/oauth2/v2.0/token",
            "https://[::1]/contoso/oauth2/v2.0/token",
            "http://localhost/contoso/oauth2/v2.0/token",
            "https://login.private.example:8443/contoso/oauth2/v2.0/token",
        ] {
            assert_eq!(of(address), None, "{address}");
        }
        let user = Form::new().with("grant_type", "refresh_token");
        let address = "https://login.microsoftonline.com/contoso/oauth2/v2.0/token";
        assert_eq!(regional(&address.parse().unwrap(), &user, "westus2"), None);
    }

    #[test]
    fn names_of_regions_are_one_label_of_a_host() {
        for (name, expected) in [("westus2", "westus2"), ("West US 2", "westus2"), ("a-b", "a-b")] {
            assert_eq!(parse(name).as_deref(), Ok(expected));
        }
        for name in ["", " ", "evil.example/", "a.b", "-a", "a-", "2west", "é", &"a".repeat(64)] {
            assert!(parse(name).is_err(), "{name}");
        }
    }
}
