//! One refresh at a time, among tasks, runtimes and threads on clones of one cache.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};

use msal_cache::endpoint::{
    AsyncTokenEndpoint, SharedTokenEndpoint, TokenRequest, TokenResponse, TransportError,
};
use msal_cache::store::{CacheStore, Offload};
use msal_cache::{AccountInfo, AsyncTokenCache, Fields, Memory, TokenCache};
use tokio::runtime::{Builder, Runtime};

use super::server::{Server, Way};
use crate::common::{CLIENT, ENVIRONMENT, REALM, home};

const ROUNDS: usize = 50;
const CALLERS: usize = 4;
const SCOPE: [&str; 1] = ["Mail.Read"];

fn authority() -> String {
    format!("https://{ENVIRONMENT}/{REALM}")
}

fn runtimes() -> [Runtime; 2] {
    [
        Builder::new_current_thread().enable_all().build().unwrap(),
        Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
    ]
}

async fn tasks<S: CacheStore + 'static>(
    cache: AsyncTokenCache<Offload<S>>,
    user: AccountInfo,
    way: Way,
) -> Vec<String> {
    let tasks: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, user, way) =
                (cache.client(CLIENT, authority()), user.clone(), way.clone());
            tokio::spawn(async move {
                let token = client.acquire_token_silent(SCOPE, &user, &way).await.unwrap();
                token.secret().expose().to_owned()
            })
        })
        .collect();
    let mut secrets = Vec::new();
    for task in tasks {
        secrets.push(task.await.unwrap());
    }
    secrets
}

/// Threads and the tasks of two runtimes acquire one token, round by round.
fn threads_and_tasks<S: CacheStore + 'static>(store: S) {
    let blocking = TokenCache::new(store);
    let server = Arc::new(Server::default());
    let way = Way(server.clone());
    let runtimes = runtimes();
    for round in 0..ROUNDS {
        let name = format!("user{round}");
        blocking.add(&server.sign_in(&name)).unwrap();
        let user = AccountInfo::of(home(&name));
        let start = Barrier::new(2 + CALLERS);
        let mut secrets: Vec<String> = std::thread::scope(|scope| {
            let started = &start;
            let of_tasks = runtimes.each_ref().map(|runtime| {
                // Forth and back, so that each side has a form that was made of the other one.
                let there = AsyncTokenCache::from(blocking.clone());
                let cache = AsyncTokenCache::from(TokenCache::from(there));
                let (user, way) = (user.clone(), way.clone());
                scope.spawn(move || {
                    started.wait();
                    runtime.block_on(tasks(cache, user, way))
                })
            });
            let of_threads: Vec<_> = (0..CALLERS)
                .map(|_| {
                    let client = blocking.client(CLIENT, authority());
                    let (user, way) = (user.clone(), way.clone());
                    scope.spawn(move || {
                        started.wait();
                        let token = client.acquire_token_silent(SCOPE, &user, &way).unwrap();
                        vec![token.secret().expose().to_owned()]
                    })
                })
                .collect();
            let all = of_tasks.into_iter().chain(of_threads);
            all.flat_map(|it| it.join().unwrap()).collect()
        });
        assert_eq!(secrets.len(), 3 * CALLERS);
        secrets.dedup();
        assert_eq!(secrets.len(), 1, "round {round}: {secrets:?}");
    }
    server.assert_no_session_is_lost();
    assert_eq!(server.granted.load(Ordering::SeqCst), ROUNDS, "one request each");
}

#[test]
fn threads_and_the_tasks_of_two_runtimes_share_one_refresh_in_memory() {
    threads_and_tasks(Memory::new());
}

#[cfg(feature = "file")]
#[test]
fn threads_and_the_tasks_of_two_runtimes_share_one_refresh_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    threads_and_tasks(msal_cache::FileStore::open(folder.path().join("cache.json")).unwrap());
}

#[cfg(feature = "sqlite")]
#[test]
fn threads_and_the_tasks_of_two_runtimes_share_one_refresh_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    threads_and_tasks(msal_cache::SqliteStore::open(folder.path().join("cache.db")).unwrap());
}

/// Two caches over one store share no request in flight, so the guard of the store has to do.
#[cfg(feature = "file")]
#[test]
fn two_caches_over_one_file_refresh_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let open = || TokenCache::new(msal_cache::FileStore::open(&path).unwrap());
    let server = Arc::new(Server::default());
    let way = Way(server.clone());
    let runtimes = runtimes();
    for round in 0..ROUNDS / 5 {
        let name = format!("user{round}");
        open().add(&server.sign_in(&name)).unwrap();
        let user = AccountInfo::of(home(&name));
        let secrets: Vec<String> = std::thread::scope(|scope| {
            let of_tasks = runtimes.each_ref().map(|runtime| {
                let (cache, user, way) = (AsyncTokenCache::from(open()), user.clone(), way.clone());
                scope.spawn(move || runtime.block_on(tasks(cache, user, way)))
            });
            of_tasks.into_iter().flat_map(|it| it.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|it| *it == secrets[0]), "{secrets:?}");
    }
    server.assert_no_session_is_lost();
    assert_eq!(server.granted.load(Ordering::SeqCst), ROUNDS / 5);
}

/// Refuses the client.
struct Refuses(std::sync::atomic::AtomicUsize);

impl AsyncTokenEndpoint for Refuses {
    async fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        Ok(TokenResponse::new(401, Fields::new().set("error", "invalid_client")))
    }
}

#[tokio::test]
async fn clones_of_one_endpoint_share_a_refusal() {
    let client = AsyncTokenCache::in_memory().client(CLIENT, authority());
    let refuses = Arc::new(Refuses(0.into()));
    let acquire = |endpoint: SharedTokenEndpoint| {
        let client = client.clone();
        // Each caller has a clone of its own, as each request to a web server has.
        async move { client.acquire_token_for_client(SCOPE, &endpoint).await.is_err() }
    };
    let callers: Vec<_> = (0..8).map(|_| tokio::spawn(acquire(refuses.clone()))).collect();
    for caller in callers {
        assert!(caller.await.unwrap());
    }
    assert_eq!(refuses.0.load(Ordering::SeqCst), 1);
    // What one endpoint may not do says nothing about another one.
    let other = Arc::new(Refuses(0.into()));
    let (one, two) = tokio::join!(acquire(refuses.clone()), acquire(other.clone()));
    assert!(one && two);
    assert_eq!(refuses.0.load(Ordering::SeqCst) + other.0.load(Ordering::SeqCst), 3);
}
