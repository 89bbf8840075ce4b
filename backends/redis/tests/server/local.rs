//! Look-ups that are answered without a round trip, and when they end.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use msal_cache_core::{Blocking, CacheStore, Expect, Load, Partition, Revision};
use msal_cache_redis::RedisStore;

use crate::proxy::{Mode, Proxy};
use crate::servers::Server;
use crate::support::{open, puts, run, snapshot, token, unused_name, url};

type Store = Blocking<RedisStore>;

/// The default of `RedisStoreBuilder::max_staleness`.
const BOUND: Duration = Duration::from_millis(500);

/// Other tests use the same two cores.
const SLACK: Duration = Duration::from_millis(400);

fn put(store: &Store, user: &str, secret: &str) -> Revision {
    store.commit(&puts(Expect::Any, &[token(user, &format!("k-{user}"), secret)])).unwrap()[0]
}

/// Loads a user until it is answered without a round trip.
fn learn(store: &Store, user: &str) -> Revision {
    let partition = Partition::user(user);
    let started = Instant::now();
    loop {
        let known = snapshot(store.load(&partition, None).unwrap()).revision();
        if store.is_unchanged(&partition, known) {
            return known;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "nothing is answered locally");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How long a look-up is still answered locally.
fn time_until_asked(store: &Store, user: &str, known: Revision) -> Duration {
    let (partition, started) = (Partition::user(user), Instant::now());
    while store.is_unchanged(&partition, known) {
        assert!(started.elapsed() < Duration::from_secs(10), "still answered locally");
        std::thread::sleep(Duration::from_micros(50));
    }
    started.elapsed()
}

fn through(proxy: &Proxy, name: &str) -> Store {
    let address = format!("redis://127.0.0.1:{}", proxy.port);
    let builder = RedisStore::builder(address).name(name).timeout(Duration::from_secs(2));
    Blocking::connect(builder.connect()).unwrap()
}

fn shared_port() -> u16 {
    url().rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn an_unchanged_look_up_is_answered_without_the_server() {
    let mut server = Server::start(&[]);
    let store = server.open().unwrap();
    put(&store, "u", "1");
    let (present, absent) = (learn(&store, "u"), learn(&store, "absent"));
    let calls = || -> u64 {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
        let mut connection = client.get_connection().unwrap();
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut connection).unwrap();
        let scripts = stats.lines().find_map(|it| it.strip_prefix("cmdstat_evalsha:calls="));
        scripts.unwrap().split(',').next().unwrap().parse().unwrap()
    };
    let (before, started, mut asked) = (calls(), Instant::now(), 0);
    for _ in 0..100_000 {
        for (user, known) in [("u", present), ("absent", absent)] {
            let user = Partition::user(user);
            if !store.is_unchanged(&user, known) {
                // The first heartbeat after a change; or it is late, on a busy machine.
                assert_eq!(store.load(&user, Some(known)).unwrap(), Load::Unchanged);
                asked += 1;
            }
        }
    }
    // The others are heartbeats.
    let beats = started.elapsed().as_millis() / 125 + 2;
    assert!(asked < 200, "{asked} of 200,000 look-ups asked");
    assert!(u128::from(calls() - before) <= beats + asked, "{} calls", calls() - before);
    let present = learn(&store, "u");
    server.kill();
    assert!(time_until_asked(&store, "u", present) < BOUND + SLACK);
}

#[test]
fn a_commit_by_another_process_ends_local_answers() {
    let name = unused_name();
    let (store, other) = (open(&name), open(&name));
    let mut slowest = Duration::ZERO;
    for n in 0..200 {
        put(&other, "u", &n.to_string());
        let known = learn(&store, "u");
        put(&other, "u", "changed");
        slowest = slowest.max(time_until_asked(&store, "u", known));
    }
    println!("the slowest of 200 reports took {slowest:?}");
    assert!(slowest < BOUND, "{slowest:?}");
}

/// A record that moves to another user, a purge.
#[test]
fn a_process_sees_its_own_commits_at_once() {
    let name = unused_name();
    let store = open(&name);
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let _stop = StopAtEnd(&stop);
        // Loads of the same user by others, whose answers may arrive late.
        for _ in 0..2 {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    store.load(&Partition::user("u"), None).unwrap();
                    store.load(&Partition::user("v"), None).unwrap();
                }
            });
        }
        let mut known = [Revision::ABSENT; 2];
        for n in 0..2000 {
            let user = ["u", "v"][n % 2];
            // One key, so it moves from the one to the other.
            store.commit(&puts(Expect::Any, &[token(user, "moving", &n.to_string())])).unwrap();
            for (user, before) in ["u", "v"].into_iter().zip(&mut known) {
                let partition = Partition::user(user);
                // The first commit adds the one user, and not the other.
                let is_old = n > 0 || user == "u";
                assert!(!is_old || !store.is_unchanged(&partition, *before), "{user}, commit {n}");
                *before = snapshot(store.load(&partition, None).unwrap()).revision();
            }
        }
    });
}

