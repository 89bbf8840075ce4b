//! Futures that are dropped: at each await, and by random schedules. Each test polls by hand, step by
//! step.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use msal_cache::clock::ManualClock;
use msal_cache::store::{AsyncCacheStore, Document, Offload, Ready};
use msal_cache::{
    AccountInfo, AsyncTokenCache, CredentialType, Fields, Memory, Query, SilentRequest,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{spawn_blocking, yield_now};

use super::server::{Server, Way};
use super::stores::{Variable, Waits};
use crate::common::{CLIENT, ENVIRONMENT, NOW, REALM, home};

const USERS: [&str; 2] = ["alice", "bob"];
const SCHEDULES: u64 = 1_000;

type Step<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Polls a future once.
fn poll(step: &mut Step<'_>) -> Poll<()> {
    step.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A runtime with one thread for tasks and one for blocking work, so that its order is determined.
fn runtime() -> Runtime {
    Builder::new_current_thread().max_blocking_threads(1).enable_all().build().unwrap()
}

/// Lets each task make one step, and each verb of a blocking store end.
async fn others_step() {
    yield_now().await;
    // There is one thread for blocking work, so what was handed over before has ended.
    spawn_blocking(|| ()).await.unwrap();
}

fn authority() -> String {
    format!("https://{ENVIRONMENT}/{REALM}")
}

fn account(user: &str) -> AccountInfo {
    AccountInfo::of(home(user))
}

async fn refreshed<S: AsyncCacheStore + 'static>(
    cache: &AsyncTokenCache<S>,
    user: &str,
    way: &Way,
) -> String {
    let client = cache.client(CLIENT, authority());
    let request = SilentRequest::new(["User.Read"], &account(user)).force_refresh(true);
    client.acquire(&request, way).await.unwrap().secret().expose().to_owned()
}

/// The refresh tokens in the store.
async fn stored<S: AsyncCacheStore>(cache: &AsyncTokenCache<S>) -> BTreeSet<String> {
    let entries = cache.entries(Some(CredentialType::RefreshToken)).await.unwrap();
    entries.iter().map(|it| it.refresh_token().unwrap().secret().expose().to_owned()).collect()
}

/// What a caller does.
async fn call<S: AsyncCacheStore + 'static>(
    cache: &AsyncTokenCache<S>,
    (user, kind): (&str, usize),
    way: &Way,
) {
    let client = cache.client(CLIENT, authority());
    match kind {
        0..4 => drop(refreshed(cache, user, way).await),
        4 => {
            let scope = ["Mail.Read"];
            let token = client.acquire_token_silent(scope, &account(user), way).await.unwrap();
            client.invalidate(&token).await.unwrap();
        }
        5 => drop(client.accounts().await.unwrap()),
        6 => {
            let query = Query::new().home_account_id(home(user));
            let found = cache.find(CredentialType::Account, &query).await.unwrap();
            let fields = Fields::new().set("note", "changed");
            cache.modify(CredentialType::Account, &found[0], Some(&fields)).await.unwrap();
        }
        _ => {
            cache.purge_expired().await.unwrap();
        }
    }
}

