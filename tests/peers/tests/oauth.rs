//! `HttpEndpoint` and the client against a real OAuth 2.0 server, oidc-provider: one whose refresh
//! tokens are good for one use, and which revokes all that it has issued when one is used twice.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use msal_cache::acquire::TokenSource;
use msal_cache::clock::{Clock, ManualClock, SystemClock};
use msal_cache::endpoint::TransportErrorKind;
use msal_cache::http::{DeviceFlowError, HttpEndpoint, HttpEndpointBuilder};
use msal_cache::store::CacheStore;
use msal_cache::{AcquireError, AcquiredToken, Client, CredentialType, FileStore, Memory, Query, SilentRequest, TokenCache};
use msal_cache_peers::{Asked, OAuthServer};
use serde_json::json;
use sha2::Sha256;

const APP: &str = "command-line-app";
const AUTHORITY: &str = "https://login.example/contoso";
const SECRET: &str = "the secret of the daemon: it has + and % in it";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Tells a process that a test has started, of its own test binary, what to do.
const CHILD: &str = "MSAL_CACHE_TEST_CHILD";

fn at(server: &OAuthServer) -> HttpEndpointBuilder {
    HttpEndpoint::builder()
        .token_endpoint(server.token_endpoint())
        .device_authorization_endpoint(server.device_authorization_endpoint())
}

/// Signs Alice in by device code.
fn sign_in<S: CacheStore>(client: &Client<S>, endpoint: &HttpEndpoint, server: &OAuthServer) {
    let scopes = ["User.Read", "Mail.Read"];
    let flow = endpoint.initiate_device_flow(client, scopes, None).unwrap();
    server.approve(flow.user_code(), Some("alice"));
    let event = endpoint.acquire_token_by_device_flow(&flow, || false).unwrap();
    client.cache().add(&event).unwrap();
}

/// A token of the one who is signed in.
fn token<S: CacheStore>(
    client: &Client<S>,
    endpoint: &HttpEndpoint,
) -> Result<AcquiredToken, AcquireError> {
    let [alice] = &client.accounts().unwrap()[..] else { panic!("one account") };
    client.acquire_token_silent(["User.Read"], alice, endpoint)
}

fn refresh_token<S: CacheStore>(client: &Client<S>) -> String {
    let found = client.cache().find(CredentialType::RefreshToken, &Query::new()).unwrap();
    let [entry] = &found[..] else { panic!("one refresh token") };
    entry.refresh_token().unwrap().secret().expose().to_owned()
}

/// What was asked at the token endpoint: grant type, status and error.
fn asked(server: &OAuthServer) -> Vec<(String, u64, String)> {
    let line = |it: Asked| (it.grant_type, it.status, it.error);
    server.asked().into_iter().map(line).collect()
}

fn line(grant_type: &str, status: u64, error: &str) -> (String, u64, String) {
    (grant_type.to_owned(), status, error.to_owned())
}

#[test]
fn one_sign_in_lasts_while_refresh_tokens_are_replaced() {
    let server = OAuthServer::start();
    let endpoint = at(&server).build().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());
    let client = cache.client(APP, AUTHORITY);

    // Nobody has entered the code yet, and then somebody has.
    let flow = endpoint.initiate_device_flow(&client, ["User.Read Mail.Read"], None).unwrap();
    assert!(flow.message().contains(flow.user_code()), "{}", flow.message());
    let event = thread::scope(|scope| {
        let waits = scope.spawn(|| endpoint.acquire_token_by_device_flow(&flow, || false));
        while server.asked().is_empty() {
            thread::sleep(Duration::from_millis(20));
        }
        server.approve(flow.user_code(), Some("alice"));
        waits.join().unwrap().unwrap()
    });
    cache.add(&event).unwrap();
    let [alice] = &client.accounts().unwrap()[..] else { panic!("one account") };
    assert_eq!(alice.username(), Some("alice@contoso.example"));
    assert_eq!(alice.home_account_id(), "alice.contoso");
    assert_eq!(alice.account_source(), Some(DEVICE_CODE));

    let mut seen = vec![refresh_token(&client)];
    for hour in 0..4 {
        let cached = token(&client, &endpoint).unwrap();
        assert_eq!(cached.source(), TokenSource::Cache, "hour {hour}");
        clock.advance(3600);
        let refreshed = token(&client, &endpoint).unwrap();
        assert_eq!(refreshed.source(), TokenSource::IdentityProvider);
        assert_ne!(refreshed.secret().expose(), cached.secret().expose());
        assert!(!seen.contains(&refresh_token(&client)), "it is a new one each time");
        seen.push(refresh_token(&client));
    }
    let name = client.accounts().unwrap()[0].username().map(str::to_owned);
    assert_eq!(name.as_deref(), Some("alice@contoso.example"), "a refresh keeps the name");
    let mut expected = vec![line(DEVICE_CODE, 400, "authorization_pending")];
    expected.push(line(DEVICE_CODE, 200, ""));
    expected.extend(vec![line("refresh_token", 200, ""); 4]);
    assert_eq!(asked(&server), expected);

    assert!(client.remove_account(alice).unwrap() > 0);
    assert!(!cache.serialize().unwrap().contains("alice"));
}

