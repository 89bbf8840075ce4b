//! A credential of the Azure SDK that signs users in, and acquires tokens, also without success.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use azure_core::credentials::TokenCredential;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msal_cache::azure::{ClaimsChallenge, Credential};
use msal_cache::clock::{Clock, SystemClock};
use msal_cache::endpoint::{AsyncTokenEndpoint, TokenRequest, TokenResponse, TransportError};
use msal_cache::{AsyncTokenCache, Fields};
use serde_json::{Value, json};

use crate::canary::{CANARY, clean};
use crate::common::{CLIENT, client_info};

const VAULT: &[&str] = &["https://vault.example/.default"];

/// The secrets of all requests that are drawn at random, and so have no canary.
type Drawn = Arc<Mutex<BTreeMap<String, String>>>;

/// Grants tokens, or refuses, where the scope says so.
#[derive(Clone, Default)]
struct Server(Drawn);

impl AsyncTokenEndpoint for Server {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let form: BTreeMap<_, _> = request.form().iter().collect();
        if form["scope"].contains("refused") {
            let refused = Fields::new()
                .set("error", "invalid_grant")
                .set("error_description", CANARY)
                .set("claims", CANARY);
            return Ok(TokenResponse::new(400, refused));
        }
        let mut drawn = self.0.lock().unwrap();
        if let Some(verifier) = form.get("code_verifier") {
            drawn.insert("verifier".into(), (*verifier).to_owned());
        }
        let now = SystemClock.now();
        let claims = json!({
            "iss": "https://login.example/tenant", "aud": CLIENT, "nonce": drawn.get("nonce"),
            "sub": "s", "oid": "alice", "preferred_username": format!("{CANARY}@example"),
            "exp": now + 3600,
        });
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let granted = Fields::new()
            .set("access_token", format!("{CANARY}-at"))
            .set("refresh_token", format!("{CANARY}-rt"))
            .set("id_token", format!("e30.{}.{CANARY}", encode(claims)))
            .set("client_info", client_info("alice"))
            .set("expires_in", 3600);
        Ok(TokenResponse::new(200, granted))
    }
}

/// A user whose browser is sent back with a code, or with an error.
fn visit(address: &str, drawn: &Drawn, answer: &str) -> std::io::Result<()> {
    let query = address.split_once('?').unwrap().1;
    let get = |name: &str| {
        let pairs = query.split('&').filter_map(|it| it.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next().unwrap()
    };
    drawn.lock().unwrap().extend(["state", "nonce"].map(|it| (it.to_owned(), get(it))));
    let port = get("redirect_uri").rsplit_once("%3A").unwrap().1.to_owned();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    let body = format!("{answer}&state={}", get("state"));
    let length = body.len();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    stream.read_to_string(&mut String::new()).map(drop)
}

/// Returns the secrets that have no canary.
pub(crate) fn exercise() -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (server, cache) = (Server::default(), AsyncTokenCache::in_memory());
        let client = cache.client(CLIENT, "https://login.example/tenant");
        let by_browser = |answer: &'static str| {
            let drawn = server.0.clone();
            let builder = Credential::for_user(client.clone(), server.clone());
            let builder = builder.browser_with(move |sign_in| {
                let drawn = drawn.clone();
                sign_in.open_with(move |address| visit(address, &drawn, answer))
            });
            clean("CredentialBuilder", &format!("{builder:?}"));
            builder.build()
        };
        let declined = by_browser("error=access_denied&error_description=CANARY");
        check(declined.get_token(VAULT, None).await.map(drop));
        let credential = by_browser("code=CANARY-code");
        let token = credential.get_token(VAULT, None).await.unwrap();
        clean("AccessToken", &format!("{token:?}"));
        let record = credential.record().unwrap();
        clean("AuthenticationRecord", &format!("{record:?}"));
        clean("Credential", &format!("{credential:?} {credential:#?}"));
        // From the cache, by the refresh token, and refused.
        credential.get_token(VAULT, None).await.unwrap();
        credential.get_token(&["https://other.example/.default"], None).await.unwrap();
        let silent = Credential::for_user(client.clone(), server.clone()).record(&record).build();
        check(silent.get_token(&["refused"], None).await.map(drop));
        let app = Credential::for_app(client.clone(), server.clone());
        check(app.get_token(&["refused"], None).await.map(drop));
        let claims = ClaimsChallenge::new(format!("{{\"{CANARY}\":1}}"));
        clean("ClaimsChallenge", &format!("{claims:?}"));
        let drawn: Vec<_> = server.0.lock().unwrap().values().cloned().collect();
        assert_eq!(drawn.len(), 3);
        drawn
    })
}

/// The error of a call, which prints no secret.
fn check(result: azure_core::Result<()>) {
    let error = result.unwrap_err();
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        clean("azure_core::Error", &format!("{error} {error:?} {error:#?}"));
        cause = error.source();
    }
}