/// Stops the other threads, also after a failure.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_connection_that_swallows_everything_ends_local_answers_within_the_bound() {
    let (name, proxy) = (unused_name(), Proxy::to(shared_port()));
    let (store, other) = (through(&proxy, &name), open(&name));
    for round in 0..3 {
        put(&other, "u", &round.to_string());
        let known = learn(&store, "u");
        proxy.set(Mode::Swallow);
        put(&other, "u", "changed");
        let took = time_until_asked(&store, "u", known);
        println!("a half-open connection was noticed after {took:?}");
        assert!(took < BOUND + SLACK, "{took:?}");
        store.load(&Partition::user("u"), Some(known)).unwrap_err();
        proxy.set(Mode::Pass);
    }
}

#[test]
fn reports_that_are_lost_end_local_answers_within_the_bound() {
    let (name, proxy) = (unused_name(), Proxy::to(shared_port()));
    let (store, other) = (through(&proxy, &name), open(&name));
    put(&other, "v", "unchanged");
    for round in 0..5 {
        put(&other, "u", &round.to_string());
        std::thread::sleep(Duration::from_millis(300));
        let (known, unrelated) = (learn(&store, "u"), learn(&store, "v"));
        proxy.set(Mode::LosePushes);
        put(&other, "u", "changed");
        let took = time_until_asked(&store, "u", known);
        println!("a lost report was noticed after {took:?}");
        assert!(took < BOUND + SLACK, "{took:?}");
        // Only what has changed is asked for.
        assert!(store.is_unchanged(&Partition::user("v"), unrelated) || took > BOUND);
        proxy.set(Mode::Pass);
    }
    // Everything is lost, the history included.
    let mut server = Server::start(&[]);
    let proxy = Proxy::to(server.port);
    let (store, other) = (through(&proxy, "default"), server.open().unwrap());
    for _ in 0..2 {
        put(&other, "u", "x");
        put(&other, "u", "y");
    }
    let known = learn(&store, "u");
    proxy.set(Mode::LosePushes);
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    redis::cmd("FLUSHALL").exec(&mut client.get_connection().unwrap()).unwrap();
    let took = time_until_asked(&store, "u", known);
    assert!(took < BOUND + SLACK, "{took:?}");
    server.kill();
}

#[test]
fn more_lost_reports_than_a_heartbeat_reads_are_noticed() {
    let (name, proxy) = (unused_name(), Proxy::to(shared_port()));
    let (store, other) = (through(&proxy, &name), open(&name));
    let users: Vec<_> = (0..3000).map(|n| token(&format!("u{n}"), &format!("k{n}"), "1")).collect();
    other.commit(&puts(Expect::Any, &users)).unwrap();
    let known: Vec<_> =
        (0..3000).step_by(100).map(|n| (n, learn(&store, &format!("u{n}")))).collect();
    proxy.set(Mode::LosePushes);
    let users: Vec<_> = (0..3000).map(|n| token(&format!("u{n}"), &format!("k{n}"), "2")).collect();
    other.commit(&puts(Expect::Any, &users)).unwrap();
    let started = Instant::now();
    for (n, known) in known {
        time_until_asked(&store, &format!("u{n}"), known);
    }
    assert!(started.elapsed() < BOUND + SLACK, "{:?}", started.elapsed());
}

#[test]
fn flushall_a_killed_connection_and_a_demotion_end_local_answers() {
    let server = Server::start(&[]);
    let primary = Server::start(&[]);
    let store = server.open().unwrap();
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    let mut connection = client.get_connection().unwrap();
    for command in ["FLUSHALL", "FLUSHDB", "SWAPDB 0 1", "CLIENT KILL TYPE normal"] {
        put(&store, "u", command);
        std::thread::sleep(Duration::from_millis(300));
        let known = learn(&store, "u");
        let mut words = command.split(' ');
        let mut cmd = redis::cmd(words.next().unwrap());
        for word in words {
            cmd.arg(word);
        }
        cmd.exec(&mut connection).unwrap();
        let took = time_until_asked(&store, "u", known);
        println!("{command} was noticed after {took:?}");
        // The server doesn't report the exchange of two databases; the heartbeat notices it.
        let limit = if command.starts_with("SWAPDB") { BOUND } else { Duration::from_millis(100) };
        assert!(took < limit, "{command}: {took:?}");
    }
    put(&store, "u", "replica");
    let known = learn(&store, "u");
    let port = primary.port.to_string();
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec(&mut connection).unwrap();
    let took = time_until_asked(&store, "u", known);
    assert!(took < BOUND + SLACK, "{took:?}");
    std::thread::sleep(BOUND);
    assert!(!store.get_ref().is_tracking());
    assert!(!store.is_unchanged(&Partition::user("u"), known));
}

