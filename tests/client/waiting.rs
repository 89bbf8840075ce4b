//! Refreshes of tokens that are still valid: a server that hangs holds no caller back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use msal_cache::acquire::{RefreshReason, TokenSource};
use msal_cache::clock::ManualClock;
use msal_cache::endpoint::{TokenEndpoint, TokenRequest, TransportError};
use msal_cache::store::CacheStore;
use msal_cache::{AcquireError, Memory, TokenCache};
use serde_json::json;

use super::server::{Response, Server, invalid_grant, refreshed, unavailable, unreachable};
use super::{access_token, account, client, fill, refresh_token, section, user, with};
use crate::common::{NOW, cache, over};

const SCOPE: [&str; 1] = ["User.Read"];
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);
/// Sooner than any test may take.
const SOON: Duration = Duration::from_secs(20);

/// A valid token that the server wants to be refreshed, and a refresh token.
pub(crate) fn fill_aging<S: CacheStore>(cache: &TokenCache<S>) {
    let aging =
        with(access_token("User.Read", "at", 3600), json!({ "refresh_on": (NOW - 5).to_string() }));
    fill(
        cache,
        &[
            ("AccessToken", vec![aging]),
            ("Account", vec![account()]),
            ("RefreshToken", vec![refresh_token("rt", 0)]),
        ],
    );
}

/// A server that responds when the test says so.
struct Hanging {
    responses: Mutex<Receiver<Response>>,
    requests: AtomicUsize,
}

impl Hanging {
    fn new() -> (Arc<Self>, Sender<Response>) {
        let (respond, responses) = channel();
        let server = Self { responses: Mutex::new(responses), requests: AtomicUsize::new(0) };
        (Arc::new(server), respond)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl TokenEndpoint for Hanging {
    fn send(
        &self,
        _: &TokenRequest,
    ) -> Result<msal_cache::endpoint::TokenResponse, TransportError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.responses.lock().unwrap().recv_timeout(LONG).expect("the test responds")
    }
}

fn until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < SOON, "it takes too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_valid_token_is_not_attempted_again_until_the_pause_is_over() {
    for (failure, pause) in
        [(unreachable(), 30), (unavailable(503), 30), (invalid_grant(), 30), (throttled(90), 90)]
    {
        let (cache, clock) = cache();
        fill_aging(&cache);
        let server = Server::new([failure, refreshed("uid", "new")]);
        for second in [0, 0, 1, pause - 1] {
            clock.set(NOW + second);
            let token = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
            assert_eq!(token.secret().expose(), "at");
            assert_eq!(token.refresh_reason(), Some(RefreshReason::Aging));
            assert!(token.refresh_error().is_some(), "each caller can see why");
            assert_eq!(server.requests().len(), 1, "after {second} s");
        }
        clock.set(NOW + pause);
        let token = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
        assert_eq!(token.secret().expose(), "AT-new");
    }
}

fn throttled(seconds: u64) -> Response {
    let response = unavailable(429)?;
    Ok(response.with_retry_after(Some(Duration::from_secs(seconds))))
}

#[test]
fn a_pause_doesnt_hold_back_what_has_no_valid_token() {
    let (cache, _) = cache();
    fill_aging(&cache);
    let server = Server::new([unreachable(), refreshed("uid", "mail"), refreshed("uid", "forced")]);
    let it = client(&cache);
    assert_eq!(it.acquire_token_silent(SCOPE, &user(), &server).unwrap().secret().expose(), "at");
    let token = it.acquire_token_silent(["Mail.Read"], &user(), &server).unwrap();
    assert_eq!(token.secret().expose(), "AT-mail");
    let forced = msal_cache::SilentRequest::new(SCOPE, &user()).force_refresh(true);
    assert_eq!(it.acquire(&forced, &server).unwrap().secret().expose(), "AT-forced");
}

