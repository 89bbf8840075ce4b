//! A credential of the Azure SDK at an authority whose endpoints are not known.

use azure_core::credentials::TokenCredential;
use msal_cache::azure::{Credential, CredentialError};
use msal_cache::{AsyncClient, AsyncTokenCache};

use super::keys::rsa;
use super::*;

const DOCUMENT: &str = "/contoso/v2.0/.well-known/openid-configuration";

fn client(provider: &Provider, path: &str) -> AsyncClient {
    AsyncTokenCache::in_memory().client("client-id", provider.issuer(path))
}

fn issue_app_tokens(provider: &Provider) {
    let tokens = json!({ "access_token": "AT", "expires_in": 3600, "token_type": "Bearer" });
    let respond = move |_: &str| (200, tokens.to_string());
    provider.state.lock().unwrap().respond = Some(Box::new(respond));
}

fn token(provider: &Provider, credential: &dyn TokenCredential) -> azure_core::Result<String> {
    let token = provider.runtime.block_on(credential.get_token(&["s/.default"], None));
    token.map(|it| it.token.secret().to_owned())
}

#[test]
fn the_endpoints_are_discovered_once_before_a_secret_is_sent() {
    let provider = Provider::start();
    issue_app_tokens(&provider);
    let builder = Provider::builder().client_secret("CANARY").instance_discovery(false);
    let endpoint = builder.build_async().unwrap();
    let credential = Credential::for_app(client(&provider, "/contoso"), endpoint);
    // There is no document yet.
    let failed = token(&provider, &*credential).unwrap_err();
    let cause = failed.downcast_ref::<CredentialError>().unwrap();
    assert!(matches!(cause, CredentialError::Discovery(_)), "{cause:?}");
    assert!(!cause.is_interaction_required() && cause.server_error().is_some(), "{cause:?}");
    assert!(printed(&failed).contains(DOCUMENT), "{failed}");
    assert!(!format!("{failed:?} {cause:?} {credential:?}").contains("CANARY"));

    provider.publish(DOCUMENT, &provider.good("/contoso"));
    for _ in 0..3 {
        assert_eq!(token(&provider, &*credential).unwrap(), "AT");
    }
    let get = format!("GET {DOCUMENT}");
    assert_eq!(provider.requests(), [&*get, &*get, "POST /contoso/tokens"]);
}

#[test]
fn a_host_that_microsoft_does_not_know_gets_no_secret() {
    let provider = Provider::start();
    issue_app_tokens(&provider);
    let address = provider.issuer("/instance");
    let builder = Provider::builder().client_secret("CANARY").instance_discovery_endpoint(address);
    let endpoint = builder.build_async().unwrap();
    let credential = Credential::for_app(client(&provider, "/contoso"), endpoint);
    let query = format!(
        "/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flocalhost%3A{}%2Fcontoso%2F\
         oauth2%2Fv2.0%2Fauthorize",
        provider.port
    );
    provider.publish_as(&query, 400, r#"{"error":"invalid_instance"}"#);
    let failed = token(&provider, &*credential).unwrap_err();
    assert!(printed(&failed).contains("doesn't know the host localhost"), "{failed}");
    assert_eq!(provider.requests(), [format!("GET {query}")]);
}

#[test]
fn a_user_signs_in_at_discovered_endpoints_and_is_remembered() {
    let (key, sign) = rsa(&ring::signature::RSA_PKCS1_SHA256);
    let provider = Provider::with_keys(&[&key]);
    // The path of a provider that isn't Microsoft's.
    let path = "/realms/staff";
    provider.publish(&format!("{path}/.well-known/openid-configuration"), &provider.good(path));
    let issuer = json!(provider.issuer(path));
    provider.issue(&json!({ "alg": "RS256", "kid": "rsa" }), &[("iss", issuer)], &sign);
    let endpoint = Provider::builder().build_async().unwrap();
    let credential = Credential::for_user(client(&provider, path), endpoint);
    let credential = credential.device_code(|_| {}).build();
    for _ in 0..2 {
        assert_eq!(token(&provider, &*credential).unwrap(), "at");
    }
    assert_eq!(credential.record().unwrap().home_account_id(), "alice.t");
    let sent = provider.requests();
    let get = format!("GET {path}/.well-known/openid-configuration");
    assert_eq!(sent, [&*get, "POST /realms/staff/device", "POST /realms/staff/tokens"]);
}

#[test]
fn endpoints_that_are_set_are_not_discovered() {
    let provider = Provider::start();
    issue_app_tokens(&provider);
    let own = provider.issuer("/own/token");
    let of_endpoint = Provider::builder().token_endpoint(&own).build_async().unwrap();
    let client = |path| client(&provider, path);
    let of_client = client("/contoso").with_token_endpoint(&own);
    let of_authority = Authority::oidc(&provider.issuer("/staff"), &own).unwrap();
    let of_authority = AsyncTokenCache::in_memory().client("client-id", of_authority);
    let endpoint = Provider::builder().build_async().unwrap();
    for credential in [
        Credential::for_app(client("/contoso"), of_endpoint),
        Credential::for_app(of_client, endpoint.clone()),
        Credential::for_app(of_authority, endpoint),
    ] {
        assert_eq!(token(&provider, &*credential).unwrap(), "AT");
    }
    assert_eq!(provider.requests(), ["POST /own/token"; 3]);
}
