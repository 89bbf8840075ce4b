//! The PostgreSQL store, compared with bare statements on the same server, each on one prepared connection,
//! and with a cache in memory:
//!
//! ```text
//! tests/servers/postgres cargo bench --bench postgres --features postgres
//! MSAL_CACHE_USERS=1000000 tests/servers/postgres cargo bench --bench postgres --features postgres
//! ```

mod remote;

use std::sync::Arc;
use std::time::{Duration, Instant};

use msal_cache::postgres::{PostgresStore, PostgresStoreBuilder};
use msal_cache::store::{
    AsyncCacheStore, Batch, Blocking, CacheStore, Expect, Load, Partition, Revision,
};
use msal_cache::{CredentialType, Query, TokenCache};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

use crate::remote::{in_turn, medians, record, row, sign_in, values};

/// How many tasks commit at the same time.
const WRITERS: usize = 16;

/// How long each turn of the writers takes.
const TURN: Duration = Duration::from_millis(1500);

fn url() -> String {
    std::env::var("MSAL_CACHE_POSTGRES_URL").expect("run it by tests/servers/postgres")
}

fn builder(name: &str) -> PostgresStoreBuilder {
    let builder = PostgresStore::builder(url()).schema("bench").name(name);
    builder.pool_size(WRITERS).timeout(Duration::from_secs(60))
}

fn main() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    local(300);
    runtime.block_on(round_trips());
    writers(&runtime);
    let users = std::env::var("MSAL_CACHE_USERS").map_or(20_000, |it| it.parse().unwrap());
    runtime.block_on(growth(users));
}

