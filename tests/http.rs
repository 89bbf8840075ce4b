//! `HttpEndpoint` against misbehaving servers. Tests against a real server are in `tests/peers`.
//!
//! `tests/driven.rs` runs the same tests on `AsyncHttpEndpoint`.

use std::env;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use msal_cache::clock::ManualClock;
use msal_cache::endpoint::{
    Form, TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind,
};
use msal_cache::http::HttpEndpoint;
use msal_cache::{AccountInfo, AcquireError, Client, CredentialType, Event, Fields, Query};

use crate::canary::{CANARY, clean};
use crate::common::{cache, client_info, id_token};
use crate::stand_in::StandIn;
use crate::stand_in::server::{Request, Server, json};

pub(crate) const CLIENT: &str = "app:one";
pub(crate) const AUTHORITY: &str = "https://login.example/tenant";

/// A server that responds to every request with these bytes.
pub(crate) fn server_with(bytes: impl Into<Vec<u8>>) -> Server {
    let bytes = bytes.into();
    Server::start(move |_, out| out.write_all(&bytes)).unwrap()
}

/// A server whose responses are given in turn, as status and JSON body. The last one is repeated.
fn server_with_responses(turns: &'static [(&'static str, &'static str)]) -> Server {
    let next = AtomicUsize::new(0);
    let response = move |_: &Request, out: &mut std::net::TcpStream| {
        let turn = next.fetch_add(1, Ordering::Relaxed).min(turns.len() - 1);
        json(out, turns[turn].0, turns[turn].1)
    };
    Server::start(response).unwrap()
}

pub(crate) fn endpoint(server: &Server) -> HttpEndpoint {
    HttpEndpoint::builder()
        .token_endpoint(format!("{}/token", server.url()))
        .device_authorization_endpoint(format!("{}/device", server.url()))
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

fn refresh(token: &str) -> TokenRequest {
    let form = Form::new()
        .with("client_id", CLIENT)
        .with("grant_type", "refresh_token")
        .with("refresh_token", token)
        .with("scope", "User.Read openid");
    TokenRequest::new(format!("{AUTHORITY}/oauth2/v2.0/token"), CLIENT, form)
}

/// The result of one request to a server that responds with these bytes.
fn outcome(bytes: impl Into<Vec<u8>>) -> Result<TokenResponse, TransportError> {
    let server = server_with(bytes);
    let outcome = endpoint(&server).send(&refresh(CANARY));
    clean("an outcome", &format!("{outcome:?}"));
    if let Err(error) = &outcome {
        clean("an error", &chain(error));
    }
    outcome
}

/// The messages of an error and its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", source.unwrap_or_default())
}

#[track_caller]
fn fails(outcome: Result<TokenResponse, TransportError>, kind: TransportErrorKind, why: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), kind, "{}", chain(&error));
    assert!(chain(&error).contains(why), "{}", chain(&error));
}

