//! The Redis store, compared with the bare client on the same server and with a cache in memory:
//!
//! ```text
//! tests/servers/redis cargo bench --bench redis --features redis
//! MSAL_CACHE_USERS=1000000 tests/servers/redis cargo bench --bench redis --features redis
//! ```

mod remote;

use std::time::{Duration, Instant};

use msal_cache::redis::RedisStore;
use msal_cache::store::{
    AsyncCacheStore, Batch, Blocking, CacheStore, Expect, Load, Partition, Revision,
};
use msal_cache::{CredentialType, Query, TokenCache};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Script, cmd};
use tokio::runtime::{Builder, Runtime};

use crate::remote::{in_turn, medians, record, row, sign_in, values};

/// How many tasks share a connection.
const TASKS: usize = 64;

fn url() -> String {
    std::env::var("MSAL_CACHE_REDIS_URL").expect("run it by tests/servers/redis")
}

/// How many operations a second 64 tasks do on one connection.
fn rate<F: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    each: usize,
    work: impl Fn(usize) -> F + Send + Clone + 'static,
) -> f64 {
    let started = Instant::now();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let work = work.clone();
                tokio::spawn(async move {
                    for n in 0..each {
                        work(n).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    #[allow(clippy::cast_precision_loss)]
    let count = (TASKS * each) as f64;
    count / started.elapsed().as_secs_f64()
}

/// A look-up that the cache answers in memory, and one on Redis that has not changed.
fn local(runs: usize) {
    let memory = TokenCache::in_memory();
    let store = RedisStore::builder(url()).name("bench-local");
    let redis = TokenCache::new(Blocking::connect(store.connect()).unwrap());
    let query = Query::new().home_account_id("u").target(["s"]);
    let look_up = |cache: &dyn Fn() -> usize| assert_eq!(cache(), 1);
    memory.store().commit(&sign_in("u", 0)).unwrap();
    redis.store().commit(&sign_in("u", 0)).unwrap();
    let in_memory = || memory.find(CredentialType::AccessToken, &query).unwrap().len();
    let on_redis = || redis.find(CredentialType::AccessToken, &query).unwrap().len();
    look_up(&on_redis);
    std::thread::sleep(Duration::from_millis(300));
    look_up(&on_redis);
    let many = |side: &dyn Fn() -> usize| {
        for _ in 0..1000 {
            look_up(side);
        }
    };
    let [ours, least] = medians(runs, [&mut |_| many(&on_redis), &mut |_| many(&in_memory)]);
    row("look-up, unchanged, no round trip", ours / 1000.0, "in memory", least / 1000.0, 1.5);
}

fn main() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    local(300);
    runtime.block_on(round_trips());
    tasks(&runtime);
    let users = std::env::var("MSAL_CACHE_USERS").map_or(20_000, |it| it.parse().unwrap());
    runtime.block_on(growth(users));
}

async fn store(name: &str) -> RedisStore {
    // Without local answers: each look-up is a round trip.
    let builder = RedisStore::builder(url()).name(name).max_staleness(Duration::ZERO);
    builder.connect().await.unwrap()
}

async fn bare() -> MultiplexedConnection {
    let url = format!("{}/?protocol=resp3", url());
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn round_trips() {
    let (store, bare) = (store("bench-remote").await, bare().await);
    let user = Partition::user("u");
    let revision = store.commit(&sign_in("u", 0)).await.unwrap()[0];
    cmd("SET").arg("bench:key").arg("x".repeat(32)).exec_async(&mut bare.clone()).await.unwrap();
    let unchanged = async |_| {
        assert_eq!(store.load(&user, Some(revision)).await.unwrap(), Load::Unchanged);
    };
    let get = async |_| {
        let mut bare = bare.clone();
        let _: String = cmd("GET").arg("bench:key").query_async(&mut bare).await.unwrap();
    };
    let times = in_turn!(4000, unchanged, get);
    row("load, unchanged", times[0], "GET", times[1], 1.2);

    // A bare script that makes the same writes, of the same size, to the same data structures.
    let script = Script::new(
        "for i = 1, #ARGV do \
           local old = redis.call('HGET', KEYS[1], 'f' .. i) \
           redis.call('HSET', KEYS[1], 'f' .. i, i .. ':' .. ARGV[i]) \
           if i == 1 then redis.call('ZADD', KEYS[3], 4000000000, 'f1') \
           else redis.call('ZREM', KEYS[3], 'f' .. i) end \
         end \
         local n = redis.call('HINCRBY', KEYS[2], 'n', 1) \
         redis.call('HSET', KEYS[1], 'r', 'revision') \
         redis.call('ZADD', KEYS[4], n, 'u') \
         redis.call('HSET', KEYS[2], 'rev', 'revision', 'version', '1') \
         return {'revision'}",
    );
    let commit = async |n| drop(store.commit(&sign_in("u", n + 1)).await.unwrap());
    let values = |n: usize| values(&sign_in("u", n + 1));
    let hset = async |n| {
        let mut hset = cmd("HSET");
        hset.arg("bench:hash").arg("f").arg(values(n).concat());
        hset.exec_async(&mut bare.clone()).await.unwrap();
    };
    let bare_script = async |n| {
        let mut call = script.key("{bench}:p");
        call.key("{bench}:meta").key("{bench}:exp").key("{bench}:parts");
        for value in values(n) {
            call.arg(value);
        }
        call.invoke_async::<Vec<String>>(&mut bare.clone()).await.unwrap();
    };
    let times = in_turn!(3000, commit, hset, bare_script);
    row("commit of a sign-in, 4 records", times[0], "HSET", times[1], 3.0);
    row("", times[0], "a bare script", times[2], 1.2);
}

fn tasks(runtime: &Runtime) {
    let (store, bare) = runtime.block_on(async {
        let store = store("bench-remote").await;
        (store, bare().await)
    });
    let user = Partition::user("u");
    let known = runtime.block_on(store.load(&user, None)).unwrap();
    let Load::Snapshot(known) = known else { unreachable!("no revision is known") };
    let known = known.revision();
    let script = Script::new("return redis.call('HGET', KEYS[1], 'f1') and 0");
    let get: Cmd = cmd("GET").arg("bench:key").to_owned();
    let (mut ours, mut least, mut scripted) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..7 {
        let (store, user) = (store.clone(), user.clone());
        ours.push(rate(runtime, 400, move |_| {
            let (store, user) = (store.clone(), user.clone());
            async move { drop(store.load(&user, Some(known)).await.unwrap()) }
        }));
        let (connection, get) = (bare.clone(), get.clone());
        least.push(rate(runtime, 400, move |_| {
            let (mut bare, get) = (connection.clone(), get.clone());
            async move { drop(get.query_async::<String>(&mut bare).await.unwrap()) }
        }));
        let (connection, script) = (bare.clone(), script.clone());
        scripted.push(rate(runtime, 400, move |_| {
            let (mut bare, script) = (connection.clone(), script.clone());
            async move {
                script.key("{bench}:p").invoke_async::<u8>(&mut bare).await.unwrap();
            }
        }));
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (ours, least, scripted) = (median(&mut ours), median(&mut least), median(&mut scripted));
    println!(
        "{TASKS} tasks, one connection: {ours:.0} loads a second; {:.2}x of GET ({least:.0}), {:.2}x \
         of a bare script ({scripted:.0}); target 150,000 or 0.9x",
        ours / least,
        ours / scripted
    );
}

/// The same calls among few users and among many.
async fn growth(users: usize) {
    let few = [store("bench-few").await, store("bench-many").await];
    let count = [100, users];
    for (store, count) in few.iter().zip(count) {
        let started = Instant::now();
        for from in (0..count).step_by(250) {
            let mut batch = Batch::new();
            for n in from..(from + 250).min(count) {
                let user = format!("u{n}");
                let record =
                    record(CredentialType::RefreshToken, &format!("{user}-rt"), &user, 300, "");
                batch.change(Partition::user(&user), Expect::Any).put(record);
            }
            store.commit(&batch).await.unwrap();
        }
        println!("{count} users were added in {:?}", started.elapsed());
    }
    let user = |of: usize, run: usize| Partition::user(&format!("u{}", run * 7919 % of));
    let load = async |at: usize, run| {
        drop(few[at].load(&user(count[at], run), Some(Revision::unique())).await.unwrap());
    };
    let commit = async |at: usize, run| {
        let user = format!("u{}", run * 7919 % count[at]);
        drop(few[at].commit(&sign_in(&user, run)).await.unwrap());
    };
    let times = in_turn!(
        2000,
        async |run| load(0, run).await,
        async |run| load(1, run).await,
        async |run| commit(0, run).await,
        async |run| commit(1, run).await
    );
    let floor = format!("100 users; with {users}");
    row("load of a user", times[1], &floor, times[0], 1.1);
    row("commit of a sign-in", times[3], &floor, times[2], 1.1);
}