/// A look-up that the cache answers in memory, one of a process that listens, and one that asks.
fn local(runs: usize) {
    let memory = TokenCache::in_memory();
    let open = |limit| {
        let store = builder("local").max_staleness(limit);
        TokenCache::new(Blocking::connect(store.connect()).unwrap())
    };
    let (listening, asking) = (open(Duration::from_millis(500)), open(Duration::ZERO));
    let query = Query::new().home_account_id("u").target(["s"]);
    memory.store().commit(&sign_in("u", 0)).unwrap();
    asking.store().commit(&sign_in("u", 0)).unwrap();
    let in_memory = || memory.find(CredentialType::AccessToken, &query).unwrap().len();
    let unasked = || listening.find(CredentialType::AccessToken, &query).unwrap().len();
    let asked = || asking.find(CredentialType::AccessToken, &query).unwrap().len();
    while !listening.store().get_ref().is_tracking() {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    let many = |side: &dyn Fn() -> usize| (0..1000).for_each(|_| assert_eq!(side(), 1));
    let [ours, least, remote] = medians(
        runs,
        [&mut |_| many(&unasked), &mut |_| many(&in_memory), &mut |_| {
            (0..10).for_each(|_| assert_eq!(asked(), 1));
        }],
    );
    let (ours, least, remote) = (ours / 1000.0, least / 1000.0, remote / 10.0);
    row("look-up, unchanged, no round trip", ours, "in memory", least, 1.5);
    println!(
        "{:<44} {:>9.2} us {:>7.0}x of that",
        "look-up, unchanged, a round trip",
        remote,
        remote / ours
    );
}

async fn bare() -> Client {
    let (client, connection) = tokio_postgres::connect(&url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// What a bare program would have: a table of users, and one of their records.
const TABLES: &str = "\
    CREATE SCHEMA IF NOT EXISTS bare; DROP TABLE IF EXISTS bare.users, bare.records; \
    CREATE TABLE bare.users (id text PRIMARY KEY, revision text NOT NULL) WITH (fillfactor = 70); \
    CREATE TABLE bare.records (id text PRIMARY KEY, owner text NOT NULL, value bytea NOT NULL) \
        WITH (toast_tuple_target = 8160); \
    CREATE INDEX ON bare.records (owner); \
    ALTER TABLE bare.records ALTER COLUMN value SET STORAGE EXTERNAL";

const SELECT: &str = "SELECT revision FROM bare.users WHERE id = $1";

const SELECT_RECORDS: &str = "SELECT id, value FROM bare.records WHERE owner = $1 ORDER BY id";

/// The same writes as those of a sign-in, in one statement.
const UPSERT: &str = "\
    WITH put AS (INSERT INTO bare.records SELECT $1 || n, $1, v \
        FROM unnest($2::bytea[]) WITH ORDINALITY AS i(v, n) \
        ON CONFLICT (id) DO UPDATE SET value = excluded.value) \
    INSERT INTO bare.users VALUES ($1, $3) \
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision";

async fn round_trips() {
    let (store, bare) = (builder("remote").connect().await.unwrap(), bare().await);
    bare.batch_execute(TABLES).await.unwrap();
    let [select, select_records, upsert] =
        [SELECT, SELECT_RECORDS, UPSERT].map(|sql| bare.prepare(sql));
    let (select, select_records, upsert) =
        (select.await.unwrap(), select_records.await.unwrap(), upsert.await.unwrap());
    let bytes = |n| values(&sign_in("u", n)).into_iter().map(String::into_bytes).collect();
    let upsert = async |n: usize| {
        let values: Vec<Vec<u8>> = bytes(n);
        bare.execute(&upsert, &[&"u", &values, &n.to_string()]).await.unwrap();
    };
    let user = Partition::user("u");
    let revision = store.commit(&sign_in("u", 0)).await.unwrap()[0];
    upsert(0).await;

    let unchanged = async |_| {
        assert_eq!(store.load(&user, Some(revision)).await.unwrap(), Load::Unchanged);
    };
    let least = async |_| drop(bare.query_one(&select, &[&"u"]).await.unwrap());
    let times = in_turn!(4000, unchanged, least);
    row("load, unchanged", times[0], "SELECT by key", times[1], 1.5);

    let load = async |_| drop(store.load(&user, None).await.unwrap());
    let least = async |_| {
        assert_eq!(bare.query(&select_records, &[&"u"]).await.unwrap().len(), 4);
    };
    let times = in_turn!(3000, load, least);
    row("load, 4 records, 4 KB", times[0], "SELECT by owner", times[1], 1.5);

    let commit = async |n| drop(store.commit(&sign_in("u", n + 1)).await.unwrap());
    let listener = builder("listened").max_staleness(Duration::from_millis(500));
    let listener = listener.connect().await.unwrap();
    let reported = builder("listened").connect().await.unwrap();
    let notifying = async |n| drop(reported.commit(&sign_in("u", n + 1)).await.unwrap());
    let times = in_turn!(1500, commit, async |n: usize| upsert(n + 1).await, notifying);
    row("durable commit of a sign-in, 4 records", times[0], "bare upsert", times[1], 1.5);
    row("the same, while a process listens", times[2], "nothing listens", times[0], 1.1);
    drop(listener);
}

/// Commits a second of several tasks, each on a connection and for a user of its own.
fn rate<F: Future<Output = ()> + Send>(
    runtime: &Runtime,
    work: impl Fn(usize, usize) -> F + Send + Sync + 'static,
) -> f64 {
    let (work, started) = (Arc::new(work), Instant::now());
    let count: usize = runtime.block_on(async {
        let tasks = (0..WRITERS).map(|task| {
            let work = work.clone();
            tokio::spawn(async move {
                let mut count = 0;
                while started.elapsed() < TURN {
                    work(task, count).await;
                    count += 1;
                }
                count
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut all = 0;
        for task in tasks {
            all += task.await.unwrap();
        }
        all
    });
    #[allow(clippy::cast_precision_loss)]
    let count = count as f64;
    count / started.elapsed().as_secs_f64()
}

fn writers(runtime: &Runtime) {
    let (clients, stores, _listener) = runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in 0..WRITERS {
            let client = bare().await;
            let upsert = client.prepare(UPSERT).await.unwrap();
            clients.push((client, upsert));
        }
        let listener = builder("notified").max_staleness(Duration::from_millis(500));
        let listener = listener.connect().await.unwrap();
        let stores = [builder("silent"), builder("notified")];
        let mut opened = Vec::new();
        for store in stores {
            opened.push(store.connect().await.unwrap());
        }
        (Arc::new(clients), opened, listener)
    });
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..5 {
        let clients = clients.clone();
        rates[0].push(rate(runtime, move |task, n| {
            let clients = clients.clone();
            async move {
                let (client, upsert) = &clients[task];
                let user = format!("u{task}");
                let values = values(&sign_in(&user, n));
                let values: Vec<_> = values.iter().map(String::as_bytes).collect();
                client.execute(upsert, &[&user, &values, &n.to_string()]).await.unwrap();
            }
        }));
        for (store, rates) in stores.iter().zip(&mut rates[1..]) {
            let store = store.clone();
            rates.push(rate(runtime, move |task, n| {
                let store = store.clone();
                async move {
                    store.commit(&sign_in(&format!("u{task}"), n)).await.unwrap();
                }
            }));
        }
    }
    let [least, silent, notifying] = rates.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    });
    println!(
        "{WRITERS} writers: {silent:.0} commits a second, {:.2}x of bare upserts ({least:.0}), target \
         0.9x; {notifying:.0} while a process listens, {:.2}x",
        silent / least,
        notifying / silent
    );
}

/// The same calls among few users and among many.
async fn growth(users: usize) {
    let stores =
        [builder("few").connect().await.unwrap(), builder("many").connect().await.unwrap()];
    let count = [100, users];
    for (store, count) in stores.iter().zip(count) {
        let started = Instant::now();
        for from in (0..count).step_by(1000) {
            let mut batch = Batch::new();
            for n in from..(from + 1000).min(count) {
                let user = format!("u{n}");
                let key = format!("{user}-rt");
                let record = record(CredentialType::RefreshToken, &key, &user, 300, "");
                batch.change(Partition::user(&user), Expect::Any).put(record);
            }
            store.commit(&batch).await.unwrap();
        }
        println!("{count} users were added in {:?}", started.elapsed());
    }
    bare().await.batch_execute("VACUUM ANALYZE").await.unwrap();
    let user = |of: usize, run: usize| Partition::user(&format!("u{}", run * 7919 % of));
    let load = async |at: usize, run| {
        drop(stores[at].load(&user(count[at], run), Some(Revision::unique())).await.unwrap());
    };
    let commit = async |at: usize, run| {
        let user = format!("u{}", run * 7919 % count[at]);
        drop(stores[at].commit(&sign_in(&user, run)).await.unwrap());
    };
    let times = in_turn!(
        1000,
        async |run| load(0, run).await,
        async |run| load(1, run).await,
        async |run| commit(0, run).await,
        async |run| commit(1, run).await
    );
    let floor = format!("100 users; with {users}");
    row("load of a user", times[1], &floor, times[0], 1.1);
    row("durable commit of a sign-in", times[3], &floor, times[2], 1.1);
}
