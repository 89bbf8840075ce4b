//! An OAuth 2.0 server for the examples, so that they need no setup. It signs users in without a
//! password, and its tokens are not real. It does have what a client must handle: a pending device
//! code, refresh tokens that are good for one use, and a client secret.

#![allow(dead_code, reason = "each example uses a part of it")]

pub(crate) mod browser;
pub(crate) mod server;

use std::collections::BTreeSet;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use server::{Request, Server};

/// The secret that confidential clients must send.
pub(crate) const CLIENT_SECRET: &str = "the secret of the daemon: it has + and % in it";

/// The lifetime of access tokens in seconds.
pub(crate) const LIFETIME: i64 = 3600;

const REFRESH_TOKEN: &str = "refresh token ";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

#[derive(Debug)]
pub(crate) struct StandIn(Server);

struct State {
    /// The number of issued tokens. It starts at another value in each run.
    issued: u128,
    polls: usize,
    /// Used refresh tokens. All others are valid, including those of earlier runs.
    used: BTreeSet<String>,
}

impl StandIn {
    pub(crate) fn start() -> io::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        let state = State { issued: now.as_nanos(), polls: 0, used: BTreeSet::new() };
        let state = Arc::new(Mutex::new(state));
        let respond = move |request: &Request, out: &mut TcpStream| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
            let (status, body) = match path.rsplit('/').next() {
                Some("authorize") => return server::redirect(out, &authorized(query)),
                Some("me") => match user_of(request) {
                    Some(user) => ("200 OK", json!({ "sub": user })),
                    None => ("401 Unauthorized", json!({ "error": "invalid_token" })),
                },
                Some("devicecode") => ("200 OK", device_authorization(request)),
                Some("token") => match state.token(request) {
                    Ok(tokens) => ("200 OK", tokens),
                    Err(error) => ("400 Bad Request", json!({ "error": error })),
                },
                _ => ("404 Not Found", json!({ "error": "not_found" })),
            };
            server::json(out, status, &body.to_string())
        };
        Ok(Self(Server::start(respond)?))
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.requests()
    }

    /// The number of token requests.
    pub(crate) fn token_requests(&self) -> usize {
        self.requests().iter().filter(|it| it.path.ends_with("/token")).count()
    }
}

/// The address to which the browser returns. The authorization code has the name of the user and the
/// nonce. This server does not check PKCE.
fn authorized(query: &str) -> String {
    let parameters = server::parameters(query);
    let get = |name: &str| parameters.get(name).map_or("", String::as_str);
    let user = if get("login_hint").is_empty() { "alice" } else { get("login_hint") };
    format!("{}?code={user}~{}&state={}", get("redirect_uri"), get("nonce"), get("state"))
}

/// The user of an access token.
fn user_of(request: &Request) -> Option<&str> {
    let token = request.headers.get("authorization")?.strip_prefix("Bearer access token ")?;
    token.split_once(" of ").map(|(_, user)| user)
}

fn device_authorization(request: &Request) -> Value {
    let host = request.headers.get("host").map_or("", String::as_str);
    json!({
        "device_code": "a device code",
        "user_code": "WDJB-MJHT",
        "verification_uri": format!("http://{host}/device"),
        "expires_in": 900,
        "interval": 1,
    })
}

impl State {
    fn token(&mut self, request: &Request) -> Result<Value, &'static str> {
        match request.parameter("grant_type") {
            // The first poll is pending. By the second one, the user has signed in.
            DEVICE_CODE => {
                self.polls += 1;
                let tokens = |it: &mut Self| it.tokens(request, "alice", "");
                if self.polls < 2 { Err("authorization_pending") } else { Ok(tokens(self)) }
            }
            // The authorization code is the name of the user, with a nonce or without.
            "authorization_code" => {
                let code = request.parameter("code");
                let (user, nonce) = code.split_once('~').unwrap_or((code, ""));
                Ok(self.tokens(request, user, nonce))
            }
            "refresh_token" => {
                let token = request.parameter("refresh_token");
                let user = token.strip_prefix(REFRESH_TOKEN).ok_or("invalid_grant")?;
                let (_, user) = user.split_once(" of ").ok_or("invalid_grant")?;
                if !self.used.insert(token.to_owned()) {
                    return Err("invalid_grant");
                }
                Ok(self.tokens(request, user, ""))
            }
            "client_credentials" if request.parameter("client_secret") == CLIENT_SECRET => {
                self.issued += 1;
                let token = format!("app token {}", self.issued);
                Ok(json!({
                    "access_token": token, "token_type": "Bearer", "expires_in": LIFETIME,
                }))
            }
            "client_credentials" => Err("invalid_client"),
            _ => Err("unsupported_grant_type"),
        }
    }

    fn tokens(&mut self, request: &Request, user: &str, nonce: &str) -> Value {
        self.issued += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
        let scope = match request.parameter("scope") {
            "" => "User.Read openid profile offline_access",
            requested => requested,
        };
        let claims = json!({
            "oid": user, "sub": user, "preferred_username": format!("{user}@contoso.example"),
            "aud": request.parameter("client_id"), "nonce": nonce,
            "iss": "https://login.example/contoso", "exp": now + LIFETIME.unsigned_abs(),
        });
        json!({
            "access_token": format!("access token {} of {user}", self.issued),
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "scope": scope,
            "refresh_token": format!("{REFRESH_TOKEN}{} of {user}", self.issued),
            "id_token": format!("e30.{}.", base64url(&claims)),
            "client_info": base64url(&json!({ "uid": user, "utid": "contoso" })),
        })
    }
}

fn base64url(value: &Value) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
}
