//! Processes that store tokens of one user at the same time.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use msal_cache_core::{CacheStore, CredentialType, Error, Expect, Json, Partition, Record};

use crate::support::{open, puts, snapshot, token, unused_name};

/// What the children of the test get: the name of the cache, and their own.
const CHILD: &str = "MSAL_CACHE_REDIS_CHILD";

const TOKENS: usize = 100;

fn store_tokens(cache: &str, process: &str) {
    let store = open(cache);
    let secret = "x".repeat(1500);
    for n in 0..TOKENS {
        let value = format!(
            r#"{{"home_account_id":"u","client_id":"c","secret":"{secret}","expires_on":"4000000000"}}"#
        );
        let key = format!("{process}-{n}");
        let record = Record::new(CredentialType::AccessToken, key, Json::new(value).unwrap());
        store.commit(&puts(Expect::Any, &[record])).unwrap();
    }
}

/// Starts the test again in another process.
fn child(cache: &str, process: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", std::thread::current().name().unwrap(), "--nocapture"])
        .env(CHILD, format!("{cache} {process}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The name of the cache and of the process, if the process is a child.
fn of_child() -> Option<(String, String)> {
    let child = std::env::var(CHILD).ok()?;
    child.split_once(' ').map(|(cache, process)| (cache.to_owned(), process.to_owned()))
}

/// `tests/servers/compare` shows what MSAL Node loses in the same situation.
#[test]
fn two_processes_that_store_tokens_of_one_user_lose_none() {
    if let Some((cache, process)) = of_child() {
        return store_tokens(&cache, &process);
    }
    let cache = unused_name();
    let children = ["a", "b"].map(|process| child(&cache, process));
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let stored = snapshot(open(&cache).load(&Partition::user("u"), None).unwrap()).records().len();
    println!("msal-cache, RedisStore: {stored} of {} tokens stored", 2 * TOKENS);
    assert_eq!(stored, 2 * TOKENS);
}

/// How long the processes of the next test store tokens, in seconds: `MSAL_CACHE_SECONDS`.
fn seconds() -> u64 {
    std::env::var("MSAL_CACHE_SECONDS").map_or(1, |it| it.parse().unwrap())
}

const USERS: u8 = 8;

/// The number that a user has; 0 if there is none.
fn count_of(records: &[Record], user: &str) -> u64 {
    let key = format!("count-{user}");
    records.iter().find(|it| it.key() == key).map_or(0, |it| {
        let (_, secret) = it.value().expose().split_once(r#""secret":""#).unwrap();
        secret.split('"').next().unwrap().parse().unwrap()
    })
}

/// Replaces the number of a user by the next one, where the user is as it was read, and then adds a record.
/// A commit that is lost is a number or a record that is missing at the end.
fn count_up(cache: &str, process: &str) -> u64 {
    let (store, started, mut made) = (open(cache), Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(seconds()) || made == 0 {
        let user = format!("u{}", fastrand::u8(..USERS));
        let found = snapshot(store.load(&Partition::user(&user), None).unwrap());
        let next = (count_of(found.records(), &user) + 1).to_string();
        let counter = token(&user, &format!("count-{user}"), &next);
        match store.commit(&puts(Expect::Revision(found.revision()), &[counter])) {
            Ok(_) => made += 1,
            Err(Error::Conflict) => continue,
            Err(error) => panic!("{error:?}"),
        }
        // A partition that grows without end would slow down each load.
        let added = token(&format!("{user}-{process}"), &format!("{process}-{made}"), "x");
        store.commit(&puts(Expect::Any, &[added])).unwrap();
    }
    made
}

#[test]
fn thirty_two_processes_lose_no_commit() {
    if let Some((cache, process)) = of_child() {
        return println!("made {} commits", count_up(&cache, &process));
    }
    let cache = unused_name();
    let children: Vec<_> = (0..32).map(|n| child(&cache, &format!("p{n}"))).collect();
    let mut made = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let count = text.split("made ").nth(1).and_then(|it| it.split(' ').next());
        made += count.unwrap().parse::<u64>().unwrap();
    }
    let store = open(&cache);
    let counted = (0..USERS).map(|n| {
        let user = format!("u{n}");
        count_of(snapshot(store.load(&Partition::user(&user), None).unwrap()).records(), &user)
    });
    let counted: u64 = counted.sum();
    let stored = snapshot(store.list(None, None).unwrap());
    let added = stored.records().iter().filter(|it| !it.key().starts_with("count-")).count() as u64;
    println!("32 processes, {} s: {made} conditional commits and as many others", seconds());
    assert_eq!((counted, added), (made, made), "commits that are there, of those acknowledged");
}
