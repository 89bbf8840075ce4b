//! Look-ups while the server of the store can't be reached. Several caches over one server are
//! several processes.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use msal_cache::acquire::{AnsweredBy, TokenSource};
use msal_cache::clock::ManualClock;
use msal_cache::outage::OutagePolicy;
use msal_cache::store::{Batch, CacheStore, Load, Partition, RefreshGuard, Revision};
use msal_cache::{
    AccountInfo, AcquireError, CredentialType, Error, Memory, Query, Result, TokenCache,
};
use serde_json::json;

use crate::client::client;
use crate::client::server::{Server, issued, refreshed};
use crate::common::{CLIENT, NOW, app_token, home, sign_in};

/// The longest time for which what is known is served, in seconds.
const LONGEST: i64 = 600;
/// For how long a store that can't be reached is not asked, and some more.
const PAUSE: Duration = Duration::from_millis(1200);

/// Runs once, after the next load has read and before it returns.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// A server that can be switched off.
#[derive(Default)]
struct Remote {
    store: Memory,
    is_down: AtomicBool,
    /// Commits are applied, and their answers are lost.
    loses_answers: AtomicBool,
    calls: AtomicUsize,
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl Remote {
    fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    fn reach(&self) -> Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) { Err(down()) } else { Ok(()) }
    }
}

fn down() -> Error {
    Error::Unavailable { store: "test", source: "it is switched off".into() }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

impl CacheStore for Remote {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.reach()?;
        let load = self.store.load(partition, known);
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        load
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.reach()?;
        let revisions = self.store.commit(batch)?;
        if self.loses_answers.load(Ordering::SeqCst) { Err(down()) } else { Ok(revisions) }
    }

    fn list(&self, section: Option<&CredentialType>, known: Option<Revision>) -> Result<Load> {
        self.reach()?;
        self.store.list(section, known)
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.reach()?;
        self.store.purge(now)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.reach()?;
        self.store.guard(partition, wait)
    }
}

type Process = TokenCache<Arc<Remote>>;

struct World {
    remote: Arc<Remote>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        Self { remote: Arc::default(), clock: Arc::new(ManualClock::new(NOW)) }
    }

    fn process(&self, policy: OutagePolicy) -> Process {
        let builder = TokenCache::builder(self.remote.clone()).clock(self.clock.clone());
        builder.outage_policy(policy).build()
    }

    fn serving(&self) -> Process {
        self.process(OutagePolicy::ServeKnown(Duration::from_secs(LONGEST.unsigned_abs())))
    }

    /// A process that knows Alice and Bob.
    fn knowing(&self) -> Process {
        let cache = self.serving();
        for user in ["alice", "bob"] {
            cache.add(&sign_in(user, "User.Read", user)).unwrap();
            assert_eq!(token(&cache, user).unwrap(), 1);
        }
        assert_eq!(client(&cache).accounts().unwrap().len(), 2);
        cache
    }
}

fn of(user: &str) -> Query {
    Query::new().home_account_id(home(user)).client_id(CLIENT)
}

/// How many access tokens of a user are found.
fn token(cache: &Process, user: &str) -> Result<usize> {
    Ok(cache.find(CredentialType::AccessToken, &of(user))?.len())
}

fn silent(
    cache: &Process,
    user: &str,
    server: &Server<'_>,
) -> Result<(AnsweredBy, String), AcquireError> {
    let account = AccountInfo::of(home(user));
    let token = client(cache).acquire_token_silent(["User.Read"], &account, server)?;
    Ok((token.metadata().answered_by(), token.secret().expose().to_owned()))
}

fn is_outage<T: fmt::Debug>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Unavailable { .. }))
}

