//! The cost of a look-up is independent of the size of the cache, and users don't block each other.
//!
//! These tests count calls of the store. `tests/bench/flat` counts instructions.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use crate::common::{CLIENT, ENVIRONMENT, REALM, home, over, sign_in};
use msal_cache::store::{Batch, CacheStore, Load, Partition, RefreshGuard, Revision};
use msal_cache::{CredentialType, Memory, Query, Result, TokenCache};

/// Counts the calls of a store and the records that they transfer.
#[derive(Debug, Default)]
struct Moved<S> {
    store: S,
    calls: AtomicUsize,
    records: AtomicUsize,
}

impl<S> Moved<S> {
    fn count(&self, records: usize) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.records.fetch_add(records, Ordering::SeqCst);
    }

    fn counted(&self) -> (usize, usize) {
        (self.calls.swap(0, Ordering::SeqCst), self.records.swap(0, Ordering::SeqCst))
    }
}

fn records(load: &Load) -> usize {
    match load {
        Load::Snapshot(snapshot) => snapshot.records().len(),
        Load::Unchanged => 0,
    }
}

impl<S: CacheStore> CacheStore for Moved<S> {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        let load = self.store.load(partition, known)?;
        self.count(records(&load));
        Ok(load)
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.count(batch.changes().iter().map(|change| change.ops().len()).sum());
        self.store.commit(batch)
    }

    fn list(&self, of: Option<&CredentialType>, known: Option<Revision>) -> Result<Load> {
        let load = self.store.list(of, known)?;
        self.count(records(&load));
        Ok(load)
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.store.purge(now)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.store.guard(partition, wait)
    }
}

/// A document with this number of access tokens, four for each user.
fn document(tokens: usize) -> String {
    let mut document = String::from("{\"AccessToken\": {");
    for token in 0..tokens {
        let (home, scope) = (home(&format!("user{}", token / 4)), token % 4);
        let comma = if token == 0 { "" } else { "," };
        write!(
            document,
            r#"{comma}"{home}-at-{scope}": {{"secret": "s", "home_account_id": "{home}", "environment": "{ENVIRONMENT}", "client_id": "{CLIENT}", "realm": "{REALM}", "target": "s{scope} t{scope}", "expires_on": "9999999999"}}"#
        )
        .unwrap();
    }
    document.push_str("}, \"RefreshToken\": {");
    for user in 0..tokens / 4 {
        let home = home(&format!("user{user}"));
        let comma = if user == 0 { "" } else { "," };
        write!(
            document,
            r#"{comma}"{home}-rt": {{"secret": "s", "home_account_id": "{home}", "environment": "{ENVIRONMENT}", "client_id": "{CLIENT}"}}"#
        )
        .unwrap();
    }
    document.push_str("}}");
    document
}

/// The calls and transferred records of each operation.
fn costs<S: CacheStore>(store: S, tokens: usize) -> Vec<(&'static str, (usize, usize))> {
    let (cache, _) = over(Moved { store, calls: 0.into(), records: 0.into() });
    cache.deserialize(&document(tokens)).unwrap();
    let user = format!("user{}", tokens / 8);
    let query = || {
        Query::new()
            .home_account_id(home(&user))
            .environment(ENVIRONMENT)
            .client_id(CLIENT)
            .realm(REALM)
    };
    let without_realm = Query::new().home_account_id(home(&user));
    cache.store().counted();
    let find = |of, query: &Query, expected| {
        assert_eq!(cache.search(of, query).unwrap().count(), expected);
        cache.store().counted()
    };
    let at = CredentialType::AccessToken;
    let mut costs = vec![
        ("first hit", find(at.clone(), &query().target(["s1", "t1"]), 1)),
        ("hit", find(at.clone(), &query().target(["s1", "t1"]), 1)),
        ("subset hit", find(at.clone(), &query().target(["t2"]), 1)),
        ("miss", find(at.clone(), &query().target(["nope"]), 0)),
        ("refresh token", find(CredentialType::RefreshToken, &without_realm, 1)),
        ("accounts of one user", find(CredentialType::Account, &without_realm, 0)),
    ];
    cache.add(&sign_in(&user, "new", "1")).unwrap();
    costs.push(("add", cache.store().counted()));
    let tokens = cache.find(at.clone(), &without_realm).unwrap();
    assert_eq!(tokens.len(), 5);
    for token in &tokens {
        cache.remove_at(token).unwrap();
    }
    costs.push(("sign-out", cache.store().counted()));
    costs
}

fn are_flat<S: CacheStore>(store: impl Fn() -> S) {
    let (small, large) = (costs(store(), 1_000), costs(store(), 100_000));
    for ((operation, few), (_, many)) in small.iter().zip(&large) {
        println!("{operation}: calls and records {few:?} with 1,000 tokens, {many:?} with 100,000");
    }
    assert_eq!(small, large);
    // Unchanged data is not read again.
    assert_eq!(small[1], ("hit", (1, 0)));
}

#[test]
fn p11_a_look_up_reads_the_same_at_any_size_in_memory() {
    are_flat(Memory::new);
}

#[cfg(feature = "sqlite")]
#[test]
fn p11_a_look_up_reads_the_same_at_any_size_in_sqlite() {
    are_flat(|| msal_cache::SqliteStore::in_memory().unwrap());
}

/// Blocks commits for one user until the test continues.
#[derive(Debug)]
struct Slow {
    memory: Memory,
    user: Partition,
    arrived: Barrier,
    go_on: Barrier,
}

impl Slow {
    fn hold_up(&self, partition: &Partition) {
        if *partition == self.user {
            self.arrived.wait();
            self.go_on.wait();
        }
    }
}

impl CacheStore for Slow {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.memory.load(partition, known)
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        for change in batch.changes() {
            self.hold_up(change.partition());
        }
        self.memory.commit(batch)
    }

    fn list(&self, of: Option<&CredentialType>, known: Option<Revision>) -> Result<Load> {
        self.memory.list(of, known)
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.memory.purge(now)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.memory.guard(partition, wait)
    }
}

#[test]
fn a_write_for_one_user_blocks_no_reader_and_no_write_for_another() {
    let (cache, _) = over(Slow {
        memory: Memory::new(),
        user: Partition::user(&home("alice")),
        arrived: Barrier::new(2),
        go_on: Barrier::new(2),
    });
    let found = |cache: &TokenCache<Slow>, user: &str| {
        let query = Query::new().home_account_id(home(user));
        cache.find(CredentialType::AccessToken, &query).unwrap().len()
    };
    cache.add(&sign_in("bob", "a", "1")).unwrap();
    let (done, others_are_done) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| cache.add(&sign_in("alice", "a", "1")).unwrap());
        cache.store().arrived.wait();
        // The writer is now blocked in the store.
        let others = scope.spawn(|| {
            assert_eq!(found(&cache, "alice"), 0);
            assert_eq!(found(&cache, "bob"), 1);
            cache.add(&sign_in("bob", "b", "2")).unwrap();
            cache.add(&sign_in("carol", "a", "3")).unwrap();
            assert_eq!(found(&cache, "bob"), 2);
            assert_eq!(cache.find(CredentialType::Account, &Query::new()).unwrap().len(), 2);
            done.send(()).unwrap();
        });
        // The timeout is much longer than these operations take unless they are blocked.
        let in_time = others_are_done.recv_timeout(Duration::from_secs(30));
        cache.store().go_on.wait();
        others.join().unwrap();
        in_time.expect("the writer blocked the other users");
    });
    assert_eq!(found(&cache, "alice"), 1);
}
