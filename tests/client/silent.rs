//! Silent token requests: tokens from the cache, and by a refresh token.

use std::error::Error as _;
use std::time::Duration;

use msal_cache::acquire::{RefreshReason, TokenSource};
use msal_cache::endpoint::{TokenResponse, TransportErrorKind};
use msal_cache::{AcquireError, Error, Fields, SilentRequest};
use serde_json::json;

use super::server::{Server, invalid_grant, issued, refreshed, refused, unavailable, unreachable};
use super::{access_token, account, client, fill, refresh_token, section, user, with};
use crate::common::{CLIENT, NOW, cache, id_token};

const SCOPE: [&str; 1] = ["User.Read"];

#[test]
fn a_valid_token_comes_from_the_cache_without_a_request() {
    let (cache, _) = cache();
    fill(&cache, &[("AccessToken", vec![access_token("User.Read openid", "at", 3600)])]);
    let server = Server::new([]);
    for scopes in [&["User.Read"][..], &["user.read"], &["USER.READ", "User.Read"]] {
        let token = client(&cache).acquire_token_silent(scopes, &user(), &server).unwrap();
        assert_eq!(token.secret().expose(), "at");
        assert_eq!(token.source(), TokenSource::Cache);
        assert_eq!(token.refresh_reason(), None);
        assert_eq!(token.access_token().expires_on(), NOW + 3600);
    }
    assert!(!cache.has_state_changed());
}

#[test]
fn a_token_that_expires_within_the_skew_is_refreshed() {
    for (left, skew, hit) in
        [(300, 300, true), (299, 300, false), (0, 0, true), (-1, 0, false), (599, 600, false)]
    {
        let (cache, _) = cache();
        fill(
            &cache,
            &[
                ("AccessToken", vec![access_token("User.Read", "at", left)]),
                ("RefreshToken", vec![refresh_token("rt", 0)]),
            ],
        );
        let server = Server::new([refreshed("uid", "new")]);
        let client = client(&cache).with_skew(skew);
        let token = client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
        let expected = if hit { "at" } else { "AT-new" };
        assert_eq!(token.secret().expose(), expected, "{left} {skew}");
        if !hit {
            assert_eq!(token.refresh_reason(), Some(RefreshReason::Expired));
            assert_eq!(token.source(), TokenSource::IdentityProvider);
        }
    }
}

#[test]
fn the_request_equals_that_of_msal_python() {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 0)])]);
    let server = Server::new([refreshed("uid", "new")]);
    client(&cache).acquire_token_silent(["b", "a", "b"], &user(), &server).unwrap();
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(request.token_endpoint(), "https://login.example/tenant/oauth2/v2.0/token");
    assert_eq!(request.client_id(), CLIENT);
    assert_eq!(request.anchor_mailbox(), Some("Oid:uid@tenant"));
    let form: Vec<_> = request.form().iter().collect();
    assert_eq!(
        form,
        [
            ("client_id", CLIENT),
            ("grant_type", "refresh_token"),
            ("client_info", "1"),
            ("refresh_token", "rt"),
            ("scope", "a b offline_access openid profile"),
        ]
    );
    assert!(!format!("{request:?}").contains("rt"), "{request:?}");
}

#[test]
fn a_response_is_stored_in_one_commit_and_replaces_the_refresh_token() {
    let (cache, _) = crate::common::over(crate::common::Counting::new(msal_cache::Memory::new()));
    fill(&cache, &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("rt", 9)])]);
    let before = cache.store().commits();
    let server = Server::new([refreshed("uid", "new")]);
    client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(cache.store().commits(), before + 1);
    let document = crate::common::document(&cache);
    let token = &document["RefreshToken"]["RefreshToken 00"];
    assert_eq!(token["secret"], "RT-new");
    assert_eq!(token["last_modification_time"], NOW.to_string());
    assert_eq!(token["target"], "openid", "other fields are unchanged");
    assert_eq!(document["RefreshToken"].as_object().unwrap().len(), 1);
    assert_eq!(section(&cache, "AccessToken")[0]["secret"], "AT-new");
    assert_eq!(section(&cache, "AccessToken")[0]["target"], "User.Read openid profile");
    assert_eq!(section(&cache, "IdToken")[0]["secret"], id_token("uid"));
    let renamed = with(account(), json!({ "username": "uid@example" }));
    assert_eq!(section(&cache, "Account"), [renamed], "only the name of the ID token is new");
}

