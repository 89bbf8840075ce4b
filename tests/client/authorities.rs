//! Authorities: tokens of one are found by each of its names, and by no other authority.

use msal_cache::acquire::TokenSource;
use msal_cache::authority::AuthorityKind;
use msal_cache::{AccountInfo, Authority, Client, Error, Event, Fields, TokenCache};
use proptest::prelude::*;
use serde_json::json;

use super::server::{Server, issued};
use super::{access_token, fill, refresh_token, user, with};
use crate::common::{CLIENT, NOW, cache};

const SCOPE: [&str; 1] = ["api/.default"];
const FIXTURE_CLIENT: &str = "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE";
const MSA: &str = "00000000-0000-0000-1234-56789abcdef0.9188040d-6c67-4c5b-b112-36a304b66dad";
const B2C_USER: &str =
    "22222222-2222-2222-2222-222222222222-b2c_1_signin.44444444-4444-4444-4444-444444444444";

fn parse(address: &str) -> Authority {
    Authority::parse(address).unwrap_or_else(|error| panic!("{address}: {error}"))
}

/// The app's own token of an authority: the cached one, or a new one with this name.
fn own_token(cache: &TokenCache, authority: &Authority, new: &str) -> String {
    let server = Server::new([issued(new, json!({}))]);
    let client = cache.client(CLIENT, authority);
    let token = client.acquire_token_for_client(SCOPE, &server).unwrap();
    token.secret().expose().to_owned()
}

/// Whether the app's own tokens of two authorities are the same.
fn share_tokens(one: &Authority, other: &Authority) -> bool {
    let (cache, _) = cache();
    own_token(&cache, one, "one");
    own_token(&cache, other, "other") == "AT-one"
}

/// The cached token of a user, without a request.
fn cached(client: &Client, home: &str, scopes: &[&str]) -> Option<String> {
    let account = AccountInfo::of(home);
    let token = client.acquire_token_silent(scopes, &account, &Server::new([])).ok()?;
    assert_eq!(token.source(), TokenSource::Cache);
    Some(token.secret().expose().to_owned())
}

