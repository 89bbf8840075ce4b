//! Which documents are valid.

use msal_cache::authority::AuthorityKind;

use super::*;

const DOCUMENT: &str = "/.well-known/openid-configuration";
const GUID: &str = "11111111-2222-3333-4444-555555555555";

#[test]
fn a_provider_with_any_path_is_discovered() {
    let provider = Provider::start();
    for path in ["", "/", "/one", "/realms/Staff", "/a/b/c/"] {
        let trimmed = path.trim_end_matches('/');
        let mut document = provider.good(trimmed);
        document["issuer"] = provider.issuer(path).into();
        provider.publish(&format!("{trimmed}{DOCUMENT}"), &document);
        for found in provider.discover_issuer(&Provider::builder(), &provider.issuer(path)) {
            let found = found.unwrap();
            assert_eq!(found.kind(), AuthorityKind::Oidc);
            assert_eq!(found.as_str(), provider.issuer(trimmed));
            assert_eq!(found.token_endpoint(), provider.issuer(&format!("{trimmed}/tokens")));
            let metadata = found.metadata().unwrap();
            assert_eq!(metadata.issuer(), provider.issuer(path));
            assert_eq!(metadata.token_endpoint(), found.token_endpoint());
            for (address, end) in [
                (metadata.authorization_endpoint(), "auth"),
                (metadata.device_authorization_endpoint(), "device"),
                (metadata.jwks_uri(), "keys"),
            ] {
                assert_eq!(address.unwrap(), provider.issuer(&format!("{trimmed}/{end}")));
            }
        }
    }
}

#[test]
fn a_field_that_is_invalid_is_named_with_the_address_of_its_document() {
    let provider = Provider::start();
    let own = provider.issuer("/staff");
    for (field, value, reason) in [
        ("issuer", json!(null), "missing"),
        ("issuer", json!(7), "not a string"),
        ("issuer", json!("https://evil.example/staff"), "for which the document was requested"),
        ("issuer", json!(format!("{own}/more")), "for which the document was requested"),
        ("issuer", json!(provider.issuer("")), "for which the document was requested"),
        ("issuer", json!("https://localhost:1/staff"), "for which the document was requested"),
        ("issuer", json!(own.replace("https", "http")), "http"),
        ("issuer", json!(format!("{own}?x")), "query"),
        ("issuer", json!(format!("{own}#x")), "fragment"),
        ("issuer", json!(provider.issuer("/{tenantid}")), "all tenants"),
        ("token_endpoint", json!(null), "missing"),
        ("token_endpoint", json!("/token"), "https://"),
        ("token_endpoint", json!("http://localhost/token"), "http"),
        ("token_endpoint", json!("https://evil.example/token"), "evil.example"),
        ("token_endpoint", json!("https://localhost@evil.example/token"), "user name"),
        ("token_endpoint", json!(r"https://evil.example\@localhost/token"), "backslash"),
        ("token_endpoint", json!(format!("{own}/token#x")), "fragment"),
        ("authorization_endpoint", json!("https://evil.example/auth"), "evil.example"),
        ("authorization_endpoint", json!("javascript:alert(1)"), "https://"),
        ("device_authorization_endpoint", json!("https://evil.example/device"), "evil.example"),
        ("jwks_uri", json!("https://evil.example/keys"), "evil.example"),
        ("jwks_uri", json!(["x"]), "not a string"),
    ] {
        let mut document = provider.good("/staff");
        document[field] = value.clone();
        provider.publish(&format!("/staff{DOCUMENT}"), &document);
        for found in provider.discover_issuer(&Provider::builder(), &own) {
            let error = found.expect_err(&format!("{field}: {value}"));
            let MetadataError::Document { address, .. } = &error else { panic!("{error:?}") };
            assert_eq!(*address, format!("{own}{DOCUMENT}"));
            let text = printed(&error);
            assert!(text.contains(field) && text.contains(reason), "{field} {value}: {text}");
        }
    }
}

#[test]
fn endpoints_of_other_hosts_are_allowed_by_the_app() {
    let provider = Provider::start();
    let mut document = provider.good("");
    document["token_endpoint"] = "https://tokens.example/token".into();
    provider.publish(DOCUMENT, &document);
    let builder = Provider::builder().metadata_host("Tokens.example");
    for found in provider.discover_issuer(&builder, &provider.issuer("")) {
        assert_eq!(found.unwrap().token_endpoint(), "https://tokens.example/token");
    }
}

