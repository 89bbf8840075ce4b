//! When partitions end by themselves.

use std::time::{Duration, Instant, SystemTime};

use msal_cache_core::{
    Batch, Blocking, CacheStore, CredentialType, Expect, Json, Load, Partition, Record, Revision,
};
use msal_cache_redis::{RedisFailure, RedisStore};

use crate::failures::failure;
use crate::servers::Server;
use crate::support::{open, puts, run, snapshot, token, unused_name, url};

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn access_token(user: &str, key: &str, expires_on: i64) -> Record {
    let value = format!(
        r#"{{"home_account_id":"{user}","client_id":"c","secret":"x","expires_on":"{expires_on}"}}"#
    );
    Record::new(CredentialType::AccessToken, key, Json::new(value).unwrap())
}

fn delete(store: &impl CacheStore, record: &Record) {
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Any).delete_record(record);
    store.commit(&batch).unwrap();
}

fn limited(name: &str, limit: Duration) -> Blocking<RedisStore> {
    let builder = RedisStore::builder(url()).name(name).idle_limit(limit);
    Blocking::connect(builder.connect()).unwrap()
}

/// The names of the keys of a cache, without those of the index that remain.
fn keys(name: &str) -> Vec<String> {
    let mut keys: Vec<String> = run(&format!("KEYS {{msal:{name}}}:*"));
    keys.sort();
    keys
}

