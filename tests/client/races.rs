//! Changes by other processes during a token request.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use msal_cache::acquire::TokenSource;
use msal_cache::store::{CacheStore, Partition};
use msal_cache::{AcquireError, CredentialType, Error, Memory, Query, SilentRequest, TokenCache};
use serde_json::json;

use super::server::{Server, invalid_grant, issued, refreshed, refused};
use super::{HOME, access_token, account, client, fill, refresh_token, section, user};
use crate::common::{Counting, NOW, over, sign_in};
use crate::stores::{Open, on_every_store};

const SCOPE: [&str; 1] = ["User.Read"];

on_every_store! {
    a_refresh_does_not_restore_a_user_who_signed_out_meanwhile
    a_failed_refresh_never_removes_a_token_rotated_by_another_process
    a_refresh_never_replaces_a_token_rotated_by_another_process
}

/// Two handles on one store, as in two processes.
fn two() -> (TokenCache<Arc<Memory>>, TokenCache<Arc<Memory>>) {
    let store = Arc::new(Memory::new());
    let (ours, _) = over(store.clone());
    let (theirs, _) = over(store);
    fill(&ours, &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("rt", 9)])]);
    (ours, theirs)
}

fn rotate<S: CacheStore>(cache: &TokenCache<S>, secret: &str) {
    let token = &cache.find(CredentialType::RefreshToken, &Query::new()).unwrap()[0];
    cache.update_rt(token, secret).unwrap();
}

fn refresh_token_secret<S: CacheStore>(cache: &TokenCache<S>) -> String {
    section(cache, "RefreshToken")[0]["secret"].as_str().unwrap().to_owned()
}

fn a_refresh_does_not_restore_a_user_who_signed_out_meanwhile(open: Open) {
    let (cache, _) = open();
    cache.add(&sign_in("uid", "User.Read", "1")).unwrap();
    let other = client(&cache);
    let server = Server::new([refreshed("uid", "new")])
        .meanwhile(move || assert_eq!(other.remove_account(&user()).unwrap(), 4));
    let request = SilentRequest::new(SCOPE, &user()).force_refresh(true);
    let error = client(&cache).acquire(&request, &server).unwrap_err();
    let AcquireError::InteractionRequired(error) = error else { panic!("{error}") };
    assert!(error.was_signed_out(), "{error}");
    let text = cache.serialize().unwrap();
    assert!(!text.contains("uid") && !text.contains("AT-new"), "{text}");
}

#[test]
fn an_aging_token_is_not_restored_after_a_sign_out() {
    let (ours, theirs) = two();
    let aging = super::with(
        access_token("User.Read", "at", 3600),
        json!({ "refresh_on": NOW.to_string() }),
    );
    fill(&ours, &[("AccessToken", vec![aging]), ("RefreshToken", vec![refresh_token("rt", 9)])]);
    let server = Server::new([refreshed("uid", "new")])
        .meanwhile(|| assert_eq!(client(&theirs).remove_account(&user()).unwrap(), 2));
    let error = client(&ours).acquire_token_silent(SCOPE, &user(), &server).unwrap_err();
    assert!(error.is_interaction_required());
    assert!(!ours.serialize().unwrap().contains(HOME));
}

#[test]
fn a_new_sign_in_during_a_refresh_is_kept() {
    let (ours, theirs) = two();
    let server = Server::new([refreshed("uid", "refreshed")]).meanwhile(|| {
        client(&theirs).remove_account(&user()).unwrap();
        theirs.add(&sign_in("uid", "Mail.Read", "again")).unwrap();
    });
    let token = client(&ours).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(token.secret().expose(), "AT-refreshed");
    let tokens = section(&ours, "RefreshToken");
    assert!(tokens.iter().any(|it| it["secret"] == "RT-again"), "{tokens:?}");
    assert_eq!(section(&ours, "Account").len(), 1);
}