/// That nothing of a user is returned, while Bob is.
fn is_not_served(cache: &Process, user: &str, what: &str) {
    let server = Server::new([]);
    for credential_type in [
        CredentialType::AccessToken,
        CredentialType::RefreshToken,
        CredentialType::IdToken,
        CredentialType::Account,
    ] {
        let found = cache.find(credential_type.clone(), &of(user));
        assert!(
            is_outage(&found) || found.as_ref().is_ok_and(Vec::is_empty),
            "{what}: {credential_type} {found:?}"
        );
    }
    assert!(silent(cache, user, &server).is_err(), "{what}");
    assert!(!matches!(client(cache).account(&home(user)), Ok(Some(_))), "{what}");
    let listed = client(cache).accounts();
    let lists = |it: &AccountInfo| it.home_account_id() == home(user);
    assert!(!listed.is_ok_and(|all| all.iter().any(lists)), "{what}");
}

#[test]
fn an_outage_is_an_error_unless_the_policy_says_otherwise() {
    let world = World::new();
    let cache = world.process(OutagePolicy::default());
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    assert_eq!(token(&cache, "alice").unwrap(), 1);
    assert_eq!(client(&cache).accounts().unwrap().len(), 1);
    world.remote.set_down(true);
    assert!(is_outage(&token(&cache, "alice")));
    assert!(is_outage(&client(&cache).accounts()));
    assert!(is_outage(&client(&cache).account(&home("alice"))));
    let error = silent(&cache, "alice", &Server::new([])).unwrap_err();
    assert!(matches!(&error, AcquireError::Cache(it) if it.is_retryable()), "{error:?}");
    world.remote.set_down(false);
    assert_eq!(token(&cache, "alice").unwrap(), 1);
}

#[test]
fn what_is_known_is_served_for_the_time_of_the_policy() {
    let world = World::new();
    let (cache, server) = (world.knowing(), Server::new([]));
    assert_eq!(silent(&cache, "alice", &server).unwrap().0, AnsweredBy::DecodedCache);
    world.remote.set_down(true);
    for second in [0, LONGEST - 1, 1] {
        world.clock.advance(second);
        assert_eq!(token(&cache, "alice").unwrap(), 1);
        assert_eq!(cache.search(CredentialType::RefreshToken, &of("bob")).unwrap().count(), 1);
        assert!(client(&cache).account(&home("alice")).unwrap().is_some());
        assert_eq!(client(&cache).accounts().unwrap().len(), 2);
        let acquired = silent(&cache, "alice", &server).unwrap();
        assert_eq!(acquired, (AnsweredBy::LastKnown, "AT-alice".to_owned()));
        let request = msal_cache::SilentRequest::new(["User.Read"], &AccountInfo::of(home("bob")));
        assert!(client(&cache).plan(&request).unwrap().cached().is_some());
    }
    assert!(is_outage(&token(&cache, "carol")), "it is not known whether she is signed in");
    assert!(is_outage(&cache.entries(None)) && is_outage(&cache.serialize()));
    assert!(is_outage(&cache.check()) && is_outage(&cache.purge_expired()));
    world.clock.advance(1);
    for user in ["alice", "bob"] {
        assert!(is_outage(&token(&cache, user)));
        assert!(is_outage(&client(&cache).account(&home(user))));
        assert!(matches!(silent(&cache, user, &server), Err(AcquireError::Cache(_))));
    }
    assert!(is_outage(&client(&cache).accounts()));
    // The store confirms it again.
    world.remote.set_down(false);
    thread::sleep(PAUSE);
    assert_eq!(token(&cache, "alice").unwrap(), 1);
    assert_eq!(silent(&cache, "alice", &server).unwrap().0, AnsweredBy::DecodedCache);
    world.remote.set_down(true);
    assert_eq!(token(&cache, "alice").unwrap(), 1);
    assert!(is_outage(&token(&cache, "bob")), "it was not confirmed");
}