#[test]
fn an_authority_is_parsed_into_kind_environment_tenant_and_policy() {
    use AuthorityKind::{Aad, Adfs, B2c, Ciam, Dsts, Oidc};
    for (address, kind, environment, tenant, policy, endpoint) in [
        (
            "https://Login.MicrosoftOnline.com/common/",
            Aad,
            "login.microsoftonline.com",
            Some("common"),
            None,
            "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        ),
        (
            "https://127.0.0.1:8443/T",
            Aad,
            "127.0.0.1",
            Some("T"),
            None,
            "https://127.0.0.1:8443/T/oauth2/v2.0/token",
        ),
        (
            "https://fs.contoso.example/ADFS",
            Adfs,
            "fs.contoso.example",
            None,
            None,
            "https://fs.contoso.example/adfs/oauth2/token",
        ),
        (
            "https://contoso.b2clogin.com/contoso.onmicrosoft.com/signin?x=y",
            B2c,
            "contoso.b2clogin.com",
            Some("contoso.onmicrosoft.com"),
            Some("signin"),
            "https://contoso.b2clogin.com/contoso.onmicrosoft.com/signin/oauth2/v2.0/token",
        ),
        (
            "https://login.contoso.com/t/B2C_1_in",
            B2c,
            "login.contoso.com",
            Some("t"),
            Some("B2C_1_in"),
            "https://login.contoso.com/t/B2C_1_in/oauth2/v2.0/token",
        ),
        (
            "https://login.microsoftonline.com/tfp/t/p",
            B2c,
            "login.microsoftonline.com",
            Some("t"),
            Some("p"),
            "https://login.microsoftonline.com/tfp/t/p/oauth2/v2.0/token",
        ),
        (
            "https://contoso.ciamlogin.com",
            Ciam,
            "contoso.ciamlogin.com",
            Some("contoso.onmicrosoft.com"),
            None,
            "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/token",
        ),
        (
            "https://contoso.ciamlogin.com/adfs",
            Ciam,
            "contoso.ciamlogin.com",
            Some("adfs"),
            None,
            "https://contoso.ciamlogin.com/adfs/oauth2/v2.0/token",
        ),
        (
            "https://dsts.example/DSTSv2/t",
            Dsts,
            "dsts.example",
            Some("t"),
            None,
            "https://dsts.example/dstsv2/t/oauth2/v2.0/token",
        ),
        (
            "https://idp.example/realms/Staff",
            Oidc,
            "idp.example",
            None,
            None,
            "https://idp.example/realms/Staff/oauth2/v2.0/token",
        ),
    ] {
        let authority = parse(address);
        let found = (authority.kind(), authority.environment(), authority.tenant());
        assert_eq!(found, (kind, environment, tenant), "{address}");
        assert_eq!((authority.policy(), authority.token_endpoint()), (policy, endpoint));
        // What it prints is the same authority.
        assert_eq!(parse(authority.as_str()), authority);
        assert_eq!(parse(authority.as_str()).as_str(), authority.as_str());
    }
    let issuer = "https://accounts.example";
    let oidc = Authority::oidc(issuer, "https://token.example/x?y").unwrap();
    assert_eq!((oidc.kind(), oidc.as_str()), (Oidc, issuer));
    assert_eq!(oidc.token_endpoint(), "https://token.example/x?y");
}

#[test]
fn what_is_pasted_with_an_authority_is_understood() {
    let ends = [
        "",
        "/",
        "//",
        "/v2.0",
        "/V2.0/",
        "/oauth2/v2.0/token",
        "/oauth2/v2.0/authorize?client_id=x",
        "/oauth2/v2.0/devicecode",
        "/oauth2/token",
        "/oauth2/authorize#x",
        "/.well-known/openid-configuration",
        "/v2.0/.well-known/openid-configuration",
        "/discovery/v2.0/keys",
    ];
    for address in [
        "https://login.microsoftonline.com/contoso.com",
        "https://fs.contoso.example/adfs",
        "https://dsts.example/dstsv2/t",
        "https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_in",
        "https://contoso.ciamlogin.com/t",
        "https://idp.example/a/b/c",
    ] {
        for end in ends {
            let pasted = format!("{address}{end}");
            assert_eq!(parse(&pasted).as_str(), address, "{pasted}");
            let upper = pasted.replacen("https://", "HTTPS://", 1).replace(".com/", ".COM/");
            assert_eq!(parse(&upper), parse(address), "{upper}");
        }
    }
}

#[test]
fn what_is_no_authority_is_refused_with_the_reason_and_without_a_password() {
    for (address, reason) in [
        ("nowhere", "https://"),
        ("https://login.example", "no tenant"),
        ("https://login.microsoftonline.com/v2.0", "no tenant"),
        ("https://login.microsoftonline.com/t/saml2", "more than a tenant"),
        ("https://fs.example/adfs/ls", "adfs"),
        ("https://dsts.example/dstsv2", "one tenant"),
        ("https://dsts.example/dstsv2/a/b", "one tenant"),
        ("https://contoso.b2clogin.com/tfp/t", "policy"),
        ("https://contoso.b2clogin.com/a/b/c", "policy"),
        ("https://contoso.b2clogin.com/t?P=b2c_1_in", "policy"),
        ("https://contoso.ciamlogin.com/a/b", "more than a tenant"),
        ("https://login.example/a%20b", "percent"),
        ("https://login.example/<tenant>", "placeholder"),
        ("https://user:s3cret@login.example/t", "password"),
        (r"https://evil.example\@login.microsoftonline.com/common", "backslash"),
        ("http://[::1].evil/t", "http"),
        ("https://[::1].evil/t", "bracket"),
    ] {
        let error = Authority::parse(address).unwrap_err();
        assert!(matches!(&error, Error::Invalid { field, .. } if field == "authority"));
        assert!(error.to_string().contains(reason), "{address}: {error}");
        // A client reports the same, and keeps no password.
        let client = TokenCache::in_memory().client(CLIENT, address);
        assert_eq!(client.accounts().unwrap_err().to_string(), error.to_string());
        let endpoint = client.clone().with_token_endpoint("https://user:s3cret@login.example/t");
        let event = Event::new(CLIENT).token_endpoint(address);
        let printed = format!("{error} {error:?} {client:?} {endpoint:?} {event:?}");
        assert!(!printed.contains("s3cret"), "{printed}");
    }
    let client = TokenCache::in_memory().client(CLIENT, "https://login.example/t");
    let client = client.with_token_endpoint("https://user:s3cret@login.example/t");
    let error = client.token_endpoint().unwrap_err();
    assert!(error.to_string().starts_with("token_endpoint: "), "{error}");
    assert!(!format!("{error:?} {client:?}").contains("s3cret"));
}

#[test]
fn each_pair_of_different_authorities_has_different_app_tokens() {
    let different: Vec<_> = [
        "https://h.example/t",
        "https://h.example/u",
        "https://h.example/adfs",
        "https://h.example/dstsv2/t",
        "https://h.example/dstsv2/u",
        "https://h.example/t/b2c_1_p",
        "https://h.example/t/b2c_1_q",
        "https://h.example/tfp/t/b2c_1_p",
        "https://h.example/tfp/u/b2c_1_p",
        "https://h.example/tfp/t/b2c_1_q",
        "https://h.example/realms/t",
        "https://h.example/realms/T",
        "https://h.example/realms/t/u",
        "https://h.example/realms/%20",
        "https://h.example:8443/t",
        "https://h.example:9443/t",
        "https://h.example:8443/adfs",
        "https://other.example/t",
        "https://other.example/dstsv2/t",
        "https://[::1]/t",
    ]
    .map(parse)
    .into();
    let (cache, _) = cache();
    for round in 0..2 {
        for (at, authority) in different.iter().enumerate() {
            // In the second round, all are cached.
            let expected = format!("AT-{at}");
            assert_eq!(own_token(&cache, authority, &at.to_string()), expected, "{round}");
        }
    }
    for (at, one) in different.iter().enumerate() {
        assert!(different[at + 1..].iter().all(|other| other != one), "{one}");
    }
}

#[test]
fn token_endpoints_dont_mix_authorities() {
    let endpoint = "https://gateway.example/token";
    let with = |address| parse(address).with_token_endpoint(endpoint).unwrap();
    assert!(!share_tokens(&with("https://h.example/t"), &with("https://h.example/u")));
    let oidc = |issuer| Authority::oidc(issuer, endpoint).unwrap();
    assert!(!share_tokens(&oidc("https://h.example/a"), &oidc("https://h.example/b")));
    assert!(!share_tokens(&oidc("https://h.example"), &oidc("https://h.example/b")));
    // The metadata documents of both name the same tenant.
    let tenant = "https://h.example/guid/oauth2/v2.0/token";
    let named = |address| parse(address).with_token_endpoint(tenant).unwrap();
    assert!(share_tokens(
        &named("https://h.example/contoso.com"),
        &parse("https://h.example/GUID")
    ));
}

#[test]
fn tenants_ignore_case() {
    let tenant = "aaaabbbb-0000-0000-0000-00000000000c";
    let (cache, _) = cache();
    let own = with(access_token(SCOPE[0], "AT-app", 3600), json!({ "home_account_id": "" }));
    let tokens = [access_token("User.Read", "AT", 3600), own];
    let tokens = tokens.map(|it| with(it, json!({ "realm": tenant })));
    fill(&cache, &[("AccessToken", tokens.into()), ("RefreshToken", vec![refresh_token("rt", 0)])]);
    let client = cache.client(CLIENT, format!("https://login.example/{}", tenant.to_uppercase()));
    let none = Server::new([]);
    let token = client.acquire_token_silent(["User.Read"], &user(), &none).unwrap();
    assert_eq!(token.secret().expose(), "AT");
    assert_eq!(client.acquire_token_for_client(SCOPE, &none).unwrap().secret().expose(), "AT-app");
}

#[test]
fn tokens_of_other_libraries_are_found_by_each_name_of_the_authority() {
    let msa = [
        "https://login.microsoftonline.com/consumers",
        "https://login.windows.net/9188040D-6C67-4C5B-B112-36A304B66DAD",
    ];
    let b2c = [
        "https://contosob2c.b2clogin.com/contosob2c.onmicrosoft.com/B2C_1_SignIn",
        "https://contosob2c.b2clogin.com/tfp/contosob2c.onmicrosoft.com/b2c_1_signin",
    ];
    let api = "https://contosob2c.onmicrosoft.com/api/Read";
    for (fixture, authorities, home, scope) in [
        (include_str!("../fixtures/python-msa.json"), msa, MSA, "User.Read"),
        (include_str!("../fixtures/node-msa.json"), msa, MSA, "User.Read"),
        (include_str!("../fixtures/python-b2c.json"), b2c, B2C_USER, api),
        (include_str!("../fixtures/node-b2c.json"), b2c, B2C_USER, api),
        (
            include_str!("../fixtures/node-adfs.json"),
            ["https://fs.contoso.example/adfs", "https://FS.contoso.example/ADFS/"],
            "FAKE-ADFS-SUB",
            "https://adfs.contoso.example/api",
        ),
    ] {
        for authority in authorities {
            let (cache, clock) = cache();
            cache.deserialize(fixture).unwrap();
            let token = &cache.entries(Some("AccessToken".into())).unwrap()[0];
            let token = token.access_token().unwrap();
            clock.set(token.cached_at().unwrap_or(NOW));
            let client = cache.client(FIXTURE_CLIENT, authority);
            let found = cached(&client, home, &[scope]);
            assert_eq!(found.as_deref(), Some(token.secret().expose()), "{authority}");
        }
    }
}

#[test]
fn policies_are_kept_apart_where_the_user_id_doesnt_name_them() {
    let (cache, _) = cache();
    let authority = |policy| {
        parse(&format!("https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_{policy}"))
    };
    let claims = crate::common::base64(r#"{"sub":"alice"}"#);
    for policy in ["in", "edit"] {
        let event = Event::new(CLIENT).authority(&authority(policy)).scope(["api"]).response(
            Fields::new()
                .set("access_token", format!("AT-{policy}"))
                .set("id_token", format!("e30.{claims}.x"))
                .set("expires_in", 3600),
        );
        cache.add(&event).unwrap();
    }
    for policy in ["in", "edit"] {
        let client = cache.client(CLIENT, authority(policy));
        let expected = format!("AT-{policy}");
        assert_eq!(cached(&client, "alice", &["api"]), Some(expected));
    }
    let other = cache.client(CLIENT, authority("other"));
    assert_eq!(cached(&other, "alice", &["api"]), None);
}

#[test]
fn tokens_of_a_user_of_a_provider_without_a_path_are_found() {
    for issuer in ["https://idp.example", "https://idp.example:8443/"] {
        let (cache, _) = cache();
        let authority = Authority::oidc(issuer, "https://idp.example/token").unwrap();
        let response = Fields::new()
            .set("access_token", "AT")
            .set("client_info", crate::common::client_info("alice"))
            .set("expires_in", 3600);
        let event = Event::new(CLIENT).authority(&authority).scope(["api"]).response(response);
        cache.add(&event).unwrap();
        let client = cache.client(CLIENT, &authority);
        let account = &client.accounts().unwrap()[0];
        assert_eq!(cached(&client, account.home_account_id(), &["api"]).as_deref(), Some("AT"));
        // Another provider on this host.
        let other = Authority::oidc("https://idp.example/realms/t", "https://idp.example/token");
        let other = cache.client(CLIENT, other.unwrap());
        assert_eq!(cached(&other, account.home_account_id(), &["api"]), None);
    }
}

#[test]
fn tokens_of_ad_fs_that_have_no_realm_are_found() {
    // MSAL .NET writes none. Its token of the fixture has only the scope `openid`.
    let (cache, clock) = cache();
    let fixture = include_str!("../fixtures/dotnet-adfs.json");
    cache.deserialize(&fixture.replace(r#""openid""#, r#""openid api""#)).unwrap();
    let token = &cache.entries(Some("AccessToken".into())).unwrap()[0];
    clock.set(token.access_token().unwrap().cached_at().unwrap());
    let client = cache.client(FIXTURE_CLIENT, "https://fs.contoso.example/adfs");
    let found = cached(&client, "FAKE-ADFS-SUB", &["api"]);
    assert_eq!(found.as_deref(), Some("FAKE-AT-adfs"));

    let (cache, _) = crate::common::cache();
    let mut token = with(
        access_token(SCOPE[0], "AT-net", 3600),
        json!({ "home_account_id": null, "environment": "fs.example" }),
    );
    token.as_object_mut().unwrap().remove("realm");
    fill(&cache, &[("AccessToken", vec![token])]);
    let request = msal_cache::SilentRequest::for_client(SCOPE);
    for (authority, found) in [
        ("https://fs.example/adfs", true),
        ("https://fs.example:8443/adfs", false),
        ("https://fs.example/t", false),
        ("https://other.example/adfs", false),
    ] {
        let client = cache.client(CLIENT, authority);
        assert_eq!(client.plan(&request).unwrap().cached().is_some(), found, "{authority}");
        if found {
            let token = client.acquire(&request, &Server::new([])).unwrap();
            assert_eq!(token.secret().expose(), "AT-net");
        }
    }
}

/// An authority by its parts, and some way to write it.
#[derive(Clone, Debug)]
struct Written {
    host: &'static str,
    port: Option<u16>,
    path: Vec<String>,
    address: String,
}

impl Written {
    /// What makes it an authority of its own, without the rules of the crate.
    fn identity(&self) -> (&'static str, Option<u16>, Vec<String>) {
        let host = match self.host {
            "login.windows.net" => "login.microsoftonline.com",
            host => host,
        };
        let lower = self.path.iter().map(|it| it.to_lowercase()).collect();
        // The path of a provider that isn't Microsoft's.
        let path = if self.path[0] == "a" { self.path.clone() } else { lower };
        (host, self.port.filter(|it| *it != 443), path)
    }
}

fn written() -> impl Strategy<Value = Written> {
    let of = |list: &'static [&'static str]| prop::sample::select(list);
    let hosts =
        of(&["login.example", "h.example", "login.windows.net", "login.microsoftonline.com"]);
    let ports = prop::sample::select(vec![None, None, Some(443), Some(8443)]);
    let forms =
        of(&["{t}", "{t}", "adfs", "dstsv2/{t}", "tfp/{t}/{p}", "{t}/b2c_{p}", "a/{t}/{p}"]);
    let names = || of(&["t", "T", "u", "adfs-2", "consumer"]);
    let ends =
        of(&["", "", "/", "/v2.0", "/oauth2/v2.0/token", "/.well-known/openid-configuration"]);
    (hosts, ports, forms, names(), names(), ends).prop_map(|(host, port, form, t, p, end)| {
        let path = form.replace("{t}", t).replace("{p}", p);
        let at = port.map_or_else(String::new, |port| format!(":{port}"));
        let address = format!("https://{host}{at}/{path}{end}");
        Written { host, port, path: path.split('/').map(str::to_owned).collect(), address }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn app_tokens_are_shared_exactly_by_equal_authorities(one in written(), other in written()) {
        let parsed = [&one, &other].map(|it| Authority::parse(&it.address));
        for (it, result) in [&one, &other].into_iter().zip(&parsed) {
            let has_other_path = it.path[0] == "a" && it.host.starts_with("login.") && it.host != "login.example";
            prop_assert_eq!(result.is_err(), has_other_path, "{}", &it.address);
        }
        if let [Ok(left), Ok(right)] = parsed {
            prop_assert_eq!(
                share_tokens(&left, &right),
                one.identity() == other.identity(),
                "{} {}", &one.address, &other.address
            );
        }
    }
}
