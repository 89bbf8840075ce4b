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

use super::server::{Answer, Server, Strict, invalid_grant, issued, refreshed, refused};
use super::{access_token, account, client, fill, refresh_token, user, with};
use crate::common::{NOW, cache, over};
use crate::stores::{Open, on_every_store};

on_every_store! {
    one_call_is_made_and_its_result_is_shared
    tokens_of_one_user_are_acquired_one_after_the_other
}

const THREADS: usize = 8;
const SCOPE: [&str; 1] = ["User.Read"];

/// Answers when all threads have had time to come, and counts how often it is asked.
struct Slow<F> {
    asked: AtomicUsize,
    answer: F,
}

impl<F: Fn(usize) -> Answer + Send + Sync> Slow<F> {
    fn new(answer: F) -> Self {
        Self { asked: AtomicUsize::new(0), answer }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl<F: Fn(usize) -> Answer + Send + Sync> TokenEndpoint for Slow<F> {
    fn send(&self, _: &TokenRequest) -> Answer {
        let nth = self.asked.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        (self.answer)(nth)
    }
}

/// Runs this in many threads that start together.
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

fn one_call_is_made_and_its_result_is_shared(open: Open) {
    let (cache, _) = open();
    fill(&cache, &[("Account", vec![account()]), ("RefreshToken", vec![refresh_token("rt", 0)])]);
    let server = Slow::new(|_| refreshed("uid", "new"));
    let client = client(&cache);
    let tokens = together(|_| client.acquire_token_silent(SCOPE, &user(), &server).unwrap());
    assert!(tokens.iter().all(|it| it.secret().expose() == "AT-new"));
    assert_eq!(server.asked(), 1);
}

#[test]
fn an_app_s_own_token_is_shared_too() {
    let (cache, _) = cache();
    let server = Slow::new(|_| issued("new", json!({})));
    let client = client(&cache);
    let tokens = together(|_| client.acquire_token_for_client(["s"], &server).unwrap());
    assert!(tokens.iter().all(|it| it.secret().expose() == "AT-new"));
    assert_eq!(server.asked(), 1);
}

#[test]
fn an_error_is_shared_and_not_kept() {
    let (cache, _) = cache();
    fill(&cache, &[("RefreshToken", vec![refresh_token("rt", 0)])]);
    let client = client(&cache);
    let server = Slow::new(|_| invalid_grant());
    let errors = together(|_| client.acquire_token_silent(SCOPE, &user(), &server).unwrap_err());
    assert!(errors.iter().all(|it| it.server_error().unwrap().error() == "invalid_grant"));
    // Who came after the answer made a call of its own.
    let before = server.asked();
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
    assert_eq!(server.asked(), 2);
}

#[test]
fn an_aging_token_is_refreshed_by_one_thread_and_served_to_the_others() {
    let (cache, _) = cache();
    let aging =
        with(access_token("User.Read", "at", 3600), json!({ "refresh_on": NOW.to_string() }));
    fill(&cache, &[("AccessToken", vec![aging]), ("RefreshToken", vec![refresh_token("rt", 0)])]);
    let client = client(&cache);
    // The leader is let go when all others have their token: were they to wait, none would be.
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

fn tokens_of_one_user_are_acquired_one_after_the_other(open: Open) {
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

/// The same request with another credential is another one.
#[test]
fn what_is_refused_to_one_endpoint_is_not_refused_to_another() {
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

/// A store whose guard can't be taken.
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
fn a_guard_that_fails_costs_no_good_token() {
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