/// A response with this status, additional headers and body.
pub(crate) fn reply(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn ok(body: &str) -> String {
    reply("200 OK", "", body)
}

#[test]
fn a_form_is_posted_and_the_response_is_returned() {
    let server = server_with(ok(r#"{"access_token":"AT","expires_in":3600}"#));
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(format!("{}/token?x=y", server.url()))
        .app("things", "1.2")
        .build()
        .unwrap();
    let request = refresh("a + b&c=d % é").with_home_account_id("uid.utid");
    let response = endpoint.send(&request).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.body().get("access_token").unwrap(), "AT");
    assert_eq!(response.retry_after(), None);

    let [sent] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(sent.path, "/token?x=y");
    assert_eq!(sent.parameter("refresh_token"), "a + b&c=d % é");
    assert_eq!(sent.parameter("scope"), "User.Read openid");
    assert_eq!(sent.form.len(), 4);
    let header = |name: &str| sent.headers.get(name).map_or("", String::as_str);
    assert_eq!(header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(header("accept"), "application/json");
    assert_eq!(header("x-client-sku"), "msal-cache");
    assert_eq!(header("x-ms-lib-capability"), "retry-after, h429");
    assert_eq!((header("x-app-name"), header("x-app-ver")), ("things", "1.2"));
    assert_eq!(header("x-anchormailbox"), "Oid:uid@utid");
    assert_eq!(header("client-request-id").len(), 36);
    assert_eq!(header("authorization"), "");
}

#[test]
fn each_kind_of_client_credential_is_sent_as_specified() {
    let sent_by = |builder: msal_cache::http::HttpEndpointBuilder| {
        let server = server_with(ok("{}"));
        let endpoint = builder.token_endpoint(format!("{}/token", server.url())).build().unwrap();
        clean("an endpoint", &format!("{endpoint:?}"));
        endpoint.send(&refresh("RT")).unwrap();
        server.requests().remove(0)
    };
    let sent = sent_by(HttpEndpoint::builder());
    assert!(
        !sent.form.contains_key("client_secret") && !sent.form.contains_key("client_assertion")
    );

    let builder = HttpEndpoint::builder().client_secret(format!("{CANARY} + %"));
    clean("a builder", &format!("{builder:?}"));
    let sent = sent_by(builder);
    assert_eq!(sent.parameter("client_secret"), format!("{CANARY} + %"));
    assert!(!sent.headers.contains_key("authorization"));

    let sent = sent_by(HttpEndpoint::builder().client_secret_basic("a + %"));
    assert!(!sent.form.contains_key("client_secret"));
    // "app%3Aone:a+%2B+%25"
    assert_eq!(sent.headers["authorization"], "Basic YXBwJTNBb25lOmErJTJCKyUyNQ==");

    let sent = sent_by(HttpEndpoint::builder().client_assertion(|request| {
        Ok(format!("signed for {} by {}", request.token_endpoint, request.client_id))
    }));
    assert_eq!(
        sent.parameter("client_assertion"),
        format!("signed for http://{}/token by {CLIENT}", sent.headers["host"])
    );
    assert_eq!(
        sent.parameter("client_assertion_type"),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
}

#[test]
fn a_failed_client_assertion_is_the_error_and_no_request_is_sent() {
    let server = server_with(ok("{}"));
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(server.url())
        .client_assertion(|_| Err("the key vault is closed".into()))
        .build()
        .unwrap();
    fails(endpoint.send(&refresh("RT")), TransportErrorKind::Other, "the key vault is closed");
    assert!(server.requests().is_empty());
}

#[test]
fn a_refusal_is_returned_as_a_response() {
    let body = r#"{"error":"invalid_grant","suberror":"basic_action","claims":"{}"}"#;
    let response = outcome(reply("400 Bad Request", "", body)).unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(response.body().get("suberror").unwrap(), "basic_action");
}

#[test]
fn a_server_that_never_completes_a_response_times_out() {
    // A server that sends nothing, and one that sends a byte now and then.
    for first in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"] {
        let server = Server::start(move |_, out| {
            out.write_all(first.as_bytes())?;
            for _ in 0..50 {
                thread::sleep(Duration::from_millis(100));
                out.write_all(if first.is_empty() { b"" } else { b" " })?;
            }
            Ok(())
        })
        .unwrap();
        let endpoint = HttpEndpoint::builder()
            .token_endpoint(server.url())
            .timeout(Duration::from_millis(300))
            .build()
            .unwrap();
        let started = Instant::now();
        fails(endpoint.send(&refresh(CANARY)), TransportErrorKind::TimedOut, "timeout");
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    }
}

#[test]
fn a_refused_connection_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(format!("http://127.0.0.1:{port}/token"))
        .build()
        .unwrap();
    let error = endpoint.send(&refresh(CANARY)).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Unreachable, "{}", chain(&error));
    assert_eq!(error.correlation_id().map(str::len), Some(36));
    assert_eq!(error.status(), None);
}

#[test]
fn a_failed_name_look_up_is_unreachable() {
    let builder = HttpEndpoint::builder().token_endpoint("https://host.invalid/token");
    let error = builder.build().unwrap().send(&refresh(CANARY)).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Unreachable, "{}", chain(&error));
    assert!(chain(&error).contains("https://host.invalid/token"), "{}", chain(&error));
}

