//! Days of a service: users sign in, work and sign out, tokens expire and are refreshed, and what has
//! expired is deleted. Prints the time, the calls of the store and the bytes of each operation, and
//! fails if the store holds more after the last day than after the second one.
//!
//! ```text
//! cargo bench --bench day --features sqlite -- memory sqlite
//! cargo bench --bench day --features sqlite -- sqlite --days 30 --hits 10
//! tests/servers/redis cargo bench --bench day --features redis -- redis
//! tests/servers/postgres cargo bench --bench day --features postgres -- postgres --hits 100
//! ```
//!
//! `--users` users are in the store (100,000), of whom one in `--share` works on a day (50). Each day has
//! 96 quarters of an hour, of which a user works 32. `--hits` is the number of look-ups for each token of
//! a server (1,000).

#![allow(missing_docs, reason = "a program")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use msal_cache::acquire::TokenSource;
use msal_cache::clock::ManualClock;
use msal_cache::endpoint::{TokenEndpoint, TokenRequest, TokenResponse, TransportError};
use msal_cache::store::{
    Batch, CacheStore, Change, Load, Op, Partition, RefreshGuard, Revision, delegate_store,
};
use msal_cache::{AccountInfo, Client, CredentialType, Event, Fields, Memory, Result, TokenCache};

const CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const SCOPE: &str = "https://graph.microsoft.com/User.Read";
/// Seconds in which a token is valid.
const LIFETIME: i64 = 4_500;
const QUARTER: i64 = 900;
const QUARTERS: usize = 96;
/// Quarters of an hour in which a user works on a day.
const WORK: usize = 32;
/// Of this number of users who worked, one signs out.
const SIGN_OUT: usize = 4;
/// The first day differs, and the others are compared with the second one.
const FEWEST_DAYS: usize = 3;

struct Options {
    users: usize,
    share: usize,
    days: usize,
    hits: usize,
    stores: Vec<String>,
}

fn options() -> Options {
    let mut options =
        Options { users: 100_000, share: 50, days: FEWEST_DAYS, hits: 1_000, stores: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let number = arguments.next().and_then(|it| it.parse().ok());
            number.unwrap_or_else(|| panic!("{argument} needs a number"))
        };
        match argument.as_str() {
            "--users" => options.users = number(),
            "--share" => options.share = number(),
            "--days" => options.days = number(),
            "--hits" => options.hits = number(),
            // Cargo passes this to every benchmark.
            "--bench" => {}
            store => options.stores.push(store.to_owned()),
        }
    }
    if options.stores.is_empty() {
        options.stores.push("memory".to_owned());
    }
    options
}

fn main() {
    let options = options();
    for store in &options.stores {
        match store.as_str() {
            "memory" => simulate(&options, "memory", Memory::new(), None),
            #[cfg(feature = "sqlite")]
            "sqlite" => {
                let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
                let path = folder.path().join("cache.db");
                let store = msal_cache::SqliteStore::open(&path).unwrap();
                simulate(&options, "sqlite", store, Some(folder.path()));
            }
            #[cfg(feature = "redis")]
            "redis" => {
                use msal_cache::store::Blocking;
                let url =
                    std::env::var("MSAL_CACHE_REDIS_URL").expect("run it by tests/servers/redis");
                let builder = msal_cache::redis::RedisStore::builder(url).name("day");
                let store = Blocking::connect(builder.connect()).unwrap();
                simulate(&options, "redis", store, None);
            }
            #[cfg(feature = "postgres")]
            "postgres" => {
                use msal_cache::store::Blocking;
                let url = std::env::var("MSAL_CACHE_POSTGRES_URL")
                    .expect("run it by tests/servers/postgres");
                let builder = msal_cache::postgres::PostgresStore::builder(url).name("day");
                let store = Blocking::connect(builder.connect()).unwrap();
                simulate(&options, "postgres", store, None);
            }
            other => panic!("{other}: no store of the enabled features"),
        }
    }
}

