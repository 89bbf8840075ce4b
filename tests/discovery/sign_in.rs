//! Sign-ins with the endpoints of a document.

use msal_cache::TokenCache;

use super::*;

const DOCUMENT: &str = "/.well-known/openid-configuration";

#[test]
fn a_sign_in_begins_at_the_discovered_endpoint() {
    let provider = Provider::start();
    provider.publish(DOCUMENT, &provider.good(""));
    let cache = TokenCache::in_memory();
    for found in provider.discover_issuer(&Provider::builder(), &provider.issuer("")) {
        let client = cache.client("client-id", found.unwrap());
        let begun = client.sign_in(["User.Read"]).begin_sign_in("https://app.example/").unwrap();
        assert!(begun.address.starts_with(&provider.issuer("/auth?")), "{}", begun.address);
    }
}

#[test]
fn a_device_code_is_requested_from_the_discovered_endpoint() {
    let provider = Provider::start();
    provider.publish(DOCUMENT, &provider.good(""));
    provider.state.lock().unwrap().respond = Some(Box::new(|_| {
        let code = json!({ "device_code": "d", "user_code": "u", "verification_uri": "https://v" });
        (200, code.to_string())
    }));
    let (endpoint, _) = Provider::endpoints(&Provider::builder());
    let authority = endpoint.discover_issuer(&provider.issuer("")).unwrap();
    let client = TokenCache::in_memory().client("client-id", authority);
    endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap();
    assert_eq!(provider.requests().last().unwrap(), "POST /device");

    // The document of the next provider has no such endpoint.
    let mut document = provider.good("/other");
    document["device_authorization_endpoint"] = Value::Null;
    provider.publish(&format!("/other{DOCUMENT}"), &document);
    let authority = endpoint.discover_issuer(&provider.issuer("/other")).unwrap();
    let client = TokenCache::in_memory().client("client-id", authority);
    let failed = endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap_err();
    assert!(printed(&failed).contains("device_authorization_endpoint"), "{failed}");
}
