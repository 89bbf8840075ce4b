//! `HttpEndpoint` and `Client` against a real OAuth 2.0 server, oidc-provider. Its refresh tokens
//! are good for one use; a second use revokes all tokens of the grant.

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
use msal_cache::{
    AcquireError, AcquiredToken, Client, CredentialType, FileStore, Memory, Query, SilentRequest,
    TokenCache,
};
use msal_cache_peers::{OAuthServer, SentRequest};
use serde_json::json;
use sha2::Sha256;

const APP: &str = "command-line-app";
const AUTHORITY: &str = "https://login.example/contoso";
const SECRET: &str = "the secret of the daemon: it has + and % in it";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The environment variable with the task of a child process, which runs this test binary.
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

/// Gets a token of the signed-in user.
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

/// The requests to the token endpoint: grant type, status and error.
fn requests(server: &OAuthServer) -> Vec<(String, u64, String)> {
    let line = |it: SentRequest| (it.grant_type, it.status, it.error);
    server.requests().into_iter().map(line).collect()
}

fn line(grant_type: &str, status: u64, error: &str) -> (String, u64, String) {
    (grant_type.to_owned(), status, error.to_owned())
}

#[test]
fn one_sign_in_lasts_while_refresh_tokens_are_rotated() {
    let server = OAuthServer::start();
    let endpoint = at(&server).build().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());
    let client = cache.client(APP, AUTHORITY);

    // The first poll is pending, then the user enters the code.
    let flow = endpoint.initiate_device_flow(&client, ["User.Read Mail.Read"], None).unwrap();
    assert!(flow.message().contains(flow.user_code()), "{}", flow.message());
    let event = thread::scope(|scope| {
        let polling = scope.spawn(|| endpoint.acquire_token_by_device_flow(&flow, || false));
        while server.requests().is_empty() {
            thread::sleep(Duration::from_millis(20));
        }
        server.approve(flow.user_code(), Some("alice"));
        polling.join().unwrap().unwrap()
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
        assert!(!seen.contains(&refresh_token(&client)), "the refresh token is rotated");
        seen.push(refresh_token(&client));
    }
    let name = client.accounts().unwrap()[0].username().map(str::to_owned);
    assert_eq!(name.as_deref(), Some("alice@contoso.example"), "a refresh keeps the name");
    let mut expected = vec![line(DEVICE_CODE, 400, "authorization_pending")];
    expected.push(line(DEVICE_CODE, 200, ""));
    expected.extend(vec![line("refresh_token", 200, ""); 4]);
    assert_eq!(requests(&server), expected);

    assert!(client.remove_account(alice).unwrap() > 0);
    assert!(!cache.serialize().unwrap().contains("alice"));
}

#[test]
fn a_used_refresh_token_requires_interaction_with_the_error_of_the_server() {
    let server = OAuthServer::start();
    let endpoint = at(&server).build().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());
    let client = cache.client(APP, AUTHORITY);
    sign_in(&client, &endpoint, &server);
    // A copy that doesn't get the new refresh token.
    let copy = TokenCache::with_clock(Memory::new(), clock.clone());
    cache.copy_to(&copy).unwrap();
    clock.advance(3600);
    token(&client, &endpoint).unwrap();

    let error = token(&copy.client(APP, AUTHORITY), &endpoint).unwrap_err();
    let AcquireError::InteractionRequired(required) = &error else { panic!("{error:?}") };
    let said = required.server_error().unwrap();
    assert_eq!((said.error(), said.status()), ("invalid_grant", 400));
    assert_eq!(said.error_description(), Some("grant request is invalid"));
    // The server has revoked the new refresh token, too, so a sign-in is required.
    clock.advance(3600);
    assert!(token(&client, &endpoint).unwrap_err().is_interaction_required());
    sign_in(&client, &endpoint, &server);
    assert_eq!(token(&client, &endpoint).unwrap().source(), TokenSource::Cache);
    clock.advance(3600);
    assert_eq!(token(&client, &endpoint).unwrap().source(), TokenSource::IdentityProvider);
}

#[test]
fn ungranted_scopes_require_interaction() {
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
    // The refresh token is still valid.
    let again = SilentRequest::new(["User.Read"], alice).force_refresh(true);
    let token = client.acquire(&again, &endpoint).unwrap();
    assert_eq!(token.source(), TokenSource::IdentityProvider);
}

