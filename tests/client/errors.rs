//! Errors: who can change them, and what they print.

use msal_cache::acquire::ServerError;
use msal_cache::endpoint::{TokenResponse, TransportErrorKind};
use msal_cache::{AcquireError, Error, Fields, SilentRequest};
use serde_json::{Value, json};

use super::server::{Server, refused};
use super::{access_token, account, client, fill, refresh_token, user, with};
use crate::common::{CLIENT, NOW, cache};

const SCOPE: [&str; 1] = ["User.Read"];
const OWN: [&str; 1] = ["api/.default"];

fn response(status: u16, body: &Value) -> TokenResponse {
    TokenResponse::new(status, Fields::from_json(&body.to_string()).unwrap())
}

fn server_error(body: &Value) -> ServerError {
    ServerError::of(&response(400, body)).expect("it is a refusal")
}

/// The error of a refresh to which the server responds with these members.
fn refresh(status: u16, body: &Value) -> AcquireError {
    let (cache, _) = cache();
    fill(&cache, &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("rt", 0)])]);
    let server = Server::new([Ok(response(status, body))]);
    client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap_err()
}

fn own_token(status: u16, body: &Value) -> AcquireError {
    let (cache, _) = cache();
    let server = Server::new([Ok(response(status, body))]);
    client(&cache).acquire_token_for_client(OWN, &server).unwrap_err()
}

#[test]
fn what_is_wrong_with_the_app_is_not_for_its_users() {
    for (status, error, code) in [
        (401, "invalid_client", 7_000_222),
        (400, "unauthorized_client", 700_016),
        (400, "invalid_scope", 70_011),
        (400, "invalid_request", 900_144),
        (400, "invalid_resource", 500_011),
        (400, "unsupported_grant_type", 70_003),
    ] {
        let body = json!({
            "error": error, "error_description": format!("AADSTS{code}: ..."), "error_codes": [code],
        });
        for acquired in [refresh(status, &body), own_token(status, &body)] {
            let AcquireError::Configuration(said) = &acquired else { panic!("{acquired:?}") };
            assert!(!acquired.is_interaction_required());
            assert_eq!((said.error(), said.error_codes()), (error, &[code][..]));
            assert_eq!(acquired.server_error(), Some(said));
        }
    }
}

#[test]
fn what_a_user_can_change_requires_interaction() {
    for body in [
        json!({ "error": "invalid_grant" }),
        json!({ "error": "interaction_required", "suberror": "basic_action" }),
        json!({ "error": "login_required" }),
        json!({ "error": "consent_required" }),
        json!({ "error": "access_denied" }),
        json!({ "error": "something_new" }),
        // A scope that the user has not granted: of another server than Microsoft's.
        json!({ "error": "invalid_scope" }),
        // A claims challenge, whatever the error is.
        json!({ "error": "invalid_request", "claims": "{\"access_token\":{}}" }),
    ] {
        let error = refresh(400, &body);
        assert!(error.is_interaction_required(), "{body}: {error:?}");
        let error = own_token(400, &body);
        assert!(matches!(error, AcquireError::Refused(_)), "{body}: {error:?}");
    }
}

#[test]
fn an_outage_in_words_is_an_outage() {
    for error in ["temporarily_unavailable", "server_error"] {
        let body = json!({ "error": error });
        for acquired in [refresh(400, &body), own_token(400, &body)] {
            let AcquireError::Transport(outage) = &acquired else { panic!("{acquired:?}") };
            assert_eq!(outage.kind(), TransportErrorKind::Unavailable);
            assert_eq!(outage.status(), Some(400));
        }
    }
}

#[test]
fn a_token_that_is_still_valid_is_returned_whatever_is_wrong_with_the_app() {
    let aging =
        with(access_token("User.Read", "at", 3600), json!({ "refresh_on": (NOW - 1).to_string() }));
    let (cache, _) = cache();
    fill(&cache, &[("AccessToken", vec![aging]), ("RefreshToken", vec![refresh_token("rt", 0)])]);
    let server = Server::new([refused("invalid_client", json!({}))]);
    let token = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(token.secret().expose(), "at");
    assert!(matches!(token.refresh_error(), Some(AcquireError::Configuration(_))));
}

