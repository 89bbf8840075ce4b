//! Plans of silent requests, and their explanations.

use msal_cache::SilentRequest;
use msal_cache::acquire::RefreshReason;
use msal_cache::plan::{ClientFamily, Role, Verdict};
use serde_json::json;

use super::server::{Server, client_mismatch, refreshed};
use super::{HOME, access_token, account, app_metadata, client, fill, refresh_token, user, with};
use crate::common::{CLIENT, NOW, cache};

fn request() -> SilentRequest {
    SilentRequest::new(["User.Read", "Mail.Read"], &user())
}

#[test]
fn a_plan_has_a_verdict_for_each_cached_token() {
    let both = |secret, left| access_token("User.Read Mail.Read", secret, left);
    let cases = [
        (json!({ "expires_on": "soon" }), "can't be used"),
        (json!({ "client_id": "other" }), "of another client"),
        (json!({ "environment": "other.example" }), "of another cloud"),
        (json!({ "realm": "other" }), "for another tenant"),
        (json!({ "token_type": "pop" }), "of another token type"),
        (json!({ "key_id": "k" }), "bound to another key"),
        (json!({ "user_assertion_hash": "h" }), "of another flow"),
        (json!({ "ext_cache_key": "k" }), "with another extended cache key"),
        (json!({ "target": "User.Read" }), "lacks Mail.Read"),
        (json!({ "refresh_on": (NOW - 1).to_string() }), "superseded"),
        (json!({}), "superseded"),
    ];
    // Of those that satisfy the request, the last one counts.
    let last = [
        (json!({ "expires_on": (NOW - 5).to_string() }), "expired 5 s ago"),
        (json!({ "expires_on": (NOW + 299).to_string() }), "expires in 299 s"),
        (json!({ "cached_at": (NOW + 301).to_string() }), "stored 301 s in the future"),
        (json!({ "refresh_on": (NOW - 1).to_string() }), "to be refreshed since 1 s"),
    ];
    let (cache, _) = cache();
    for last in &last {
        let cases = || cases.iter().chain([last]);
        let tokens = cases().map(|(changes, _)| with(both("at", 3600), changes.clone()));
        fill(&cache, &[("AccessToken", tokens.collect())]);
        let plan = client(&cache).plan(&request()).unwrap();
        let verdicts: Vec<_> =
            plan.candidates().iter().map(|it| it.verdict().to_string()).collect();
        assert_eq!(verdicts.len(), cases().count());
        for ((_, expected), verdict) in cases().zip(&verdicts) {
            assert!(verdict.contains(expected), "{verdict} instead of {expected}");
            assert!(plan.to_string().contains(verdict.as_str()));
        }
        assert!(plan.to_string().starts_with("12 cached access tokens:"));
        assert!(plan.cached().is_none());
    }
    let plan = client(&cache).plan(&request()).unwrap();
    assert_eq!(plan.refresh_reason(), Some(RefreshReason::Aging));
    assert_eq!(plan.fallback(), Some(plan.candidates()[11].entry()));
    // With a valid token in addition.
    cache.add(&crate::common::sign_in("uid", "User.Read Mail.Read", "good")).unwrap();
    let plan = client(&cache).plan(&request()).unwrap();
    assert_eq!(plan.cached().unwrap().access_token().unwrap().secret().expose(), "AT-good");
    assert_eq!(plan.refresh_reason(), None);
    assert!(plan.attempts().is_empty(), "no request is planned");
    let skipped = client(&cache).plan(&request().force_refresh(true)).unwrap();
    assert!(skipped.candidates().iter().any(|it| *it.verdict() == Verdict::Skipped));
}

#[test]
fn planned_attempts_match_the_actual_attempts() {
    let (cache, _) = cache();
    let sibling = with(refresh_token("family", 5), json!({ "client_id": "s", "family_id": "1" }));
    fill(&cache, &[("RefreshToken", vec![sibling, refresh_token("own", 0)])]);
    let client = client(&cache);
    let before = crate::common::document(&cache);
    let plan = client.plan(&request()).unwrap();
    assert_eq!(crate::common::document(&cache), before, "a plan changes nothing");
    assert_eq!(*plan.family(), ClientFamily::Unknown);
    let planned: Vec<_> = plan
        .attempts()
        .iter()
        .map(|it| (it.entry().refresh_token().unwrap().secret().expose(), it.role()))
        .collect();
    assert_eq!(planned, [("family", Role::MaybeFamily), ("own", Role::Own)]);
    let server = Server::new([client_mismatch(), refreshed("uid", "x")]);
    client.acquire(&request(), &server).unwrap();
    assert_eq!(server.redeemed(), ["family", "own"]);
    let known = client.plan(&request().force_refresh(true)).unwrap();
    assert_eq!(*known.family(), ClientFamily::None, "the response has no family");
}

#[test]
fn a_printed_plan_contains_no_secrets_or_users() {
    let (cache, _) = cache();
    fill(
        &cache,
        &[
            ("AccessToken", vec![access_token("User.Read Mail.Read", "s3cret", -60)]),
            ("RefreshToken", vec![refresh_token("s3cret", 0)]),
            ("Account", vec![account()]),
            ("AppMetadata", vec![app_metadata(CLIENT, Some("1"))]),
        ],
    );
    let plan = client(&cache).plan(&request()).unwrap();
    let text = plan.to_string();
    for word in [
        "1 cached access token:",
        "expired 60 s ago",
        "the client is in family \"1\"",
        "requested from https://login.example/tenant/oauth2/v2.0/token",
        "1. client_id \"client-id\"",
        "the client's own",
    ] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
    assert!(!text.contains("s3cret") && !text.contains(HOME), "{text}");
    assert!(!format!("{plan:?}").contains("s3cret"));
    let own = client(&cache).plan(&SilentRequest::for_client(["s"])).unwrap();
    assert!(own.to_string().contains("with the credential of the client"), "{own}");
}
