//! No secret of a request or response reaches the app's logger. This is a separate test binary,
//! since a process has one logger.

#[allow(dead_code, reason = "this test uses a part of it")]
#[path = "../examples/stand_in/server.rs"]
mod server;

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};
use msal_cache::endpoint::{Form, TokenEndpoint, TokenRequest};
use msal_cache::http::HttpEndpoint;

const CANARY: &str = "CANARY";

/// Collects all log lines. `accepts_wire` tells whether it accepts the traces of `ureq_proto`.
struct Logger {
    accepts_wire: AtomicBool,
    lines: Mutex<String>,
}

static LOGGER: Logger =
    Logger { accepts_wire: AtomicBool::new(true), lines: Mutex::new(String::new()) };

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_wire = metadata.target().starts_with("ureq_proto");
        !is_wire
            || self.accepts_wire.load(Ordering::Relaxed)
            || metadata.level() <= LevelFilter::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            // Writing to a string can't fail.
            let _ = writeln!(lines, "{} {}", record.target(), record.args());
        }
    }

    fn flush(&self) {}
}

#[test]
fn p10_no_log_of_the_http_client_carries_a_secret() {
    log::set_logger(&LOGGER).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let server = server::Server::start(|_, out| {
        server::json(out, "200 OK", r#"{"access_token":"CANARY","refresh_token":"CANARY"}"#)
    })
    .unwrap();
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(format!("{}/token", server.url()))
        .client_secret_basic(CANARY)
        .build()
        .unwrap();
    let form = Form::new().with("refresh_token", CANARY).with("code", CANARY);
    let request = TokenRequest::new("https://login.example/t/oauth2/v2.0/token", "client", form);

    // The logger accepts the traces of requests.
    let error = endpoint.send(&request).unwrap_err();
    let why = error.source().unwrap().to_string();
    assert!(why.contains("RUST_LOG=trace,ureq_proto=debug"), "{why}");
    assert!(server.requests().is_empty(), "no request is sent");

    // The logger rejects them.
    LOGGER.accepts_wire.store(false, Ordering::Relaxed);
    endpoint.send(&request).unwrap();
    let [sent] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(sent.parameter("refresh_token"), CANARY);
    assert_eq!(sent.headers["authorization"], "Basic Y2xpZW50OkNBTkFSWQ==");
    let lines = LOGGER.lines.lock().unwrap();
    assert!(lines.contains("ureq_proto"), "the client logs at other levels: {lines}");
    // The second is "client:CANARY" in base64.
    for secret in [CANARY, "Y2xpZW50OkNBTkFSWQ"] {
        assert!(!lines.contains(secret), "{lines}");
    }
}
