//! The newest evidence wins: no request is answered by an access token that an earlier response
//! brought, after a later one for the same API. And flows don't mix.

use msal_cache::plan::Verdict;
use msal_cache::store::CacheStore;
use msal_cache::{
    AcquireError, AcquiredToken, Client, CredentialType, Entry, Error, Event, Fields, Limits,
    Memory, Profile, Query, SilentRequest, TokenCache,
};
use serde_json::{Value, json};

use super::server::{Response, Server, issued, unreachable};
use super::{access_token, account, client, fill, refresh_token, section, user, with};
use crate::common::{NOW, REALM, cache, client_info, over, sign_in};

const CHALLENGE: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1700000100"}}}"#;

fn granted(secret: &str, scopes: &str) -> Response {
    let more = json!({
        "refresh_token": format!("RT-{secret}"), "scope": scopes, "client_info": client_info("uid"),
    });
    issued(secret, more)
}

fn secret(token: &AcquiredToken) -> &str {
    token.secret().expose()
}

/// Both profiles, with an account and a refresh token of the user.
fn both(check: impl Fn(&TokenCache, &Client, &msal_cache::clock::ManualClock)) {
    for profile in [Profile::Python, Profile::Family] {
        let clock = std::sync::Arc::new(msal_cache::clock::ManualClock::new(NOW));
        let cache =
            TokenCache::builder(Memory::new()).profile(profile).clock(clock.clone()).build();
        let records =
            [("RefreshToken", vec![refresh_token("RT", 0)]), ("Account", vec![account()])];
        fill(&cache, &records);
        check(&cache, &client(&cache), &clock);
    }
}

fn plain(scopes: &str) -> SilentRequest {
    SilentRequest::new([scopes], &user())
}

#[test]
fn a_challenge_and_a_forced_refresh_replace_a_narrower_token() {
    for pause in [60, 0] {
        both(|_, client, clock| {
            let get = |request: &SilentRequest, response: Response| {
                let token = client.acquire(request, &Server::new([response])).unwrap();
                clock.advance(pause);
                secret(&token).to_owned()
            };
            let hit = |scopes: &str| {
                secret(&client.acquire(&plain(scopes), &Server::new([])).unwrap()).to_owned()
            };
            get(&plain("User.Read"), granted("1", "User.Read openid profile"));
            assert_eq!(hit("User.Read"), "AT-1");
            get(&plain("Mail.Read"), granted("2", "Mail.Read User.Read openid profile"));
            assert_eq!(hit("User.Read"), "AT-2", "pause {pause}");
            let challenged = plain("User.Read").claims_challenge(CHALLENGE);
            get(&challenged, granted("3", "User.Read openid profile"));
            assert_eq!(hit("User.Read"), "AT-3", "pause {pause}");
            // The wider token came before, and its API has refused it.
            let server = Server::new([granted("4", "Mail.Read User.Read openid profile")]);
            let token = client.acquire(&plain("Mail.Read"), &server).unwrap();
            assert_eq!(secret(&token), "AT-4", "pause {pause}");
            get(&plain("User.Read").force_refresh(true), granted("5", "User.Read openid profile"));
            assert_eq!(hit("User.Read"), "AT-5", "pause {pause}");
        });
    }
}

#[test]
fn a_sign_in_replaces_what_came_before_whichever_keys_it_has() {
    both(|cache, client, clock| {
        let sign_in = |scopes: &str, secret: &str| sign_in("uid", scopes, secret);
        cache.add(&sign_in("User.Read", "narrow")).unwrap();
        cache.add(&sign_in("User.Read Mail.Read", "wide")).unwrap();
        cache.add(&sign_in("User.Read", "narrow again")).unwrap();
        for scopes in ["User.Read", "user.read"] {
            let token = client.acquire(&plain(scopes), &Server::new([])).unwrap();
            assert_eq!(secret(&token), "AT-narrow again");
        }
        clock.advance(1);
        cache.add(&sign_in("Mail.Read User.Read", "wide again")).unwrap();
        let token = client.acquire(&plain("User.Read"), &Server::new([])).unwrap();
        assert_eq!(secret(&token), "AT-wide again");
    });
}