#[test]
fn a_server_that_does_not_begin_tls_is_unreachable() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(format!("https://{}/token", silent.local_addr().unwrap()))
        .timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    let started = Instant::now();
    fails(endpoint.send(&refresh(CANARY)), TransportErrorKind::Unreachable, "timeout");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn any_timeout_is_accepted() {
    for timeout in [Duration::MAX, Duration::from_secs(u64::MAX / 2)] {
        let server = server_with(ok("{}"));
        let endpoint = HttpEndpoint::builder()
            .token_endpoint(format!("{}/token", server.url()))
            .timeout(timeout)
            .build()
            .unwrap();
        assert_eq!(endpoint.send(&refresh(CANARY)).unwrap().status(), 200);
    }
}

#[test]
fn a_closed_connection_is_interrupted() {
    fails(outcome(""), TransportErrorKind::Interrupted, "");
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\"";
    fails(outcome(half), TransportErrorKind::Interrupted, "");
}

#[test]
fn an_invalid_response_is_malformed() {
    use TransportErrorKind::Malformed;
    fails(outcome(ok(&format!("<html>{CANARY}</html>"))), Malformed, "JSON");
    fails(outcome(ok(&format!("[\"{CANARY}\"]"))), Malformed, "an array");
    fails(outcome(ok("")), Malformed, "the body is not JSON (line 1, column 0)");
    fails(outcome(format!("{CANARY}\r\n\r\n")), Malformed, "");
    fails(outcome(&b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff"[..]), Malformed, "UTF-8");
}

#[test]
fn an_endless_response_is_not_read_to_the_end() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let server = Server::start(move |_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"access_token\":\"")?;
        let block = vec![b'x'; 64 << 10];
        while counted.load(Ordering::Relaxed) < 64 << 20 {
            out.write_all(&block)?;
            counted.fetch_add(block.len(), Ordering::Relaxed);
        }
        Ok(())
    })
    .unwrap();
    fails(endpoint(&server).send(&refresh("RT")), TransportErrorKind::Malformed, "larger");
    assert!(sent.load(Ordering::Relaxed) < 32 << 20, "the whole response was read");

    let headers = "X: y\r\n".repeat(100_000);
    fails(
        outcome(format!("HTTP/1.1 200 OK\r\n{headers}\r\n{{}}")),
        TransportErrorKind::Malformed,
        "",
    );
}

#[test]
fn a_redirect_is_not_followed() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let other = server_with(ok(r#"{"access_token":"of another server"}"#));
        let location = format!("Location: {}\r\n", other.url());
        let outcome = outcome(reply(status, &location, "{}"));
        fails(outcome, TransportErrorKind::Malformed, "redirect");
        assert!(other.requests().is_empty());
    }
}

#[test]
fn plain_http_is_limited_to_loopback_addresses() {
    let request = |address: &str| TokenRequest::new(address, CLIENT, Form::new());
    for address in ["http://192.0.2.1/token", "http://user:CANARY@127.0.0.1/token", "ftp://x/y"] {
        let started = Instant::now();
        let outcome = HttpEndpoint::new().send(&request(address));
        fails(outcome.clone(), TransportErrorKind::Other, "invalid endpoint address");
        clean("an error", &chain(&outcome.unwrap_err()));
        assert!(started.elapsed() < Duration::from_secs(2));

        let error = HttpEndpoint::builder().token_endpoint(address).build().unwrap_err();
        assert!(error.to_string().starts_with("token_endpoint: "), "{error}");
        clean("an error", &error.to_string());
    }
    // A server without TLS at an https address.
    let server = server_with(ok("{}"));
    let https = server.url().replace("http://", "https://");
    let endpoint = HttpEndpoint::builder().token_endpoint(https).build().unwrap();
    endpoint.send(&refresh(CANARY)).unwrap_err();
    let seen = server.requests();
    assert!(seen.iter().all(|it| !format!("{it:?}").contains(CANARY)), "{seen:?}");
}