#[test]
fn a_user_lives_as_long_as_the_longest_lived_record() {
    let name = unused_name();
    let store = open(&name);
    // In seconds: until it is deleted, and until the server deletes the key by itself.
    let left = || -> Option<(i64, i64)> {
        let due: Option<f64> = run(&format!("ZSCORE {{msal:{name}}}:due user/u"));
        let ttl: i64 = run(&format!("PTTL {{msal:{name}}}:p:user/u"));
        assert_eq!(due.is_some(), ttl > 0, "{due:?} {ttl}");
        #[allow(clippy::cast_possible_truncation)]
        due.map(|due| ((due / 1000.0) as i64 - now(), ttl / 1000))
    };
    let near = |expected: i64| {
        let (due, ttl) = left().expect("it expires");
        assert!((due - expected).abs() < 20, "{due} instead of {expected}");
        assert!((ttl - expected - 3600).abs() < 20, "{ttl} instead of {expected}");
    };
    let put = |record: &Record| store.commit(&puts(Expect::Any, std::slice::from_ref(record)));
    put(&access_token("u", "a", now() + 1000)).unwrap();
    near(1000 + 3600);
    put(&access_token("u", "b", now() + 500)).unwrap();
    near(1000 + 3600);
    put(&access_token("u", "a", now() + 9000)).unwrap();
    near(9000 + 3600);
    // A refresh token has no expiry.
    let refresh_token = token("u", "rt", "1");
    put(&refresh_token).unwrap();
    assert_eq!(left(), None);
    put(&token("u", "rt", "2")).unwrap();
    put(&access_token("u", "c", now() + 100)).unwrap();
    assert_eq!(left(), None);
    delete(&store, &refresh_token);
    near(9000 + 3600);
    // It moves to another user, and back; there, it is replaced by one that expires, and back.
    put(&refresh_token).unwrap();
    put(&token("v", "rt", "1")).unwrap();
    near(9000 + 3600);
    put(&refresh_token).unwrap();
    assert_eq!(left(), None);
    put(&access_token("u", "turns", now())).unwrap();
    delete(&store, &refresh_token);
    near(9000 + 3600);
    let stays = Json::new(r#"{"home_account_id":"u","client_id":"c"}"#).unwrap();
    put(&Record::new(CredentialType::AccessToken, "turns", stays)).unwrap();
    assert_eq!(left(), None);
    put(&access_token("u", "turns", now())).unwrap();
    near(9000 + 3600);
    // What has expired long ago is kept for an hour, and what never expires in practice for ever.
    put(&access_token("w", "old", 100)).unwrap();
    let due: f64 = run(&format!("ZSCORE {{msal:{name}}}:due user/w"));
    #[allow(clippy::cast_precision_loss)]
    let expected = (now() + 3600) as f64;
    assert!((due / 1000.0 - expected).abs() < 20.0, "{due}");
    put(&access_token("x", "far", i64::MAX)).unwrap();
    assert_eq!(run::<Option<f64>>(&format!("ZSCORE {{msal:{name}}}:due user/x")), None);
    store.purge(i64::MAX).unwrap();
    assert_eq!(run::<i64>(&format!("ZCARD {{msal:{name}}}:due")), 0);
}

#[test]
fn a_user_that_is_not_used_is_deleted_with_all_traces() {
    let (name, limit) = (unused_name(), Duration::from_secs(4));
    let (store, other) = (limited(&name, limit), limited(&name, limit));
    for user in ["used", "asked", "idle"] {
        let records = [token(user, &format!("k-{user}"), "x"), access_token(user, user, now())];
        store.commit(&puts(Expect::Any, &records)).unwrap();
    }
    let listed = snapshot(store.list(None, None).unwrap()).revision();
    let calls = |command: &str| -> u64 {
        let stats: String = run("INFO commandstats");
        let line =
            stats.lines().find_map(|it| it.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |it| it.split(',').next().unwrap().parse().unwrap())
    };
    let before = calls("pexpire");
    let (user, started) = (Partition::user("used"), Instant::now());
    let (mut known, mut local, mut asked) = (Revision::ABSENT, 0_u64, 0_u64);
    while started.elapsed() < 3 * limit {
        // One user by look-ups that are mostly local, the other one by loads of another process.
        if store.is_unchanged(&user, known) {
            local += 1;
        } else {
            known = match store.load(&user, Some(known)).unwrap() {
                Load::Snapshot(found) => found.revision(),
                Load::Unchanged => known,
            };
            asked += 1;
        }
        let found = snapshot(other.load(&Partition::user("asked"), None).unwrap());
        assert_eq!(found.records().len(), 2, "after {:?}", started.elapsed());
        std::thread::sleep(Duration::from_millis(2));
        let idle: bool = run(&format!("EXISTS {{msal:{name}}}:p:user/idle"));
        assert!(idle || started.elapsed() >= limit, "deleted after {:?}", started.elapsed());
    }
    assert_eq!(snapshot(store.load(&user, None).unwrap()).records().len(), 2);
    assert!(local > 10 * asked, "{local} local look-ups, {asked} others");
    let writes = calls("pexpire") - before;
    println!(
        "{local} local look-ups and {asked} others, the same of the other user: {writes} writes"
    );
    let absent = snapshot(store.load(&Partition::user("idle"), None).unwrap());
    assert_eq!(absent.revision(), Revision::ABSENT);
    let remaining = snapshot(store.list(None, Some(listed)).unwrap());
    assert_eq!(remaining.records().len(), 4);
    for key in ["own", "exp", "parts", "due"] {
        let count: i64 = match key {
            "own" => run(&format!("HLEN {{msal:{name}}}:{key}")),
            key => run(&format!("ZCARD {{msal:{name}}}:{key}")),
        };
        assert_eq!(count, if key == "own" { 4 } else { 2 }, "{key}");
    }
    // Then everything ends; only what the index counts with remains.
    let started = Instant::now();
    while !snapshot(store.list(None, None).unwrap()).records().is_empty() {
        assert!(started.elapsed() < 3 * limit, "{:?}", keys(&name));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(keys(&name), ["gone", "meta"].map(|it| format!("{{msal:{name}}}:{it}")));
}

#[test]
fn what_the_server_has_deleted_by_itself_is_removed_from_the_index() {
    let name = unused_name();
    let store = open(&name);
    for n in 0..600 {
        let user = format!("u{n}");
        let records = [
            access_token(&user, &format!("a{n}"), now() + 1000),
            access_token(&user, &format!("b{n}"), now() + 2000),
        ];
        store.commit(&puts(Expect::Any, &records)).unwrap();
    }
    store.commit(&puts(Expect::Any, &[token("stays", "k", "x")])).unwrap();
    let listed = snapshot(store.list(None, None).unwrap()).revision();
    for n in 0..600 {
        run::<()>(&format!("DEL {{msal:{name}}}:p:user/u{n}"));
        run::<()>(&format!("ZADD {{msal:{name}}}:due 1 user/u{n}"));
    }
    assert_eq!(store.purge(100).unwrap(), 0);
    assert_eq!(snapshot(store.list(None, Some(listed)).unwrap()).records().len(), 1);
    for (command, key) in [("HLEN", "own"), ("ZCARD", "exp"), ("ZCARD", "parts"), ("ZCARD", "due")]
    {
        let used: i64 = run(&format!("{command} {{msal:{name}}}:{key}"));
        assert_eq!(used, i64::from(key == "own" || key == "parts"), "{key}");
    }
    assert!(!run::<bool>(&format!("HEXISTS {{msal:{name}}}:meta scan")));
}

#[test]
fn a_server_that_evicts_users_before_their_limit_is_refused() {
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru"]
    {
        let server = Server::start(&["--maxmemory-policy", policy]);
        let address = format!("redis://127.0.0.1:{}", server.port);
        let builder = RedisStore::builder(address).idle_limit(Duration::from_secs(60));
        let refused = Blocking::connect(builder.connect()).unwrap_err();
        assert!(matches!(failure(&refused), RedisFailure::Evicts { .. }), "{refused:?}");
    }
}

/// Without a limit of idle time, only what consists of access tokens has a lifetime.
#[test]
fn a_full_server_evicts_access_tokens_and_no_user() {
    let server = Server::start(&["--maxmemory", "6mb", "--maxmemory-policy", "volatile-ttl"]);
    let store = server.open().unwrap();
    let large = "x".repeat(3000);
    let users: Vec<_> =
        (0..200).map(|n| token(&format!("u{n}"), &format!("k{n}"), &large)).collect();
    store.commit(&puts(Expect::Any, &users)).unwrap();
    for n in 0..3000 {
        let value = format!(
            r#"{{"client_id":"c{n}","realm":"t","secret":"{large}","expires_on":"{}"}}"#,
            now() + 1000 + n
        );
        let record =
            Record::new(CredentialType::AccessToken, format!("at{n}"), Json::new(value).unwrap());
        store.commit(&puts(Expect::Any, &[record])).unwrap();
    }
    let stats: String = server.run("INFO stats").unwrap();
    assert!(!stats.contains("evicted_keys:0\r\n"), "the memory is not limited");
    for n in 0..200 {
        let found = snapshot(store.load(&Partition::user(&format!("u{n}")), None).unwrap());
        assert_eq!(found.records().len(), 1);
    }
    let listed = snapshot(store.list(Some(&CredentialType::AccessToken), None).unwrap());
    assert!(listed.records().len() < 3000);
    let listed = snapshot(store.list(Some(&CredentialType::RefreshToken), None).unwrap());
    assert_eq!(listed.records().len(), 200);
}
