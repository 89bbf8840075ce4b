//! Look-ups while the server is killed, and after its restart. `tests/outages.rs` has more cases, on a store
//! that is switched off.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use msal_cache::acquire::AnsweredBy;
use msal_cache::clock::ManualClock;
use msal_cache::outage::OutagePolicy;
use msal_cache::store::CacheStore;
use msal_cache::{AccountInfo, AcquireError, CredentialType, Error, Query, Result, TokenCache};

use crate::client::client;
use crate::client::server::{Server, refreshed};
use crate::common::{CLIENT, NOW, home, sign_in};
use crate::killable::Killable;
use crate::stores::unused_name;

/// The longest time for which what is known is served, in seconds.
const LONGEST: i64 = 600;

type Process = TokenCache<Box<dyn CacheStore>>;

/// Two processes over one server, of which the first knows the users.
struct World {
    server: Arc<Mutex<Killable>>,
    clock: Arc<ManualClock>,
    name: String,
}

impl World {
    fn start() -> Self {
        let server = Arc::new(Mutex::new(Killable::start()));
        Self { server, clock: Arc::new(ManualClock::new(NOW)), name: unused_name() }
    }

    fn process(&self, policy: OutagePolicy) -> Process {
        let store = self.server.lock().unwrap().open(&self.name);
        TokenCache::builder(store).clock(self.clock.clone()).outage_policy(policy).build()
    }

    fn serving(&self) -> Process {
        self.process(OutagePolicy::ServeKnown(Duration::from_secs(LONGEST.unsigned_abs())))
    }

    fn kill(&self) {
        self.server.lock().unwrap().kill();
    }

    fn restart(&self) {
        self.server.lock().unwrap().restart();
    }
}

fn sign_users_in(cache: &Process) {
    for user in ["alice", "bob", "carol", "dave"] {
        cache.add(&sign_in(user, "User.Read", user)).unwrap();
        assert_eq!(tokens(cache, user).unwrap(), 1);
    }
    assert_eq!(client(cache).accounts().unwrap().len(), 4);
}

/// How many access tokens of a user are found.
fn tokens(cache: &Process, user: &str) -> Result<usize> {
    let query = Query::new().home_account_id(home(user)).client_id(CLIENT);
    Ok(cache.find(CredentialType::AccessToken, &query)?.len())
}

fn silent(
    cache: &Process,
    user: &str,
    endpoint: &Server<'_>,
) -> Result<(AnsweredBy, String), AcquireError> {
    let account = AccountInfo::of(home(user));
    let token = client(cache).acquire_token_silent(["User.Read"], &account, endpoint)?;
    Ok((token.metadata().answered_by(), token.secret().expose().to_owned()))
}

#[track_caller]
fn is_outage<T: std::fmt::Debug>(result: &Result<T>) {
    let error = result.as_ref().unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }) && error.is_retryable(), "{error:?}");
}

#[track_caller]
fn is_not_served(cache: &Process, user: &str) {
    let found = tokens(cache, user);
    assert!(found.as_ref().is_ok_and(|it| *it == 0) || found.is_err(), "{user}: {found:?}");
    assert!(silent(cache, user, &Server::new([])).is_err(), "{user}");
    assert!(!matches!(client(cache).account(&home(user)), Ok(Some(_))), "{user}");
}

