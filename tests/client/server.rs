//! A token endpoint with scripted responses that records its requests.
#![expect(clippy::unnecessary_wraps, reason = "all have the type of a response")]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use msal_cache::Fields;
use msal_cache::endpoint::{
    TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind,
};
use serde_json::{Value, json};

use crate::common::{client_info, id_token};

pub(crate) type Response = Result<TokenResponse, TransportError>;

type Meanwhile<'a> = Box<dyn Fn() + Send + Sync + 'a>;

#[derive(Default)]
pub(crate) struct Server<'a> {
    responses: Mutex<VecDeque<Response>>,
    requests: Mutex<Vec<TokenRequest>>,
    meanwhile: Option<Meanwhile<'a>>,
}

impl<'a> Server<'a> {
    /// A server that sends these responses in turn and panics at a further request.
    pub(crate) fn new(responses: impl IntoIterator<Item = Response>) -> Self {
        Self { responses: Mutex::new(responses.into_iter().collect()), ..Self::default() }
    }

    /// Calls a function during each request.
    pub(crate) fn meanwhile(mut self, event: impl Fn() + Send + Sync + 'a) -> Self {
        self.meanwhile = Some(Box::new(event));
        self
    }

    pub(crate) fn requests(&self) -> Vec<TokenRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// The redeemed refresh tokens, in order.
    pub(crate) fn redeemed(&self) -> Vec<String> {
        let secret = |it: &TokenRequest| it.form().get("refresh_token").unwrap_or("-").to_owned();
        self.requests().iter().map(secret).collect()
    }
}

impl TokenEndpoint for Server<'_> {
    fn send(&self, request: &TokenRequest) -> Response {
        self.requests.lock().unwrap().push(request.clone());
        if let Some(meanwhile) = &self.meanwhile {
            meanwhile();
        }
        self.responses.lock().unwrap().pop_front().expect("an unexpected request")
    }
}

/// A successful response with additional members.
pub(crate) fn issued(secret: &str, more: Value) -> Response {
    let mut body = json!({
        "token_type": "Bearer",
        "access_token": format!("AT-{secret}"),
        "expires_in": 3600,
        "ext_expires_in": 7200,
    });
    let Value::Object(more) = more else { panic!("members") };
    for (name, value) in more {
        body[name] = value;
    }
    Ok(TokenResponse::new(200, Fields::from_json(&body.to_string()).unwrap()))
}

/// The response of Entra ID to a refresh for this user.
pub(crate) fn refreshed(user: &str, secret: &str) -> Response {
    issued(
        secret,
        json!({
            "refresh_token": format!("RT-{secret}"),
            "id_token": id_token(user),
            "client_info": client_info(user),
            "scope": "User.Read openid profile",
        }),
    )
}

pub(crate) fn refused(error: &str, more: Value) -> Response {
    let mut body = json!({ "error": error, "error_description": "AADSTS: for Alice@Example" });
    let Value::Object(more) = more else { panic!("members") };
    for (name, value) in more {
        body[name] = value;
    }
    Ok(TokenResponse::new(400, Fields::from_json(&body.to_string()).unwrap()))
}

pub(crate) fn invalid_grant() -> Response {
    refused("invalid_grant", json!({}))
}

pub(crate) fn client_mismatch() -> Response {
    refused("invalid_grant", json!({ "error_additional_info": ["client_mismatch"] }))
}

pub(crate) fn unreachable() -> Response {
    Err(TransportError::new(TransportErrorKind::Unreachable, "no route to host"))
}

pub(crate) fn unavailable(status: u16) -> Response {
    let body = Fields::from_json(r#"{"error": "temporarily_unavailable"}"#).unwrap();
    Ok(TokenResponse::new(status, body).with_retry_after(Some(Duration::from_secs(7))))
}

/// A server that accepts each refresh token once. It treats a second use as theft and then rejects
/// every token.
#[derive(Debug)]
pub(crate) struct Strict {
    state: Mutex<State>,
    /// The time until it responds.
    pub(crate) pause: Duration,
}

#[derive(Debug)]
struct State {
    current: String,
    issued: usize,
    replayed: bool,
    under_way: usize,
    most_under_way: usize,
}

impl Strict {
    /// A server whose first valid refresh token is this one.
    pub(crate) fn new(first: &str) -> Self {
        let state = State {
            current: first.into(),
            issued: 0,
            replayed: false,
            under_way: 0,
            most_under_way: 0,
        };
        Self { state: Mutex::new(state), pause: Duration::from_millis(5) }
    }

    /// The number of issued tokens. Panics if a token was replayed.
    pub(crate) fn issued(&self) -> usize {
        let state = self.state.lock().unwrap();
        assert!(!state.replayed, "a refresh token was used twice");
        state.issued
    }

    /// The highest number of concurrent requests.
    pub(crate) fn most_under_way(&self) -> usize {
        self.state.lock().unwrap().most_under_way
    }

    fn response(&self, request: &TokenRequest) -> Response {
        let mut state = self.state.lock().unwrap();
        state.under_way -= 1;
        if state.replayed || request.form().get("refresh_token") != Some(&state.current) {
            state.replayed = true;
            return invalid_grant();
        }
        state.issued += 1;
        state.current = format!("RT-{}", state.issued);
        let scope = request.form().get("scope").unwrap().to_owned();
        let more = json!({
            "refresh_token": state.current,
            "client_info": client_info("uid"),
            "scope": scope,
        });
        issued(&state.issued.to_string(), more)
    }
}

impl TokenEndpoint for Strict {
    fn send(&self, request: &TokenRequest) -> Response {
        let mut state = self.state.lock().unwrap();
        state.under_way += 1;
        state.most_under_way = state.most_under_way.max(state.under_way);
        drop(state);
        std::thread::sleep(self.pause);
        self.response(request)
    }
}