#[test]
fn a_refresh_token_that_is_spent_needs_a_person_and_tells_why() {
    let server = OAuthServer::start();
    let endpoint = at(&server).build().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());
    let client = cache.client(APP, AUTHORITY);
    sign_in(&client, &endpoint, &server);
    // A copy that doesn't learn of the new refresh token.
    let copy = TokenCache::with_clock(Memory::new(), clock.clone());
    cache.copy_to(&copy).unwrap();
    clock.advance(3600);
    token(&client, &endpoint).unwrap();

    let spent = token(&copy.client(APP, AUTHORITY), &endpoint).unwrap_err();
    let AcquireError::InteractionRequired(required) = &spent else { panic!("{spent:?}") };
    let said = required.server_error().unwrap();
    assert_eq!((said.error(), said.status()), ("invalid_grant", 400));
    assert_eq!(said.error_description(), Some("grant request is invalid"));
    // The server has revoked the new one with it. Signing in helps.
    clock.advance(3600);
    assert!(token(&client, &endpoint).unwrap_err().is_interaction_required());
    sign_in(&client, &endpoint, &server);
    assert_eq!(token(&client, &endpoint).unwrap().source(), TokenSource::Cache);
    clock.advance(3600);
    assert_eq!(token(&client, &endpoint).unwrap().source(), TokenSource::IdentityProvider);
}

#[test]
fn scopes_that_were_not_granted_need_a_person() {
    let server = OAuthServer::start();
    let endpoint = at(&server).build().unwrap();
    let client = TokenCache::in_memory().client(APP, AUTHORITY);
    let flow = endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap();
    server.approve(flow.user_code(), Some("alice"));
    let event = endpoint.acquire_token_by_device_flow(&flow, || false).unwrap();
    client.cache().add(&event).unwrap();
    let [alice] = &client.accounts().unwrap()[..] else { panic!("one account") };
    let error = client.acquire_token_silent(["Mail.Read"], alice, &endpoint).unwrap_err();
    assert!(error.is_interaction_required(), "{error:?}");
    assert_eq!(error.server_error().unwrap().error(), "invalid_scope");
    // The refresh token was not spent on it.
    let again = SilentRequest::new(["User.Read"], alice).force_refresh(true);
    let token = client.acquire(&again, &endpoint).unwrap();
    assert_eq!(token.source(), TokenSource::IdentityProvider);
}

#[test]
fn a_person_can_say_no() {
    let server = OAuthServer::start();
    let endpoint = at(&server).build().unwrap();
    let client = TokenCache::in_memory().client(APP, AUTHORITY);
    let flow = endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap();
    server.approve(flow.user_code(), None);
    let error = endpoint.acquire_token_by_device_flow(&flow, || false).unwrap_err();
    let DeviceFlowError::Declined(said) = error else { panic!("{error:?}") };
    assert_eq!(said.error_description(), Some("the person said no"));

    let unknown = TokenCache::in_memory().client("nobody knows it", AUTHORITY);
    let error = endpoint.initiate_device_flow(&unknown, ["User.Read"], None).unwrap_err();
    let DeviceFlowError::Refused(said) = error else { panic!("{error:?}") };
    assert_eq!(said.error(), "invalid_client");
}

#[test]
fn a_daemon_proves_who_it_is_in_each_way_there_is() {
    let server = OAuthServer::start();
    let issuer = server.address().to_owned();
    for (id, builder) in [
        ("daemon", at(&server).client_secret(SECRET)),
        ("daemon: basic", at(&server).client_secret_basic(SECRET)),
        (
            "daemon-assertion",
            at(&server).client_assertion(move |asked| Ok(assertion(asked.client_id, &issuer))),
        ),
    ] {
        let endpoint = builder.build().unwrap();
        let client = TokenCache::in_memory().client(id, AUTHORITY);
        let scopes = ["api://things/.default"];
        let token = client.acquire_token_for_client(scopes, &endpoint).unwrap();
        assert_eq!(token.source(), TokenSource::IdentityProvider, "{id}");
        let again = client.acquire_token_for_client(scopes, &endpoint).unwrap();
        assert_eq!(again.source(), TokenSource::Cache, "{id}");
        assert_eq!(again.secret().expose(), token.secret().expose());
        assert_eq!(client.remove_tokens_for_client().unwrap(), 1);
        let token = client.acquire_token_for_client(scopes, &endpoint).unwrap();
        assert_eq!(token.source(), TokenSource::IdentityProvider, "{id}");
    }
    for builder in
        [at(&server).client_secret("wrong"), at(&server).client_secret_basic("wrong"), at(&server)]
    {
        let client = TokenCache::in_memory().client("daemon", AUTHORITY);
        let endpoint = builder.build().unwrap();
        let error = client.acquire_token_for_client(["api://things/.default"], &endpoint);
        let error = error.unwrap_err();
        let AcquireError::Refused(said) = &error else { panic!("{error:?}") };
        assert_eq!(said.error(), "invalid_client");
    }
}