/// Runs a test in a process with this proxy in the environment.
#[track_caller]
fn test_with_proxy(test: &str, proxy: &str) {
    let mut command = Command::new(env::current_exe().unwrap());
    for variable in ["https_proxy", "HTTPS_PROXY", "all_proxy", "no_proxy", "NO_PROXY"] {
        command.env_remove(variable);
    }
    let command = command.args(["--exact", test]).env("ALL_PROXY", proxy).env(CHILD, proxy);
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

/// The environment variable that tells a test that `test_with_proxy` runs it.
const CHILD: &str = "MSAL_CACHE_TEST_CHILD";

#[test]
fn plain_http_bypasses_the_proxy() {
    // Nothing listens at the proxy's address, so a request through it fails.
    for proxy in ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "not a proxy"] {
        test_with_proxy("http::a_form_is_posted_and_the_response_is_returned", proxy);
    }
}

/// A server that refuses to be a proxy.
fn refusing_proxy() -> Server {
    server_with(reply("407 Proxy Authentication Required", "", ""))
}

#[test]
fn an_error_names_the_address_and_the_proxy_without_secrets() {
    let proxy = refusing_proxy();
    let address = proxy.url().replace("http://", &format!("http://user:{CANARY}%20x@"));
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(format!("https://login.example:8443/t/token?x={CANARY}"))
        .proxy(&address)
        .build()
        .unwrap();
    clean("an endpoint", &format!("{endpoint:?}"));
    let error = endpoint.send(&refresh(CANARY)).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Unreachable, "{}", chain(&error));
    assert_eq!(error.address(), Some("https://login.example:8443/t/token"));
    assert_eq!(error.proxy(), Some(&*proxy.url()));
    let text = chain(&error);
    let start = format!(
        "the token endpoint https://login.example:8443/t/token can't be reached through the proxy {}",
        proxy.url()
    );
    assert!(text.starts_with(&start) && text.contains("407"), "{text}");
    clean("an error", &text);
    clean("an error", &format!("{error:?}"));

    let [sent] = &proxy.requests()[..] else { panic!("one request") };
    assert_eq!(sent.path, "login.example:8443");
    // "user:CANARY x"
    assert_eq!(sent.headers["proxy-authorization"], "Basic dXNlcjpDQU5BUlkgeA==");
    assert_eq!(sent.headers["host"], "login.example:8443");
    assert!(sent.form.is_empty() && !format!("{sent:?}").contains("refresh_token"));

    // An error of the server.
    let server = server_with(reply("503 Service Unavailable", "", "<html>"));
    let error = self::endpoint(&server).send(&refresh(CANARY)).unwrap_err();
    assert_eq!(error.address(), Some(&*format!("{}/token", server.url())));
    assert_eq!(error.proxy(), None);
    // An invalid address.
    let request = TokenRequest::new("http://a:CANARY@b.example/t?CANARY", CLIENT, Form::new());
    let error = HttpEndpoint::new().send(&request).unwrap_err();
    assert_eq!(error.address(), Some("http://b.example/t"));
    clean("an error", &chain(&error));
}

#[test]
fn an_error_of_an_acquisition_names_the_address() {
    for (status, body) in
        [("503 Service Unavailable", "{}"), ("404 Not Found", "{}"), ("200 OK", "{}")]
    {
        let server = server_with(reply(status, "", body));
        let (client, alice, clock) = signed_in();
        clock.advance(3601);
        let error = client.acquire_token_silent(["User.Read"], &alice, &endpoint(&server));
        let AcquireError::Transport(error) = error.unwrap_err() else { panic!("{status}") };
        assert_eq!(error.address(), Some(&*format!("{}/token", server.url())), "{status}");
        assert_eq!(error.correlation_id().map(str::len), Some(36));
        assert_eq!(error.status(), status[..3].parse().ok());
    }
}

