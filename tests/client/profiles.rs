//! The client view over a cache with `Profile::Family`.

use std::sync::Arc;

use msal_cache::acquire::TokenSource;
use msal_cache::clock::ManualClock;
use msal_cache::{Fields, Memory, Profile, SilentRequest, TokenCache};
use serde_json::json;

use super::server::{Server, issued, refreshed};
use super::{access_token, account, client, fill, refresh_token, section, user, with};
use crate::common::{CLIENT, NOW, client_info};

fn for_the_family() -> TokenCache {
    TokenCache::builder(Memory::new())
        .clock(Arc::new(ManualClock::new(NOW)))
        .profile(Profile::Family)
        .build()
}

#[test]
fn a_refresh_replaces_the_old_tokens() {
    let cache = for_the_family();
    fill(
        &cache,
        &[
            ("AccessToken", vec![access_token("User.Read Mail.Read", "old", 60)]),
            ("RefreshToken", vec![refresh_token("rt", 9)]),
            ("Account", vec![account()]),
        ],
    );
    let server = Server::new([refreshed("uid", "new")]);
    let client = client(&cache);
    let token = client.acquire_token_silent(["User.Read"], &user(), &server).unwrap();
    let tokens = section(&cache, "AccessToken");
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    assert_eq!(tokens[0]["secret"], "AT-new");
    let refresh_tokens = section(&cache, "RefreshToken");
    assert_eq!(refresh_tokens.len(), 1, "{refresh_tokens:?}");
    assert_eq!(refresh_tokens[0]["secret"], "RT-new");
    let again = client.acquire_token_silent(["User.Read"], &user(), &Server::new([])).unwrap();
    assert_eq!(again.source(), TokenSource::Cache);
    assert!(client.invalidate(&token).unwrap(), "the stored token is found");
}

#[test]
fn tokens_are_stored_and_found_under_the_host_of_the_account() {
    let cache = for_the_family();
    let under = |record| with(record, json!({ "environment": "login.windows.net" }));
    fill(
        &cache,
        &[
            ("RefreshToken", vec![under(refresh_token("rt", 9))]),
            ("Account", vec![under(account())]),
        ],
    );
    let client = cache.client(CLIENT, "https://login.microsoftonline.com/tenant");
    let more = json!({ "client_info": client_info("uid"), "scope": "User.Read" });
    let server = Server::new([issued("new", more)]);
    let token = client.acquire_token_silent(["User.Read"], &user(), &server).unwrap();
    assert_eq!(token.access_token().environment(), Some("login.windows.net"));
    assert!(client.invalidate(&token).unwrap());
    let own = Server::new([issued("own", json!({}))]);
    let token = client.acquire_token_for_client(["s"], &own).unwrap();
    assert!(client.invalidate(&token).unwrap());
}

#[test]
fn an_unsupported_request_is_rejected_before_the_refresh_token_is_redeemed() {
    let cache = for_the_family();
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 9)])]);
    let data = Fields::new().set("key_id", "k").set("req_cnf", "{}").set("token_type", "ssh-cert");
    let request = SilentRequest::new(["User.Read"], &user()).data(data);
    let error = client(&cache).acquire(&request, &Server::new([])).unwrap_err();
    assert!(error.to_string().contains("key_id"), "{error}");
}
