//! Processes that sign users in, refresh their tokens and sign them out at the same time, also while the
//! server is killed and restarted and connections are cut.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use msal_cache::store::CacheStore;
use msal_cache::{AccountInfo, AcquireError, Error, Fields, SilentRequest, TokenCache};

use crate::client::client;
use crate::common::{client_info, home, id_token, sign_in};
use crate::cuts::Proxy;
use crate::killable::{Killable, connect};
use crate::one_use::{AFTER_ERROR, Authority, Wire, first};
use crate::stores::{Server, unused_name};

/// What a child of a test gets: the address of the server, the name of the cache, its own name, the address
/// of the token endpoint, and how many seconds it works.
const CHILD: &str = "MSAL_CACHE_SERVER_CHILD";

/// How many users all processes refresh.
const SHARED: usize = 6;

/// How many users a process signs in before it signs some out.
const OWN: usize = 12;

/// How long the processes work, in seconds: `MSAL_CACHE_SECONDS`.
fn seconds(default: u64) -> u64 {
    std::env::var("MSAL_CACHE_SECONDS").map_or(default, |it| it.parse().unwrap())
}

fn shared_users() -> Vec<String> {
    (0..SHARED).map(|n| format!("shared{n}")).collect()
}

type Cache = TokenCache<Box<dyn CacheStore>>;

/// What a process has done.
#[derive(Default)]
struct Work {
    refreshes: u64,
    sign_ins: u64,
    sign_outs: u64,
    /// Errors, all of which say that a call can be repeated.
    errors: u64,
    /// Tokens that were returned and could not be stored.
    not_stored: u64,
    /// The users who are signed in.
    left: Vec<String>,
}

impl Work {
    /// Repeats a call while it fails as it does when the server is away.
    fn until_done<T>(&mut self, mut call: impl FnMut() -> Result<T, Error>) -> T {
        loop {
            match call() {
                Ok(done) => return done,
                Err(error) => {
                    assert!(error.is_retryable(), "{error:?}");
                    self.errors += 1;
                    std::thread::sleep(AFTER_ERROR);
                }
            }
        }
    }

    fn refresh(&mut self, cache: &Cache, user: &str, wire: &Wire) {
        let request = SilentRequest::new(["User.Read"], &AccountInfo::of(home(user)));
        let is_right = |secret: &str| secret.starts_with(&format!("AT-for-{user}:"));
        match client(cache).acquire(&request.force_refresh(true), wire) {
            Ok(token) => {
                assert!(is_right(token.secret().expose()), "the token of another user");
                self.refreshes += 1;
            }
            Err(AcquireError::NotStored { token, source }) => {
                assert!(is_right(token.secret().expose()), "the token of another user");
                assert!(source.is_retryable(), "{source:?}");
                self.not_stored += 1;
            }
            Err(AcquireError::Cache(error)) if error.is_retryable() => {
                self.errors += 1;
                std::thread::sleep(AFTER_ERROR);
            }
            Err(error) => panic!("{user}: {error:?}"),
        }
    }

    fn step(&mut self, cache: &Cache, process: &str, wire: &Wire) {
        match fastrand::u8(..4) {
            0 if self.left.len() >= OWN => {
                let user = self.left.swap_remove(fastrand::usize(..self.left.len()));
                let account = AccountInfo::of(home(&user));
                self.until_done(|| client(cache).remove_account(&account));
                self.sign_outs += 1;
            }
            0 | 1 => {
                let user = format!("{process}-{}", self.sign_ins);
                self.until_done(|| cache.add(&sign_in(&user, "User.Read", &user)));
                self.left.push(user);
                self.sign_ins += 1;
            }
            _ => {
                let user = format!("shared{}", fastrand::usize(..SHARED));
                self.refresh(cache, &user, wire);
            }
        }
    }
}

/// Does the work of a child, if this process is one.
fn is_child() -> bool {
    let Ok(child) = std::env::var(CHILD) else { return false };
    let [url, name, process, endpoint, seconds] = *child.split(' ').collect::<Vec<_>>() else {
        panic!("{child}")
    };
    let mut work = Work::default();
    let cache = TokenCache::new(work.until_done(|| connect(url, name)));
    let (wire, ends) = (Wire(endpoint.into()), Duration::from_secs(seconds.parse().unwrap()));
    let started = Instant::now();
    while started.elapsed() < ends || work.sign_ins == 0 || work.refreshes < 3 {
        work.step(&cache, process, &wire);
    }
    let Work { refreshes, sign_ins, sign_outs, errors, not_stored, left } = work;
    println!("\ncounts {refreshes} {sign_ins} {sign_outs} {errors} {not_stored}");
    println!("left {}", left.join(","));
    true
}