/// Runs random schedules of callers, of which some are dropped, and finds each session alive.
async fn random_schedules<S: AsyncCacheStore + 'static>(store: S) {
    let (cache, server) = (AsyncTokenCache::new(store), Arc::new(Server::default()));
    let way = Way(server.clone());
    for user in USERS {
        cache.add(&server.sign_in(user)).await.unwrap();
    }
    let mut dropped = 0;
    for schedule in 0..SCHEDULES {
        let mut random = fastrand::Rng::with_seed(schedule);
        let plan = |random: &mut fastrand::Rng| {
            let polls = if random.u8(..4) == 0 { usize::MAX } else { 1 << random.u32(..5) };
            ((USERS[random.usize(..2)], random.usize(..8)), polls)
        };
        let plans: Vec<_> = (0..random.usize(2..8)).map(|_| plan(&mut random)).collect();
        let mut steps: Vec<(Step<'_>, usize)> = plans
            .iter()
            .map(|(what, polls)| (Box::pin(call(&cache, *what, &way)) as Step<'_>, *polls))
            .collect();
        while !steps.is_empty() {
            let nth = random.usize(..steps.len());
            let (step, polls) = &mut steps[nth];
            if poll(step).is_ready() {
                drop(steps.swap_remove(nth));
            } else if *polls <= 1 {
                drop(steps.swap_remove(nth));
                dropped += 1;
            } else {
                *polls -= 1;
            }
            for _ in 0..random.usize(..3) {
                others_step().await;
            }
        }
        cache.finish_refreshes().await;
        let valid: BTreeSet<_> = USERS.iter().map(|user| server.valid(user)).collect();
        assert_eq!(stored(&cache).await, valid, "schedule {schedule}");
        server.assert_no_session_is_lost();
        assert!(server.most_at_once.load(Ordering::SeqCst) <= 1, "schedule {schedule}");
    }
    assert!(dropped > 500, "{dropped} futures were dropped");
    // No guard and no request is left.
    for user in USERS {
        tokio::time::timeout(Duration::from_secs(60), refreshed(&cache, user, &way)).await.unwrap();
    }
}

/// Drops the future of each operation after each number of polls: it is done as a whole, or not at
/// all.
async fn drops_at_each_await<S: AsyncCacheStore + 'static>(new: impl Fn(usize) -> S) {
    let mut runs = 0;
    for operation in 0..8 {
        let mut polls = 1;
        loop {
            let clock = Arc::new(ManualClock::new(NOW));
            let cache = AsyncTokenCache::with_clock(new(runs), clock);
            let server = Arc::new(Server::default());
            runs += 1;
            let client = cache.client(CLIENT, authority());
            let way = Way(server.clone());
            cache.add(&server.sign_in("alice")).await.unwrap();
            let mut expired = server.sign_in("bob");
            expired = expired.response(
                Fields::new()
                    .set("access_token", "AT-expired")
                    .set("refresh_token", "RT-bob-1")
                    .set("client_info", crate::common::client_info("bob"))
                    .set("id_token", crate::common::id_token("bob"))
                    .set("expires_in", -1),
            );
            cache.add(&expired).await.unwrap();
            let before = cache.serialize().await.unwrap();
            let of_alice = cache
                .find(CredentialType::Account, &Query::new().home_account_id(home("alice")))
                .await
                .unwrap();
            let other = AsyncTokenCache::new(Ready(Memory::new()));
            other.add(&server.sign_in("bob")).await.unwrap();
            let replaced = other.serialize().await.unwrap();
            let (alice, carol) = (account("alice"), server.sign_in("carol"));
            assert!(!cache.has_state_changed());
            let mut step: Step<'_> = match operation {
                0 => Box::pin(async { drop(cache.add(&carol).await.unwrap()) }),
                1 => Box::pin(async {
                    let fields = Fields::new().set("note", "changed");
                    let of = CredentialType::Account;
                    cache.modify(of, &of_alice[0], Some(&fields)).await.unwrap();
                }),
                2 => Box::pin(async {
                    client.remove_account(&alice).await.unwrap();
                }),
                3 => Box::pin(async {
                    cache.purge_expired().await.unwrap();
                }),
                4 => Box::pin(async { cache.deserialize(&replaced).await.unwrap() }),
                5 => Box::pin(async {
                    other.copy_to(&cache).await.unwrap();
                }),
                6 => Box::pin(async {
                    cache.remove_user(&home("alice")).await.unwrap();
                }),
                _ => Box::pin(async { drop(refreshed(&cache, "alice", &way).await) }),
            };
            let mut is_ready = false;
            for _ in 0..polls {
                is_ready = poll(&mut step).is_ready();
                if is_ready {
                    break;
                }
                others_step().await;
            }
            drop(step);
            others_step().await;
            cache.finish_refreshes().await;
            let is_marked = cache.has_state_changed();
            let after = cache.serialize().await.unwrap();
            if operation < 7 {
                let expected = whole(operation, &before, &replaced, &carol).await;
                assert!(
                    after == before || sorted(&after) == sorted(&expected),
                    "operation {operation} after {polls} polls is half done:\n{after}\n{expected}"
                );
            }
            // A cache that was deserialized as a whole counts as unchanged.
            let is_replaced = operation == 4 && is_ready;
            assert!(
                is_marked || is_replaced || after == before,
                "operation {operation} after {polls} polls is not marked"
            );
            server.assert_no_session_is_lost();
            assert!(after.contains(&server.valid("alice")) || after != before);
            if is_ready {
                break;
            }
            polls += 1;
        }
    }
}

