//! Sign-in: by the system browser, to a web app, by device code, with a refresh token of another cache.

mod browser;
mod device_code;
#[cfg(feature = "http-async")]
mod dropped;
mod not_stored;
mod one_commit;
mod refresh_token;
mod web_app;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use msal_cache::clock::{Clock, SystemClock};
use msal_cache::endpoint::{TokenEndpoint, TokenRequest, TokenResponse, TransportError};
use msal_cache::sign_in::{Prompt, ResponseMode, SignInError};
use msal_cache::{CredentialType, Query, TokenCache};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::canary::clean;
use crate::stand_in::server::parameters;

const AUTHORITY: &str = "https://login.microsoftonline.com/common";
const TENANT: &str = "0b0b0b0b-0000-0000-0000-000000000001";

/// The authorization request of a sign-in, as the browser gets it.
#[derive(Clone, Debug)]
struct Asked {
    address: String,
    query: BTreeMap<String, String>,
}

impl Asked {
    fn of(address: &str) -> Self {
        let query = parameters(address.split_once('?').unwrap().1);
        Self { address: address.to_owned(), query }
    }

    fn port(&self) -> u16 {
        self.query["redirect_uri"].strip_prefix("http://localhost:").unwrap().parse().unwrap()
    }

    fn good(&self) -> String {
        format!("code=CANARY-code&state={}", self.query["state"])
    }
}

fn exchange(host: &str, port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect((host, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    let _ = stream.read_to_string(&mut response);
    response
}

fn post(port: u16, body: &str) -> String {
    let length = body.len();
    exchange(
        "127.0.0.1",
        port,
        &format!(
            "POST / HTTP/1.1\r\nHost: localhost:{port}\r\nSec-Fetch-Dest: document\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ),
    )
}

fn get(port: u16, target: &str) -> String {
    exchange("127.0.0.1", port, &format!("GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"))
}

/// A server that redeems each grant, and a change of the ID token's claims.
#[derive(Default)]
struct Redeems {
    asked: Mutex<Option<Asked>>,
    forms: Mutex<Vec<BTreeMap<String, String>>>,
    claims: Mutex<Vec<(&'static str, Value)>>,
}

impl TokenEndpoint for Redeems {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let form: BTreeMap<_, _> =
            request.form().iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.forms.lock().unwrap().push(form);
        let asked = self.asked.lock().unwrap().clone();
        let nonce = asked.map(|it| it.query["nonce"].clone());
        let now = SystemClock.now();
        let mut claims = json!({
            "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
            "tid": TENANT, "aud": "client-id", "nonce": nonce, "sub": "s",
            "oid": "alice", "preferred_username": "alice@contoso.example",
            "iat": now, "nbf": now, "exp": now + 3600,
        });
        for (name, value) in &*self.claims.lock().unwrap() {
            claims[*name] = value.clone();
        }
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let id_token = format!("{}.{}.CANARY", encode(json!({"alg": "RS256"})), encode(claims));
        let client_info = encode(json!({"uid": "alice", "utid": TENANT}));
        let body = json!({
            "access_token": "CANARY-at", "refresh_token": "CANARY-rt", "expires_in": 3600,
            "token_type": "Bearer", "id_token": id_token, "client_info": client_info,
            "scope": "User.Read openid profile",
        });
        TokenResponse::from_json(200, &body.to_string())
    }
}

type Signed = Result<msal_cache::AcquiredToken, SignInError>;

/// Signs in while `browser` acts. Returns what it was asked, too.
fn sign_in(
    server: &Arc<Redeems>,
    timeout: Duration,
    browser: impl FnOnce(&Asked) + Send + 'static,
) -> (Signed, Asked, TokenCache) {
    let cache = TokenCache::in_memory();
    let client = cache.client("client-id", AUTHORITY);
    let (kept, (send, receive)) = (server.clone(), mpsc::channel());
    let signed = client
        .sign_in(["User.Read"])
        .timeout(timeout)
        .open_with(move |address| {
            let asked = Asked::of(address);
            *kept.asked.lock().unwrap() = Some(asked.clone());
            send.send(asked.clone()).unwrap();
            browser(&asked);
            Ok(())
        })
        .run(&**server);
    (signed, receive.recv().unwrap(), cache)
}

const LONG: Duration = Duration::from_secs(60);

fn assert_closed(port: u16) {
    for host in ["127.0.0.1", "::1"] {
        assert!(TcpStream::connect((host, port)).is_err(), "{host} listens on");
    }
}

/// Whether nothing is stored.
fn is_empty(cache: &TokenCache) -> bool {
    let mut all = CredentialType::KNOWN.into_iter();
    all.all(|it| cache.find(it, &Query::new()).unwrap().is_empty())
}