fn a_failed_refresh_never_removes_a_token_rotated_by_another_process(open: Open) {
    let (cache, _) = open();
    fill(&cache, &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("rt", 9)])]);
    let bad = refused("invalid_grant", json!({ "suberror": "bad_token" }));
    let other = cache.clone();
    let rotated = std::sync::Once::new();
    let server = Server::new([bad, refreshed("uid", "new")])
        .meanwhile(move || rotated.call_once(|| rotate(&other, "rotated")));
    let token = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(server.redeemed(), ["rt", "rotated"], "the rotated token is redeemed");
    assert_eq!(token.secret().expose(), "AT-new");
    assert_eq!(refresh_token_secret(&cache), "RT-new");
}

#[test]
fn a_rotated_token_is_kept_if_it_fails_too() {
    let (ours, theirs) = two();
    let rotated = std::sync::Once::new();
    let bad = || refused("invalid_grant", json!({ "suberror": "bad_token" }));
    let server = Server::new([bad(), invalid_grant()])
        .meanwhile(|| rotated.call_once(|| rotate(&theirs, "rotated")));
    let error = client(&ours).acquire_token_silent(SCOPE, &user(), &server).unwrap_err();
    assert!(error.is_interaction_required());
    assert_eq!(refresh_token_secret(&ours), "rotated");
}

#[test]
fn a_constantly_rotated_token_is_retried_a_limited_number_of_times() {
    let (ours, theirs) = two();
    let serial = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::new((0..5).map(|_| invalid_grant())).meanwhile(|| {
        let serial = serial.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        rotate(&theirs, &format!("rotated {serial}"));
    });
    let error = client(&ours).acquire_token_silent(SCOPE, &user(), &server).unwrap_err();
    assert!(error.is_interaction_required());
    assert_eq!(server.requests().len(), 5);
}

fn a_refresh_never_replaces_a_token_rotated_by_another_process(open: Open) {
    let (cache, _) = open();
    fill(&cache, &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("rt", 9)])]);
    let other = cache.clone();
    let server =
        Server::new([refreshed("uid", "ours")]).meanwhile(move || rotate(&other, "theirs"));
    let token = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(token.secret().expose(), "AT-ours");
    assert_eq!(refresh_token_secret(&cache), "theirs");
}

#[test]
fn a_refresh_token_removed_without_its_account_is_stored_again() {
    let (ours, theirs) = two();
    let server = Server::new([refreshed("uid", "new")]).meanwhile(|| {
        let token = &theirs.find(CredentialType::RefreshToken, &Query::new()).unwrap()[0];
        theirs.remove_rt(token).unwrap();
    });
    client(&ours).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(refresh_token_secret(&ours), "RT-new");
}

#[test]
fn concurrent_sign_ins_are_kept() {
    let (ours, theirs) = two();
    let server = Server::new([refreshed("uid", "new")]).meanwhile(|| {
        theirs.add(&sign_in("uid", "Mail.Read", "mail")).unwrap();
        theirs.add(&sign_in("bob", "User.Read", "bob")).unwrap();
    });
    client(&ours).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    let secrets: Vec<_> =
        section(&ours, "AccessToken").iter().map(|it| it["secret"].to_string()).collect();
    for secret in ["\"AT-new\"", "\"AT-mail\"", "\"AT-bob\""] {
        assert!(secrets.iter().any(|it| it == secret), "{secret}: {secrets:?}");
    }
}

#[test]
fn a_caller_that_waited_searches_again_before_it_redeems() {
    for force in [false, true] {
        let store = Arc::new(Memory::new());
        let (theirs, _) = over(store.clone());
        let (ours, _) = over(Counting::new(store.clone()));
        let left = if force { 3600 } else { 0 };
        fill(
            &ours,
            &[
                ("AccessToken", vec![access_token("User.Read", "old", left)]),
                ("RefreshToken", vec![refresh_token("rt", 9)]),
            ],
        );
        let request = SilentRequest::new(SCOPE, &user()).force_refresh(force);
        let held = store.guard(&Partition::user(HOME), Duration::ZERO).unwrap();
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| client(&ours).acquire(&request, &Server::new([])));
            while ours.store().guards.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            theirs.add(&sign_in("uid", "User.Read", "theirs")).unwrap();
            drop(held);
            let token = waiting.join().unwrap().unwrap();
            assert_eq!(token.secret().expose(), "AT-theirs");
            assert_eq!(token.source(), TokenSource::Cache);
        });
    }
}