#[test]
fn a_server_that_hangs_holds_no_caller_back_and_its_response_is_stored() {
    let (cache, _) = cache();
    fill_aging(&cache);
    let (server, respond) = Hanging::new();
    for (nth, wait) in [Duration::ZERO, LONG, LONG].into_iter().enumerate() {
        let started = Instant::now();
        let client = client(&cache).with_refresh_wait(wait);
        let token = client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
        assert!(started.elapsed() < SOON, "call {nth} waited");
        assert_eq!((token.secret().expose(), token.source()), ("at", TokenSource::Cache));
        assert_eq!(token.refresh_reason(), Some(RefreshReason::Aging));
        until(|| server.requests() == 1);
    }
    respond.send(refreshed("uid", "new")).unwrap();
    cache.finish_refreshes();
    assert_eq!(section(&cache, "RefreshToken")[0]["secret"], "RT-new");
    let token = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!((token.secret().expose(), token.refresh_reason()), ("AT-new", None));
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_server_that_responds_in_time_gives_the_new_token() {
    let (cache, _) = cache();
    fill_aging(&cache);
    let (server, respond) = Hanging::new();
    respond.send(refreshed("uid", "new")).unwrap();
    let client = client(&cache).with_refresh_wait(LONG);
    let token = client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(
        (token.secret().expose(), token.source()),
        ("AT-new", TokenSource::IdentityProvider)
    );
}

#[test]
fn a_refresh_that_fails_late_is_followed_by_the_pause() {
    let (cache, clock) = cache();
    fill_aging(&cache);
    let (server, respond) = Hanging::new();
    let client = client(&cache).with_refresh_wait(Duration::ZERO);
    client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    until(|| server.requests() == 1);
    respond.send(unreachable()).unwrap();
    cache.finish_refreshes();
    let token = client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert!(matches!(token.refresh_error(), Some(AcquireError::Transport(_))));
    assert_eq!(server.requests(), 1);
    clock.set(NOW + 30);
    client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    until(|| server.requests() == 2);
    respond.send(refreshed("uid", "new")).unwrap();
    cache.finish_refreshes();
    assert_eq!(section(&cache, "RefreshToken")[0]["secret"], "RT-new");
}

#[test]
fn a_caller_without_a_valid_token_waits_for_the_refresh_that_is_under_way() {
    let (cache, clock) = cache();
    fill_aging(&cache);
    let (server, respond) = Hanging::new();
    let client = client(&cache).with_refresh_wait(Duration::ZERO);
    client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    until(|| server.requests() == 1);
    // The old token expires meanwhile.
    clock.set(NOW + 3599);
    respond.send(refreshed("uid", "new")).unwrap();
    let token = client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(token.secret().expose(), "AT-new");
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_dropped_cache_stores_the_response_and_keeps_nothing() {
    let store = Arc::new(Memory::new());
    let clock = Arc::new(ManualClock::new(NOW));
    let (server, respond) = Hanging::new();
    {
        let cache = TokenCache::with_clock(store.clone(), clock.clone());
        fill_aging(&cache);
        let client = client(&cache).with_refresh_wait(Duration::ZERO);
        client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
        until(|| server.requests() == 1);
    }
    respond.send(refreshed("uid", "new")).unwrap();
    until(|| Arc::strong_count(&store) == 1 && Arc::strong_count(&server) == 1);
    until(|| Arc::strong_count(&clock) == 1);
    let (cache, _) = over(store);
    assert_eq!(section(&cache, "RefreshToken")[0]["secret"], "RT-new");
}

#[test]
fn a_refresh_that_panics_leaves_the_valid_token() {
    struct Broken;
    impl TokenEndpoint for Broken {
        fn send(
            &self,
            _: &TokenRequest,
        ) -> Result<msal_cache::endpoint::TokenResponse, TransportError> {
            panic!("a fault of the app")
        }
    }
    let (cache, _) = cache();
    fill_aging(&cache);
    let client = client(&cache).with_refresh_wait(LONG);
    let started = Instant::now();
    let token = client.acquire_token_silent(SCOPE, &user(), &Arc::new(Broken)).unwrap();
    assert_eq!(token.secret().expose(), "at");
    assert!(started.elapsed() < SOON);
}