/// Starts the test again in another process.
fn start(url: &str, name: &str, process: usize, endpoint: &str, seconds: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", std::thread::current().name().unwrap(), "--nocapture"])
        .env(CHILD, format!("{url} {name} p{process} {endpoint} {seconds}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for processes. Returns how often they refreshed, signed in and out, failed, and could not store,
/// and the users that they have left.
fn join(children: Vec<Child>) -> ([u64; 5], BTreeSet<String>) {
    let (mut counts, mut left) = ([0; 5], BTreeSet::new());
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{errors}");
        let line = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_else(|| panic!("{text}"))
        };
        for (sum, count) in counts.iter_mut().zip(line("counts ").split(' ')) {
            *sum += count.parse::<u64>().unwrap();
        }
        left.extend(line("left ").split(',').filter(|it| !it.is_empty()).map(home));
    }
    (counts, left)
}

/// Checks that the store and the token endpoint have what was acknowledged.
fn check(left: &BTreeSet<String>, cache: &Cache, authority: &Authority) {
    let shared: BTreeSet<_> = shared_users().iter().map(|user| home(user)).collect();
    let accounts = client(cache).accounts().unwrap();
    let found: BTreeSet<_> = accounts.iter().map(|it| it.home_account_id().to_owned()).collect();
    let expected: BTreeSet<_> = left.union(&shared).cloned().collect();
    let lost: Vec<_> = expected.difference(&found).collect();
    let returned: Vec<_> = found.difference(&expected).collect();
    assert!(lost.is_empty() && returned.is_empty(), "lost: {lost:?}, returned: {returned:?}");
    let replays: usize = authority.issued().values().map(|it| it.replays).sum();
    assert_eq!(replays, 0, "refresh tokens that were used twice");
    // Each session is alive: its refresh token is the one that the endpoint accepts.
    let wire = Wire(authority.address.clone());
    let mut work = Work::default();
    for user in shared_users() {
        work.refresh(cache, &user, &wire);
    }
    assert_eq!((work.refreshes, work.errors), (SHARED as u64, 0));
}

fn sign_shared_users_in(cache: &Cache) {
    for user in shared_users() {
        let response = Fields::new()
            .set("access_token", format!("AT-for-{user}:"))
            .set("refresh_token", first(&user))
            .set("id_token", id_token(&user))
            .set("client_info", client_info(&user))
            .set("expires_in", 3600);
        cache.add(&sign_in(&user, "User.Read", &user).response(response)).unwrap();
    }
}

#[test]
fn thirty_two_processes_lose_nothing() {
    if is_child() {
        return;
    }
    let (name, server) = (unused_name(), Server::started());
    let cache = TokenCache::new(connect(server.url(), &name).unwrap());
    sign_shared_users_in(&cache);
    let pause = |_| std::thread::sleep(Duration::from_millis(5));
    let authority = Authority::start(&shared_users(), pause);
    let seconds = seconds(1);
    let child = |n| start(server.url(), &name, n, &authority.address, seconds);
    let children: Vec<_> = (0..32).map(child).collect();
    let ([refreshes, sign_ins, sign_outs, errors, not_stored], left) = join(children);
    check(&left, &cache, &authority);
    let requests: usize = authority.issued().values().map(|it| it.count).sum();
    println!(
        "32 processes, {seconds} s: {sign_ins} sign-ins, {sign_outs} sign-outs, {refreshes} refreshes by \
         {requests} requests, 0 lost"
    );
    assert_eq!((errors, not_stored), (0, 0), "nothing has failed");
}

/// What happens to the server and the connections to it.
struct Faults {
    proxy: Proxy,
    state: Mutex<State>,
}

struct State {
    server: Option<Killable>,
    kills: u64,
    cuts: u64,
    restarting: Option<JoinHandle<Killable>>,
}

impl Faults {
    fn new(server: Killable) -> Self {
        let proxy = Proxy::to(server.port());
        let state = State { server: Some(server), kills: 0, cuts: 0, restarting: None };
        Self { proxy, state: Mutex::new(state) }
    }

    /// Kills the server, which restarts after up to 1.5 s, or cuts the connections, or does nothing.
    fn come(&self, number: usize) {
        let mut state = self.state.lock().unwrap();
        if let Some(restarted) = state.restarting.take_if(|it| it.is_finished()) {
            state.server = Some(restarted.join().unwrap());
        }
        if number % 40 >= 3
            && number / 40 >= usize::try_from(state.kills).unwrap()
            && let Some(mut server) = state.server.take()
        {
            server.kill();
            state.kills += 1;
            state.restarting = Some(std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(fastrand::u64(..1500)));
                server.restart();
                server
            }));
        } else if number.is_multiple_of(7) {
            self.proxy.cut();
            state.cuts += 1;
        }
        drop(state);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends the faults, and the server at last, although the token endpoint continues to run.
struct Ending(Arc<Faults>);

impl Ending {
    /// The address of the proxy.
    fn url(&self) -> String {
        self.0.state.lock().unwrap().server.as_ref().unwrap().url_at(self.0.proxy.port)
    }

    /// Waits until the server is there. Returns it, how often it was killed, and how often connections
    /// were cut.
    fn end(&self) -> (Option<Killable>, [u64; 2]) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let restarted = state.restarting.take().and_then(|it| it.join().ok());
        (restarted.or(state.server.take()), [state.kills, state.cuts])
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        drop(self.end());
    }
}

/// The faults come after a refresh token was replaced, and before the process has stored the new one.
#[test]
fn no_refresh_token_is_replayed_while_the_server_is_killed_and_connections_are_cut() {
    if is_child() {
        return;
    }
    let server = Killable::start();
    let name = unused_name();
    let cache = TokenCache::new(server.open(&name));
    sign_shared_users_in(&cache);
    let faults = Arc::new(Faults::new(server));
    let ending = Ending(faults.clone());
    let url = ending.url();
    let authority = Authority::start(&shared_users(), move |number| faults.come(number));
    let seconds = seconds(4);
    let child = |n| start(&url, &name, n, &authority.address, seconds);
    let children: Vec<_> = (0..6).map(child).collect();
    let ([refreshes, sign_ins, sign_outs, errors, not_stored], left) = join(children);
    let (_server, [kills, cuts]) = ending.end();
    check(&left, &cache, &authority);
    let requests: usize = authority.issued().values().map(|it| it.count).sum();
    println!(
        "6 processes, {seconds} s, {kills} kills and {cuts} cuts after a refresh token was replaced: {sign_ins} \
         sign-ins, {sign_outs} sign-outs, {refreshes} refreshes by {requests} requests, {errors} errors, \
         {not_stored} tokens not stored, 0 replays, 0 lost"
    );
    assert!(kills > 0 && cuts > 0, "too few refreshes: set MSAL_CACHE_SECONDS");
}