#[test]
fn a_guard_held_too_long_is_an_error() {
    let (ours, theirs) = two();
    let _held = theirs.store().guard(&Partition::user(HOME), Duration::ZERO).unwrap();
    let client = client(&ours).with_guard_wait(Duration::from_millis(10));
    let error = client.acquire_token_silent(SCOPE, &user(), &Server::new([])).unwrap_err();
    let AcquireError::Cache(error) = error else { panic!("{error}") };
    assert!(matches!(&*error, Error::Locked { .. }) && error.is_retryable(), "{error}");
}

#[test]
fn an_aging_token_does_not_wait_for_the_guard() {
    let (ours, theirs) = two();
    let aging = super::with(
        access_token("User.Read", "at", 3600),
        json!({ "refresh_on": NOW.to_string() }),
    );
    fill(&ours, &[("AccessToken", vec![aging]), ("RefreshToken", vec![refresh_token("rt", 9)])]);
    let _held = theirs.store().guard(&Partition::user(HOME), Duration::ZERO).unwrap();
    let token = client(&ours).acquire_token_silent(SCOPE, &user(), &Server::new([])).unwrap();
    assert_eq!(token.secret().expose(), "at");
}

#[test]
fn a_token_rejected_by_an_api_can_be_invalidated() {
    let (ours, theirs) = two();
    fill(
        &ours,
        &[
            ("AccessToken", vec![access_token("User.Read", "revoked", 3600)]),
            ("RefreshToken", vec![refresh_token("rt", 9)]),
        ],
    );
    let client = client(&ours);
    let none = Server::new([]);
    let revoked = client.acquire_token_silent(SCOPE, &user(), &none).unwrap();
    assert!(client.invalidate(&revoked).unwrap());
    assert!(!client.invalidate(&revoked).unwrap());
    let server = Server::new([refreshed("uid", "new")]);
    let token = client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(token.secret().expose(), "AT-new");
    // Another process renews the token before the API rejects it.
    let entry = theirs.find(CredentialType::AccessToken, &Query::new()).unwrap()[0].clone();
    let fields = msal_cache::Fields::new().set("secret", "renewed");
    theirs.modify(CredentialType::AccessToken, &entry, Some(&fields)).unwrap();
    assert!(!client.invalidate(&token).unwrap());
    let token = client.acquire_token_silent(SCOPE, &user(), &none).unwrap();
    assert_eq!(token.secret().expose(), "renewed");
}

#[test]
fn a_minimal_response_keeps_the_user_signed_in() {
    let (ours, _) = two();
    let server = Server::new([issued("new", json!({}))]);
    client(&ours).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(section(&ours, "Account"), [account()]);
    assert_eq!(refresh_token_secret(&ours), "rt");
}

#[test]
fn a_user_who_signs_out_during_a_family_refresh_stays_signed_out() {
    let (ours, theirs) = two();
    let family = json!({ "client_id": "another", "family_id": "1" });
    let rt = super::with(refresh_token("family", 9), family);
    fill(&ours, &[("Account", vec![account()]), ("RefreshToken", vec![rt])]);
    let server = Server::new([refreshed("uid", "new")])
        .meanwhile(|| assert_eq!(client(&theirs).remove_account(&user()).unwrap(), 1));
    let error = client(&ours).acquire_token_silent(SCOPE, &user(), &server).unwrap_err();
    let AcquireError::InteractionRequired(error) = error else { panic!("{error}") };
    assert!(error.was_signed_out(), "{error}");
    assert!(section(&ours, "AccessToken").is_empty() && section(&ours, "Account").is_empty());
    assert_eq!(refresh_token_secret(&ours), "RT-new", "the other app's token is still valid");
}
