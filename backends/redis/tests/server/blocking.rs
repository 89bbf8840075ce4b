//! How long the calls keep a server from others. It does nothing else while a script runs.

use std::time::{Duration, Instant};

use msal_cache_core::{
    Batch, Blocking, CacheStore, CredentialType, Expect, Json, Load, Partition, Record, Revision,
};
use msal_cache_redis::RedisStore;
use redis::Connection;

use crate::servers::Server;
use crate::slow::listings_and_heartbeats_block_briefly;
use crate::support::{puts, snapshot, token};

/// How many users there are: `MSAL_CACHE_USERS`, a multiple of 250.
fn users() -> usize {
    std::env::var("MSAL_CACHE_USERS").map_or(100_000, |it| it.parse().unwrap())
}

/// How long a script may keep the server, in milliseconds.
const LIMIT: f64 = 2.0;

fn access_token(n: usize) -> Record {
    let expires_on = if n.is_multiple_of(10) { 100 } else { 4_000_000_000_u64 };
    let value = format!(
        r#"{{"home_account_id":"u{n}","client_id":"c","secret":"x","expires_on":"{expires_on}"}}"#
    );
    Record::new(CredentialType::AccessToken, format!("at{n}"), Json::new(value).unwrap())
}

/// Runs calls, and returns the processor time of the server for each script, in milliseconds, and the
/// part of the scripts that took longer than the limit. The latter includes the time that the machine
/// spent on other programs.
fn measured(connection: &mut Connection, name: &str, calls: impl FnOnce()) -> (f64, f64) {
    redis::cmd("SLOWLOG").arg("RESET").exec(connection).unwrap();
    let (scripts, cpu, started) = (scripts(connection), cpu(connection), Instant::now());
    calls();
    let took = started.elapsed();
    let ran = self::scripts(connection) - scripts;
    let busy = 1000.0 * (self::cpu(connection) - cpu) / ran;
    let slow: f64 = redis::cmd("SLOWLOG").arg("LEN").query(connection).unwrap();
    println!("{name}: {ran} scripts in {took:?}, {busy:.3} ms each, {slow} took over {LIMIT} ms");
    (busy, slow / ran)
}

fn scripts(connection: &mut Connection) -> f64 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query(connection).unwrap();
    let line = stats.lines().find_map(|it| it.strip_prefix("cmdstat_evalsha:calls="));
    line.unwrap().split(',').next().unwrap().parse().unwrap()
}

/// The processor time of the server, in seconds.
fn cpu(connection: &mut Connection) -> f64 {
    let cpu: String = redis::cmd("INFO").arg("cpu").query(connection).unwrap();
    let of = |name: &str| -> f64 {
        cpu.lines()
            .find_map(|it| it.strip_prefix(name)?.strip_prefix(':'))
            .unwrap()
            .parse()
            .unwrap()
    };
    of("used_cpu_user") + of("used_cpu_sys")
}

#[test]
fn without_local_answers_an_unchanged_load_runs_no_script() {
    let server = Server::start(&[]);
    let builder = RedisStore::builder(format!("redis://127.0.0.1:{}", server.port));
    let store = Blocking::connect(builder.max_staleness(Duration::ZERO).connect()).unwrap();
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    let mut connection = client.get_connection().unwrap();
    let user = Partition::user("u");
    let mut known = store.commit(&puts(Expect::Any, &[token("u", "k", "x")])).unwrap()[0];
    let before = scripts(&mut connection);
    for _ in 0..100 {
        assert_eq!(store.load(&user, Some(known)).unwrap(), Load::Unchanged);
        assert_eq!(
            store.load(&Partition::user("v"), Some(Revision::ABSENT)).unwrap(),
            Load::Unchanged
        );
    }
    assert_eq!((scripts(&mut connection) - before).to_bits(), 0, "scripts of unchanged loads");
    for secret in ["y", "z"] {
        let changed = store.commit(&puts(Expect::Any, &[token("u", "k", secret)])).unwrap()[0];
        let found = snapshot(store.load(&user, Some(known)).unwrap());
        assert_eq!((found.revision(), found.records().len()), (changed, 1));
        known = changed;
    }
}

#[test]
fn with_a_hundred_thousand_users_no_call_blocks_the_server_for_long() {
    let server =
        Server::start(&["--slowlog-log-slower-than", "2000", "--slowlog-max-len", "10000"]);
    let store = server.open().unwrap();
    let users = users();
    for from in (0..users).step_by(250) {
        let records: Vec<_> = (from..from + 250)
            .flat_map(|n| [token(&format!("u{n}"), &format!("rt{n}"), "x"), access_token(n)])
            .collect();
        store.commit(&puts(Expect::Any, &records)).unwrap();
    }
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut beats = client.get_connection().unwrap();
    listings_and_heartbeats_block_briefly(&store, [&mut connection, &mut beats], users);
    let verbs: [(&str, &dyn Fn()); 3] = [
        ("list a section", &|| {
            let listed = store.list(Some(&CredentialType::RefreshToken), None).unwrap();
            assert_eq!(snapshot(listed).records().len(), users);
        }),
        ("purge", &|| assert_eq!(store.purge(1000).unwrap(), users as u64 / 10)),
        ("load, commit, guard", &|| {
            for n in 0..500 {
                let record = token(&format!("u{n}"), &format!("rt{n}"), "y");
                let user = Partition::user(&format!("u{n}"));
                store.load(&user, None).unwrap();
                let held = store.guard(&user, Duration::ZERO).unwrap();
                store.commit(&puts(Expect::Any, std::slice::from_ref(&record))).unwrap();
                drop(held);
                let mut batch = Batch::new();
                batch.change(record.partition(), Expect::Any).delete_record(&record);
                store.commit(&batch).unwrap();
            }
        }),
    ];
    for (name, verb) in verbs {
        let (busy, slow) = measured(&mut connection, name, verb);
        assert!(busy < LIMIT, "{name}: {busy} ms of the processor");
        // Other tests run on the same processors.
        assert!(slow < 0.25, "{name}: {slow} of the scripts");
    }
}
