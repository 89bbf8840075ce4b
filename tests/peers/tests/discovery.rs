//! Discovery and signatures with a real `OpenID` Connect provider, oidc-provider.

use std::fs;

use msal_cache::authority::AuthorityKind;
use msal_cache::http::HttpEndpoint;
use msal_cache::{AsyncTokenCache, TokenCache};
use msal_cache_peers::OAuthServer;

const APP: &str = "command-line-app";

#[test]
fn a_discovered_user_signs_in_and_the_signature_is_checked() {
    let server = OAuthServer::start_trusted();
    let pem = fs::read(server.certificate()).unwrap();
    let endpoint = HttpEndpoint::builder().root_certificates(pem).build().unwrap();
    let authority = endpoint.discover_issuer(server.address()).unwrap();
    assert_eq!(authority.kind(), AuthorityKind::Oidc);
    assert_eq!(authority.token_endpoint(), server.token_endpoint());
    let metadata = authority.metadata().unwrap();
    let device = server.device_authorization_endpoint();
    assert_eq!(metadata.device_authorization_endpoint(), Some(&*device));
    assert!(metadata.authorization_endpoint().unwrap().ends_with("/authorize"));

    let client = TokenCache::in_memory().client(APP, authority);
    let sign_in = client.device_code(["User.Read", "Mail.Read"]).verify_signature();
    let token = sign_in.run(&endpoint, |code| server.approve(code.user_code(), Some("alice")));
    let account = token.unwrap().account().unwrap();
    client.acquire_token_silent(["User.Read"], &account, &endpoint).unwrap();
    client.acquire_token_silent(["Mail.Read"], &account, &endpoint).unwrap();
}

#[tokio::test]
async fn a_discovered_user_signs_in_to_an_async_program() {
    let server = OAuthServer::start_trusted();
    let pem = fs::read(server.certificate()).unwrap();
    let endpoint = HttpEndpoint::builder().root_certificates(pem).build_async().unwrap();
    let authority = endpoint.discover_issuer(server.address()).await.unwrap();
    let client = AsyncTokenCache::in_memory().client(APP, authority);
    let sign_in = client.device_code(["User.Read"]).verify_signature();
    let show =
        |code: &msal_cache::http::DeviceFlow| server.approve(code.user_code(), Some("alice"));
    assert!(sign_in.run(&endpoint, show).await.unwrap().account().is_some());
}