#[test]
fn each_kind_of_authority_has_its_document_and_its_issuers() {
    let provider = Provider::start();
    let customers = format!("https://{GUID}.ciamlogin.com");
    let off = Provider::builder().instance_discovery(false);
    for (path, document_path, issuer, is_valid) in [
        // A private cloud.
        ("/contoso", "/contoso/v2.0", provider.issuer(&format!("/{GUID}/v2.0")), true),
        ("/common", "/common/v2.0", provider.issuer("/{tenantid}/v2.0"), true),
        ("/contoso", "/contoso/v2.0", provider.issuer("/{tenantid}/v2.0"), false),
        ("/contoso", "/contoso/v2.0", "https://login.microsoftonline.com/x/v2.0".into(), false),
        // A customer tenant with a domain of its own.
        ("/GUID", "/GUID/v2.0", format!("{customers}/{GUID}/v2.0"), true),
        ("/GUID", "/GUID/v2.0", format!("{customers}/{GUID}"), true),
        ("/GUID", "/GUID/v2.0", customers.clone(), true),
        ("/GUID", "/GUID/v2.0", format!("{customers}/{GUID}/v2.0/more"), false),
        ("/contoso", "/contoso/v2.0", format!("{customers}/{GUID}/v2.0"), false),
        ("/GUID", "/GUID/v2.0", format!("https://{GUID}.evilciamlogin.com/{GUID}/v2.0"), false),
        ("/GUID", "/GUID/v2.0", format!("https://{GUID}.ciamlogin.com.evil.example/"), false),
        // A policy, AD FS and a dSTS.
        ("/contoso/b2c_1_in", "/contoso/b2c_1_in/v2.0", provider.issuer("/x/v2.0/"), true),
        ("/contoso/b2c_1_in", "/contoso/b2c_1_in/v2.0", "https://evil.example/".into(), false),
        ("/adfs", "/adfs", provider.issuer("/adfs"), true),
        ("/adfs", "/adfs", "https://evil.example/adfs".into(), false),
        ("/dstsv2/contoso", "/dstsv2/contoso/v2.0", provider.issuer("/dstsv2/x"), true),
        // Another provider.
        ("/realms/staff", "/realms/staff", provider.issuer("/realms/staff"), true),
        ("/realms/staff", "/realms/staff", provider.issuer("/realms/Staff"), false),
    ] {
        let path = path.replace("GUID", GUID);
        let mut document = provider.good(&path);
        document["issuer"] = issuer.clone().into();
        provider.publish(&format!("{}{DOCUMENT}", document_path.replace("GUID", GUID)), &document);
        let authority = Authority::parse(&provider.issuer(&path)).unwrap();
        for found in provider.discover(&off, &authority) {
            assert_eq!(found.is_ok(), is_valid, "{path} {issuer}: {found:?}");
        }
    }
}

#[test]
fn tokens_of_a_discovered_tenant_are_stored_under_its_id() {
    let provider = Provider::start();
    let mut document = provider.good("");
    document["issuer"] = provider.issuer(&format!("/{GUID}/v2.0")).into();
    document["token_endpoint"] = provider.issuer(&format!("/{GUID}/oauth2/v2.0/token")).into();
    provider.publish(&format!("/contoso.example/v2.0{DOCUMENT}"), &document);
    let authority = Authority::parse(&provider.issuer("/contoso.example")).unwrap();
    let off = Provider::builder().instance_discovery(false);
    for found in provider.discover(&off, &authority) {
        assert_eq!(found.unwrap().tenant(), Some(GUID));
    }
}

#[test]
fn what_is_no_document_is_an_error_with_its_address() {
    let provider = Provider::start();
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20));
    for (status, text, reason) in [
        (200, "<html>", "invalid response"),
        (200, "[]", "invalid response"),
        (200, &*large, "invalid response"),
        (302, "{}", "redirect"),
        (404, "{}", "404"),
        (400, r#"{"error":"invalid_tenant"}"#, "invalid_tenant"),
        (503, "{}", "unavailable"),
    ] {
        provider.publish_as(DOCUMENT, status, text);
        for found in provider.discover_issuer(&Provider::builder(), &provider.issuer("")) {
            let text = printed(&found.unwrap_err());
            let address = provider.issuer(DOCUMENT);
            assert!(text.contains(&address) && text.contains(reason), "{status}: {text}");
            assert!(!text.contains("token endpoint"), "{text}");
        }
    }
    for issuer in ["http://localhost", "", "https://a@b"] {
        for found in provider.discover_issuer(&Provider::builder(), issuer) {
            assert!(matches!(found, Err(MetadataError::Invalid(_))), "{issuer}: {found:?}");
        }
    }
}
