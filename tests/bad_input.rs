//! Invalid input changes nothing. Its error names the field and contains no secret.

use crate::common::{CLIENT, NOW, cache, document, sign_in};
use msal_cache::{CredentialType, Error, Event, Fields, Memory, Profile, Query, TokenCache};
use serde_json::{Value, json};

fn event(changes: &Value) -> Value {
    let mut event = json!({
        "client_id": CLIENT,
        "token_endpoint": "https://login.example/tenant/oauth2/v2.0/token",
        "scope": ["s"],
        "response": {"access_token": "CANARY-AT", "refresh_token": "CANARY-RT", "expires_in": 3600},
        "data": {"password": "CANARY-PASSWORD"},
    });
    for (name, value) in changes.as_object().unwrap() {
        if name == "response" {
            let response = event["response"].as_object_mut().unwrap();
            response.extend(value.as_object().unwrap().clone());
        } else {
            event[name] = value.clone();
        }
    }
    event
}

/// The field and reason of the error. Asserts that the cache is unchanged.
fn refused(changes: &Value) -> (String, String) {
    let (cache, _) = cache();
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let before = document(&cache);
    let added = Event::from_json(&event(changes).to_string()).and_then(|event| cache.add(&event));
    let error = added.expect_err(&changes.to_string());
    assert_eq!(document(&cache), before);
    let printed = format!("{error} / {error:?}");
    assert!(!printed.contains("CANARY"), "{printed}");
    match error {
        Error::Invalid { field, reason } => (field, reason),
        other => panic!("{other:?}"),
    }
}

/// The stored access token.
fn stored(changes: &Value) -> Value {
    let (cache, _) = cache();
    cache.add(&Event::from_json(&event(changes).to_string()).unwrap()).unwrap();
    let document = document(&cache);
    document["AccessToken"].as_object().unwrap().values().next().unwrap().clone()
}