#[test]
fn the_time_counts_from_the_last_look_up_that_the_store_has_answered() {
    let world = World::new();
    let cache = world.knowing();
    for _ in 0..3 {
        world.clock.advance(LONGEST);
        assert_eq!(token(&cache, "alice").unwrap(), 1);
    }
    world.remote.set_down(true);
    assert_eq!(token(&cache, "alice").unwrap(), 1);
    assert!(is_outage(&token(&cache, "bob")));
    // It is unknown how old it is.
    world.clock.set(NOW);
    assert!(is_outage(&token(&cache, "alice")));
}

#[test]
fn an_expired_token_is_not_served_and_not_refreshed_without_the_guard() {
    let world = World::new();
    let (cache, server) = (world.knowing(), Server::new([]));
    world.clock.advance(3700);
    assert_eq!(token(&cache, "alice").unwrap(), 0);
    world.remote.set_down(true);
    assert_eq!(token(&cache, "alice").unwrap(), 0);
    assert!(matches!(silent(&cache, "alice", &server), Err(AcquireError::Cache(_))));
    assert!(server.requests().is_empty());
}

/// A way of removing what is stored of Alice.
type Removal = fn(&Process) -> Result<()>;

const REMOVALS: [(&str, Removal); 5] = [
    ("remove_account", |cache| {
        client(cache).remove_account(&AccountInfo::of(home("alice"))).map(drop)
    }),
    ("remove_user", |cache| cache.remove_user(&home("alice")).map(drop)),
    ("deserialize", |cache| cache.deserialize("")),
    ("remove_account after its records", |cache| {
        let result = cache.remove_user(&home("alice")).map(drop);
        client(cache).remove_account(&AccountInfo::of(home("alice"))).and(result)
    }),
    ("remove_user twice", |cache| {
        let first = cache.remove_user(&home("alice")).map(drop);
        let _ = cache.remove_user(&home("alice"));
        first
    }),
];

#[test]
fn a_signed_out_user_is_not_served() {
    for (what, remove) in REMOVALS {
        // Before the outage.
        let world = World::new();
        let cache = world.knowing();
        remove(&cache).unwrap();
        world.remote.set_down(true);
        is_not_served(&cache, "alice", what);

        // While the store can't be reached: the sign-out fails, and counts in this process.
        let world = World::new();
        let cache = world.knowing();
        world.remote.set_down(true);
        assert_eq!(token(&cache, "alice").unwrap(), 1);
        assert!(remove(&cache).is_err(), "{what}");
        is_not_served(&cache, "alice", what);

        // Applied, and the answer is lost.
        let world = World::new();
        let cache = world.knowing();
        world.remote.loses_answers.store(true, Ordering::SeqCst);
        assert!(remove(&cache).is_err(), "{what}");
        world.remote.set_down(true);
        is_not_served(&cache, "alice", what);
    }
}

#[test]
fn other_users_are_served_after_a_sign_out() {
    let world = World::new();
    let cache = world.knowing();
    world.remote.set_down(true);
    cache.remove_user(&home("alice")).unwrap_err();
    assert_eq!(token(&cache, "bob").unwrap(), 1);
    assert!(is_outage(&client(&cache).accounts()), "the list has changed");
}

#[test]
fn a_removed_token_is_not_served() {
    let removals: [fn(&Process) -> Result<()>; 4] = [
        |cache| {
            let token = cache.find(CredentialType::AccessToken, &of("alice"))?.remove(0);
            cache.remove_at(&token)
        },
        |cache| {
            let account = AccountInfo::of(home("alice"));
            let token =
                client(cache).acquire_token_silent(["User.Read"], &account, &Server::new([]));
            client(cache).invalidate(&token.unwrap()).map(drop)
        },
        |cache| {
            let token = cache.find(CredentialType::AccessToken, &of("alice"))?.remove(0);
            let fields = msal_cache::Fields::new().set("target", "Other.Read");
            cache.modify(CredentialType::AccessToken, &token, Some(&fields))
        },
        |cache| cache.add(&sign_in("alice", "User.Read", "newer")).map(drop),
    ];
    for (nth, remove) in removals.into_iter().enumerate() {
        let world = World::new();
        let cache = world.knowing();
        world.remote.set_down(true);
        assert!(remove(&cache).is_err(), "{nth}");
        let served = silent(&cache, "alice", &Server::new([]));
        assert!(served.is_err(), "{nth}: {served:?}");
        assert!(silent(&cache, "bob", &Server::new([])).is_ok());
    }
}