#[test]
fn an_invalidated_token_does_not_bring_an_earlier_one_back() {
    both(|cache, client, clock| {
        for (scopes, secret) in [
            ("User.Read", "first"),
            ("Files.Read", "other"),
            ("User.Read Mail.Read", "second"),
            ("Mail.Read", "third"),
        ] {
            cache.add(&sign_in("uid", scopes, secret)).unwrap();
            clock.advance(1);
        }
        let third = client.acquire(&plain("Mail.Read"), &Server::new([])).unwrap();
        assert!(client.invalidate(&third).unwrap());
        for scopes in ["Mail.Read", "User.Read"] {
            let plan = client.plan(&plain(scopes)).unwrap();
            assert!(plan.cached().is_none() && plan.fallback().is_none(), "{plan}");
        }
        let other = client.acquire(&plain("Files.Read"), &Server::new([])).unwrap();
        assert_eq!(secret(&other), "AT-other");
    });
}

fn lasting(scopes: &str, secret: &str, seconds: i64) -> Event {
    let response = Fields::new()
        .set("access_token", format!("AT-{secret}"))
        .set("client_info", client_info("uid"))
        .set("expires_in", seconds);
    sign_in("uid", scopes, secret).response(response)
}

#[test]
fn a_purge_does_not_bring_an_older_token_back_that_is_valid_for_longer() {
    fn check<S: CacheStore + 'static>(store: S, profile: Profile) {
        let clock = std::sync::Arc::new(msal_cache::clock::ManualClock::new(NOW));
        let cache = TokenCache::builder(store).profile(profile).clock(clock.clone()).build();
        cache.add(&lasting("Files.Read", "other", 7200)).unwrap();
        cache.add(&lasting("User.Read Mail.Read", "long", 7200)).unwrap();
        clock.advance(1);
        cache.add(&lasting("User.Read", "short", 600)).unwrap();
        clock.advance(700);
        let before = section(&cache, "AccessToken").len();
        let purged = cache.purge_expired().unwrap();
        let left = section(&cache, "AccessToken").len();
        assert_eq!((purged, left), ((before - 1) as u64, 1), "{profile:?}");
        let client = client(&cache);
        for scopes in ["User.Read", "Mail.Read"] {
            let plan = client.plan(&plain(scopes)).unwrap();
            assert!(plan.cached().is_none() && plan.fallback().is_none(), "{plan}");
        }
        let other = client.acquire(&plain("Files.Read"), &Server::new([])).unwrap();
        assert_eq!(secret(&other), "AT-other");
        assert_eq!(cache.purge_expired().unwrap(), 0);
    }
    for profile in [Profile::Python, Profile::Family] {
        check(Memory::new(), profile);
        #[cfg(feature = "sqlite")]
        {
            let folder = tempfile::tempdir().unwrap();
            check(msal_cache::SqliteStore::open(folder.path().join("cache.db")).unwrap(), profile);
        }
        #[cfg(feature = "file")]
        {
            let folder = tempfile::tempdir().unwrap();
            check(msal_cache::FileStore::open(folder.path().join("cache.json")).unwrap(), profile);
        }
    }
}

/// In a store that deletes what has expired by itself, such as one with a time to live.
#[cfg(feature = "sqlite")]
#[test]
fn a_store_that_no_other_library_shares_has_no_token_that_outlives_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = msal_cache::SqliteStore::open(folder.path().join("cache.db")).unwrap();
    let cache = TokenCache::builder(store).profile(Profile::Python).build();
    cache.add(&lasting("User.Read Mail.Read", "long", 7200)).unwrap();
    cache.add(&lasting("User.Read Files.Read", "longer", 7300)).unwrap();
    assert_eq!(section(&cache, "AccessToken").len(), 2);
    cache.add(&lasting("User.Read", "short", 600)).unwrap();
    assert_eq!(section(&cache, "AccessToken").len(), 1);
}