#[test]
fn values_missing_from_a_response_are_unchanged() {
    let (cache, _) = cache();
    let id = json!({
        "credential_type": "IdToken", "secret": "id", "home_account_id": super::HOME,
        "environment": "login.example", "client_id": CLIENT, "realm": "tenant",
    });
    fill(
        &cache,
        &[
            ("Account", vec![account()]),
            ("IdToken", vec![id.clone()]),
            ("RefreshToken", vec![refresh_token("rt", 9)]),
        ],
    );
    let server = Server::new([issued("new", json!({}))]);
    let token = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(section(&cache, "RefreshToken"), [refresh_token("rt", 9)]);
    assert_eq!(section(&cache, "IdToken"), [id]);
    assert_eq!(section(&cache, "Account"), [account()]);
    assert_eq!(token.access_token().home_account_id(), Some(super::HOME), "it is not an app token");
    let scopes: Vec<_> = token.access_token().scopes().collect();
    assert_eq!(scopes, ["User.Read", "offline_access", "openid", "profile"], "as requested");
    // The stored token is found.
    assert_eq!(
        client(&cache).acquire_token_silent(SCOPE, &user(), &Server::new([])).unwrap().source(),
        TokenSource::Cache
    );
}

#[test]
fn an_aging_token_is_refreshed_and_returned_if_that_fails() {
    let aging =
        with(access_token("User.Read", "at", 3600), json!({ "refresh_on": (NOW - 1).to_string() }));
    for response in [refreshed("uid", "new"), invalid_grant(), unreachable(), unavailable(503)] {
        let (cache, _) = cache();
        fill(
            &cache,
            &[("AccessToken", vec![aging.clone()]), ("RefreshToken", vec![refresh_token("rt", 0)])],
        );
        let fails = response.as_ref().is_ok_and(|it| it.status() == 200);
        let server = Server::new([response]);
        let token = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
        assert_eq!(token.secret().expose(), if fails { "AT-new" } else { "at" });
        assert_eq!(token.refresh_reason(), Some(RefreshReason::Aging));
        assert_eq!(token.refresh_error().is_none(), fails);
        assert_eq!(server.requests().len(), 1);
    }
    // Before `refresh_on`, no request is sent.
    let (cache, _) = cache();
    let young = with(aging, json!({ "refresh_on": (NOW + 1).to_string() }));
    fill(&cache, &[("AccessToken", vec![young])]);
    let token = client(&cache).acquire_token_silent(SCOPE, &user(), &Server::new([])).unwrap();
    assert_eq!(token.refresh_reason(), None);
}

#[test]
fn the_extended_lifetime_applies_during_an_outage() {
    let expired = with(
        access_token("User.Read", "at", -60),
        json!({ "extended_expires_on": (NOW + 60).to_string() }),
    );
    for (response, until, served) in [
        (unreachable(), 60, true),
        (unavailable(500), 60, true),
        (unavailable(429), 60, true),
        (unreachable(), 0, false),
        (invalid_grant(), 60, false),
    ] {
        let (cache, _) = cache();
        let token =
            with(expired.clone(), json!({ "extended_expires_on": (NOW + until).to_string() }));
        fill(
            &cache,
            &[("AccessToken", vec![token]), ("RefreshToken", vec![refresh_token("rt", 0)])],
        );
        let what = format!("{response:?} {until}");
        let server = Server::new([response]);
        let acquired = client(&cache).acquire_token_silent(SCOPE, &user(), &server);
        assert_eq!(acquired.is_ok(), served, "{what}");
        if let Ok(token) = acquired {
            assert_eq!(token.secret().expose(), "at");
            assert!(matches!(token.refresh_error(), Some(AcquireError::Transport(_))));
        }
    }
}