#[test]
fn removed_tokens_of_an_app_are_not_served() {
    let world = World::new();
    let cache = world.knowing();
    cache.add(&app_token("api/.default", "app")).unwrap();
    let acquire = || {
        let acquired = client(&cache).acquire_token_for_client(["api/.default"], &Server::new([]));
        acquired.map(|it| it.metadata().answered_by())
    };
    acquire().unwrap();
    world.remote.set_down(true);
    assert_eq!(acquire().unwrap(), AnsweredBy::LastKnown);
    assert!(is_outage(&client(&cache).remove_tokens_for_client()));
    acquire().unwrap_err();
    assert_eq!(token(&cache, "alice").unwrap(), 1);
}

#[test]
fn what_was_seen_to_be_removed_by_another_process_is_not_served() {
    let sights: [(&str, Removal); 6] = [
        ("look-up", |cache| token(cache, "alice").map(drop)),
        ("entries", |cache| cache.entries(None).map(drop)),
        ("entries of a section", |cache| cache.entries(Some(CredentialType::Account)).map(drop)),
        ("accounts", |cache| client(cache).accounts().map(drop)),
        ("serialize", |cache| cache.serialize().map(drop)),
        ("search of a section", |cache| {
            let query = Query::new().client_id(CLIENT);
            cache.find(CredentialType::IdToken, &query).map(drop)
        }),
    ];
    for (what, see) in sights {
        let world = World::new();
        let (cache, other) = (world.knowing(), world.serving());
        other.remove_user(&home("alice")).unwrap();
        see(&cache).unwrap();
        world.remote.set_down(true);
        is_not_served_by_partition(&cache, "alice", what);
        assert_eq!(token(&cache, "bob").unwrap(), 1, "{what}");
    }
    // What it has not read it can't know, so the time of the policy bounds it.
    let world = World::new();
    let (cache, other) = (world.knowing(), world.serving());
    other.remove_user(&home("alice")).unwrap();
    world.remote.set_down(true);
    assert_eq!(token(&cache, "alice").unwrap(), 1);
    world.clock.advance(LONGEST + 1);
    assert!(is_outage(&token(&cache, "alice")));
}

/// Without the list of accounts, which is as old as its last reading.
fn is_not_served_by_partition(cache: &Process, user: &str, what: &str) {
    let found = token(cache, user);
    assert!(is_outage(&found) || matches!(found, Ok(0)), "{what}: {found:?}");
    assert!(silent(cache, user, &Server::new([])).is_err(), "{what}");
    assert!(!matches!(client(cache).account(&home(user)), Ok(Some(_))), "{what}");
}

#[test]
fn a_read_that_a_sign_out_overtakes_is_not_served() {
    for fails in [false, true] {
        let world = World::new();
        let (cache, other) = (world.knowing(), world.serving());
        // So that the load returns a snapshot.
        other.add(&sign_in("alice", "Mail.Read", "2")).unwrap();
        let (remote, app) = (world.remote.clone(), cache.clone());
        *world.remote.meanwhile.lock().unwrap() = Some(Box::new(move || {
            let sign_out = move || {
                remote.set_down(fails);
                let result = app.remove_user(&home("alice"));
                remote.set_down(true);
                result
            };
            assert_eq!(thread::spawn(sign_out).join().unwrap().is_err(), fails);
        }));
        assert_eq!(token(&cache, "alice").unwrap(), 2, "it began before the sign-out");
        is_not_served(&cache, "alice", "overtaken");
    }
}