#[test]
fn a_limit_does_not_bring_an_older_token_back() {
    for limits in [Limits::new().access_tokens_of_one_owner(3), Limits::new().access_tokens(3)] {
        let clock = std::sync::Arc::new(msal_cache::clock::ManualClock::new(NOW));
        let cache = TokenCache::builder(Memory::new()).limits(limits).clock(clock.clone()).build();
        let client = client(&cache);
        cache.add(&lasting("User.Read Mail.Read", "old", 7200)).unwrap();
        clock.advance(1);
        cache.add(&lasting("User.Read", "new", 3600)).unwrap();
        for scopes in ["Files.Read", "Notes.Read", "Tasks.Read"] {
            clock.advance(1);
            // The older token is the one that was used last.
            let query = Query::new().home_account_id(super::HOME).target(["Mail.Read"]);
            cache.find(CredentialType::AccessToken, &query).unwrap();
            cache.add(&lasting(scopes, scopes, 3600)).unwrap();
            for (scopes, may_be) in [("User.Read", "AT-new"), ("Mail.Read", "none")] {
                let plan = client.plan(&plain(scopes)).unwrap();
                let token = plan.cached().and_then(Entry::access_token);
                let found = token.map(|it| it.secret().expose().to_owned());
                assert!(found.as_deref().is_none_or(|it| it == may_be), "{plan}");
            }
        }
        assert!(section(&cache, "AccessToken").len() <= 3);
    }
}

#[test]
fn an_older_token_that_is_valid_for_longer_does_not_come_back() {
    both(|cache, client, clock| {
        cache.add(&lasting("User.Read Mail.Read", "long", 7200)).unwrap();
        clock.advance(1);
        cache.add(&lasting("User.Read", "short", 600)).unwrap();
        clock.advance(700);
        // This deletes what has expired.
        cache.add(&lasting("Files.Read", "other", 3600)).unwrap();
        for scopes in ["User.Read", "Mail.Read"] {
            assert!(client.plan(&plain(scopes)).unwrap().cached().is_none(), "{scopes}");
        }
    });
}

#[test]
fn a_request_that_names_no_api_gets_the_last_token_with_its_scope() {
    both(|cache, client, clock| {
        for (scopes, secret) in
            [("api://a/read email", "a"), ("api://b/read email", "b"), ("api://c/read", "c")]
        {
            cache.add(&sign_in("uid", scopes, secret)).unwrap();
            clock.advance(1);
        }
        let token = client.acquire(&plain("email"), &Server::new([])).unwrap();
        assert_eq!(secret(&token), "AT-b");
    });
}

#[test]
fn the_token_of_another_api_is_still_returned() {
    both(|cache, client, clock| {
        cache.add(&sign_in("uid", "api://a/read openid profile", "a")).unwrap();
        clock.advance(5);
        cache.add(&sign_in("uid", "api://b/read openid profile", "b")).unwrap();
        for (scopes, expected) in [("api://a/read", "AT-a"), ("api://b/read", "AT-b")] {
            let token = client.acquire(&plain(scopes), &Server::new([])).unwrap();
            assert_eq!(secret(&token), expected, "the scopes of OpenID Connect are of no API");
        }
    });
}

#[test]
fn the_family_profile_keeps_one_token_of_an_api_and_the_python_profile_all() {
    for (profile, left) in [(Profile::Python, 2), (Profile::Family, 1)] {
        let cache = TokenCache::builder(Memory::new()).profile(profile).build();
        cache.add(&sign_in("uid", "User.Read Mail.Read", "1")).unwrap();
        cache.add(&sign_in("uid", "User.Read", "2")).unwrap();
        assert_eq!(section(&cache, "AccessToken").len(), left, "{profile:?}");
    }
}

#[test]
fn a_clock_that_was_set_back_or_differs_does_not_bring_an_old_token_back() {
    both(|cache, client, clock| {
        // Another machine, whose clock is ahead, has stored the first one.
        clock.set(NOW + 200);
        cache.add(&sign_in("uid", "User.Read", "ahead")).unwrap();
        clock.set(NOW);
        let request = plain("User.Read").force_refresh(true);
        client.acquire(&request, &Server::new([granted("new", "User.Read Mail.Read")])).unwrap();
        let token = client.acquire(&plain("User.Read"), &Server::new([])).unwrap();
        assert_eq!(secret(&token), "AT-new");
        // A day.
        clock.set(NOW - 86_400);
        cache.add(&sign_in("uid", "User.Read", "a day before")).unwrap();
        let token = client.acquire(&plain("User.Read"), &Server::new([])).unwrap();
        assert_eq!(secret(&token), "AT-a day before");
    });
}

