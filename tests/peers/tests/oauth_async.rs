//! `AsyncHttpEndpoint` and `AsyncClient` against a real OAuth 2.0 server, oidc-provider, as `oauth.rs`
//! tests the blocking ones. Its refresh tokens are good for one use.

use std::env;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use msal_cache::acquire::TokenSource;
use msal_cache::clock::{Clock, ManualClock, SystemClock};
use msal_cache::endpoint::TransportErrorKind;
use msal_cache::http::AsyncHttpEndpoint;
use msal_cache::store::{AsyncCacheStore, Offload};
use msal_cache::{
    AcquireError, AcquiredToken, AsyncClient, AsyncTokenCache, CredentialType, FileStore, Memory,
    Query, TokenCache,
};
use msal_cache_peers::{OAuthServer, SentRequest};

const APP: &str = "command-line-app";
const AUTHORITY: &str = "https://login.example/contoso";
const SECRET: &str = "the secret of the daemon: it has + and % in it";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The environment variable with the authority for a child process, which runs this test binary.
const CHILD: &str = "MSAL_CACHE_TEST_CHILD";

fn at(server: &OAuthServer) -> AsyncHttpEndpoint {
    AsyncHttpEndpoint::builder()
        .token_endpoint(server.token_endpoint())
        .device_authorization_endpoint(server.device_authorization_endpoint())
        .build_async()
        .unwrap()
}

/// Signs Alice in by device code; she enters the code after the first poll.
async fn sign_in<S: AsyncCacheStore + 'static>(
    client: &AsyncClient<S>,
    endpoint: &AsyncHttpEndpoint,
    server: &OAuthServer,
) {
    let scopes = ["User.Read", "Mail.Read"];
    let flow = endpoint.initiate_device_flow(client, scopes, None).await.unwrap();
    assert!(flow.message().contains(flow.user_code()), "{}", flow.message());
    let approve = async {
        while server.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.approve(flow.user_code(), Some("alice"));
    };
    let (event, ()) = tokio::join!(endpoint.acquire_token_by_device_flow(&flow), approve);
    let added = client.cache().add(&event.unwrap()).await.unwrap();
    assert_eq!(added.account().unwrap().username(), Some("alice@contoso.example"));
}

async fn token<S: AsyncCacheStore + 'static>(
    client: &AsyncClient<S>,
    endpoint: &AsyncHttpEndpoint,
) -> Result<AcquiredToken, AcquireError> {
    let [alice] = &client.accounts().await.unwrap()[..] else { panic!("one account") };
    client.acquire_token_silent(["User.Read"], alice, endpoint).await
}

async fn refresh_token<S: AsyncCacheStore + 'static>(client: &AsyncClient<S>) -> String {
    let found = client.cache().find(CredentialType::RefreshToken, &Query::new()).await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn one_sign_in_lasts_while_refresh_tokens_are_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let server = OAuthServer::start();
    let endpoint = at(&server);
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let store = FileStore::open(folder.path().join("cache.json")).unwrap();
    let cache = AsyncTokenCache::from(TokenCache::with_clock(store, clock.clone()));
    let client: AsyncClient<Offload<FileStore>> = cache.client(APP, AUTHORITY);
    sign_in(&client, &endpoint, &server).await;

    let mut seen = vec![refresh_token(&client).await];
    for hour in 0..3 {
        let cached = token(&client, &endpoint).await.unwrap();
        assert_eq!(cached.source(), TokenSource::Cache, "hour {hour}");
        clock.advance(3600);
        // Of callers at the same time, one sends the request; a second use would end the session.
        let callers: Vec<_> = (0..16)
            .map(|_| {
                let (client, endpoint) = (client.clone(), endpoint.clone());
                tokio::spawn(async move { token(&client, &endpoint).await.unwrap() })
            })
            .collect();
        for caller in callers {
            let refreshed = caller.await.unwrap();
            assert_ne!(refreshed.secret().expose(), cached.secret().expose());
        }
        assert!(!seen.contains(&refresh_token(&client).await), "the refresh token is rotated");
        seen.push(refresh_token(&client).await);
    }
    let sent = requests(&server);
    let (polls, refreshes) = sent.split_at(sent.len() - 3);
    assert_eq!(refreshes, vec![line("refresh_token", 200, ""); 3]);
    assert_eq!(polls[0], line(DEVICE_CODE, 400, "authorization_pending"));
    assert_eq!(polls[polls.len() - 1], line(DEVICE_CODE, 200, ""));

    let [alice] = &client.accounts().await.unwrap()[..] else { panic!("one account") };
    assert!(client.remove_account(alice).await.unwrap() > 0);
    assert!(!cache.serialize().await.unwrap().contains("alice"));
}

#[tokio::test]
async fn a_used_refresh_token_requires_interaction_with_the_error_of_the_server() {
    let server = OAuthServer::start();
    let endpoint = at(&server);
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let open = || AsyncTokenCache::from(TokenCache::with_clock(Memory::new(), clock.clone()));
    let (cache, copy) = (open(), open());
    let client = cache.client(APP, AUTHORITY);
    sign_in(&client, &endpoint, &server).await;
    // A copy that doesn't get the new refresh token.
    copy.deserialize(&cache.serialize().await.unwrap()).await.unwrap();
    clock.advance(3600);
    token(&client, &endpoint).await.unwrap();
    let error = token(&copy.client(APP, AUTHORITY), &endpoint).await.unwrap_err();
    let AcquireError::InteractionRequired(required) = &error else { panic!("{error:?}") };
    let said = required.server_error().unwrap();
    assert_eq!((said.error(), said.status()), ("invalid_grant", 400));
}

/// Platform trust, a given certificate, and neither. The addresses follow from the authority.
#[tokio::test]
async fn only_trusted_certificates_are_accepted() {
    const SCOPES: [&str; 1] = ["api://things/.default"];
    let endpoint = || AsyncHttpEndpoint::builder().client_secret(SECRET);
    let client = |authority: String| {
        AsyncTokenCache::from(TokenCache::in_memory()).client("daemon", authority)
    };
    if let Ok(authority) = env::var(CHILD) {
        // The child process, whose system trusts the certificate.
        let endpoint = endpoint().build_async().unwrap();
        client(authority).acquire_token_for_client(SCOPES, &endpoint).await.unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = OAuthServer::start_with_tls(&certificate, &key);
    let client = client(server.authority());

    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let other = endpoint().root_certificates(other.cert.pem());
    for untrusted in [endpoint(), other] {
        let endpoint = untrusted.build_async().unwrap();
        let error = client.acquire_token_for_client(SCOPES, &endpoint).await.unwrap_err();
        let AcquireError::Transport(error) = &error else { panic!("{error:?}") };
        assert_eq!(error.kind(), TransportErrorKind::Unreachable, "{error:?}");
    }

    let pem = fs::read(&certificate).unwrap();
    let trusting = endpoint().root_certificates(pem).build_async().unwrap();
    let token = client.acquire_token_for_client(SCOPES, &trusting).await.unwrap();
    assert_eq!(token.source(), TokenSource::IdentityProvider);

    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "only_trusted_certificates_are_accepted"])
        .env(CHILD, server.authority())
        .env("SSL_CERT_FILE", &certificate)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}