#[test]
fn a_declined_sign_in_is_reported() {
    let server = OAuthServer::start();
    let endpoint = at(&server).build().unwrap();
    let client = TokenCache::in_memory().client(APP, AUTHORITY);
    let flow = endpoint.initiate_device_flow(&client, ["User.Read"], None).unwrap();
    server.approve(flow.user_code(), None);
    let error = endpoint.acquire_token_by_device_flow(&flow, || false).unwrap_err();
    let DeviceFlowError::Declined(said) = error else { panic!("{error:?}") };
    assert_eq!(said.error_description(), Some("the user declined"));

    let unknown = TokenCache::in_memory().client("unknown client", AUTHORITY);
    let error = endpoint.initiate_device_flow(&unknown, ["User.Read"], None).unwrap_err();
    let DeviceFlowError::Refused(said) = error else { panic!("{error:?}") };
    assert_eq!(said.error(), "invalid_client");
}

#[test]
fn a_daemon_authenticates_by_each_method() {
    let server = OAuthServer::start();
    let issuer = server.address().to_owned();
    for (id, builder) in [
        ("daemon", at(&server).client_secret(SECRET)),
        ("daemon: basic", at(&server).client_secret_basic(SECRET)),
        (
            "daemon-assertion",
            at(&server).client_assertion(move |request| Ok(assertion(request.client_id, &issuer))),
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
        let AcquireError::Configuration(said) = &error else { panic!("{error:?}") };
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
fn only_trusted_certificates_are_accepted() {
    const SCOPES: [&str; 1] = ["api://things/.default"];
    if let Ok(authority) = env::var(CHILD) {
        // The child process, whose system trusts the certificate.
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
    // The addresses follow from the authority, as with Microsoft's servers.
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
        .args(["--exact", "only_trusted_certificates_are_accepted"])
        .env(CHILD, server.authority())
        .env("SSL_CERT_FILE", &certificate)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));

    // The certificate of another server.
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
fn an_unreachable_server_removes_no_token() {
    let server = OAuthServer::start();
    let endpoint = at(&server).build().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let cache = TokenCache::with_clock(Memory::new(), clock.clone());
    let client = cache.client(APP, AUTHORITY);
    sign_in(&client, &endpoint, &server);
    let before = refresh_token(&client);
    drop(server);
    assert_eq!(token(&client, &endpoint).unwrap().source(), TokenSource::Cache);
    clock.advance(3600);
    let error = token(&client, &endpoint).unwrap_err();
    let AcquireError::Transport(error) = &error else { panic!("{error:?}") };
    assert_eq!(error.kind(), TransportErrorKind::Unreachable);
    assert_eq!(refresh_token(&client), before);
}

#[test]
fn processes_that_share_a_file_use_each_refresh_token_once() {
    if let Ok(task) = env::var(CHILD) {
        return child(&task);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let server = OAuthServer::start();
    let endpoint = at(&server).build().unwrap();
    let client = TokenCache::new(FileStore::open(&path).unwrap()).client(APP, AUTHORITY);
    sign_in(&client, &endpoint, &server);

    for round in 1..=3 {
        let task = json!({
            "path": path, "token_endpoint": server.token_endpoint(), "hours": round,
        });
        let children: Vec<_> = (0..8)
            .map(|_| {
                Command::new(env::current_exe().unwrap())
                    .args(["--exact", "processes_that_share_a_file_use_each_refresh_token_once"])
                    .env(CHILD, task.to_string())
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
        requests(&server).into_iter().filter(|(grant, ..)| grant == "refresh_token").collect();
    assert_eq!(refreshes, vec![line("refresh_token", 200, ""); 3], "one per round");
}

/// The child process: gets a token some hours after the sign-in.
fn child(task: &str) {
    let task: serde_json::Value = serde_json::from_str(task).unwrap();
    let clock = ManualClock::new(SystemClock.now() + 3600 * task["hours"].as_i64().unwrap());
    let store = FileStore::open(Path::new(task["path"].as_str().unwrap())).unwrap();
    let cache = TokenCache::with_clock(store, Arc::new(clock));
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(task["token_endpoint"].as_str().unwrap())
        .build()
        .unwrap();
    let token = token(&cache.client(APP, AUTHORITY), &endpoint).unwrap();
    assert!(!token.secret().expose().is_empty());
}