#[test]
fn what_another_library_left_is_superseded() {
    let at = |secret: &str, scopes: &str, age: i64, left: i64| {
        let times = json!({ "cached_at": (NOW - age).to_string() });
        with(access_token(scopes, secret, left), times)
    };
    // MSAL Python, Go and Java keep all of them. The newest is about to expire.
    for (newest, reason) in [(3600, None), (100, Some("expires in 100 s"))] {
        let (cache, _) = cache();
        let tokens = vec![
            at("old", "User.Read", 30, 3600),
            at("wide", "User.Read Mail.Read", 20, 3600),
            at("new", "User.Read", 10, newest),
        ];
        fill(&cache, &[("AccessToken", tokens), ("Account", vec![account()])]);
        let plan = client(&cache).plan(&plain("User.Read")).unwrap();
        assert_eq!(plan.cached().is_some(), reason.is_none(), "{plan}");
        let verdicts: Vec<_> = plan.candidates().iter().map(|it| it.verdict().clone()).collect();
        assert_eq!(verdicts[..2], [Verdict::Superseded, Verdict::Superseded]);
        assert!(reason.is_none_or(|reason| verdicts[2].to_string() == reason));
        // No token with this scope is newer, but the newer ones are for the same API.
        let plan = client(&cache).plan(&plain("Mail.Read")).unwrap();
        assert_eq!(plan.candidates()[1].verdict(), &Verdict::Superseded);
        assert!(plan.cached().is_none() && plan.fallback().is_none());
        let outage = client(&cache).acquire(&plain("Mail.Read"), &Server::new([unreachable()]));
        assert!(outage.is_err());
    }
}

/// A user signs in while a refresh of an earlier session is on its way.
#[test]
fn a_response_does_not_replace_what_was_stored_since_its_request() {
    both(|cache, client, clock| {
        let server = Server::new([granted("refresh", "User.Read Mail.Read")]).meanwhile(|| {
            cache.add(&sign_in("uid", "User.Read", "sign-in")).unwrap();
            clock.advance(1);
        });
        let token = client.acquire(&plain("User.Read"), &server).unwrap();
        assert_eq!(secret(&token), "AT-refresh", "it is good, but nothing is stored of it");
        let token = client.acquire(&plain("User.Read"), &Server::new([])).unwrap();
        assert_eq!(secret(&token), "AT-sign-in");
    });
}

/// An app has two requests on their way at once: a challenge, and one that was sent before it.
#[test]
fn a_request_of_an_app_does_not_replace_the_response_to_a_challenge() {
    let (cache, _) = cache();
    let client = client(&cache);
    let own = || SilentRequest::for_client(["api/.default"]);
    let challenge = || {
        let request = own().claims_challenge(CHALLENGE);
        client.acquire(&request, &Server::new([issued("challenge", json!({}))])).unwrap();
    };
    let slow = Server::new([issued("slow", json!({}))]).meanwhile(challenge);
    assert_eq!(secret(&client.acquire(&own(), &slow).unwrap()), "AT-slow");
    let token = client.acquire(&own(), &Server::new([])).unwrap();
    assert_eq!(secret(&token), "AT-challenge");

    // The reverse: the response to the challenge is stored, whatever came meanwhile.
    let plain = || {
        let request = own().force_refresh(true);
        client.acquire(&request, &Server::new([issued("plain", json!({}))])).unwrap();
    };
    let slow = Server::new([issued("challenge 2", json!({}))]).meanwhile(plain);
    client.acquire(&own().claims_challenge(CHALLENGE), &slow).unwrap();
    let token = client.acquire(&own(), &Server::new([])).unwrap();
    assert_eq!(secret(&token), "AT-challenge 2");
}