#[test]
fn the_token_of_a_refresh_that_cant_be_stored_is_returned_with_that_fact() {
    let world = World::new();
    let cache = world.knowing();
    world.clock.advance(3700);
    let remote = world.remote.clone();
    let server = Server::new([refreshed("alice", "new")]).meanwhile(move || remote.set_down(true));
    // Bounds how long its commit is repeated.
    let impatient = client(&cache).with_guard_wait(Duration::from_millis(300));
    let account = AccountInfo::of(home("alice"));
    let error = impatient.acquire_token_silent(["User.Read"], &account, &server).unwrap_err();
    let AcquireError::NotStored { token: new, source } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, Error::Unavailable { .. }));
    assert_eq!((new.secret().expose(), new.source()), ("AT-new", TokenSource::IdentityProvider));
    // This process knows it, and returns it instead of another request.
    let found = silent(&cache, "alice", &Server::new([])).unwrap();
    assert_eq!(found, (AnsweredBy::LastKnown, "AT-new".to_owned()));
    // The store decides, once it can be reached.
    world.remote.set_down(false);
    thread::sleep(PAUSE);
    let server = Server::new([refreshed("alice", "newer")]);
    assert_eq!(silent(&cache, "alice", &server).unwrap().1, "AT-newer");
    assert_eq!(server.redeemed(), ["RT-alice"]);
    // What was stored is known.
    world.remote.set_down(true);
    let found = silent(&cache, "alice", &Server::new([])).unwrap();
    assert_eq!(found, (AnsweredBy::LastKnown, "AT-newer".to_owned()));
}

#[test]
fn the_token_of_a_refresh_is_stored_when_the_store_comes_back_in_time() {
    let world = World::new();
    let cache = world.knowing();
    world.clock.advance(3700);
    let remote = world.remote.clone();
    let server = Server::new([refreshed("alice", "new")]).meanwhile(move || {
        remote.set_down(true);
        let remote = remote.clone();
        thread::spawn(move || {
            // Some attempts fail.
            let before = remote.calls.load(Ordering::SeqCst);
            while remote.calls.load(Ordering::SeqCst) < before + 3 {
                thread::sleep(Duration::from_millis(1));
            }
            remote.set_down(false);
        });
    });
    let found = silent(&cache, "alice", &server).unwrap();
    assert_eq!(found, (AnsweredBy::Server, "AT-new".to_owned()));
    let other = world.serving();
    assert_eq!(silent(&other, "alice", &Server::new([])).unwrap().1, "AT-new");
    assert!(other.serialize().unwrap().contains("RT-new"));
}

#[test]
fn the_token_of_an_app_that_cant_be_stored_is_returned_with_that_fact() {
    for known in [false, true] {
        let world = World::new();
        let cache = world.knowing();
        if known {
            cache.add(&app_token("api/.default", "old")).unwrap();
            world.clock.advance(3700);
        }
        let remote = world.remote.clone();
        let server =
            Server::new([issued("new", json!({}))]).meanwhile(move || remote.set_down(true));
        let acquire =
            |server: &Server<'_>| client(&cache).acquire_token_for_client(["api/.default"], server);
        let error = acquire(&server).unwrap_err();
        let AcquireError::NotStored { token, .. } = error else { panic!("{error:?}") };
        assert_eq!(token.secret().expose(), "AT-new");
        let found = acquire(&Server::new([])).unwrap();
        assert_eq!(found.metadata().answered_by(), AnsweredBy::LastKnown);
        assert_eq!(found.secret().expose(), "AT-new");
    }
}

