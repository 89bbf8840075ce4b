//! The device authorization grant, with each response that the server may send.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use msal_cache::endpoint::TransportErrorKind;
use msal_cache::http::{DeviceFlowError, HttpEndpoint};
use msal_cache::{CredentialType, Event, Query, TokenCache};

use crate::canary::clean;
use crate::http::{AUTHORITY, CLIENT, endpoint, reply};
use crate::stand_in::StandIn;
use crate::stand_in::server::{Server, json};

#[test]
fn a_user_signs_in_by_device_code() {
    let server = StandIn::start().unwrap();
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(format!("{}/token", server.url()))
        .device_authorization_endpoint(format!("{}/devicecode", server.url()))
        .build()
        .unwrap();
    let cache = TokenCache::in_memory();
    // Tokens are stored under the authority, whatever the address of its endpoint.
    let client = cache
        .client(CLIENT, AUTHORITY)
        .with_token_endpoint("https://elsewhere.example/tenant/oauth2/v2.0/token");
    let flow = endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap();
    assert_eq!(flow.user_code(), "WDJB-MJHT");
    assert_eq!(
        flow.message(),
        format!("To sign in, open {}/device and enter the code WDJB-MJHT.", server.url())
    );
    let printed = format!("{flow:?}");
    assert!(!printed.contains("WDJB") && !printed.contains("a device code"), "{printed}");

    let event = endpoint.acquire_token_by_device_flow(&flow, || false).unwrap();
    assert_eq!(server.token_requests(), 2, "the first poll is pending");
    cache.add(&event).unwrap();
    let query = Query::new().home_account_id("alice.contoso").environment("login.example");
    for credential_type in [
        CredentialType::AccessToken,
        CredentialType::RefreshToken,
        CredentialType::IdToken,
        CredentialType::Account,
    ] {
        assert_eq!(
            cache.find(credential_type.clone(), &query).unwrap().len(),
            1,
            "{credential_type}"
        );
    }
    let [account] = &cache.find(CredentialType::Account, &query).unwrap()[..] else { panic!() };
    assert_eq!(
        account.get("account_source").as_deref(),
        Some("urn:ietf:params:oauth:grant-type:device_code")
    );
    let [token] = &cache.find(CredentialType::AccessToken, &query).unwrap()[..] else { panic!() };
    assert_eq!(token.get("target").as_deref(), Some("User.Read offline_access openid profile"));
}

/// The outcome of a device flow and the number of polls. The token endpoint gives these responses
/// in turn and repeats the last one.
fn device_flow(
    turns: &'static [(&'static str, &'static str)],
    cancel_after: Duration,
) -> (Result<Event, DeviceFlowError>, usize) {
    const CODE: &str = r#"{"device_code":"CANARY","user_code":"X","verification_uri":"https://x",
                           "expires_in":"3","interval":"1"}"#;
    let next = AtomicUsize::new(0);
    let server = Server::start(move |request, out| {
        if request.path == "/device" {
            return json(out, "200 OK", CODE);
        }
        let turn = next.fetch_add(1, Ordering::Relaxed).min(turns.len() - 1);
        json(out, turns[turn].0, turns[turn].1)
    })
    .unwrap();
    let endpoint = endpoint(&server);
    let client = TokenCache::in_memory().client(CLIENT, AUTHORITY);
    let flow = endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap();
    let started = Instant::now();
    let outcome = endpoint.acquire_token_by_device_flow(&flow, || started.elapsed() > cancel_after);
    clean("an outcome", &format!("{outcome:?}"));
    (outcome, server.requests().len() - 1)
}

