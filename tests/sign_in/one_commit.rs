//! Each way of signing in returns the user and stores the response in one commit.

use msal_cache::http::HttpEndpoint;
use msal_cache::{AcquiredToken, Client, Memory};

use super::*;
use crate::common::Counting;
use crate::stand_in::StandIn;

type Counted = Arc<Counting<Memory>>;

fn stores_at_once(
    authority: &str,
    is_user: bool,
    sign_in: impl FnOnce(&Client<Counted>) -> AcquiredToken,
) {
    let store = Arc::new(Counting::new(Memory::new()));
    let cache = TokenCache::new(store.clone());
    let token = sign_in(&cache.client("client-id", authority));
    assert_eq!(store.commits(), 1);
    let username = token.account().and_then(|it| it.username().map(str::to_owned));
    assert_eq!(username.as_deref(), is_user.then_some("alice@contoso.example"));
    if !is_user {
        return;
    }
    for section in [
        CredentialType::AccessToken,
        CredentialType::RefreshToken,
        CredentialType::IdToken,
        CredentialType::Account,
    ] {
        assert_eq!(cache.find(section.clone(), &Query::new()).unwrap().len(), 1, "{section:?}");
    }
}

#[test]
fn one_commit_stores_a_sign_in_by_browser() {
    let server = Arc::new(Redeems::default());
    let kept = server.clone();
    stores_at_once(AUTHORITY, true, |client| {
        let sign_in = client.sign_in(["User.Read"]).timeout(LONG).open_with(move |address| {
            let asked = Asked::of(address);
            *kept.asked.lock().unwrap() = Some(asked.clone());
            post(asked.port(), &asked.good());
            Ok(())
        });
        sign_in.run(&*server).unwrap()
    });
}

#[test]
fn one_commit_stores_a_sign_in_to_a_web_app() {
    let server = Redeems::default();
    stores_at_once(AUTHORITY, true, |client| {
        let begun =
            client.sign_in(["User.Read"]).begin_sign_in("https://app.example/back").unwrap();
        let asked = Asked::of(&begun.address);
        *server.asked.lock().unwrap() = Some(asked.clone());
        client.finish_sign_in(begun.state, &asked.good(), &server).unwrap()
    });
}

#[test]
fn one_commit_stores_a_sign_in_by_device_code() {
    let server = StandIn::start().unwrap();
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(format!("{}/token", server.url()))
        .device_authorization_endpoint(format!("{}/devicecode", server.url()))
        .timeout(LONG)
        .build()
        .unwrap();
    stores_at_once("https://login.example/contoso", true, |client| {
        client.device_code(["User.Read"]).run(&endpoint, |_| {}).unwrap()
    });
}

#[test]
fn one_commit_stores_a_user_of_another_cache() {
    let server = Redeems::default();
    stores_at_once(AUTHORITY, true, |client| {
        client.acquire_token_by_refresh_token("CANARY-old", ["User.Read"], &server).unwrap()
    });
}

#[test]
fn one_commit_stores_a_token_on_behalf_of_a_user() {
    let server = Redeems::default();
    // The user signed in to another app: this one has no account.
    stores_at_once(AUTHORITY, false, |client| {
        client.acquire_token_on_behalf_of("CANARY-assertion", ["User.Read"], &server).unwrap()
    });
}