#[test]
fn without_local_answers_each_look_up_asks() {
    let name = unused_name();
    let builder = RedisStore::builder(url()).name(&name).max_staleness(Duration::ZERO);
    let store = Blocking::connect(builder.connect()).unwrap();
    assert!(!store.get_ref().is_tracking());
    // A user that may not ask for reports.
    run::<()>(&format!("ACL SETUSER {name} on >secret +@all -client allkeys"));
    let address = url().replace("redis://", &format!("redis://{name}:secret@"));
    let other = Blocking::connect(RedisStore::builder(address).name(&name).connect()).unwrap();
    assert!(!other.get_ref().is_tracking());
    for store in [store, other] {
        put(&store, "u", "1");
        let known = snapshot(store.load(&Partition::user("u"), None).unwrap()).revision();
        assert_eq!(store.load(&Partition::user("u"), Some(known)).unwrap(), Load::Unchanged);
        assert!(!store.is_unchanged(&Partition::user("u"), known));
    }
}

/// Writers that acknowledge, readers that look up: how old is the oldest answer?
/// `MSAL_CACHE_COMMITS` sets the number of commits; 24,000 make about three million look-ups.
#[test]
fn p16_no_local_answer_is_older_than_promised() {
    let commits = std::env::var("MSAL_CACHE_COMMITS").map_or(6000, |it| it.parse().unwrap());
    let name = unused_name();
    let (store, other) = (open(&name), open(&name));
    let user = Partition::user("u");
    let started = Instant::now();
    let micros = || u64::try_from(started.elapsed().as_micros()).unwrap();
    // When each commit was acknowledged; commit n stores the secret n.
    let acknowledged: Vec<_> = (0..=commits).map(|_| AtomicU64::new(0)).collect();
    let last = AtomicUsize::new(0);
    put(&other, "u", "0");
    let (looked_up, asked) = (AtomicU64::new(0), AtomicU64::new(0));
    let ages = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                let (mut known, mut number, mut oldest, mut stale) = (None, 0, 0, Vec::new());
                let mut count = 0;
                while last.load(Ordering::SeqCst) < commits {
                    let (begun, newest) = (micros(), last.load(Ordering::SeqCst));
                    count += 1;
                    if known.is_some_and(|known| store.is_unchanged(&user, known)) {
                        if newest > number {
                            // The first commit that it doesn't know.
                            let at = acknowledged[number + 1].load(Ordering::SeqCst);
                            stale.push(begun.saturating_sub(at));
                            oldest = oldest.max(begun.saturating_sub(at));
                        }
                        continue;
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                    if let Load::Snapshot(found) = store.load(&user, known).unwrap() {
                        let text = found.records()[0].value().expose();
                        let secret = text.rsplit("\"secret\":\"").next().unwrap();
                        let now: usize = secret.trim_end_matches("\"}").parse().unwrap();
                        assert!(now >= newest, "an older token than the acknowledged one");
                        assert!(now >= number, "an older token than before");
                        (known, number) = (Some(found.revision()), now);
                    }
                }
                looked_up.fetch_add(count, Ordering::Relaxed);
                ages.lock().unwrap().extend(stale);
            });
        }
        for (n, at) in acknowledged.iter().enumerate().skip(1) {
            put(&other, "u", &n.to_string());
            at.store(micros(), Ordering::SeqCst);
            last.store(n, Ordering::SeqCst);
            // Look-ups in between are mostly local.
            std::thread::sleep(Duration::from_micros(300));
        }
    });
    let mut ages = ages.into_inner().unwrap();
    ages.sort_unstable();
    let of = |part: usize| ages.get(ages.len() * part / 1000).copied().unwrap_or(0);
    println!(
        "{commits} commits, {} look-ups, {} of them asked; {} answers were older than the last \
         acknowledged commit, by {} us (p50), {} us (p99), {} us at most",
        looked_up.load(Ordering::Relaxed),
        asked.load(Ordering::Relaxed),
        ages.len(),
        of(500),
        of(990),
        ages.last().copied().unwrap_or(0),
    );
    assert!(of(990) < 100_000, "p99: {} us", of(990));
    assert!(u128::from(ages.last().copied().unwrap_or(0)) < (BOUND + SLACK).as_micros());
}