#[test]
fn the_proxy_of_the_environment_is_used() {
    const SELF: &str = "http::the_proxy_of_the_environment_is_used";
    let Ok(proxy) = env::var(CHILD) else {
        let proxy = refusing_proxy();
        test_with_proxy(SELF, &proxy.url());
        assert_eq!(proxy.requests().len(), 1);
        for garbage in ["socks5://proxy.example:1080", "not a proxy", "http://proxy.example:x"] {
            test_with_proxy(SELF, garbage);
        }
        return;
    };
    let error = HttpEndpoint::new().send(&refresh(CANARY)).unwrap_err();
    if proxy.starts_with("http://127.0.0.1:") {
        assert_eq!(error.kind(), TransportErrorKind::Unreachable, "{}", chain(&error));
        assert_eq!(error.proxy(), Some(&*proxy));
    } else {
        let expected = "the environment variable ALL_PROXY is not the address of a proxy: ";
        fails(Err(error), TransportErrorKind::Other, expected);
    }
}

#[test]
fn a_proxy_that_does_not_respond_is_unreachable() {
    let hanging = Server::start(|_, _| {
        thread::sleep(Duration::from_secs(2));
        Ok(())
    })
    .unwrap();
    let closing = Server::start(|_, _| Ok(())).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = format!("http://127.0.0.1:{port}");
    // The proxy speaks no TLS.
    let without_tls = hanging.url().replace("http://", "https://");
    for proxy in
        [hanging.url(), closing.url(), refused, without_tls.clone(), "http://host.invalid".into()]
    {
        let endpoint = HttpEndpoint::builder()
            .token_endpoint("https://login.example/token")
            .proxy(&proxy)
            .timeout(Duration::from_millis(500))
            .build()
            .unwrap();
        let started = Instant::now();
        let error = endpoint.send(&refresh(CANARY)).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(2), "{proxy}: {:?}", started.elapsed());
        if proxy == closing.url() || proxy == without_tls {
            // ureq reports these as any lost connection.
            let kinds = [TransportErrorKind::Unreachable, TransportErrorKind::Interrupted];
            assert!(kinds.contains(&error.kind()), "{}", chain(&error));
        } else {
            assert_eq!(error.kind(), TransportErrorKind::Unreachable, "{proxy}: {}", chain(&error));
        }
    }
}

#[test]
fn invalid_options_are_reported_by_build() {
    let field = |builder: msal_cache::http::HttpEndpointBuilder| {
        builder.build().unwrap_err().to_string().split(':').next().unwrap_or_default().to_owned()
    };
    let builder = HttpEndpoint::builder;
    assert_eq!(field(builder().timeout(Duration::ZERO)), "timeout");
    assert_eq!(field(builder().app("a\nb", "1")), "app.name");
    assert_eq!(field(builder().proxy("socks5://proxy.example")), "proxy");
    assert_eq!(field(builder().proxy("")), "proxy");
    assert_eq!(field(builder().app("a", "1\r\nX: y")), "app.version");
    assert_eq!(field(builder().root_certificates("no PEM")), "root_certificates");
    assert_eq!(
        field(builder().device_authorization_endpoint("http://login.example/x")),
        "device_authorization_endpoint"
    );
}