#[test]
fn a_request_without_scopes_is_invalid_and_blank_claims_are_none() {
    let (cache, _) = cache();
    let tokens = vec![
        access_token("https://management.azure.com/.default", "management", 3600),
        access_token("https://vault.azure.net/.default", "vault", 3600),
    ];
    let own = with(tokens[0].clone(), json!({ "home_account_id": "" }));
    let all = [tokens.clone(), vec![own]].concat();
    fill(&cache, &[("AccessToken", all), ("Account", vec![account()])]);
    let it = client(&cache);
    let is_invalid = |error: AcquireError, field: &str| {
        let AcquireError::Invalid(error) = error else { panic!("{error}") };
        assert!(matches!(&*error, Error::Invalid { field: it, .. } if it == field), "{error}");
    };
    for scopes in [&[][..], &[""], &["  "], &["\t", ""]] {
        for request in [SilentRequest::new(scopes, &user()), SilentRequest::for_client(scopes)] {
            is_invalid(it.acquire(&request, &Server::new([])).unwrap_err(), "scopes");
            assert!(it.plan(&request).is_err());
        }
    }
    let scope = "https://vault.azure.net/.default";
    for blank in ["", " ", "\n"] {
        let request = plain(scope).claims_challenge(blank);
        let request = request.data(Fields::new().set("token_type", blank).set("key_id", blank));
        assert_eq!(secret(&it.acquire(&request, &Server::new([])).unwrap()), "vault", "none given");

        let nobody = msal_cache::AccountInfo::of(blank);
        let request = SilentRequest::new([scope], &nobody);
        is_invalid(it.acquire(&request, &Server::new([])).unwrap_err(), "account");
        let no_client = cache.client(blank, format!("https://login.example/{REALM}"));
        is_invalid(no_client.acquire(&plain(scope), &Server::new([])).unwrap_err(), "client_id");
        for error in [
            cache.remove_user(blank),
            it.remove_account(&nobody),
            no_client.remove_account(&user()),
            no_client.remove_tokens_for_client(),
        ] {
            assert!(matches!(error, Err(Error::Invalid { .. })), "{error:?}");
        }
        assert!(it.accounts_named(blank).unwrap().is_empty());
    }
    assert_eq!(section(&cache, "AccessToken").len(), 3, "nothing was removed");
}

#[test]
fn a_plain_request_gets_no_token_of_another_flow() {
    for marks in [
        json!({ "user_assertion_hash": "h" }),
        json!({ "userAssertionHash": "h" }),
        json!({ "keyid": "k" }),
        json!({ "kid": "k" }),
        json!({ "key_id": "k" }),
        json!({ "kid": "\u{1}" }),
        json!({ "kid": ["k"] }),
        json!({ "token_type": "pop" }),
        json!({ "token_type": "ssh-cert" }),
        json!({ "credential_type": "AccessToken_With_AuthScheme" }),
        json!({ "credential_type": "AccessToken_With_AuthScheme", "token_type": null }),
        json!({ "credential_type": "accesstoken_with_authscheme", "token_type": "Bearer" }),
        json!({ "credential_type": "ATExt", "token_type": null }),
        json!({ "credential_type": "AText" }),
        json!({ "credential_type": "AccessToken_With_Something" }),
        json!({ "ext": { "fmi_path": "p" } }),
        json!({ "ext": { "fmi_path": { "nested": 1 } } }),
        json!({ "ext": 7 }),
        json!({ "additionalCacheKeyComponents": { "fmi_path": "p" } }),
        json!({ "additionalCacheKeyComponents": ["p"] }),
        json!({ "ext_cache_key": "k" }),
        json!({ "ext_cache_key_hash": "k" }),
        json!({ "requestedClaimsHash": "h" }),
    ] {
        for own in [false, true] {
            let mut token = with(access_token("api/x", "of another flow", 3600), marks.clone());
            if own {
                token["home_account_id"] = json!(null);
            }
            if token["token_type"].is_null() {
                token.as_object_mut().unwrap().remove("token_type");
            }
            let (cache, _) = cache();
            fill(&cache, &[("AccessToken", vec![token])]);
            let request = if own { SilentRequest::for_client(["api/x"]) } else { plain("api/x") };
            let plan = client(&cache).plan(&request).unwrap();
            assert!(plan.cached().is_none(), "{marks}: {plan}");
        }
    }
    // What says nothing sets no token apart.
    for nothing in [
        json!({ "user_assertion_hash": null, "keyid": "", "kid": null, "ext": {}, "key_id": "" }),
        json!({ "additionalCacheKeyComponents": {}, "userAssertionHash": "", "ext_cache_key": "" }),
        json!({ "credential_type": null, "ext": { }, "requestedClaimsHash": "" }),
        json!({ "token_type": "" }),
        json!({ "token_type": " " }),
        json!({ "token_type": "N_A" }),
        json!({ "token_type": null }),
        json!({ "token_type": "bearer" }),
    ] {
        let (cache, _) = cache();
        let token = with(access_token("api/x", "plain", 3600), nothing.clone());
        fill(&cache, &[("AccessToken", vec![token])]);
        let plan = client(&cache).plan(&plain("api/x")).unwrap();
        assert!(plan.cached().is_some(), "{nothing}: {plan}");
    }
}

