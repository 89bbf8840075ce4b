//! Threads that need a token at the same time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use msal_cache::acquire::TokenSource;
use msal_cache::endpoint::{TokenEndpoint, TokenRequest};
use msal_cache::store::{Batch, CacheStore, Load, Partition, RefreshGuard, Revision};
use msal_cache::{AcquireError, CredentialType, Error, Memory, Result};
use serde_json::json;

use super::server::{Response, Server, Strict, invalid_grant, issued, refreshed, refused};
use super::{access_token, account, client, fill, refresh_token, user, with};
use crate::common::{NOW, cache, over};
use crate::stores::{Open, on_every_store};

on_every_store! {
    threads_share_the_result_of_one_request
    requests_for_one_user_are_sequential
}

const THREADS: usize = 8;
const SCOPE: [&str; 1] = ["User.Read"];

/// Responds after all threads have had time to start, and counts the requests.
struct Slow<F> {
    requests: AtomicUsize,
    response: F,
}

impl<F: Fn(usize) -> Response + Send + Sync> Slow<F> {
    fn new(response: F) -> Self {
        Self { requests: AtomicUsize::new(0), response }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl<F: Fn(usize) -> Response + Send + Sync> TokenEndpoint for Slow<F> {
    fn send(&self, _: &TokenRequest) -> Response {
        let nth = self.requests.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        (self.response)(nth)
    }
}

/// Calls a function in several threads at the same time.
fn together<T: Send>(run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|threads| {
        let start = |nth| {
            let (run, barrier) = (&run, &barrier);
            threads.spawn(move || {
                barrier.wait();
                run(nth)
            })
        };
        let running: Vec<_> = (0..THREADS).map(start).collect();
        running.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

fn threads_share_the_result_of_one_request(open: Open) {
    let (cache, _) = open();
    fill(&cache, &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("rt", 0)])]);
    let server = Slow::new(|_| refreshed("uid", "new"));
    let client = client(&cache);
    let tokens = together(|_| client.acquire_token_silent(SCOPE, &user(), &server).unwrap());
    assert!(tokens.iter().all(|it| it.secret().expose() == "AT-new"));
    assert_eq!(server.requests(), 1);
}

#[test]
fn threads_share_an_app_token() {
    let (cache, _) = cache();
    let server = Slow::new(|_| issued("new", json!({})));
    let client = client(&cache);
    let tokens = together(|_| client.acquire_token_for_client(["s"], &server).unwrap());
    assert!(tokens.iter().all(|it| it.secret().expose() == "AT-new"));
    assert_eq!(server.requests(), 1);
}

#[test]
fn threads_share_an_error_that_is_not_cached() {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 0)])]);
    let client = client(&cache);
    let server = Slow::new(|_| invalid_grant());
    let errors = together(|_| client.acquire_token_silent(SCOPE, &user(), &server).unwrap_err());
    assert!(errors.iter().all(|it| it.server_error().unwrap().error() == "invalid_grant"));
    // A thread that started after the response sent its own request.
    let before = server.requests();
    assert!(before < THREADS, "{before} calls");
    let good = Slow::new(|_| refreshed("uid", "new"));
    assert!(client.acquire_token_silent(SCOPE, &user(), &good).is_ok());
}

#[test]
fn a_leader_that_panics_is_replaced() {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 0)])]);
    let client = client(&cache);
    let server = Slow::new(|nth| {
        assert_ne!(nth, 0, "the first leader panics");
        refreshed("uid", "new")
    });
    let outcomes = together(|_| {
        let acquire = || client.acquire_token_silent(SCOPE, &user(), &server);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(acquire))
    });
    let panics = outcomes.iter().filter(|it| it.is_err()).count();
    assert_eq!(panics, 1);
    for token in outcomes.into_iter().flatten() {
        assert_eq!(token.unwrap().secret().expose(), "AT-new");
    }
    assert_eq!(server.requests(), 2);
}