const PENDING: (&str, &str) = ("400 Bad Request", r#"{"error":"authorization_pending"}"#);
const NEVER: Duration = Duration::MAX;

#[test]
fn a_device_code_that_is_not_entered_expires() {
    let (outcome, polls) = device_flow(&[PENDING], NEVER);
    assert!(matches!(outcome, Err(DeviceFlowError::Expired)), "{outcome:?}");
    assert!((2..=4).contains(&polls), "{polls} polls in three seconds");
    let (outcome, _) = device_flow(&[("400 Bad Request", r#"{"error":"expired_token"}"#)], NEVER);
    assert!(matches!(outcome, Err(DeviceFlowError::Expired)), "{outcome:?}");
}

#[test]
fn a_device_flow_obeys_cancellation_and_slow_down() {
    let (outcome, polls) = device_flow(&[PENDING], Duration::ZERO);
    assert!(matches!(outcome, Err(DeviceFlowError::Cancelled)), "{outcome:?}");
    assert_eq!(polls, 0);
    // Without `slow_down`, the second poll follows after a second.
    let slow = &[("400 Bad Request", r#"{"error":"slow_down"}"#)];
    let (outcome, polls) = device_flow(slow, Duration::from_secs(2));
    assert!(matches!(outcome, Err(DeviceFlowError::Cancelled)), "{outcome:?}");
    assert_eq!(polls, 1);
}

#[test]
fn a_device_flow_fails_with_the_error_of_the_server() {
    let (outcome, _) = device_flow(&[("400 Bad Request", r#"{"error":"access_denied"}"#)], NEVER);
    assert!(matches!(outcome, Err(DeviceFlowError::Declined(_))), "{outcome:?}");
    let refused =
        &[("401 Unauthorized", r#"{"error":"invalid_client","error_description":"CANARY"}"#)];
    let (outcome, _) = device_flow(refused, NEVER);
    let Err(DeviceFlowError::Refused(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((error.error(), error.status()), ("invalid_client", 401));
    let (outcome, _) = device_flow(&[("200 OK", r#"{"token":"CANARY"}"#)], NEVER);
    assert!(matches!(outcome, Err(DeviceFlowError::Invalid(_))), "{outcome:?}");
    // The next poll would be in two seconds, when the code has less time left than that.
    let down = &[("503 Service Unavailable", r#"{"error":"x","error_description":"CANARY"}"#)];
    let (outcome, polls) = device_flow(down, NEVER);
    let Err(DeviceFlowError::Transport(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((error.kind(), error.status()), (TransportErrorKind::Unavailable, Some(503)));
    assert_eq!(polls, 1, "one poll");
}

#[test]
fn a_device_flow_survives_a_short_outage() -> io::Result<()> {
    let cut = AtomicUsize::new(0);
    let server = Server::start(move |request, out| match request.path.as_str() {
        "/device" => json(
            out,
            "200 OK",
            r#"{"device_code":"d","user_code":"X","verification_uri":"https://x","interval":1}"#,
        ),
        _ if cut.fetch_add(1, Ordering::Relaxed) == 0 => {
            out.write_all(reply("503 Service Unavailable", "Retry-After: 1\r\n", "").as_bytes())
        }
        _ => json(out, "200 OK", r#"{"access_token":"AT"}"#),
    })?;
    let client = TokenCache::in_memory().client(CLIENT, AUTHORITY);
    let endpoint = endpoint(&server);
    let flow = endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap();
    endpoint.acquire_token_by_device_flow(&flow, || false).unwrap();
    assert_eq!(server.requests().len(), 3);
    Ok(())
}

#[test]
fn a_device_flow_waits_while_a_name_can_not_be_looked_up() {
    let server = Server::start(|_, out| {
        let code = r#"{"device_code":"d","user_code":"X","verification_uri":"https://x",
                       "expires_in":4,"interval":1}"#;
        json(out, "200 OK", code)
    })
    .unwrap();
    let endpoint = HttpEndpoint::builder()
        .token_endpoint("https://host.invalid/token")
        .device_authorization_endpoint(server.url())
        .build()
        .unwrap();
    let client = TokenCache::in_memory().client(CLIENT, AUTHORITY);
    let flow = endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap();
    let started = Instant::now();
    let error = endpoint.acquire_token_by_device_flow(&flow, || false).unwrap_err();
    let DeviceFlowError::Transport(error) = error else { panic!("{error:?}") };
    assert_eq!(error.kind(), TransportErrorKind::Unreachable);
    assert!(started.elapsed() >= Duration::from_secs(2), "it polls again after two seconds");
}

#[test]
fn the_device_endpoint_moves_with_the_token_endpoint() {
    let server = StandIn::start().unwrap();
    let builder = HttpEndpoint::builder().token_endpoint(format!("{}/x/token", server.url()));
    let endpoint = builder.build().unwrap();
    let client = TokenCache::in_memory().client(CLIENT, AUTHORITY);
    endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap();
    assert_eq!(server.requests()[0].path, "/x/devicecode");

    let builder = HttpEndpoint::builder().token_endpoint(format!("{}/x/oauth", server.url()));
    let endpoint = builder.build().unwrap();
    let error = endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap_err();
    assert!(error.to_string().contains("doesn't end in /token"), "{error}");
}

#[test]
fn the_names_of_earlier_drafts_are_read() {
    let code = r#"{"device_code":"d","user_code":"X","verification_url":"https://v",
                   "verification_url_complete":"https://v?X"}"#;
    let server = Server::start(move |_, out| json(out, "200 OK", code)).unwrap();
    let client = TokenCache::in_memory().client(CLIENT, AUTHORITY);
    let flow = endpoint(&server).initiate_device_flow(&client, ["User.Read"], None).unwrap();
    assert_eq!(flow.verification_uri(), "https://v");
    assert_eq!(flow.verification_uri_complete(), Some("https://v?X"));
    assert_eq!(flow.message(), "To sign in, open https://v and enter the code X.");
}

#[test]
fn a_response_that_is_no_oauth_error_is_a_transport_error() {
    let server = Server::start(|_, out| json(out, "404 Not Found", r#"{"CANARY":1}"#)).unwrap();
    let client = TokenCache::in_memory().client(CLIENT, AUTHORITY);
    let error = endpoint(&server).initiate_device_flow(&client, ["User.Read"], None).unwrap_err();
    clean("an error", &format!("{error:?}"));
    let DeviceFlowError::Transport(error) = error else { panic!("{error:?}") };
    assert_eq!((error.kind(), error.status()), (TransportErrorKind::Malformed, Some(404)));
    assert_eq!(error.address(), Some(&*format!("{}/device", server.url())));
}

#[test]
fn a_cancelled_device_flow_continues_where_it_was() {
    let slow = AtomicUsize::new(0);
    let server = Server::start(move |request, out| match request.path.as_str() {
        "/device" => json(
            out,
            "200 OK",
            r#"{"device_code":"d","user_code":"X","verification_uri":"https://x","interval":1}"#,
        ),
        _ if slow.fetch_add(1, Ordering::Relaxed) == 0 => json(out, PENDING.0, PENDING.1),
        // The grant arrives while no caller waits for it; a server grants once.
        _ if slow.load(Ordering::Relaxed) > 2 => {
            json(out, "400 Bad Request", r#"{"error":"invalid_grant"}"#)
        }
        _ => {
            std::thread::sleep(Duration::from_millis(300));
            json(out, "200 OK", r#"{"access_token":"AT"}"#)
        }
    })
    .unwrap();
    let client = TokenCache::in_memory().client(CLIENT, AUTHORITY);
    let endpoint = endpoint(&server);
    let flow = endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap();
    let mut cancels = 0;
    let started = Instant::now();
    loop {
        // Called anew after each answer.
        let mut calls = 0;
        let outcome = endpoint.acquire_token_by_device_flow(&flow, || {
            calls += 1;
            calls > 1
        });
        match outcome {
            Err(DeviceFlowError::Cancelled) => cancels += 1,
            outcome => break drop(outcome.unwrap()),
        }
    }
    assert!(cancels > 0 && started.elapsed() >= Duration::from_secs(1), "{cancels}");
    assert_eq!(server.requests().len(), 3, "one code, two polls");
}
