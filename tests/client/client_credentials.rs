//! Tokens from the client credentials grant.

use msal_cache::acquire::TokenSource;
use msal_cache::endpoint::TokenResponse;
use msal_cache::{AcquireError, Fields, SilentRequest};
use serde_json::{Value, json};

use super::server::{Server, issued, refused, unreachable};
use super::{access_token, client, fill, section, with};
use crate::common::{CLIENT, NOW, cache, client_info};

const SCOPE: [&str; 1] = ["https://graph.example/.default"];

fn app_token(secret: &str, expires_in: i64) -> Value {
    with(access_token(SCOPE[0], secret, expires_in), json!({ "home_account_id": null }))
}

#[test]
fn the_cache_is_searched_before_a_request_is_sent() {
    let (cache, clock) = cache();
    let server = Server::new([issued("1", json!({})), issued("2", json!({ "scope": SCOPE[0] }))]);
    let client = client(&cache);
    let token = client.acquire_token_for_client(SCOPE, &server).unwrap();
    assert_eq!(token.source(), TokenSource::IdentityProvider);
    let form = server.requests()[0].form().clone();
    let form: Vec<_> = form.iter().collect();
    assert_eq!(
        form,
        [
            ("client_id", CLIENT),
            ("grant_type", "client_credentials"),
            ("client_info", "1"),
            ("scope", SCOPE[0]),
        ]
    );
    assert_eq!(server.requests()[0].anchor_mailbox(), None);
    let again = client.acquire_token_for_client(SCOPE, &server).unwrap();
    assert_eq!((again.source(), again.secret().expose()), (TokenSource::Cache, "AT-1"));
    clock.advance(3301);
    let renewed = client.acquire_token_for_client(SCOPE, &server).unwrap();
    assert_eq!(renewed.secret().expose(), "AT-2");
    assert!(client.accounts().unwrap().is_empty());
}

#[test]
fn tokens_of_other_apps_tenants_users_and_extended_keys_do_not_match() {
    let (cache, _) = cache();
    let others = vec![
        with(app_token("other client", 3600), json!({ "client_id": "other" })),
        with(app_token("other tenant", 3600), json!({ "realm": "other" })),
        with(app_token("other cloud", 3600), json!({ "environment": "other.example" })),
        with(app_token("user", 3600), json!({ "home_account_id": "uid.tenant" })),
        with(app_token("extended", 3600), json!({ "ext_cache_key": "k" })),
        with(app_token("pop", 3600), json!({ "token_type": "pop" })),
        with(app_token("key", 3600), json!({ "key_id": "k" })),
    ];
    fill(&cache, &[("AccessToken", others)]);
    let server = Server::new([issued("own", json!({})), issued("fmi", json!({}))]);
    let client = client(&cache);
    let token = client.acquire_token_for_client(SCOPE, &server).unwrap();
    assert_eq!(token.secret().expose(), "AT-own");
    let request = SilentRequest::for_client(SCOPE).data(Fields::new().set("fmi_path", "some/path"));
    assert_eq!(client.acquire(&request, &server).unwrap().secret().expose(), "AT-fmi");
    assert_eq!(client.acquire(&request, &server).unwrap().source(), TokenSource::Cache);
    assert_eq!(server.requests()[1].form().get("fmi_path"), Some("some/path"));
}

#[test]
fn an_error_response_does_not_require_interaction() {
    let (cache, _) = cache();
    let server = Server::new([refused("invalid_client", json!({ "error_codes": [7_000_215] }))]);
    let error = client(&cache).acquire_token_for_client(SCOPE, &server).unwrap_err();
    assert!(matches!(error, AcquireError::Configuration(_)), "{error}");
    assert_eq!(error.server_error().unwrap().error_codes(), [7_000_215]);
    let server = Server::new([unreachable()]);
    let error = client(&cache).acquire_token_for_client(SCOPE, &server).unwrap_err();
    assert!(matches!(error, AcquireError::Transport(_)), "{error}");
}