#[test]
fn one_thread_refreshes_an_aging_token_and_the_others_use_it() {
    let (cache, _) = cache();
    let aging =
        with(access_token("User.Read", "at", 3600), json!({ "refresh_on": NOW.to_string() }));
    fill(&cache, &[("AccessToken", vec![aging]), ("RefreshToken", vec![refresh_token("rt", 0)])]);
    let client = client(&cache);
    // The request ends when all other threads have a token. If they waited, the test would hang.
    let all_served = Barrier::new(THREADS);
    let server = Server::new([refreshed("uid", "new")]).meanwhile(|| {
        all_served.wait();
    });
    let tokens = together(|_| {
        let token = client.acquire_token_silent(SCOPE, &user(), &server).unwrap();
        if token.source() == TokenSource::Cache {
            all_served.wait();
        }
        token.secret().expose().to_owned()
    });
    assert_eq!(tokens.iter().filter(|it| *it == "at").count(), THREADS - 1, "{tokens:?}");
    assert_eq!(server.requests().len(), 1);
}

fn requests_for_one_user_are_sequential(open: Open) {
    let (cache, _) = open();
    fill(
        &cache,
        &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("first", 0)])],
    );
    let server = Strict::new("first");
    let client = client(&cache);
    let secrets = Mutex::new(HashSet::new());
    together(|nth| {
        let scope = [format!("Scope{nth}")];
        let token = client.acquire_token_silent(&scope, &user(), &server).unwrap();
        assert!(token.access_token().scopes().any(|it| it == scope[0]));
        secrets.lock().unwrap().insert(token.secret().expose().to_owned());
    });
    assert_eq!(server.issued(), THREADS);
    assert_eq!(server.most_under_way(), 1);
    assert_eq!(secrets.into_inner().unwrap().len(), THREADS);
}

/// Requests with different credentials are distinct.
#[test]
fn an_error_is_not_shared_between_endpoints() {
    let (cache, _) = cache();
    let wrong = Slow::new(|_| refused("invalid_client", json!({})));
    let right = Slow::new(|_| issued("new", json!({})));
    let client = client(&cache);
    let outcomes = together(|nth| {
        let server: &dyn TokenEndpoint = if nth % 2 == 0 { &right } else { &wrong };
        (nth, client.acquire_token_for_client(["s"], server))
    });
    for (nth, outcome) in outcomes {
        match outcome {
            Ok(token) => assert_eq!(token.secret().expose(), "AT-new"),
            Err(error) => assert!(nth % 2 == 1, "{error}"),
        }
    }
}

/// A store whose guard always fails.
#[derive(Debug)]
struct NoGuard(Memory);

impl CacheStore for NoGuard {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.0.load(partition, known)
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.0.commit(batch)
    }

    fn list(&self, section: Option<&CredentialType>, known: Option<Revision>) -> Result<Load> {
        self.0.list(section, known)
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.0.purge(now)
    }

    fn guard(&self, _: &Partition, _: Duration) -> Result<RefreshGuard> {
        Err(Error::backend("guards", "there is no space left for one"))
    }
}

#[test]
fn a_failed_guard_does_not_prevent_the_use_of_a_valid_token() {
    let (cache, _) = over(NoGuard(Memory::new()));
    let aging =
        with(access_token("User.Read", "at", 3600), json!({ "refresh_on": NOW.to_string() }));
    fill(&cache, &[("AccessToken", vec![aging]), ("RefreshToken", vec![refresh_token("rt", 0)])]);
    let server = Server::new([]);
    let token = client(&cache).acquire_token_silent(SCOPE, &user(), &server).unwrap();
    assert_eq!(token.secret().expose(), "at");
    assert!(matches!(token.refresh_error(), Some(AcquireError::Cache(_))));
    let without = client(&cache).acquire_token_silent(["Mail.Read"], &user(), &server);
    assert!(matches!(without, Err(AcquireError::Cache(_))), "{without:?}");
}