/// After a restart, the store is asked again within a second.
fn until_it_is_asked(cache: &Process, user: &str) {
    let started = Instant::now();
    while silent(cache, user, &Server::new([])).ok().is_none_or(|it| it.0 == AnsweredBy::LastKnown)
    {
        assert!(started.elapsed() < Duration::from_secs(60), "the store isn't asked again");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn while_a_killed_server_is_away_look_ups_are_errors_unless_the_policy_says_otherwise() {
    let world = World::start();
    let (strict, serving) = (world.process(OutagePolicy::default()), world.serving());
    let other = world.serving();
    sign_users_in(&strict);
    for user in ["alice", "bob", "carol", "dave"] {
        assert_eq!(tokens(&serving, user).unwrap(), 1);
    }
    // Before the outage: one is signed out by this process, and another one by a process elsewhere, which
    // this one reads.
    client(&serving).remove_account(&AccountInfo::of(home("carol"))).unwrap();
    client(&other).remove_account(&AccountInfo::of(home("dave"))).unwrap();
    let started = Instant::now();
    while tokens(&serving, "dave").unwrap() > 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "the sign-out isn't read");
    }

    world.kill();
    is_outage(&tokens(&strict, "alice"));
    is_outage(&client(&strict).accounts());
    is_outage(&client(&strict).account(&home("alice")));
    let error = silent(&strict, "alice", &Server::new([])).unwrap_err();
    assert!(matches!(&error, AcquireError::Cache(it) if it.is_retryable()), "{error:?}");
    is_outage(&strict.add(&sign_in("erin", "User.Read", "erin")));
    is_outage(&strict.serialize());

    for second in [0, LONGEST - 1, 1] {
        world.clock.advance(second);
        for user in ["alice", "bob"] {
            assert_eq!(tokens(&serving, user).unwrap(), 1);
            let served = silent(&serving, user, &Server::new([])).unwrap();
            assert_eq!(served, (AnsweredBy::LastKnown, format!("AT-{user}")));
        }
        is_not_served(&serving, "carol");
        is_not_served(&serving, "dave");
        is_outage(&tokens(&serving, "erin"));
    }
    // A sign-out that can't be stored counts in this process.
    is_outage(&client(&serving).remove_account(&AccountInfo::of(home("bob"))));
    is_not_served(&serving, "bob");
    assert_eq!(tokens(&serving, "alice").unwrap(), 1);
    world.clock.advance(1);
    is_outage(&tokens(&serving, "alice"));
    assert!(silent(&serving, "alice", &Server::new([])).is_err(), "it is too old");

    world.restart();
    assert_eq!(tokens(&strict, "alice").unwrap(), 1);
    until_it_is_asked(&serving, "alice");
    assert_eq!(silent(&serving, "alice", &Server::new([])).unwrap().0, AnsweredBy::DecodedCache);
    client(&serving).remove_account(&AccountInfo::of(home("bob"))).unwrap();
    assert_eq!(tokens(&strict, "bob").unwrap(), 0);
    is_not_served(&serving, "carol");
    is_not_served(&serving, "dave");
}

#[test]
fn a_refresh_during_which_the_server_is_killed_returns_its_token() {
    let world = World::start();
    let cache = world.serving();
    sign_users_in(&cache);
    world.clock.advance(3700);
    let endpoint = Server::new([refreshed("alice", "new")]).meanwhile(|| world.kill());
    // Bounds how long the commit of the response is repeated.
    let impatient = client(&cache).with_guard_wait(Duration::from_secs(1));
    let account = AccountInfo::of(home("alice"));
    let error = impatient.acquire_token_silent(["User.Read"], &account, &endpoint).unwrap_err();
    let AcquireError::NotStored { token, source } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, Error::Unavailable { .. }), "{source:?}");
    assert!(source.is_retryable());
    assert_eq!(token.secret().expose(), "AT-new");
    let served = silent(&cache, "alice", &Server::new([])).unwrap();
    assert_eq!(served, (AnsweredBy::LastKnown, "AT-new".to_owned()));
    // An expired token of another user is not refreshed without the guard of the store.
    let endpoint = Server::new([]);
    let error = silent(&cache, "bob", &endpoint).unwrap_err();
    assert!(matches!(&error, AcquireError::Cache(it) if it.is_retryable()), "{error:?}");
    assert!(endpoint.requests().is_empty());
    world.restart();
    let served = silent(&world.serving(), "bob", &Server::new([refreshed("bob", "newer")]));
    assert_eq!(served.unwrap().1, "AT-newer");
}

/// The token endpoint responds while the server restarts.
#[test]
fn a_refresh_during_which_the_server_restarts_is_stored() {
    let world = World::start();
    let cache = world.serving();
    sign_users_in(&cache);
    world.clock.advance(3700);
    let server = world.server.clone();
    let restarting = Mutex::new(None);
    let endpoint = Server::new([refreshed("alice", "new")]).meanwhile(|| {
        world.kill();
        let server = server.clone();
        let restart = move || {
            std::thread::sleep(Duration::from_millis(500));
            server.lock().unwrap().restart();
        };
        *restarting.lock().unwrap() = Some(std::thread::spawn(restart));
    });
    assert_eq!(silent(&cache, "alice", &endpoint).unwrap().1, "AT-new");
    restarting.lock().unwrap().take().unwrap().join().unwrap();
    let stored = world.serving().serialize().unwrap();
    assert!(stored.contains("RT-new") && !stored.contains("RT-alice"), "{stored}");
}
