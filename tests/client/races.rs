//! What others do while the server is being asked.

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
    a_refresh_under_way_does_not_bring_back_who_was_signed_out
    a_failed_refresh_never_removes_what_another_process_has_rotated
    a_refresh_never_replaces_what_another_process_has_rotated
}

/// Two handles on one store, as two processes have them.
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

fn secret_of_the_refresh_token<S: CacheStore>(cache: &TokenCache<S>) -> String {
    section(cache, "RefreshToken")[0]["secret"].as_str().unwrap().to_owned()
}

fn a_refresh_under_way_does_not_bring_back_who_was_signed_out(open: Open) {
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
fn nor_does_an_aging_token_come_back() {
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
fn who_signed_out_and_in_again_keeps_the_new_sign_in() {
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

fn a_failed_refresh_never_removes_what_another_process_has_rotated(open: Open) {
    let (cache, _) = open();
    fill(&cache, &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("rt", 9)])]);
    let bad = refused("invalid_grant", json!({ "suberror": "bad_token" }));
    let other = cache.clone();
    let rotated = std::sync::Once::new();
    let server = Server::new([bad, refreshed("uid", "new")])
        .meanwhile(move || rotated.call_once(|| rotate(&other, "rotated")));
    let token = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(server.traded(), ["rt", "rotated"], "the one that was put there is tried");
    assert_eq!(token.secret().expose(), "AT-new");
    assert_eq!(secret_of_the_refresh_token(&cache), "RT-new");
}

#[test]
fn and_stays_where_that_fails_too() {
    let (ours, theirs) = two();
    let rotated = std::sync::Once::new();
    let bad = || refused("invalid_grant", json!({ "suberror": "bad_token" }));
    let server = Server::new([bad(), invalid_grant()])
        .meanwhile(|| rotated.call_once(|| rotate(&theirs, "rotated")));
    let error = client(&ours).acquire_token_silent(SCOPE, &user(), &server).unwrap_err();
    assert!(error.is_interaction_required());
    assert_eq!(secret_of_the_refresh_token(&ours), "rotated");
}

#[test]
fn a_writer_that_never_stops_rotating_does_not_keep_a_caller_for_ever() {
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

fn a_refresh_never_replaces_what_another_process_has_rotated(open: Open) {
    let (cache, _) = open();
    fill(&cache, &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("rt", 9)])]);
    let other = cache.clone();
    let server =
        Server::new([refreshed("uid", "ours")]).meanwhile(move || rotate(&other, "theirs"));
    let token = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(token.secret().expose(), "AT-ours");
    assert_eq!(secret_of_the_refresh_token(&cache), "theirs");
}

#[test]
fn a_refresh_token_that_was_removed_while_the_account_stayed_is_stored_anew() {
    let (ours, theirs) = two();
    let server = Server::new([refreshed("uid", "new")]).meanwhile(|| {
        let token = &theirs.find(CredentialType::RefreshToken, &Query::new()).unwrap()[0];
        theirs.remove_rt(token).unwrap();
    });
    client(&ours).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(secret_of_the_refresh_token(&ours), "RT-new");
}

#[test]
fn what_others_store_meanwhile_is_kept() {
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
fn whoever_had_to_wait_looks_again_before_it_spends_a_refresh_token() {
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
fn a_guard_that_is_held_too_long_is_told() {
    let (ours, theirs) = two();
    let _held = theirs.store().guard(&Partition::user(HOME), Duration::ZERO).unwrap();
    let client = client(&ours).with_guard_wait(Duration::from_millis(10));
    let error = client.acquire_token_silent(SCOPE, &user(), &Server::new([])).unwrap_err();
    let AcquireError::Cache(error) = error else { panic!("{error}") };
    assert!(matches!(&*error, Error::Locked { .. }) && error.is_retryable(), "{error}");
}

#[test]
fn an_aging_token_waits_for_nobody() {
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
fn a_token_that_an_api_refuses_can_be_invalidated() {
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
    // Another process has renewed it by the time that the API's answer is here.
    let entry = theirs.find(CredentialType::AccessToken, &Query::new()).unwrap()[0].clone();
    let fields = msal_cache::Fields::new().set("secret", "renewed");
    theirs.modify(CredentialType::AccessToken, &entry, Some(&fields)).unwrap();
    assert!(!client.invalidate(&token).unwrap());
    let token = client.acquire_token_silent(SCOPE, &user(), &none).unwrap();
    assert_eq!(token.secret().expose(), "renewed");
}

#[test]
fn an_answer_that_omits_everything_still_counts_as_signed_in() {
    let (ours, _) = two();
    let server = Server::new([issued("new", json!({}))]);
    client(&ours).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(section(&ours, "Account"), [account()]);
    assert_eq!(secret_of_the_refresh_token(&ours), "rt");
}

#[test]
fn who_signs_out_while_another_app_s_family_token_is_traded_stays_signed_out() {
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
    assert_eq!(secret_of_the_refresh_token(&ours), "RT-new", "the other app's is a good one");
}
