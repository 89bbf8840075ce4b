//! Processes that store tokens of one user at the same time.

use std::process::{Command, Stdio};

use msal_cache_core::{CacheStore, CredentialType, Expect, Json, Partition, Record};

use crate::support::{open, puts, snapshot, unused_name};

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

/// `tests/servers/compare` shows what MSAL Node loses in the same situation.
#[test]
fn two_processes_that_store_tokens_of_one_user_lose_none() {
    if let Ok(child) = std::env::var(CHILD) {
        let (cache, process) = child.split_once(' ').unwrap();
        return store_tokens(cache, process);
    }
    let (cache, test) = (unused_name(), std::thread::current().name().unwrap().to_owned());
    let children = ["a", "b"].map(|process| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &test])
            .env(CHILD, format!("{cache} {process}"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let stored = snapshot(open(&cache).load(&Partition::user("u"), None).unwrap()).records().len();
    println!("msal-cache, RedisStore: {stored} of {} tokens stored", 2 * TOKENS);
    assert_eq!(stored, 2 * TOKENS);
}