#[test]
fn a_cached_token_is_returned_during_an_outage() {
    let extended =
        with(app_token("late", -5), json!({ "extended_expires_on": (NOW + 60).to_string() }));
    let aging = with(app_token("aging", 3600), json!({ "refresh_on": NOW.to_string() }));
    for (token, response, served) in [
        (extended.clone(), unreachable(), Some("late")),
        (extended, refused("invalid_client", json!({})), None),
        (aging.clone(), unreachable(), Some("aging")),
        (aging, refused("invalid_client", json!({})), Some("aging")),
    ] {
        let (cache, _) = cache();
        fill(&cache, &[("AccessToken", vec![token])]);
        let acquired = client(&cache).acquire_token_for_client(SCOPE, &Server::new([response]));
        assert_eq!(acquired.ok().map(|it| it.secret().expose().to_owned()).as_deref(), served);
    }
}

#[test]
fn requests_and_responses_for_users_are_rejected() {
    let (cache, _) = cache();
    let none = Server::new([]);
    for tenant in ["common", "Organizations", "consumers"] {
        let client = cache.client(CLIENT, format!("https://login.example/{tenant}"));
        let error = client.acquire_token_for_client(SCOPE, &none).unwrap_err();
        assert!(error.to_string().contains("authority"), "{error}");
    }
    let error = client(&cache).acquire_token_for_client(&[] as &[&str], &none).unwrap_err();
    assert!(error.to_string().contains("scopes"), "{error}");
    // A response with a user's token is rejected.
    let server = Server::new([issued("x", json!({ "client_info": client_info("mallory") }))]);
    let error = client(&cache).acquire_token_for_client(SCOPE, &server).unwrap_err();
    assert!(matches!(error, AcquireError::InvalidResponse(_)), "{error}");
    assert!(cache.entries(None).unwrap().is_empty());
}

#[test]
fn removing_app_tokens_keeps_all_other_tokens() {
    let (cache, _) = cache();
    let own = vec![
        app_token("a", 3600),
        with(app_token("b", -60), json!({ "realm": "another tenant" })),
        with(app_token("c", 3600), json!({ "home_account_id": "", "ext_cache_key": "k" })),
    ];
    let others = vec![
        with(app_token("user", 3600), json!({ "home_account_id": "uid.tenant" })),
        with(app_token("other client", 3600), json!({ "client_id": "other" })),
        with(app_token("other cloud", 3600), json!({ "environment": "other.example" })),
    ];
    fill(&cache, &[("AccessToken", [own, others.clone()].concat())]);
    assert_eq!(client(&cache).remove_tokens_for_client().unwrap(), 3);
    let mut left = section(&cache, "AccessToken");
    left.sort_by_key(|it| it["secret"].to_string());
    let mut expected = others;
    expected.sort_by_key(|it| it["secret"].to_string());
    assert_eq!(left, expected);
    assert_eq!(client(&cache).remove_tokens_for_client().unwrap(), 0);
}

#[test]
fn the_moment_at_which_a_managed_identity_token_expires_is_read_in_any_form() {
    let (cache, _) = cache();
    let until = NOW + 3600;
    for (nth, expires_on) in [
        json!(until.to_string()),
        json!(until),
        json!("11/14/2023 23:13:20 +00:00"),
        json!("11/14/2023 11:13:20 PM +00:00"),
        json!("2023-11-14T23:13:20Z"),
        json!(1_700_003_600.5),
        json!("1700003600.0"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({
            "access_token": format!("AT-{nth}"), "expires_on": expires_on, "token_type": "Bearer",
        });
        let response = TokenResponse::new(200, Fields::from_json(&body.to_string()).unwrap());
        let scopes = [format!("https://r{nth}.example/.default")];
        let client = client(&cache);
        let token = client.acquire_token_for_client(&scopes, &Server::new([Ok(response)])).unwrap();
        assert_eq!(token.access_token().expires_on(), until, "{body}");
        let again = client.acquire_token_for_client(&scopes, &Server::new([])).unwrap();
        assert_eq!(again.source(), TokenSource::Cache);
    }
}