#[test]
fn a_forced_refresh_and_a_claims_challenge_skip_the_cache() {
    let challenge = r#"{"access_token":{"nbf":{"essential":true}}}"#;
    for (request, reason, claims) in [
        (SilentRequest::new(SCOPE, &user()).force_refresh(true), RefreshReason::ForceRefresh, None),
        (
            SilentRequest::new(SCOPE, &user()).claims_challenge(challenge),
            RefreshReason::ClaimsChallenge,
            Some(challenge),
        ),
    ] {
        let (cache, _) = cache();
        fill(
            &cache,
            &[
                ("AccessToken", vec![access_token("User.Read", "at", 3600)]),
                ("RefreshToken", vec![refresh_token("rt", 0)]),
            ],
        );
        let server = Server::new([unreachable(), refreshed("uid", "new")]);
        let client = client(&cache);
        let error = client.acquire(&request, &server).unwrap_err();
        assert!(matches!(error, AcquireError::Transport(_)), "there is no fallback: {error}");
        let token = client.acquire(&request, &server).unwrap();
        assert_eq!(token.secret().expose(), "AT-new");
        assert_eq!(token.refresh_reason(), Some(reason));
        assert_eq!(server.requests()[1].form().get("claims"), claims);
    }
}

#[test]
fn client_capabilities_are_part_of_every_request() {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 0)])]);
    let server = Server::new([refreshed("uid", "new")]);
    let client = client(&cache).with_capabilities(["CP1"]);
    client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(
        server.requests()[0].form().get("claims"),
        Some(r#"{"access_token":{"xms_cc":{"values":["CP1"]}}}"#)
    );
}

#[test]
fn key_ids_and_token_types_must_match() {
    let bearer = access_token("User.Read", "bearer", 3600);
    let certificate = with(
        access_token("User.Read", "certificate", 3600),
        json!({ "token_type": "ssh-cert", "key_id": "k1" }),
    );
    let pop = with(access_token("User.Read", "pop", 3600), json!({ "token_type": "pop" }));
    let (cache, _) = cache();
    fill(&cache, &[("AccessToken", vec![certificate, pop, bearer])]);
    let ask = |data: Fields| {
        let request = SilentRequest::new(SCOPE, &user()).data(data);
        let acquired = client(&cache).acquire(&request, &Server::new([]));
        acquired.ok().map(|it| it.secret().expose().to_owned())
    };
    let fields = |key: &str| {
        Fields::new().set("token_type", "ssh-cert").set("req_cnf", "{}").set("key_id", key)
    };
    assert_eq!(ask(Fields::new()).as_deref(), Some("bearer"));
    assert_eq!(ask(fields("k1")).as_deref(), Some("certificate"));
    assert_eq!(ask(fields("k2")), None);
    assert_eq!(ask(Fields::new().set("token_type", "pop")).as_deref(), Some("pop"));
    assert_eq!(ask(Fields::new().set("token_type", "mac")), None);
    for lacking in ["req_cnf", "key_id"] {
        let request = SilentRequest::new(SCOPE, &user()).data(fields("k1").set(lacking, ""));
        let error = client(&cache).plan(&request).unwrap_err();
        assert!(error.to_string().contains(lacking), "{error}");
    }
}