fn sorted(document: &str) -> serde_json::Value {
    serde_json::from_str(document).unwrap()
}

/// The document after an operation that wasn't dropped.
async fn whole(
    operation: usize,
    before: &str,
    replaced: &str,
    carol: &msal_cache::Event,
) -> String {
    let store = Offload::new(Memory::new());
    let cache = AsyncTokenCache::with_clock(store, Arc::new(ManualClock::new(NOW)));
    cache.deserialize(before).await.unwrap();
    let other = AsyncTokenCache::in_memory();
    other.deserialize(replaced).await.unwrap();
    let of = CredentialType::Account;
    let alice = Query::new().home_account_id(home("alice"));
    match operation {
        0 => drop(cache.add(carol).await.unwrap()),
        1 => {
            let found = cache.find(of.clone(), &alice).await.unwrap();
            let fields = Fields::new().set("note", "changed");
            cache.modify(of, &found[0], Some(&fields)).await.unwrap();
        }
        2 => {
            let client = cache.client(CLIENT, authority());
            client.remove_account(&account("alice")).await.unwrap();
        }
        3 => {
            cache.purge_expired().await.unwrap();
        }
        4 => cache.deserialize(replaced).await.unwrap(),
        5 => {
            other.copy_to(&cache).await.unwrap();
        }
        _ => {
            cache.remove_user(&home("alice")).await.unwrap();
        }
    }
    cache.serialize().await.unwrap()
}

#[test]
fn random_schedules_lose_no_session_in_memory() {
    runtime().block_on(random_schedules(Offload::new(Memory::new())));
}

#[test]
fn random_schedules_lose_no_session_in_a_store_that_waits() {
    runtime().block_on(random_schedules(Waits::default()));
}

#[test]
fn random_schedules_lose_no_session_in_a_document() {
    runtime().block_on(random_schedules(Document::new(Variable::default())));
}

#[cfg(feature = "file")]
#[test]
fn random_schedules_lose_no_session_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = msal_cache::FileStore::open(folder.path().join("cache.json")).unwrap();
    runtime().block_on(random_schedules(Offload::new(store)));
}

#[cfg(feature = "sqlite")]
#[test]
fn random_schedules_lose_no_session_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = msal_cache::SqliteStore::open(folder.path().join("cache.db")).unwrap();
    runtime().block_on(random_schedules(Offload::new(store)));
}

#[test]
fn a_drop_at_each_await_leaves_nothing_half_done() {
    runtime().block_on(drops_at_each_await(|_| Waits::default()));
    runtime().block_on(drops_at_each_await(|_| Document::new(Variable::default())));
    runtime().block_on(drops_at_each_await(|_| Offload::new(Memory::new())));
}

#[cfg(feature = "file")]
#[test]
fn a_drop_at_each_await_leaves_nothing_half_done_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |run| folder.path().join(format!("{run}.json"));
    let new = |run| Offload::new(msal_cache::FileStore::open(path(run)).unwrap());
    runtime().block_on(drops_at_each_await(new));
}

#[cfg(feature = "sqlite")]
#[test]
fn a_drop_at_each_await_leaves_nothing_half_done_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = |run| folder.path().join(format!("{run}.db"));
    let new = |run| Offload::new(msal_cache::SqliteStore::open(path(run)).unwrap());
    runtime().block_on(drops_at_each_await(new));
}

#[tokio::test]
async fn a_dropped_serialize_does_not_hide_a_change() {
    let cache = AsyncTokenCache::new(Waits::default());
    cache.add(&Server::default().sign_in("alice")).await.unwrap();
    assert!(cache.has_state_changed());
    let mut step: Step<'_> = Box::pin(async { drop(cache.serialize().await) });
    assert!(poll(&mut step).is_pending());
    drop(step);
    assert!(cache.has_state_changed(), "nothing was serialized");
}