/// A client assertion (RFC 7523, section 3), signed with the client's secret.
fn assertion(client_id: &str, audience: &str) -> String {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let (now, id) = (SystemClock.now(), MADE.fetch_add(1, Ordering::Relaxed));
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": audience, "exp": now + 60, "jti": id.to_string(),
    });
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&json!({ "alg": "HS256" })), encode(&claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[test]
fn tls_is_by_certificates_that_are_trusted_and_by_no_others() {
    const SCOPES: [&str; 1] = ["api://things/.default"];
    if let Ok(authority) = env::var(CHILD) {
        // A process whose system trusts the server.
        let client = TokenCache::in_memory().client("daemon", authority);
        let endpoint = HttpEndpoint::builder().client_secret(SECRET).build().unwrap();
        client.acquire_token_for_client(SCOPES, &endpoint).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = OAuthServer::start_with_tls(&certificate, &key);
    // The authority tells all addresses, as it does with Microsoft's servers.
    let client = TokenCache::in_memory().client("daemon", server.authority());

    let endpoint = HttpEndpoint::builder().client_secret(SECRET).build().unwrap();
    let error = client.acquire_token_for_client(SCOPES, &endpoint).unwrap_err();
    let AcquireError::Transport(error) = &error else { panic!("{error:?}") };
    assert_eq!(error.kind(), TransportErrorKind::Unreachable, "{error:?}");

    let pem = fs::read(&certificate).unwrap();
    let endpoint =
        HttpEndpoint::builder().client_secret(SECRET).root_certificates(pem).build().unwrap();
    let token = client.acquire_token_for_client(SCOPES, &endpoint).unwrap();
    assert_eq!(token.source(), TokenSource::IdentityProvider);

    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "tls_is_by_certificates_that_are_trusted_and_by_no_others"])
        .env(CHILD, server.authority())
        .env("SSL_CERT_FILE", &certificate)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));

    // Another one's certificate.
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let pem = other.cert.pem();
    let endpoint =
        HttpEndpoint::builder().client_secret(SECRET).root_certificates(pem).build().unwrap();
    let client = TokenCache::in_memory().client("daemon", server.authority());
    let error = client.acquire_token_for_client(SCOPES, &endpoint).unwrap_err();
    let AcquireError::Transport(error) = &error else { panic!("{error:?}") };
    assert_eq!(error.kind(), TransportErrorKind::Unreachable, "{error:?}");
}

#[test]
fn a_server_that_is_gone_takes_no_token_away() {
    let server = OAuthServer::start();
    let endpoint = at(&server).build().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());
    let client = cache.client(APP, AUTHORITY);
    sign_in(&client, &endpoint, &server);
    let kept = refresh_token(&client);
    drop(server);
    assert_eq!(token(&client, &endpoint).unwrap().source(), TokenSource::Cache);
    clock.advance(3600);
    let error = token(&client, &endpoint).unwrap_err();
    let AcquireError::Transport(error) = &error else { panic!("{error:?}") };
    assert_eq!(error.kind(), TransportErrorKind::Unreachable);
    assert_eq!(refresh_token(&client), kept);
}

#[test]
fn processes_that_share_a_file_spend_each_refresh_token_once() {
    if let Ok(told) = env::var(CHILD) {
        return child(&told);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let server = OAuthServer::start();
    let endpoint = at(&server).build().unwrap();
    let client = TokenCache::new(FileStore::open(&path).unwrap()).client(APP, AUTHORITY);
    sign_in(&client, &endpoint, &server);

    for round in 1..=3 {
        let told = json!({
            "path": path, "token_endpoint": server.token_endpoint(), "hours": round,
        });
        let children: Vec<_> = (0..8)
            .map(|_| {
                Command::new(env::current_exe().unwrap())
                    .args(["--exact", "processes_that_share_a_file_spend_each_refresh_token_once"])
                    .env(CHILD, told.to_string())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
    let refreshes: Vec<_> =
        asked(&server).into_iter().filter(|(grant, ..)| grant == "refresh_token").collect();
    assert_eq!(refreshes, vec![line("refresh_token", 200, ""); 3], "one in each round");
}

/// Needs a token, some hours after the sign-in.
fn child(told: &str) {
    let told: serde_json::Value = serde_json::from_str(told).unwrap();
    let clock = ManualClock::new(SystemClock.now() + 3600 * told["hours"].as_i64().unwrap());
    let store = FileStore::open(Path::new(told["path"].as_str().unwrap())).unwrap();
    let cache = TokenCache::with_clock(store, Arc::new(clock));
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(told["token_endpoint"].as_str().unwrap())
        .build()
        .unwrap();
    let token = token(&cache.client(APP, AUTHORITY), &endpoint).unwrap();
    assert!(!token.secret().expose().is_empty());
}
