//! A user moves from another cache, by a refresh token.

use msal_cache::AcquireError;

use super::*;

#[test]
fn a_user_is_moved_by_a_refresh_token() {
    let (server, cache) = (Redeems::default(), TokenCache::in_memory());
    let client = cache.client("client-id", AUTHORITY);
    let token =
        client.acquire_token_by_refresh_token("CANARY-old", ["User.Read"], &server).unwrap();
    let account = token.account().unwrap();
    assert_eq!(account.username(), Some("alice@contoso.example"));
    assert_eq!(client.accounts().unwrap(), std::slice::from_ref(&account));
    let forms = server.forms.lock().unwrap();
    let [form] = &forms[..] else { panic!("{forms:?}") };
    assert_eq!((&*form["grant_type"], &*form["refresh_token"]), ("refresh_token", "CANARY-old"));
    assert_eq!(form["scope"], "User.Read offline_access openid profile");
    let silent = client.acquire_token_silent(["User.Read"], &account, &server).unwrap();
    assert_eq!(silent.secret().expose(), "CANARY-at");
    let found = cache.find(CredentialType::RefreshToken, &Query::new()).unwrap();
    assert_eq!(found[0].refresh_token().unwrap().secret().expose(), "CANARY-rt");
}

#[test]
fn a_refresh_token_that_is_not_accepted_requires_a_sign_in() {
    struct Refuses;
    impl TokenEndpoint for Refuses {
        fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
            TokenResponse::from_json(400, r#"{"error": "invalid_grant"}"#)
        }
    }
    let cache = TokenCache::in_memory();
    let client = cache.client("client-id", AUTHORITY);
    let failed = client.acquire_token_by_refresh_token("CANARY", ["User.Read"], &Refuses);
    let failed = failed.unwrap_err();
    assert!(failed.is_interaction_required(), "{failed:?}");
    clean("the error", &format!("{failed} {failed:?}"));
    let failed = client.acquire_token_by_refresh_token("", ["User.Read"], &Refuses).unwrap_err();
    assert!(matches!(failed, AcquireError::Invalid(_)), "{failed:?}");
    assert!(is_empty(&cache));
}

#[test]
fn the_id_token_of_another_app_or_server_is_not_stored() {
    let server = Redeems::default();
    for claim in
        [("aud", json!("other")), ("iss", json!("https://evil.example")), ("exp", json!(1))]
    {
        let cache = TokenCache::in_memory();
        server.claims.lock().unwrap().push(claim);
        let client = cache.client("client-id", AUTHORITY);
        let failed = client.acquire_token_by_refresh_token("CANARY", ["User.Read"], &server);
        assert!(matches!(failed, Err(AcquireError::InvalidResponse(_))), "{failed:?}");
        assert!(is_empty(&cache));
        server.claims.lock().unwrap().clear();
    }
}

#[test]
fn another_issuer_is_accepted_if_the_app_has_set_it() {
    let (server, cache) = (Redeems::default(), TokenCache::in_memory());
    server.claims.lock().unwrap().push(("iss", json!("https://issuer.example/tenant")));
    let client = cache.client("client-id", "https://login.example/contoso");
    let sign_in = || client.refresh_token("CANARY", ["User.Read"]);
    for sign_in in [sign_in(), sign_in().issuer("https://issuer.example/other")] {
        clean("the options", &format!("{sign_in:?}"));
        let failed = sign_in.run(&server);
        assert!(matches!(failed, Err(AcquireError::InvalidResponse(_))), "{failed:?}");
        assert!(is_empty(&cache));
    }
    let sign_in = sign_in().issuer("https://issuer.example/tenant");
    let token = sign_in.claims_challenge(r#"{"access_token":{"a":null}}"#).run(&server).unwrap();
    assert_eq!(token.account().unwrap().username(), Some("alice@contoso.example"));
    let forms = server.forms.lock().unwrap();
    assert_eq!(forms.last().unwrap()["claims"], r#"{"access_token":{"a":null}}"#);
}
