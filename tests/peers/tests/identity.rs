//! Authentication records of `azure::Credential` and of the real azure-identity for Python: each signs a user
//! in on a real OAuth server, and the other one gets that user's tokens by the record, without the user.

use std::env;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use msal_cache::azure::{AuthenticationRecord, Credential};
use msal_cache::http::AsyncHttpEndpoint;
use msal_cache::store::Offload;
use msal_cache::{AsyncClient, AsyncTokenCache, CredentialType, Fields, Memory, Query};
use msal_cache_peers::OAuthServer;
use serde_json::{Value, json};

const APP: &str = "command-line-app";
const SCOPE: &str = "User.Read";

type Cache = AsyncTokenCache<Offload<Memory>>;

/// Runs azure-identity.
fn identity(server: &OAuthServer, more: &Value) -> Value {
    let mut asked = json!({
        "authority": server.address().strip_prefix("https://").unwrap(), "tenant": "contoso",
        "client_id": APP, "certificate": server.certificate(), "scope": SCOPE,
    });
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let python = env::var_os("MSAL_CACHE_PYTHON").expect("run tests/peers/run");
    let mut child = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/identity.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn endpoint(server: &OAuthServer) -> AsyncHttpEndpoint {
    let pem = fs::read(server.certificate()).unwrap();
    // As `disable_instance_discovery` of azure-identity: Microsoft doesn't know this server.
    let builder = AsyncHttpEndpoint::builder().instance_discovery(false);
    builder.root_certificates(pem).build_async().unwrap()
}

fn client(cache: &Cache, server: &OAuthServer) -> AsyncClient<Offload<Memory>> {
    cache.client(APP, server.authority())
}

/// Signs a user in by device code, and returns the record.
async fn sign_in(
    cache: &Cache,
    server: &Arc<OAuthServer>,
    user: &'static str,
) -> AuthenticationRecord {
    let of_user = server.clone();
    let credential = Credential::for_user(client(cache, server), endpoint(server))
        .device_code(move |flow| of_user.approve(flow.user_code(), Some(user)))
        .build();
    credential.authenticate(&[SCOPE]).await.unwrap()
}

async fn token(cache: &Cache, server: &OAuthServer, record: &AuthenticationRecord) -> String {
    let credential =
        Credential::for_user(client(cache, server), endpoint(server)).record(record).build();
    credential.get_token(&[SCOPE], None).await.unwrap().token.secret().to_owned()
}

/// Lets all access tokens expire.
async fn expire(cache: &Cache) {
    for entry in cache.find(CredentialType::AccessToken, &Query::new()).await.unwrap() {
        let expired = Fields::new().set("expires_on", "1");
        cache.modify(CredentialType::AccessToken, &entry, Some(&expired)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_azure_identity_is_accepted() {
    let server = OAuthServer::start_trusted();
    let first = identity(&server, &json!({ "login": "alice" }));
    // Another user in the same cache, who has signed in later.
    let both = identity(&server, &json!({ "login": "bob", "cache": first["cache"] }));
    let record = AuthenticationRecord::from_json(text(&first, "record")).unwrap();
    assert_eq!((record.username(), record.client_id()), ("alice@contoso.example", APP));
    let cache: Cache = AsyncTokenCache::in_memory();
    cache.deserialize(text(&both, "cache")).await.unwrap();
    assert_eq!(token(&cache, &server, &record).await, text(&first, "token"));
    // By the refresh token of alice.
    expire(&cache).await;
    let new = token(&cache, &server, &record).await;
    assert!(![text(&first, "token"), text(&both, "token")].contains(&&*new));
    let accounts = client(&cache, &server).accounts_named("alice@contoso.example").await.unwrap();
    assert_eq!(accounts[0].home_account_id(), record.home_account_id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_identity_accepts_a_record() {
    let server = Arc::new(OAuthServer::start_trusted());
    let cache: Cache = AsyncTokenCache::in_memory();
    let record = sign_in(&cache, &server, "alice").await;
    sign_in(&cache, &server, "bob").await;
    let ours = token(&cache, &server, &record).await;
    let document = cache.serialize().await.unwrap();
    let theirs = identity(&server, &json!({ "record": record.to_json(), "cache": document }));
    assert_eq!(text(&theirs, "token"), ours);
    let same: Value = serde_json::from_str(text(&theirs, "record")).unwrap();
    assert_eq!(same, serde_json::from_str::<Value>(&record.to_json()).unwrap());
    // By the refresh token of alice; the token that azure-identity stores is found here.
    expire(&cache).await;
    let document = cache.serialize().await.unwrap();
    let theirs = identity(&server, &json!({ "record": record.to_json(), "cache": document }));
    assert_ne!(text(&theirs, "token"), ours);
    cache.deserialize(text(&theirs, "cache")).await.unwrap();
    assert_eq!(token(&cache, &server, &record).await, text(&theirs, "token"));
}
