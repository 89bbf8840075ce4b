//! What `AsyncHttpEndpoint` adds to `HttpEndpoint`. `tests/driven.rs` runs the tests of
//! `HttpEndpoint` on it.

use std::io::{Read, Write};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use msal_cache::AsyncTokenCache;
use msal_cache::endpoint::{AsyncTokenEndpoint, Form, TokenRequest, TransportErrorKind};
use msal_cache::http::{AsyncHttpEndpoint, DeviceFlowError};
use tokio::time::{sleep, timeout};

use crate::stand_in::StandIn;
use crate::stand_in::server::{Server, json};

const MOMENT: Duration = Duration::from_millis(200);

fn request() -> TokenRequest {
    let form = Form::new().with("client_id", "app").with("scope", "User.Read");
    TokenRequest::new("https://login.example/t/oauth2/v2.0/token", "app", form)
}

fn endpoint(server: &Server) -> AsyncHttpEndpoint {
    let builder = AsyncHttpEndpoint::builder().token_endpoint(format!("{}/token", server.url()));
    builder.timeout(Duration::from_secs(20)).build_async().unwrap()
}

/// A server that never responds, and tells when a connection is closed.
fn hanging() -> (Server, mpsc::Receiver<()>) {
    let (closed, is_closed) = mpsc::channel();
    let server = Server::start(move |_, out| {
        out.flush()?;
        let _ = out.read(&mut [0; 1]);
        let _ = closed.send(());
        Ok(())
    });
    (server.unwrap(), is_closed)
}

/// The longest delay of a task that wakes every 10 ms, on the same thread as this work.
async fn lateness(work: impl Future) -> Duration {
    let latest = Arc::new(AtomicUsize::new(0));
    let seen = latest.clone();
    let ticker = tokio::spawn(async move {
        loop {
            let started = Instant::now();
            sleep(Duration::from_millis(10)).await;
            let late = started.elapsed().saturating_sub(Duration::from_millis(10));
            seen.fetch_max(usize::try_from(late.as_micros()).unwrap(), Ordering::Relaxed);
        }
    });
    work.await;
    tokio::task::yield_now().await;
    ticker.abort();
    Duration::from_micros(latest.load(Ordering::Relaxed).try_into().unwrap())
}

#[tokio::test]
async fn no_request_blocks_the_thread_that_runs_tasks() {
    let (server, _closed) = hanging();
    let builder = AsyncHttpEndpoint::builder().token_endpoint(format!("{}/token", server.url()));
    // The app's function blocks, then the server hangs.
    let slow = builder.client_assertion(|_| {
        thread::sleep(2 * MOMENT);
        Ok("signed".into())
    });
    let slow = slow.timeout(2 * MOMENT).build_async().unwrap();
    let late = lateness(async {
        let error = slow.send(&request()).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::TimedOut);
    });
    assert!(late.await < MOMENT);
    assert_eq!(server.requests()[0].parameter("client_assertion"), "signed");

    // The certificates of the system are read, and a name is looked up.
    let late = lateness(async {
        for address in ["https://host.invalid/token", &server.url().replace("http", "https")] {
            let builder = AsyncHttpEndpoint::builder().token_endpoint(address).timeout(MOMENT);
            builder.build_async().unwrap().send(&request()).await.unwrap_err();
        }
    });
    assert!(late.await < MOMENT);
}

#[tokio::test]
async fn a_dropped_request_closes_its_connection() {
    let (server, closed) = hanging();
    let endpoint = endpoint(&server);
    assert!(timeout(MOMENT, endpoint.send(&request())).await.is_err());
    let closed = tokio::task::spawn_blocking(move || closed.recv_timeout(10 * MOMENT));
    closed.await.unwrap().unwrap();
}