#[test]
fn tokens_with_an_extended_key_are_distinct() {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 0)]), ("Account", vec![account()])]);
    let data = || Fields::new().set("fmi_path", "a/b").set("client_claims", r#"{"x":1}"#);
    let apart = SilentRequest::new(SCOPE, &user()).data(data());
    let server = Server::new([issued("apart", json!({})), issued("plain", json!({}))]);
    let client = client(&cache);
    let token = client.acquire(&apart, &server).unwrap();
    assert_eq!(token.secret().expose(), "AT-apart");
    assert!(token.access_token().ext_cache_key().is_some());
    let form = server.requests()[0].form().clone();
    assert_eq!(form.get("fmi_path"), Some("a/b"));
    assert_eq!(form.get("client_claims"), None, "it is merged into the claims");
    assert_eq!(form.get("claims"), Some(r#"{"x":1}"#));
    let plain = client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(plain.secret().expose(), "AT-plain");
    let none = Server::new([]);
    assert_eq!(client.acquire(&apart, &none).unwrap().secret().expose(), "AT-apart");
    assert_eq!(
        client.acquire_token_silent(SCOPE, &user(), &none).unwrap().secret().expose(),
        "AT-plain"
    );
}

#[test]
fn an_interaction_required_error_carries_the_server_error() {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 0)])]);
    let details = json!({
        "suberror": "basic_action", "claims": "{\"access_token\":{}}", "error_codes": [50076],
        "correlation_id": "c-1", "trace_id": "t-1",
    });
    let server = Server::new([refused("interaction_required", details)]);
    let error = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap_err();
    assert!(error.is_interaction_required());
    let details = error.server_error().unwrap();
    assert_eq!(details.error(), "interaction_required");
    assert_eq!(details.error_description(), Some("AADSTS: for Alice@Example"));
    assert_eq!(details.suberror(), Some("basic_action"));
    assert_eq!(details.classification(), Some("basic_action"));
    assert_eq!(details.claims(), Some("{\"access_token\":{}}"));
    assert_eq!(details.error_codes(), [50076]);
    assert_eq!(details.correlation_id(), Some("c-1"));
    assert_eq!(details.trace_id(), Some("t-1"));
    assert_eq!(details.status(), 400);
    let printed = format!("{error} {error:?}");
    assert!(printed.contains("interaction_required") && printed.contains("50076"), "{printed}");
    assert!(!printed.contains("Alice"), "{printed}");
    // An error is not cached: the next call sends a request.
    let server = Server::new([refreshed("uid", "new")]);
    assert!(client(&cache).acquire_token_silent(SCOPE, &user(), &server).is_ok());
}

#[test]
fn no_request_is_sent_without_a_refresh_token() {
    let (cache, _) = cache();
    let error = client(&cache).acquire_token_silent(SCOPE, &user(), &Server::new([])).unwrap_err();
    assert!(error.is_interaction_required());
    assert!(error.server_error().is_none());
    assert!(error.to_string().contains("no refresh token"), "{error}");
}

#[test]
fn an_outage_is_reported_with_its_cause() {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 0), refresh_token("second", 1)])]);
    let ask = |response| {
        let server = Server::new([response]);
        let error = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap_err();
        let AcquireError::Transport(error) = error else { panic!("{error}") };
        error
    };
    let error = ask(unreachable());
    assert_eq!(error.kind(), TransportErrorKind::Unreachable);
    assert_eq!(error.source().unwrap().to_string(), "no route to host");
    let error = ask(unavailable(503));
    assert_eq!(error.kind(), TransportErrorKind::Unavailable);
    assert_eq!((error.status(), error.retry_after()), (Some(503), Some(Duration::from_secs(7))));
    assert!(error.source().unwrap().to_string().contains("temporarily_unavailable"));
    let error = ask(TokenResponse::from_json(502, "<html>s3cret"));
    assert_eq!(error.kind(), TransportErrorKind::Unavailable);
    let error = ask(TokenResponse::from_json(200, "<html>s3cret"));
    assert_eq!(error.kind(), TransportErrorKind::Malformed);
    assert!(!format!("{error:?}").contains("s3cret"));
    let error = ask(Ok(TokenResponse::new(200, Fields::new())));
    assert_eq!(error.kind(), TransportErrorKind::Malformed);
    let error = ask(Ok(TokenResponse::new(302, Fields::new().set("access_token", "at"))));
    assert_eq!(error.kind(), TransportErrorKind::Malformed);
    assert_eq!(section(&cache, "RefreshToken").len(), 2, "no refresh token is removed");
}

#[test]
fn a_response_for_another_user_is_rejected() {
    let (cache, _) = cache();
    fill(&cache, &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("rt", 0)])]);
    let server = Server::new([refreshed("mallory", "new")]);
    let error = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap_err();
    assert!(matches!(error, AcquireError::InvalidResponse(_)), "{error}");
    assert_eq!(section(&cache, "AccessToken"), Vec::<serde_json::Value>::new());
    assert_eq!(section(&cache, "Account"), [account()]);
}