#[test]
fn the_token_of_an_app_is_renewed_during_an_outage() {
    let world = World::new();
    let cache = world.serving();
    let acquire =
        |server: &Server<'_>| client(&cache).acquire_token_for_client(["api/.default"], server);
    cache.add(&app_token("api/.default", "old")).unwrap();
    world.clock.advance(3590);
    assert_eq!(cache.find(CredentialType::AccessToken, &Query::new()).unwrap().len(), 1);
    acquire(&Server::new([issued("1", json!({ "expires_in": 100 }))])).unwrap();
    world.remote.set_down(true);
    for nth in 2..5 {
        world.clock.advance(101);
        let server = Server::new([issued(&nth.to_string(), json!({ "expires_in": 100 }))]);
        let error = acquire(&server).unwrap_err();
        let AcquireError::NotStored { token, .. } = error else { panic!("{nth}: {error:?}") };
        assert_eq!(token.secret().expose(), format!("AT-{nth}"));
    }
}

#[test]
fn a_store_that_cant_be_reached_is_asked_once_a_second() {
    let world = World::new();
    let cache = world.knowing();
    world.remote.set_down(true);
    let (before, started) = (world.remote.calls.load(Ordering::SeqCst), Instant::now());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    assert_eq!(token(&cache, "alice").unwrap(), 1);
                    assert!(silent(&cache, "bob", &Server::new([])).is_ok());
                }
            });
        }
    });
    let calls = world.remote.calls.load(Ordering::SeqCst) - before;
    // At first, each of the threads may ask.
    let most = 4 + usize::try_from(started.elapsed().as_secs()).unwrap();
    assert!((1..=most).contains(&calls), "{calls} calls");
    world.remote.set_down(false);
    thread::sleep(PAUSE);
    let server = Server::new([]);
    assert_eq!(silent(&cache, "alice", &server).unwrap().0, AnsweredBy::DecodedCache);
    assert_eq!(silent(&cache, "bob", &server).unwrap().0, AnsweredBy::DecodedCache);
}

#[test]
fn a_commit_that_the_store_accepts_ends_the_pause() {
    let world = World::new();
    let (cache, other) = (world.knowing(), world.serving());
    world.remote.set_down(true);
    assert_eq!(token(&cache, "bob").unwrap(), 1);
    world.remote.set_down(false);
    other.remove_user(&home("bob")).unwrap();
    cache.add(&sign_in("carol", "User.Read", "c")).unwrap();
    assert_eq!(token(&cache, "bob").unwrap(), 0);
}

#[test]
fn no_thread_gets_a_token_after_a_sign_out_while_the_store_comes_and_goes() {
    let world = World::new();
    let cache = world.serving();
    let users: Vec<_> = (0..8).map(|nth| format!("user{nth}")).collect();
    // Counts sign-ins and sign-outs: a user with an odd number is signed out.
    let changes: Vec<_> = users.iter().map(|_| AtomicUsize::new(0)).collect();
    let ended = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    for (user, changes) in users.iter().zip(&changes) {
                        let before = changes.load(Ordering::SeqCst);
                        let found = token(&cache, user);
                        if before % 2 == 1 && changes.load(Ordering::SeqCst) == before {
                            assert_eq!(found.unwrap_or(0), 0, "{user} was signed out");
                        } else if found.is_ok_and(|it| it > 0) {
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        let ends = Instant::now() + Duration::from_secs(2);
        let mut random = 1_u64;
        while Instant::now() < ends {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let nth = usize::try_from(random >> 40).unwrap() % users.len();
            let user = &users[nth];
            world.remote.set_down(false);
            if changes[nth].load(Ordering::SeqCst) % 2 == 1 {
                changes[nth].fetch_add(1, Ordering::SeqCst);
            }
            cache.add(&sign_in(user, "User.Read", "x")).unwrap();
            let _ = token(&cache, user);
            world.remote.set_down(random >> 63 == 1);
            let result = cache.remove_user(&home(user));
            // A sign-out that has failed counts until the store has been read again.
            world.remote.set_down(true);
            changes[nth].fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(2));
            if result.is_err() {
                changes[nth].fetch_add(1, Ordering::SeqCst);
            }
        }
        ended.store(true, Ordering::SeqCst);
    });
    assert!(served.load(Ordering::Relaxed) > 0, "no look-up was served");
}