/// Counts the calls of a store and the bytes of the records that it gets.
#[derive(Debug)]
struct Counted<S> {
    store: S,
    calls: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl<S: CacheStore> CacheStore for Counted<S> {
    delegate_store!(self => self.store, except load, load_many, commit, list, purge, guard);

    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.calls.fetch_add(1, Relaxed);
        self.store.load(partition, known)
    }

    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        // The stores that answer it do so without a call of a server.
        self.store.is_unchanged(partition, known)
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.calls.fetch_add(1, Relaxed);
        self.store.load_many(wanted)
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.calls.fetch_add(1, Relaxed);
        let puts = batch.changes().iter().flat_map(Change::ops).map(|op| match op {
            Op::Put(record) => record.value().expose().len() as u64,
            Op::Delete { .. } => 0,
        });
        self.bytes.fetch_add(puts.sum(), Relaxed);
        self.store.commit(batch)
    }

    fn list(&self, section: Option<&CredentialType>, known: Option<Revision>) -> Result<Load> {
        self.calls.fetch_add(1, Relaxed);
        self.store.list(section, known)
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.calls.fetch_add(1, Relaxed);
        self.store.purge(now)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.calls.fetch_add(1, Relaxed);
        self.store.guard(partition, wait)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Operation {
    Hit,
    Refresh,
    SignIn,
    SignOut,
    Purge,
}

/// What one kind of operation took.
#[derive(Default)]
struct Cost {
    /// Numbers of operations by their time, in steps of 1/8 of a power of two of nanoseconds.
    times: HashMap<u32, u64>,
    calls: u64,
    bytes: u64,
}

impl Cost {
    fn add(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(8);
        let power = nanos.ilog2();
        let eighth = (nanos >> (power - 3)) & 7;
        *self.times.entry(power * 8 + u32::try_from(eighth).unwrap()).or_default() += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (step, count) in &other.times {
            *self.times.entry(*step).or_default() += count;
        }
        self.calls += other.calls;
        self.bytes += other.bytes;
    }

    fn count(&self) -> u64 {
        self.times.values().sum()
    }

    /// The time that this share of the operations took at most, in microseconds.
    fn quantile(&self, share: f64) -> f64 {
        let mut steps: Vec<_> = self.times.iter().collect();
        steps.sort();
        let (mut passed, all) = (0, float(self.count()));
        for (step, count) in steps {
            passed += count;
            if float(passed) >= share * all {
                let (power, eighth) = (step / 8, step % 8);
                return float(u64::from(9 + eighth) << (power - 3)) / 1e3;
            }
        }
        0.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn float(number: u64) -> f64 {
    number as f64
}

/// A server that refreshes each token.
struct Server {
    secret: String,
    issued: AtomicU64,
}

impl TokenEndpoint for Server {
    fn send(&self, _: &TokenRequest) -> std::result::Result<TokenResponse, TransportError> {
        let nth = self.issued.fetch_add(1, Relaxed);
        let secret = &self.secret;
        let response = Fields::new()
            .set("token_type", "Bearer")
            .set("scope", SCOPE)
            .set("expires_in", LIFETIME)
            .set("access_token", format!("AT{nth}.{secret}{}", &secret[..500]))
            .set("refresh_token", format!("RT{nth}.{secret}"));
        Ok(TokenResponse::new(200, response))
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

fn home(user: usize) -> String {
    format!("{user:08}.{TENANT}")
}

fn sign_in(user: usize, secret: &str) -> Event {
    let claims = format!(
        r#"{{"oid":"{user:08}","tid":"{TENANT}","preferred_username":"u{user}@contoso.example","p":"{}"}}"#,
        &secret[..700]
    );
    Event::new(CLIENT)
        .token_endpoint(format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"))
        .scope([SCOPE])
        .grant_type("authorization_code")
        .response(
            Fields::new()
                .set("token_type", "Bearer")
                .set("expires_in", LIFETIME)
                .set("access_token", format!("AT.{secret}{}", &secret[..500]))
                .set("refresh_token", format!("RT.{secret}"))
                .set("id_token", format!("e30.{}.signature", base64(&claims)))
                .set("client_info", base64(&format!(r#"{{"uid":"{user:08}","utid":"{TENANT}"}}"#))),
        )
}

/// A thread of the service, with its own users.
struct Worker<'a, S: CacheStore> {
    client: &'a Client<S>,
    cache: &'a TokenCache<S>,
    server: &'a Server,
    calls: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    costs: HashMap<Operation, Cost>,
}

impl<S: CacheStore> Worker<'_, S> {
    /// Runs an operation, which says what kind it was.
    fn time(&mut self, work: impl FnOnce(&Self) -> Operation) -> Operation {
        let started = Instant::now();
        let operation = work(self);
        self.costs.entry(operation).or_default().add(started.elapsed());
        operation
    }

    /// Of the store's calls, which all threads count together: right where no other thread works.
    fn counted(&mut self, work: impl FnOnce(&Self) -> Operation) {
        let before = (self.calls.load(Relaxed), self.bytes.load(Relaxed));
        let operation = self.time(work);
        let cost = self.costs.entry(operation).or_default();
        cost.calls += self.calls.load(Relaxed) - before.0;
        cost.bytes += self.bytes.load(Relaxed) - before.1;
    }

    fn acquire(&mut self, user: usize) {
        let account = AccountInfo::of(home(user));
        self.counted(|it| {
            let token = it.client.acquire_token_silent([SCOPE], &account, it.server).unwrap();
            if token.source() == TokenSource::Cache { Operation::Hit } else { Operation::Refresh }
        });
    }

    /// What a user does in a quarter of an hour.
    fn work(&mut self, user: usize, quarter: usize, hits: usize, signs_out: bool) {
        if quarter == 0 {
            let event = sign_in(user, &self.server.secret);
            self.counted(|it| {
                it.cache.add(&event).unwrap();
                Operation::SignIn
            });
        }
        for _ in 0..hits {
            self.acquire(user);
        }
        if quarter == WORK - 1 && signs_out {
            let account = AccountInfo::of(home(user));
            self.counted(|it| {
                it.client.remove_account(&account).unwrap();
                Operation::SignOut
            });
        }
    }
}

/// What a store holds at the end of a day.
struct Held {
    records: usize,
    bytes: u64,
    resident: u64,
}

fn held<S: CacheStore>(store: &S, folder: Option<&Path>) -> Held {
    let Load::Snapshot(all) = store.list(None, None).unwrap() else {
        unreachable!("no revision is known")
    };
    let files = folder.into_iter().flat_map(|it| it.read_dir().unwrap());
    Held {
        records: all.records().len(),
        bytes: files.map(|file| file.unwrap().metadata().unwrap().len()).sum(),
        resident: resident(),
    }
}

/// The memory of this process, in bytes, where Linux tells it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.split_whitespace().next());
    number.and_then(|it| it.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The bytes that this process has made the system write to disks, where Linux tells it.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|it| it.parse().ok()).unwrap_or(0)
}

fn simulate<S: CacheStore>(options: &Options, name: &str, store: S, folder: Option<&Path>) {
    let counters = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
    let [calls, bytes] = &counters;
    let store = Counted { store, calls: calls.clone(), bytes: bytes.clone() };
    let clock = Arc::new(ManualClock::new(1_800_000_000));
    let cache = TokenCache::with_clock(store, clock.clone());
    let client = cache.client(CLIENT, format!("https://login.microsoftonline.com/{TENANT}"));
    let server = Server { secret: "x".repeat(1_000), issued: AtomicU64::new(0) };
    println!("{name}: {} users, of whom 1 in {} works on a day", options.users, options.share);
    let started = Instant::now();
    for user in 0..options.users {
        cache.add(&sign_in(user, &server.secret)).unwrap();
    }
    println!("  signed in once in {:.1} s", started.elapsed().as_secs_f64());

    let disk = written();
    let mut total: HashMap<Operation, Cost> = HashMap::new();
    let mut days = Vec::new();
    let mut busy = Duration::ZERO;
    for day in 0..options.days.max(FEWEST_DAYS) {
        // Of the days, the first ones differ: all tokens of the beginning expire.
        let started = Instant::now();
        let mut worker = Worker {
            client: &client,
            cache: &cache,
            server: &server,
            calls: calls.clone(),
            bytes: bytes.clone(),
            costs: HashMap::new(),
        };
        for quarter in 0..QUARTERS {
            clock.advance(QUARTER);
            for user in (day % options.share..options.users).step_by(options.share) {
                // They begin at different times.
                let nth = user / options.share;
                let begin = nth % (QUARTERS - WORK);
                if (begin..begin + WORK).contains(&quarter) {
                    // A token is refreshed when it is about to expire: about each fifth quarter.
                    let signs_out = nth.is_multiple_of(SIGN_OUT);
                    worker.work(user, quarter - begin, options.hits / 5, signs_out);
                }
            }
            if quarter % 24 == 23 {
                worker.counted(|it| {
                    it.cache.purge_expired().unwrap();
                    Operation::Purge
                });
            }
        }
        busy += started.elapsed();
        for (operation, cost) in worker.costs {
            total.entry(operation).or_default().merge(&cost);
        }
        days.push(held(cache.store(), folder));
    }
    print_costs(&total, busy);
    let (second, last) = (&days[1], days.last().unwrap());
    println!(
        "  after the second day: {} records, {} MB in files, {} MB of memory",
        second.records,
        second.bytes >> 20,
        second.resident >> 20
    );
    println!(
        "  after day {:>9}: {} records, {} MB in files, {} MB of memory; {} MB written to disks",
        days.len(),
        last.records,
        last.bytes >> 20,
        last.resident >> 20,
        (written() - disk) >> 20
    );
    assert!(last.records <= second.records, "{name}: the store grows");
    assert!(last.bytes <= second.bytes + (second.bytes >> 4), "{name}: the files grow");
    assert!(last.resident <= second.resident + (second.resident >> 2), "{name}: memory grows");
}

fn print_costs(total: &HashMap<Operation, Cost>, busy: Duration) {
    println!(
        "  {:<10} {:>10} {:>10} {:>10} {:>10} {:>8} {:>8}",
        "", "number", "p50 us", "p99 us", "p999 us", "calls", "bytes"
    );
    let mut operations: Vec<_> = total.iter().collect();
    operations.sort_by_key(|(operation, _)| **operation);
    for (operation, cost) in operations {
        let name = match operation {
            Operation::Hit => "hit",
            Operation::Refresh => "refresh",
            Operation::SignIn => "sign-in",
            Operation::SignOut => "sign-out",
            Operation::Purge => "purge",
        };
        let count = cost.count();
        println!(
            "  {name:<10} {count:>10} {:>10.2} {:>10.2} {:>10.2} {:>8.3} {:>8.0}",
            cost.quantile(0.5),
            cost.quantile(0.99),
            cost.quantile(0.999),
            float(cost.calls) / float(count),
            float(cost.bytes) / float(count)
        );
    }
    let all: u64 = total.values().map(Cost::count).sum();
    println!("  {:.0} operations a second", float(all) / busy.as_secs_f64());
}
