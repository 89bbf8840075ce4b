//! Users who sign in by a browser, or with a refresh token, while signatures are checked.

use msal_cache::sign_in::SignInError;
use msal_cache::{AcquireError, AcquiredToken, AsyncTokenCache, CredentialType, Query, TokenCache};
use ring::signature::RSA_PKCS1_SHA256;

use super::keys::{DOCUMENT, Sign, rsa};
use super::*;
use crate::stand_in::browser::visit;
use crate::stand_in::server::parameters;

fn header() -> Value {
    json!({ "alg": "RS256", "kid": "rsa" })
}

/// A signature of the right length, by no key.
fn forged() -> Sign {
    Arc::new(|_| vec![1; 256])
}

/// The entries of all kinds.
fn stored(cache: &TokenCache) -> usize {
    CredentialType::KNOWN.map(|it| cache.find(it, &Query::new()).unwrap().len()).iter().sum()
}

/// The browser: the user has signed in, and the provider issues a token with this signature.
fn browser(
    provider: &Arc<Provider>,
    sign: &Sign,
) -> impl FnOnce(&str) -> io::Result<()> + Send + 'static {
    let (provider, sign) = (provider.clone(), sign.clone());
    move |address| {
        let query = parameters(address.split_once('?').unwrap().1);
        provider.issue(&header(), &[("nonce", json!(query["nonce"]))], &sign);
        visit(&format!("{}/?code=c&state={}", query["redirect_uri"], query["state"]))
    }
}

#[test]
fn a_browser_sign_in_with_a_wrong_signature_is_refused_and_not_stored() {
    let (key, sign) = rsa(&RSA_PKCS1_SHA256);
    let provider = Arc::new(Provider::with_keys(&[&key]));
    let (endpoint, nonblocking) = Provider::endpoints(&Provider::builder());
    let authority = endpoint.discover_issuer(&provider.issuer("")).unwrap();
    let cache = TokenCache::in_memory();
    let asynchronous = AsyncTokenCache::from(cache.clone());
    let client = cache.client("client-id", &authority);
    let async_client = asynchronous.client("client-id", &authority);
    let sign_in = |sign: &Sign| {
        let sign_in = client.sign_in(["User.Read"]).verify_signature();
        let first = sign_in.open_with(browser(&provider, sign)).run(&endpoint);
        let sign_in = async_client.sign_in(["User.Read"]).verify_signature();
        let sign_in = sign_in.open_with(browser(&provider, sign));
        [first, provider.runtime.block_on(sign_in.run(&nonblocking))]
    };
    for signed in sign_in(&forged()) {
        let error = signed.unwrap_err();
        assert!(matches!(error, SignInError::InvalidResponse(_)), "{error:?}");
        assert!(printed(&error).contains("response.id_token.signature"), "{error:?}");
    }
    assert_eq!(stored(&cache), 0);
    for signed in sign_in(&sign) {
        assert_eq!(signed.unwrap().account().unwrap().home_account_id(), "alice.t");
    }
    assert_eq!(client.accounts().unwrap().len(), 1);
    // Without the check, TLS is the proof.
    let unchecked = client.sign_in(["User.Read"]).open_with(browser(&provider, &forged()));
    unchecked.run(&endpoint).unwrap();
}

type Moved = Result<AcquiredToken, AcquireError>;

/// Moves a user into a cache with both endpoints, and checks the signature.
fn move_user(
    provider: &Provider,
    (endpoint, nonblocking): &(HttpEndpoint, AsyncHttpEndpoint),
    cache: &TokenCache,
) -> [Moved; 2] {
    let authority = endpoint.discover_issuer(&provider.issuer("")).unwrap();
    let client = cache.client("client-id", &authority);
    let first = client.refresh_token("CANARY", ["User.Read"]).verify_signature().run(endpoint);
    let client = AsyncTokenCache::from(cache.clone()).client("client-id", &authority);
    let run = client.refresh_token("CANARY", ["User.Read"]).verify_signature().run(nonblocking);
    [first, provider.runtime.block_on(run)]
}

fn redeemed(provider: &Provider) -> usize {
    provider.requests().iter().filter(|it| it.starts_with("POST ")).count()
}

#[test]
fn a_user_is_moved_with_a_right_signature_only() {
    let (key, sign) = rsa(&RSA_PKCS1_SHA256);
    let provider = Provider::with_keys(&[&key]);
    let (endpoints, cache) = (Provider::endpoints(&Provider::builder()), TokenCache::in_memory());
    let unknown = json!({ "alg": "RS256", "kid": "other" });
    for (header, sign, reason) in
        [(header(), &forged(), "signature"), (unknown, &sign, "kid"), (json!({}), &sign, "alg")]
    {
        provider.issue(&header, &[], sign);
        for moved in move_user(&provider, &endpoints, &cache) {
            let error = moved.unwrap_err();
            assert!(matches!(error, AcquireError::InvalidResponse(_)), "{error:?}");
            let text = printed(&error);
            assert!(text.contains(&format!("response.id_token.{reason}")), "{text}");
            assert!(!format!("{text} {error:?}").contains("CANARY"), "{text}");
        }
    }
    assert_eq!(stored(&cache), 0);
    provider.issue(&header(), &[], &sign);
    for moved in move_user(&provider, &endpoints, &cache) {
        assert_eq!(moved.unwrap().account().unwrap().home_account_id(), "alice.t");
    }
    // Once by each endpoint.
    assert_eq!(provider.fetched_keys(), 2);
}

#[test]
fn a_user_is_not_moved_without_an_id_token_whose_signature_is_to_be_checked() {
    let (key, _) = rsa(&RSA_PKCS1_SHA256);
    let provider = Provider::with_keys(&[&key]);
    let tokens = json!({ "access_token": "at", "expires_in": 3600, "token_type": "Bearer" });
    provider.state.lock().unwrap().respond = Some(Box::new(move |_| (200, tokens.to_string())));
    let (endpoints, cache) = (Provider::endpoints(&Provider::builder()), TokenCache::in_memory());
    for moved in move_user(&provider, &endpoints, &cache) {
        let error = moved.unwrap_err();
        assert!(printed(&error).contains("response.id_token"), "{error:?}");
    }
    assert_eq!(stored(&cache), 0);
}

#[test]
fn a_refresh_token_is_not_redeemed_while_there_are_no_keys() {
    let (key, sign) = rsa(&RSA_PKCS1_SHA256);
    let provider = Provider::with_keys(&[&key]);
    provider.publish_as("/keys", 503, "{}");
    provider.issue(&header(), &[], &sign);
    let (endpoints, cache) = (Provider::endpoints(&Provider::builder()), TokenCache::in_memory());
    for moved in move_user(&provider, &endpoints, &cache) {
        assert!(matches!(moved, Err(AcquireError::Transport(_))), "{moved:?}");
    }
    assert_eq!((redeemed(&provider), stored(&cache)), (0, 0));
    // The provider publishes none.
    let mut document = provider.good("");
    document["jwks_uri"] = Value::Null;
    provider.publish(DOCUMENT, &document);
    let endpoints = Provider::endpoints(&Provider::builder());
    for moved in move_user(&provider, &endpoints, &cache) {
        let error = moved.unwrap_err();
        assert!(matches!(error, AcquireError::Invalid(_)), "{error:?}");
        assert!(printed(&error).contains("jwks_uri"), "{error:?}");
    }
    assert_eq!((redeemed(&provider), stored(&cache)), (0, 0));
}