#[test]
fn an_invalid_response_still_stores_the_new_refresh_token() {
    let (cache, _) = cache();
    fill(&cache, &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("rt", 0)])]);
    let bad = issued("new", json!({ "expires_in": "soon", "refresh_token": "RT-new" }));
    let error =
        client(&cache).acquire_token_silent(SCOPE, &user(), &Server::new([bad])).unwrap_err();
    assert!(
        matches!(&error, AcquireError::InvalidResponse(it) if it.to_string().contains("expires_in"))
    );
    assert_eq!(section(&cache, "RefreshToken")[0]["secret"], "RT-new");
}

#[test]
fn a_token_that_cannot_be_stored_is_in_the_error() {
    #[derive(Debug)]
    struct Full(msal_cache::Memory);
    impl msal_cache::store::CacheStore for Full {
        fn load(
            &self,
            partition: &msal_cache::store::Partition,
            known: Option<msal_cache::store::Revision>,
        ) -> msal_cache::Result<msal_cache::store::Load> {
            self.0.load(partition, known)
        }
        fn commit(
            &self,
            batch: &msal_cache::store::Batch,
        ) -> msal_cache::Result<Vec<msal_cache::store::Revision>> {
            if format!("{batch:?}").contains("AccessToken") {
                return Err(Error::backend("full", "no space left"));
            }
            self.0.commit(batch)
        }
        fn list(
            &self,
            section: Option<&msal_cache::CredentialType>,
            known: Option<msal_cache::store::Revision>,
        ) -> msal_cache::Result<msal_cache::store::Load> {
            self.0.list(section, known)
        }
        fn purge(&self, now: i64) -> msal_cache::Result<u64> {
            self.0.purge(now)
        }
    }
    let (cache, _) = crate::common::over(Full(msal_cache::Memory::new()));
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 0)])]);
    let server = Server::new([refreshed("uid", "new")]);
    let error = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap_err();
    let AcquireError::NotStored { token, source } = error else { panic!("{error}") };
    assert_eq!(token.secret().expose(), "AT-new");
    assert!(source.source().unwrap().to_string().contains("no space left"));
}

#[test]
fn hosts_of_one_cloud_share_their_tokens() {
    let public = |cache: &msal_cache::TokenCache| {
        cache.client(CLIENT, "https://login.microsoftonline.com/tenant")
    };
    let under = |record, host: &str| with(record, json!({ "environment": host }));
    let (cache, _) = cache();
    let records = vec![
        under(access_token("User.Read", "china", 3600), "login.chinacloudapi.cn"),
        under(access_token("User.Read", "alias", 3600), "LOGIN.windows.net"),
    ];
    fill(
        &cache,
        &[
            ("AccessToken", records),
            ("RefreshToken", vec![under(refresh_token("rt", 0), "login.windows.net")]),
            ("Account", vec![under(account(), "login.windows.net")]),
        ],
    );
    let none = Server::new([]);
    let token = public(&cache).acquire_token_silent(SCOPE, &user(), &none).unwrap();
    assert_eq!(token.secret().expose(), "alias");
    // The request is sent to the app's authority, and the tokens are stored under the alias.
    let server = Server::new([refreshed("uid", "new")]);
    let token = public(&cache).acquire_token_silent(["Mail.Read"], &user(), &server).unwrap();
    assert_eq!(token.access_token().environment(), Some("login.windows.net"));
    assert!(
        server.requests()[0].token_endpoint().starts_with("https://login.microsoftonline.com/")
    );
    // Without clouds, a host has no aliases.
    let alone = msal_cache::TokenCache::builder(msal_cache::Memory::new())
        .clock(std::sync::Arc::new(msal_cache::clock::ManualClock::new(NOW)))
        .clouds(msal_cache::cloud::Clouds::none())
        .build();
    alone.deserialize(&cache.serialize().unwrap()).unwrap();
    assert!(public(&alone).acquire_token_silent(SCOPE, &user(), &none).is_err());
}