#[test]
fn a_key_is_found_by_the_name_of_each_library() {
    for name in ["key_id", "keyid", "kid"] {
        let (cache, _) = cache();
        let mut token = access_token("api/x", "bound", 3600);
        token["token_type"] = "pop".into();
        token[name] = "k".into();
        fill(&cache, &[("AccessToken", vec![token])]);
        let request = |key: &str| {
            let data = Fields::new().set("token_type", "pop").set("key_id", key);
            plain("api/x").data(data.set("req_cnf", "{}"))
        };
        assert!(client(&cache).plan(&request("k")).unwrap().cached().is_some(), "{name}");
        assert!(client(&cache).plan(&request("other")).unwrap().cached().is_none(), "{name}");
    }
}

#[test]
fn refresh_tokens_of_other_flows_are_not_redeemed() {
    for marks in [
        json!({ "user_assertion_hash": "h" }),
        json!({ "userAssertionHash": "h" }),
        json!({ "ext": { "fmi_path": "p" } }),
        json!({ "ext_cache_key": "k" }),
    ] {
        let (cache, _) = cache();
        let token = with(refresh_token("on behalf of another", 0), marks.clone());
        fill(&cache, &[("RefreshToken", vec![token]), ("Account", vec![account()])]);
        let plan = client(&cache).plan(&plain("api/x")).unwrap();
        assert!(plan.attempts().is_empty(), "{marks}");
    }
}

fn acquired_from<S: CacheStore + 'static>(
    client: &Client<S>,
    more: Value,
) -> Result<AcquiredToken, AcquireError> {
    let response = issued("x", more);
    client.acquire(&SilentRequest::for_client(["api/.default"]), &Server::new([response]))
}

#[test]
fn a_token_without_a_type_is_found_again() {
    for profile in [Profile::Python, Profile::Family] {
        for token_type in [json!(null), json!(""), json!(" "), json!("N_A"), json!("bearer")] {
            let cache = TokenCache::builder(Memory::new()).profile(profile).build();
            let client = cache.client("app", "https://adfs.example/adfs");
            let first = acquired_from(&client, json!({ "token_type": token_type })).unwrap();
            assert_eq!(secret(&first), "AT-x");
            let request = SilentRequest::for_client(["api/.default"]);
            let second = client.acquire(&request, &Server::new([])).unwrap();
            assert_eq!(secret(&second), "AT-x", "{token_type}");
        }
    }
}

#[test]
fn a_response_of_another_type_or_with_odd_scopes_is_refused() {
    for (more, field) in [
        (json!({ "token_type": "pop" }), "response.token_type"),
        (json!({ "token_type": "DPoP" }), "response.token_type"),
        (json!({ "token_type": 7 }), "response.token_type"),
        (json!({ "scope": ["a", "b"] }), "response.scope"),
        (json!({ "scope": 7 }), "response.scope"),
        (json!({ "scope": { "a": 1 } }), "response.scope"),
    ] {
        let (cache, _) = cache();
        let error = acquired_from(&client(&cache), more.clone()).unwrap_err();
        let AcquireError::InvalidResponse(error) = error else { panic!("{more}: {error}") };
        assert!(matches!(&*error, Error::Invalid { field: it, .. } if it == field), "{error}");
        assert!(section(&cache, "AccessToken").is_empty());
    }
    // Blank scopes are those that were requested.
    for scope in [json!(""), json!("  "), json!(null)] {
        let (cache, _) = cache();
        let token = acquired_from(&client(&cache), json!({ "scope": scope })).unwrap();
        assert_eq!(token.access_token().target(), Some("api/.default"));
    }
}

