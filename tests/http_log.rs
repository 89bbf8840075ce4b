//! What the logger of an app sees of requests and answers. A process of its own, since a process
//! has one logger.

#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../examples/stand_in/server.rs"]
mod server;

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};
use msal_cache::{Form, HttpEndpoint, TokenEndpoint, TokenRequest};

const CANARY: &str = "CANARY";

/// Takes everything that is logged; from `ureq_proto` too, unless told otherwise.
struct Logger {
    spares_the_wire: AtomicBool,
    lines: Mutex<String>,
}

static LOGGER: Logger =
    Logger { spares_the_wire: AtomicBool::new(false), lines: Mutex::new(String::new()) };

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_wire = metadata.target().starts_with("ureq_proto");
        !is_wire
            || !self.spares_the_wire.load(Ordering::Relaxed)
            || metadata.level() <= LevelFilter::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            // A text takes everything.
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

    // This logger would write down all that is sent.
    let error = endpoint.send(&request).unwrap_err();
    let why = error.source().unwrap().to_string();
    assert!(why.contains("RUST_LOG=trace,ureq_proto=debug"), "{why}");
    assert!(server.requests().is_empty(), "nothing is sent");

    // This one wouldn't.
    LOGGER.spares_the_wire.store(true, Ordering::Relaxed);
    endpoint.send(&request).unwrap();
    let [sent] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(sent.parameter("refresh_token"), CANARY);
    assert_eq!(sent.headers["authorization"], "Basic Y2xpZW50OkNBTkFSWQ==");
    let lines = LOGGER.lines.lock().unwrap();
    assert!(lines.contains("ureq_proto"), "the client logs at a level of its own: {lines}");
    // The second is what base64 makes of "client:CANARY".
    for secret in [CANARY, "Y2xpZW50OkNBTkFSWQ"] {
        assert!(!lines.contains(secret), "{lines}");
    }
}
