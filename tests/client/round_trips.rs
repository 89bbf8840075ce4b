//! How often the cache calls its store. On a network, each call is a round trip.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use msal_cache::store::{Batch, CacheStore, Load, Partition, Revision};
use msal_cache::{CredentialType, Error, Memory, Result, TokenCache};
use serde_json::json;

use super::server::{Server, issued, refreshed};
use super::{access_token, account, client, fill, refresh_token, user};
use crate::common::{Counting, over, sign_in};

type Store = Arc<Counting<Memory>>;

/// Reads, guards, commits and purges.
type Calls = [usize; 4];

fn calls(store: &Counting<Memory>) -> Calls {
    [&store.reads, &store.guards, &store.commits, &store.purges].map(|it| it.load(SeqCst))
}

/// The calls that a step makes.
fn of_step(store: &Store, step: impl FnOnce()) -> Calls {
    let before = calls(store);
    step();
    let after = calls(store);
    std::array::from_fn(|at| after[at] - before[at])
}

/// A store that counts, and an app in a process that has not read it yet.
fn fresh() -> (Store, TokenCache<Store>) {
    let store = Store::new(Counting::new(Memory::new()));
    let (cache, _) = over(store.clone());
    (store, cache)
}

#[test]
fn a_sign_in_reads_once_and_that_of_a_known_user_does_not_read() {
    let (store, cache) = fresh();
    let add = |user, secret| {
        of_step(&store, || drop(cache.add(&sign_in(user, "User.Read", secret)).unwrap()))
    };
    assert_eq!(add("alice", "1"), [1, 0, 1, 0], "the user and the metadata are one read");
    assert_eq!(add("alice", "2"), [0, 0, 1, 0]);
    assert_eq!(add("bob", "3"), [1, 0, 1, 0]);
}

#[test]
fn a_silent_hit_is_one_read() {
    let (store, cache) = fresh();
    fill(&cache, &[("AccessToken", vec![access_token("User.Read", "at", 3600)])]);
    for _ in 0..3 {
        let step = || {
            let server = Server::new([]);
            client(&cache).acquire_token_silent(["User.Read"], &user(), &server).unwrap();
        };
        assert_eq!(of_step(&store, step), [1, 0, 0, 0]);
    }
}

#[test]
fn a_silent_refresh_is_two_reads_a_guard_and_a_commit() {
    let (store, cache) = fresh();
    let tokens = vec![refresh_token("rt", 9)];
    fill(&cache, &[("Account", vec![account()]), ("RefreshToken", tokens)]);
    let step = || {
        let server = Server::new([refreshed("uid", "new")]);
        client(&cache).acquire_token_silent(["User.Read"], &user(), &server).unwrap();
    };
    assert_eq!(of_step(&store, step), [2, 1, 1, 0]);
}

#[test]
fn a_token_of_an_app_is_one_read_and_a_commit() {
    let (store, cache) = fresh();
    let client = client(&cache);
    let scope = ["https://graph.example/.default"];
    let server = Server::new([issued("1", json!({}))]);
    let step = || drop(client.acquire_token_for_client(scope, &server).unwrap());
    assert_eq!(of_step(&store, step), [1, 0, 1, 0]);
    let again = || drop(client.acquire_token_for_client(scope, &server).unwrap());
    assert_eq!(of_step(&store, again), [1, 0, 0, 0]);
}

#[test]
fn signing_out_is_one_commit() {
    let (store, cache) = fresh();
    let add = |secret| cache.add(&sign_in("uid", "User.Read", secret)).unwrap();
    add("1");
    let sign_out = || assert!(client(&cache).remove_account(&user()).is_ok());
    assert_eq!(of_step(&store, sign_out), [0, 0, 1, 0], "the cache knows the user");
    assert_eq!(of_step(&store, sign_out), [1, 0, 0, 0], "nothing is left to remove");
    add("2");
    let (other, _) = over(store.clone());
    let sign_out = || assert!(client(&other).remove_account(&user()).is_ok());
    assert_eq!(of_step(&store, sign_out), [1, 0, 1, 0], "another process reads first");
}

/// A store that another writer always changes between a read and a commit.
#[derive(Debug, Default)]
struct AlwaysLoses {
    store: Memory,
    commits: AtomicUsize,
}

impl CacheStore for AlwaysLoses {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.store.load(partition, known)
    }

    fn commit(&self, _: &Batch) -> Result<Vec<Revision>> {
        self.commits.fetch_add(1, SeqCst);
        Err(Error::Conflict)
    }

    fn list(&self, of: Option<&CredentialType>, known: Option<Revision>) -> Result<Load> {
        self.store.list(of, known)
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.store.purge(now)
    }
}

#[test]
fn a_store_that_always_loses_costs_64_commits() {
    let (cache, _) = over(Arc::new(AlwaysLoses::default()));
    let error = cache.add(&sign_in("alice", "User.Read", "1")).unwrap_err();
    assert!(matches!(error, Error::Conflict), "{error:?}");
    assert_eq!(cache.store().commits.load(SeqCst), 64);
}