#[test]
fn a_new_refresh_token_is_kept_although_the_rest_of_the_response_is_refused() {
    let (cache, _) = cache();
    let records = [("RefreshToken", vec![refresh_token("RT", 0)]), ("Account", vec![account()])];
    fill(&cache, &records);
    let response = issued("x", json!({ "refresh_token": "RT-x", "scope": ["User.Read"] }));
    let error = client(&cache).acquire(&plain("User.Read"), &Server::new([response])).unwrap_err();
    assert!(matches!(error, AcquireError::InvalidResponse(_)), "{error}");
    assert_eq!(section(&cache, "RefreshToken")[0]["secret"], "RT-x");
}

/// An ID token with these claims.
fn id_token(claims: &Value) -> String {
    format!("e30.{}.signature", crate::common::base64(&claims.to_string()))
}

#[test]
fn a_refresh_for_another_user_is_refused_also_without_client_info() {
    let guid = "11111111-2222-3333-4444-555555555555";
    let entra = format!("uid.{guid}");
    for (home, stored, response, is_same) in [
        // At home, the object id is the user's.
        (&*entra, None, json!({ "sub": "x", "oid": "uid", "tid": guid }), true),
        (&*entra, None, json!({ "sub": "x", "oid": "UID", "tid": guid }), true),
        (&*entra, None, json!({ "sub": "x", "oid": "bob", "tid": guid }), false),
        // Elsewhere, only an earlier ID token tells.
        (&*entra, None, json!({ "sub": "x", "oid": "guest", "tid": "other" }), true),
        (&*entra, Some("x"), json!({ "sub": "x", "oid": "guest", "tid": "other" }), true),
        (&*entra, Some("x"), json!({ "sub": "y", "oid": "guest", "tid": "other" }), false),
        (&*entra, Some("x"), json!({ "oid": "guest" }), true),
        // AD FS: the id is the subject.
        ("subject", None, json!({ "sub": "subject" }), true),
        ("subject", None, json!({ "sub": "bob" }), false),
        ("first.last", None, json!({ "sub": "bob" }), false),
        ("first.last", Some("first.last"), json!({ "sub": "first.last" }), true),
    ] {
        let (cache, _) = over(Memory::new());
        let of_user = json!({ "home_account_id": home });
        let mut records = vec![
            ("RefreshToken", vec![with(refresh_token("RT", 0), of_user.clone())]),
            ("Account", vec![with(account(), of_user.clone())]),
        ];
        if let Some(subject) = stored {
            let token = json!({
                "credential_type": "IdToken", "secret": id_token(&json!({ "sub": subject })),
                "environment": "login.example", "client_id": "client-id", "realm": REALM,
            });
            records.push(("IdToken", vec![with(token, of_user)]));
        }
        fill(&cache, &records);
        let more = json!({ "refresh_token": "RT-x", "id_token": id_token(&response) });
        let request = SilentRequest::new(["User.Read"], &msal_cache::AccountInfo::of(home));
        let outcome = client(&cache).acquire(&request, &Server::new([issued("x", more)]));
        let what = format!("{home} {stored:?} {response}");
        if is_same {
            assert_eq!(secret(&outcome.unwrap()), "AT-x", "{what}");
        } else {
            let error = outcome.unwrap_err();
            assert!(matches!(error, AcquireError::InvalidResponse(_)), "{what}: {error}");
            assert!(section(&cache, "AccessToken").is_empty(), "{what}");
            assert_eq!(section(&cache, "RefreshToken")[0]["secret"], "RT", "{what}");
        }
    }
}

#[test]
fn an_event_with_a_type_of_no_meaning_is_stored_for_all_libraries() {
    let cache = TokenCache::builder(Memory::new()).profile(Profile::Family).build();
    for token_type in ["", "N_A"] {
        let response = Fields::new().set("access_token", "AT").set("token_type", token_type);
        let event = Event::new("app")
            .token_endpoint("https://login.example/tenant/token")
            .scope(["api/.default"])
            .response(response);
        cache.add(&event).unwrap();
        assert_eq!(section(&cache, "AccessToken")[0]["token_type"], "Bearer");
    }
}