#[test]
fn the_newest_token_is_returned_whatever_its_scopes_and_host() {
    let token = |scopes: &str, secret: &str, host: &str, age: i64| {
        with(
            access_token(scopes, secret, 3600),
            json!({ "environment": host, "cached_at": (NOW - age).to_string() }),
        )
    };
    let (near, far) = ("login.microsoftonline.com", "login.windows.net");
    let mut tokens = vec![
        token("a", "narrow", near, 9),
        token("a b c", "wide", near, 0),
        token("a b", "old", near, 9),
        token("a b", "far", far, 1),
        token("a", "two", near, 2),
    ];
    for expected in ["wide", "far", "two", "old", "narrow"] {
        let (cache, _) = cache();
        fill(&cache, &[("AccessToken", tokens.clone())]);
        let client = cache.client(CLIENT, "https://login.microsoftonline.com/tenant");
        let found = client.acquire_token_silent(["a"], &user(), &Server::new([])).unwrap();
        assert_eq!(found.secret().expose(), expected);
        tokens.retain(|it| it["secret"] != expected);
    }
}

#[test]
fn invalid_input_is_an_error_without_a_request() {
    let (cache, _) = cache();
    let none = Server::new([]);
    let check = |error: AcquireError, word: &str| {
        let AcquireError::Invalid(error) = error else { panic!("{error}") };
        assert!(matches!(&*error, Error::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    };
    let it = client(&cache);
    for reserved in ["openid", "profile", "offline_access"] {
        let error = it.acquire_token_silent([reserved], &user(), &none).unwrap_err();
        check(error, "scopes");
    }
    let empty = msal_cache::AccountInfo::of("");
    check(it.acquire_token_silent(SCOPE, &empty, &none).unwrap_err(), "account");
    let request = SilentRequest::new(SCOPE, &user()).claims_challenge("s3cret");
    let error = it.acquire(&request, &none).unwrap_err();
    assert!(!format!("{error:?}").contains("s3cret"));
    check(error, "claims_challenge");
    for authority in ["", "http://login.example/t", "login.example/t", "https://login.example"] {
        let client = cache.client(CLIENT, authority);
        check(client.acquire_token_silent(SCOPE, &user(), &none).unwrap_err(), "authority");
        assert!(client.accounts().is_err());
    }
    let client = it.with_token_endpoint("nowhere");
    check(client.acquire_token_silent(SCOPE, &user(), &none).unwrap_err(), "token_endpoint");
}

#[test]
fn the_tenant_is_taken_from_the_token_endpoint() {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 0)])]);
    let server = Server::new([refreshed("uid", "new")]);
    let client = cache
        .client(CLIENT, "https://login.example/contoso.com")
        .with_token_endpoint("https://login.example/guid/oauth2/v2.0/token");
    let token = client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(token.access_token().realm(), Some("guid"));
    assert_eq!(server.requests()[0].token_endpoint(), client.token_endpoint().unwrap());
}

#[test]
fn a_clock_moved_back_does_not_extend_a_token() {
    let (cache, clock) = cache();
    fill(
        &cache,
        &[
            ("AccessToken", vec![access_token("User.Read", "at", 3600)]),
            ("RefreshToken", vec![refresh_token("rt", 0)]),
        ],
    );
    // By less than the tolerated clock skew.
    clock.set(NOW - 200);
    let client = client(&cache);
    let hit = client.acquire_token_silent(SCOPE, &user(), &Server::new([])).unwrap();
    assert_eq!(hit.source(), TokenSource::Cache);
    // By a day: the token may have expired.
    clock.set(NOW - 86_400);
    let server = Server::new([unreachable(), refreshed("uid", "new")]);
    let fallback = client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(fallback.secret().expose(), "at", "it is returned during an outage");
    let token = client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(token.secret().expose(), "AT-new");
    assert_eq!(token.refresh_reason(), Some(RefreshReason::ClockMovedBack));
}