#[test]
fn without_a_runtime_a_request_is_an_error() {
    let server = StandIn::start().unwrap();
    let endpoint = AsyncHttpEndpoint::builder()
        .token_endpoint(format!("{}/token", server.url()))
        .client_assertion(|_| Ok(String::new()))
        .build_async()
        .unwrap();
    for endpoint in [endpoint, AsyncHttpEndpoint::new()] {
        let request = request();
        let sent = pin!(endpoint.send(&request));
        let Poll::Ready(Err(error)) = sent.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("an error")
        };
        assert_eq!(error.kind(), TransportErrorKind::Other);
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains("runtime"), "{why}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_panic_of_the_app_is_passed_on() {
    let builder = AsyncHttpEndpoint::builder().client_assertion(|_| panic!("the app's panic"));
    let endpoint = builder.build_async().unwrap();
    let sent = tokio::spawn(async move { endpoint.send(&request()).await });
    let panic = sent.await.unwrap_err().into_panic();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the app's panic"));
}

#[tokio::test]
async fn clones_share_the_throttling() {
    let server = Server::start(|_, out| json(out, "503 Service Unavailable", "{}")).unwrap();
    let endpoint = endpoint(&server);
    endpoint.send(&request()).await.unwrap();
    assert_eq!(endpoint.clone().send(&request()).await.unwrap().status(), 503);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_endpoint_serves_several_runtimes() {
    let server = Server::start(|_, out| json(out, "200 OK", r#"{"access_token":"AT"}"#)).unwrap();
    let endpoint = endpoint(&server);
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(endpoint.send(&request())).unwrap().status(), 200);
    }
}

/// tokio panics where time or I/O isn't enabled. The panic ends the request, and neither the endpoint
/// nor the cache keeps anything of it.
#[test]
fn a_runtime_without_drivers_is_a_panic_that_leaves_nothing_behind() {
    let server = Server::start(|_, out| json(out, "200 OK", r#"{"access_token":"AT"}"#)).unwrap();
    let endpoint = endpoint(&server);
    let cache = AsyncTokenCache::in_memory();
    let client = cache.client("app", "https://login.example/t");
    let acquire = || client.acquire_token_for_client(["api/.default"], &endpoint);
    let without = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let panic =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| without.block_on(acquire())));
    let panic = panic.unwrap_err();
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap();
    assert!(text.contains("enable_time"), "{text}");
    drop(without);
    let with = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(with.block_on(acquire()).unwrap().secret().expose(), "AT");
}

/// A server whose second poll is granted after a moment, and later ones never.
fn slow_to_grant(granted: &Arc<AtomicBool>) -> Server {
    let granted = granted.clone();
    Server::start(move |request, out| {
        if request.path == "/device" {
            let code = r#"{"device_code":"d","user_code":"X","verification_uri":"https://x",
                           "expires_in":2,"interval":1}"#;
            return json(out, "200 OK", code);
        }
        if granted.swap(true, Ordering::Relaxed) {
            return json(out, "400 Bad Request", r#"{"error":"invalid_grant"}"#);
        }
        thread::sleep(MOMENT);
        json(out, "200 OK", r#"{"access_token":"AT"}"#)
    })
    .unwrap()
}

#[tokio::test]
async fn a_grant_that_arrives_after_a_drop_is_returned_by_the_next_call() {
    let granted = Arc::new(AtomicBool::new(false));
    let server = slow_to_grant(&granted);
    let endpoint = AsyncHttpEndpoint::builder()
        .token_endpoint(format!("{}/token", server.url()))
        .device_authorization_endpoint(format!("{}/device", server.url()))
        .build_async()
        .unwrap();
    let client = AsyncTokenCache::in_memory().client("app", "https://login.example/t");
    let flow = endpoint.initiate_device_flow(&client, ["User.Read"], None).await.unwrap();
    assert!(timeout(MOMENT / 4, endpoint.acquire_token_by_device_flow(&flow)).await.is_err());
    // Even after the code has expired.
    sleep(flow.expires_in() + MOMENT).await;
    endpoint.acquire_token_by_device_flow(&flow).await.unwrap();
    let again = endpoint.acquire_token_by_device_flow(&flow).await.unwrap_err();
    assert!(matches!(again, DeviceFlowError::Expired), "{again:?}");
    assert_eq!(server.requests().len(), 2);
}