#[test]
fn a_429_is_repeated_until_retry_after_is_over() {
    let body = r#"{"error":"temporarily_unavailable"}"#;
    let server = server_with(reply("429 Too Many Requests", "Retry-After: 1\r\n", body));
    let endpoint = endpoint(&server);
    let alice = refresh("RT of alice");
    let response = endpoint.send(&alice).unwrap();
    assert_eq!((response.status(), response.retry_after()), (429, Some(Duration::from_secs(1))));
    let repeated = endpoint.send(&alice).unwrap();
    assert_eq!((repeated.status(), repeated.body()), (429, response.body()));
    assert!(repeated.retry_after().unwrap() < Duration::from_secs(1), "the remaining time");
    assert_eq!(server.requests().len(), 1);

    // Requests for other users are sent.
    endpoint.send(&refresh("RT of bob")).unwrap();
    assert_eq!(server.requests().len(), 2);

    thread::sleep(Duration::from_millis(1100));
    endpoint.send(&alice).unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn retry_after_is_read_as_a_fraction_or_a_date() {
    for (header, expected) in [
        ("Retry-After: 2.5\r\n", 2.5),
        (
            "Date: Fri, 27 Nov 2026 08:00:00 GMT\r\nRetry-After: Fri, 27 Nov 2026 08:00:07 GMT\r\n",
            7.0,
        ),
    ] {
        let server = server_with(reply("429 Too Many Requests", header, r#"{"error":"x"}"#));
        let endpoint = endpoint(&server);
        let response = endpoint.send(&refresh("RT")).unwrap();
        assert_eq!(response.retry_after(), Some(Duration::from_secs_f64(expected)), "{header}");
        endpoint.send(&refresh("RT")).unwrap();
        assert_eq!(server.requests().len(), 1, "the second request is throttled");
    }
}

#[test]
fn a_503_is_repeated_for_a_while() {
    let server = server_with(reply("503 Service Unavailable", "", "<html>"));
    let endpoint = endpoint(&server);
    for _ in 0..3 {
        let error = endpoint.send(&refresh("RT")).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Unavailable);
        assert_eq!((error.status(), error.retry_after()), (Some(503), None));
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_identical_request_is_not_sent_after_a_refusal() {
    let server = server_with_responses(&[("400 Bad Request", r#"{"error":"invalid_grant"}"#)]);
    let endpoint = endpoint(&server);
    for _ in 0..3 {
        let response = endpoint.send(&refresh("RT")).unwrap();
        assert_eq!((response.status(), response.retry_after()), (400, None));
    }
    assert_eq!(server.requests().len(), 1);
    endpoint.send(&refresh("another RT")).unwrap();
    assert_eq!(server.requests().len(), 2);

    // After a success or another client error, requests are sent each time.
    for status in ["401 Unauthorized", "200 OK"] {
        let server = server_with(reply(status, "", "{}"));
        let endpoint = self::endpoint(&server);
        for _ in 0..2 {
            endpoint.send(&refresh("RT")).unwrap();
        }
        assert_eq!(server.requests().len(), 2, "{status}");
    }
}

/// A signed-in client and the clock of its cache. The access token expires in an hour and is due
/// for refresh after half an hour.
fn signed_in() -> (Client, AccountInfo, Arc<ManualClock>) {
    let (cache, clock) = cache();
    let response = Fields::new()
        .set("access_token", "the old one")
        .set("refresh_token", CANARY)
        .set("client_info", client_info("alice"))
        .set("id_token", id_token("alice"))
        .set("expires_in", 3600)
        .set("refresh_in", 1800);
    let client = cache.client(CLIENT, AUTHORITY);
    let event = Event::new(CLIENT)
        .token_endpoint(client.token_endpoint().unwrap())
        .scope(["User.Read"])
        .response(response);
    cache.add(&event).unwrap();
    let [alice] = &client.accounts().unwrap()[..] else { panic!("one account") };
    (client, alice.clone(), clock)
}

#[test]
fn an_unexpired_token_is_returned_during_an_outage_and_an_expired_one_is_not() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let unreachable = HttpEndpoint::builder()
        .token_endpoint(format!("http://127.0.0.1:{port}/token"))
        .build()
        .unwrap();
    let broken = server_with(reply("503 Service Unavailable", "Retry-After: 60\r\n", "<html>"));
    for (endpoint, kind) in [
        (unreachable, TransportErrorKind::Unreachable),
        (endpoint(&broken), TransportErrorKind::Unavailable),
    ] {
        let (client, alice, clock) = signed_in();
        clock.advance(1801);
        for _ in 0..3 {
            let token = client.acquire_token_silent(["User.Read"], &alice, &endpoint).unwrap();
            assert_eq!(token.secret().expose(), "the old one");
            let Some(AcquireError::Transport(error)) = token.refresh_error() else { panic!() };
            assert_eq!(error.kind(), kind);
            clean("a token", &format!("{token:?}"));
        }
        clock.advance(1800);
        let error = client.acquire_token_silent(["User.Read"], &alice, &endpoint).unwrap_err();
        let AcquireError::Transport(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), kind);
    }
    assert_eq!(broken.requests().len(), 1, "later requests are throttled");
}

#[test]
fn interaction_required_carries_the_whole_server_error() {
    let body = r#"{"error":"invalid_grant","error_description":"AADSTS50076: CANARY must ...",
        "error_codes":[50076],"suberror":"basic_action","correlation_id":"an id",
        "claims":"{\"access_token\":{}}"}"#;
    let server = server_with(reply("400 Bad Request", "", body));
    let (client, alice, clock) = signed_in();
    clock.advance(3601);
    let endpoint = endpoint(&server);
    let error = client.acquire_token_silent(["User.Read"], &alice, &endpoint).unwrap_err();
    clean("an error", &chain(&error));
    let AcquireError::InteractionRequired(required) = error else { panic!("{error:?}") };
    let said = required.server_error().unwrap();
    assert_eq!((said.error(), said.suberror()), ("invalid_grant", Some("basic_action")));
    assert_eq!(said.claims(), Some(r#"{"access_token":{}}"#));
    assert_eq!((said.error_codes(), said.status()), (&[50076][..], 400));

    // The claims challenge is sent with the sign-in.
    let server = StandIn::start().unwrap();
    let endpoint = HttpEndpoint::builder()
        .token_endpoint(format!("{}/token", server.url()))
        .device_authorization_endpoint(format!("{}/devicecode", server.url()))
        .build()
        .unwrap();
    let flow = endpoint.initiate_device_flow(&client, ["User.Read"], said.claims()).unwrap();
    client.cache().add(&endpoint.acquire_token_by_device_flow(&flow, || false).unwrap()).unwrap();
    let sent = server.requests();
    assert!(sent.iter().all(|it| it.parameter("claims") == r#"{"access_token":{}}"#), "{sent:?}");
}

#[test]
fn a_rotated_refresh_token_is_stored_even_if_the_rest_of_the_response_is_invalid() {
    for body in [
        r#"{"access_token":"AT","refresh_token":"the new one","client_info":"?"}"#,
        r#"{"access_token":"AT","refresh_token":"the new one","expires_in":"soon"}"#,
        r#"{"access_token":"AT","refresh_token":"the new one","id_token":"?"}"#,
        r#"{"refresh_token":"the new one"}"#,
    ] {
        let server = server_with(ok(body));
        let (client, alice, clock) = signed_in();
        clock.advance(3601);
        client.acquire_token_silent(["User.Read"], &alice, &endpoint(&server)).unwrap_err();
        let found = client.cache().find(CredentialType::RefreshToken, &Query::new()).unwrap();
        let [stored] = &found[..] else { panic!("one refresh token") };
        assert_eq!(stored.refresh_token().unwrap().secret().expose(), "the new one", "{body}");
    }
    // Unless it may be another user's.
    let bob = client_info("bob");
    let body = format!(r#"{{"access_token":"AT","refresh_token":"his","client_info":"{bob}"}}"#);
    let server = server_with(ok(&body));
    let (client, alice, clock) = signed_in();
    clock.advance(3601);
    client.acquire_token_silent(["User.Read"], &alice, &endpoint(&server)).unwrap_err();
    assert!(!client.cache().serialize().unwrap().contains("his"));
}