#[test]
fn wrong_arguments_are_errors_of_the_caller() {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 0)])]);
    let plain = || SilentRequest::new(SCOPE, &user());
    let it = client(&cache);
    for (client, request, field) in [
        (cache.client(CLIENT, "nowhere"), plain(), "authority"),
        (it.clone().with_token_endpoint("nowhere"), plain(), "token_endpoint"),
        (it.clone(), SilentRequest::new(["openid"], &user()), "scopes"),
        (it.clone(), SilentRequest::for_client([""; 0]), "scopes"),
        (it.clone(), plain().claims_challenge("s3cret"), "claims_challenge"),
        (it.clone(), plain().data(Fields::new().set("token_type", "ssh-cert")), "req_cnf"),
        // A parameter that is no part of any key.
        (it.clone(), plain().data(Fields::new().set("claims", json!([1.5]))), "data.claims"),
        (
            cache.client(CLIENT, "https://login.example/consumers"),
            SilentRequest::for_client(OWN),
            "authority",
        ),
    ] {
        let error = client.acquire(&request, &Server::new([])).unwrap_err();
        let AcquireError::Invalid(wrong) = &error else { panic!("{field}: {error:?}") };
        assert!(matches!(&**wrong, Error::Invalid { field: it, .. } if it.contains(field)));
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}

#[test]
fn the_words_of_the_server_are_kept_in_any_type() {
    let said = server_error(&json!({
        "error": { "code": "InvalidThing", "message": "the thing", "innererror": { "x": [1] } },
        "error_codes": ["50076", 50079, " 7 ", "none", null],
        "suberror": 5, "claims": { "access_token": {} }, "correlation_id": 12, "trace_id": ["t"],
        "timestamp": "2026-01-01", "error_additional_info": [{ "kind": "client_mismatch" }],
    }));
    assert_eq!(said.error(), "InvalidThing");
    assert_eq!(said.error_description(), Some("the thing"));
    assert_eq!(said.error_codes(), [50076, 50079, 7]);
    assert_eq!(said.suberror(), Some("5"));
    assert_eq!(said.claims(), Some(r#"{"access_token":{}}"#));
    assert_eq!((said.correlation_id(), said.trace_id()), (Some("12"), Some(r#"["t"]"#)));
    assert!(said.is_client_mismatch());
    assert_eq!(said.body().get("timestamp"), Some(&json!("2026-01-01")));
    assert_eq!(said.body().get("error").unwrap()["innererror"]["x"][0], 1);

    for (error, code) in [
        (json!("invalid_grant"), "invalid_grant"),
        (json!(42), "42"),
        (json!({ "reason": "x" }), r#"{"reason":"x"}"#),
        (json!(["a", "b"]), r#"["a","b"]"#),
        (json!({ "error": "nested" }), "nested"),
    ] {
        assert_eq!(server_error(&json!({ "error": error })).error(), code);
    }
    assert_eq!(
        server_error(&json!({ "error": "x", "error_codes": "50076" })).error_codes(),
        [50076]
    );
    for body in [json!({}), json!({ "error": null }), json!({ "error": false })] {
        assert!(ServerError::of(&response(400, &body)).is_none(), "{body}");
    }
}

#[test]
fn what_a_server_sends_cant_forge_a_line_of_a_log() {
    let forged = "invalid_grant\u{1b}[2J\r\n2026-01-01 INFO all is well \u{202e}\u{9b}";
    let long = "x".repeat(1_000_000);
    for error in [forged, &long] {
        let body = json!({
            "error": error, "suberror": error, "correlation_id": error, "error_codes": [1],
        });
        let acquired = refresh(400, &body);
        let printed = format!("{acquired} {acquired:?} {:?}", acquired.server_error());
        assert!(printed.len() < 5000, "{} bytes", printed.len());
        assert!(!printed.chars().any(|it| it.is_control() || it == '\u{202e}'), "{printed:?}");
        // As data, it is what the server sent.
        assert_eq!(acquired.server_error().unwrap().error(), error);
    }
}