#[test]
fn an_event_that_is_not_a_json_object_is_rejected() {
    for text in ["", "CANARY", "{\"client_id\": \"CANARY", "{\"client_id\": CANARY}"] {
        let error = Event::from_json(text).unwrap_err();
        assert!(matches!(error, Error::Corrupt { position: Some(_), .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("CANARY"));
    }
    for text in ["null", "[\"CANARY\"]", "\"CANARY\"", "7"] {
        let error = Event::from_json(text).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("CANARY"));
        let error = serde_json::from_str::<Event>(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"));
    }
}

#[test]
fn an_event_whose_client_is_no_text_is_rejected() {
    for client in [json!(7), json!(["CANARY"]), json!(false), json!({ "CANARY": 1 })] {
        assert_eq!(refused(&json!({ "client_id": client })).0, "event.client_id");
    }
}

/// As MSAL Python adds it for the system-assigned managed identity.
#[test]
fn an_event_without_a_client_is_stored_and_found() {
    for event in [
        Event::from_json("{}").unwrap(),
        Event::from_json(r#"{"client_id": null}"#).unwrap(),
        Event::without_client(),
    ] {
        for profile in [Profile::Python, Profile::Family] {
            let cache = TokenCache::builder(Memory::new()).profile(profile).build();
            let response = Fields::new().set("access_token", "AT").set("expires_in", 3600);
            let event = event
                .clone()
                .token_endpoint("https://localhost/managed_identity")
                .scope(["https://vault.azure.net"])
                .response(response);
            assert!(cache.add(&event).unwrap().account().is_none());
            let query = Query::new().client_id(None).home_account_id(None);
            let found = |query: &Query| cache.find(CredentialType::AccessToken, query).unwrap();
            assert_eq!(found(&query).len(), 1, "{profile:?}");
            assert_eq!(found(&query.clone().realm("managed_identity")).len(), 1);
            assert!(found(&query.clone().realm("another")).is_empty());
            assert!(found(&Query::new().client_id("")).is_empty());
            let unreadable: Vec<_> = cache
                .entries(None)
                .unwrap()
                .into_iter()
                .filter(|it| it.problem().is_some())
                .collect();
            assert!(unreadable.is_empty(), "{unreadable:?}");
        }
    }
}

#[test]
fn fields_of_the_wrong_type_are_rejected_by_name() {
    for (name, value) in [
        ("scope", json!(7)),
        ("scope", json!(["s", {"CANARY": 1}])),
        ("response", json!({"access_token": ["CANARY"]})),
        ("response", json!({"refresh_token": {"CANARY": 1}})),
        ("response", json!({"id_token": 7})),
        ("data", json!(["CANARY"])),
        ("token_endpoint", json!({"CANARY": 1})),
        ("environment", json!(["CANARY"])),
        ("grant_type", json!(7)),
        ("skip_account_creation", json!("CANARY")),
    ] {
        let (field, _) = refused(&json!({ name: value }));
        assert!(field.starts_with(&format!("event.{name}")), "{field}");
    }
}

#[test]
fn an_invalid_authority_is_rejected() {
    for address in ["", "CANARY", "http://login.example/t", "https://login.example", "https:///t"] {
        assert_eq!(refused(&json!({ "token_endpoint": address })).0, "event.token_endpoint");
    }
}

#[test]
fn an_id_token_that_is_not_a_jwt_is_rejected() {
    for token in
        ["CANARY", "a.CANARY*.c", "a.Q0FOQVJZ.c", "a.WyJDQU5BUlkiXQ.c", "a.eyJhIjoxfQ.no-sub"]
    {
        let field = refused(&json!({"response": {"id_token": token}})).0;
        assert_eq!(field, "event.response.id_token", "{token}");
    }
}

#[test]
fn unreadable_client_info_is_rejected() {
    for info in [json!("CANARY*"), json!("Q0FOQVJZ"), json!(7)] {
        let field = refused(&json!({"response": {"client_info": info}})).0;
        assert_eq!(field, "event.response.client_info");
    }
}

#[test]
fn lifetimes_that_are_not_seconds_are_rejected() {
    for (lifetime, expires_on) in [
        (json!(3600), NOW + 3600),
        (json!("3600"), NOW + 3600),
        (json!(" 3600 "), NOW + 3600),
        (json!(3600.7), NOW + 3600),
        (json!(0), NOW),
        // As in MSAL Python, it is stored, but never found.
        (json!(-1), NOW - 1),
        (json!(null), NOW + 600),
    ] {
        let stored = stored(&json!({"response": {"expires_in": lifetime}}));
        assert_eq!(stored["expires_on"], expires_on.to_string(), "{lifetime}");
    }
    for lifetime in [
        json!(1e300),
        json!(i64::MAX),
        json!("abc"),
        json!("1e3"),
        json!(""),
        json!([3600]),
        json!(true),
        json!("CANARY"),
    ] {
        for name in ["expires_in", "ext_expires_in", "refresh_in"] {
            let (field, reason) = refused(&json!({"response": {name: lifetime}}));
            assert_eq!(field, format!("event.response.{name}"), "{lifetime}");
            assert_eq!(reason, "it is not a number of seconds in range");
        }
    }
}

#[test]
fn a_token_expired_on_arrival_is_stored_but_not_found() {
    let (cache, _) = cache();
    let event = event(&json!({"response": {"expires_in": -1}}));
    cache.add(&Event::from_json(&event.to_string()).unwrap()).unwrap();
    assert_eq!(cache.find(CredentialType::AccessToken, &Query::new()).unwrap(), []);
    assert_eq!(cache.find(CredentialType::RefreshToken, &Query::new()).unwrap().len(), 1);
}

#[test]
fn an_unreadable_document_changes_nothing() {
    let long = format!("{{\"Account\": {{\"k\": {{\"secret\": \"{}", "CANARY".repeat(1000));
    for state in
        ["CANARY", " ", "null", "[\"CANARY\"]", "{\"AccessToken\": [\"CANARY\"]}", long.as_str()]
    {
        let (cache, _) = cache();
        cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
        let before = cache.serialize().unwrap();
        let error = cache.deserialize(state).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("CANARY"));
        assert_eq!(cache.serialize().unwrap(), before);
    }
}

#[test]
fn an_invalid_record_is_skipped_and_kept() {
    for odd in [json!(7), json!("s"), json!(null), json!([]), json!(true), json!({})] {
        let (cache, _) = cache();
        cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
        let mut state = document(&cache);
        for section in ["AccessToken", "RefreshToken", "IdToken", "Account", "AppMetadata"] {
            state[section]["odd"] = odd.clone();
        }
        cache.deserialize(&state.to_string()).unwrap();
        for of in CredentialType::KNOWN {
            assert_eq!(cache.find(of.clone(), &Query::new()).unwrap().len(), 1, "{of} {odd}");
            let entries = cache.entries(Some(of)).unwrap();
            assert_eq!(entries.iter().filter(|it| it.problem().is_some()).count(), 1);
        }
        assert_eq!(document(&cache), state);
    }
}

#[test]
fn a_document_of_100_mb_is_read_and_written() {
    const SIZE: usize = 100 << 20;
    let (cache, _) = cache();
    let large = "x".repeat(SIZE);
    let state =
        json!({"Account": {"k": {"home_account_id": "u.t", "username": large}}}).to_string();
    cache.deserialize(&state).unwrap();
    let query = Query::new().home_account_id("u.t");
    let found = cache.find(CredentialType::Account, &query).unwrap();
    assert_eq!(found[0].account().unwrap().username().map(str::len), Some(SIZE));
    assert!(cache.serialize().unwrap().len() > SIZE);
    // Truncated.
    assert!(matches!(cache.deserialize(&state[..SIZE]), Err(Error::Corrupt { .. })));
    assert_eq!(cache.find(CredentialType::Account, &query).unwrap().len(), 1);
}
