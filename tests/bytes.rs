//! The bytes that a thread reads and writes, as counted by the system.

use std::fmt::Write;
use std::fs;

use msal_cache::store::CacheStore;
use msal_cache::{CredentialType, Query, TokenCache};

use crate::common::{home, sign_in};

/// The bytes that this thread has read and written so far.
fn moved() -> (u64, u64) {
    let text = fs::read_to_string("/proc/thread-self/io").unwrap();
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(": ").parse::<u64>().unwrap()
    };
    (number("rchar"), number("wchar"))
}

/// The bytes that `work` reads and writes, without those of the count itself.
fn count(work: impl FnOnce()) -> (u64, u64) {
    let (nothing, before) = (moved(), moved());
    work();
    let after = moved();
    let own = before.0 - nothing.0;
    ((after.0 - before.0).saturating_sub(own + 16), after.1 - before.1)
}

/// A cache with this number of users, in which `user 7` has signed in.
fn filled<S: CacheStore>(store: S, users: usize) -> TokenCache<S> {
    let cache = TokenCache::new(store);
    let mut document = String::from("{\"RefreshToken\": {");
    for user in 0..users {
        let (home, comma) = (home(&format!("user {user}")), if user == 0 { "" } else { "," });
        let secret = "s".repeat(1000);
        write!(
            document,
            r#"{comma}"{user}": {{"secret": "{secret}", "home_account_id": "{home}"}}"#
        )
        .unwrap();
    }
    cache.deserialize(&(document + "}}")).unwrap();
    cache.add(&sign_in("user 7", "User.Read", "first")).unwrap();
    cache
}

fn find<S: CacheStore>(cache: &TokenCache<S>) {
    let query = Query::new().home_account_id(home("user 7"));
    assert_eq!(cache.find(CredentialType::AccessToken, &query).unwrap().len(), 1);
}

#[cfg(feature = "file")]
#[test]
fn a_sign_in_writes_the_file_once_and_unchanged_data_is_not_reread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let cache = filled(msal_cache::FileStore::open(&path).unwrap(), 100);
    let size = || fs::metadata(&path).unwrap().len();
    let (read, written) =
        count(|| drop(cache.add(&sign_in("user 7", "User.Read", "second")).unwrap()));
    println!("file of {} bytes: a sign-in reads {read} and writes {written}", size());
    assert_eq!(written, size());
    assert_eq!(read, 0, "a process does not read its own writes");

    let other = TokenCache::new(msal_cache::FileStore::open(&path).unwrap());
    // A recently changed file is read twice, since it may change again in the same clock tick.
    find(&other);
    std::thread::sleep(std::time::Duration::from_millis(100));
    find(&other);
    for cache in [&cache, &other] {
        let (read, written) = count(|| (0..1000).for_each(|_| find(cache)));
        assert_eq!((read, written), (0, 0));
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn a_sign_in_writes_only_changed_rows_and_unchanged_data_is_not_reread() {
    let sign_in_of = |users| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let cache = filled(msal_cache::SqliteStore::open(&path).unwrap(), users);
        // Write the same rows each time.
        let mut counts: Vec<_> = ["2", "3", "4", "5", "6"]
            .map(|secret| {
                count(|| drop(cache.add(&sign_in("user 7", "User.Read", secret)).unwrap()))
            })
            .into();
        counts.sort_unstable();
        let (read, written) = counts[2];
        println!("database of {users} users: a sign-in reads {read} and writes {written}");
        find(&cache);
        assert_eq!(count(|| (0..1000).for_each(|_| find(&cache))), (0, 0));
        written
    };
    let (few, many) = (sign_in_of(10), sign_in_of(10_000));
    // A page of the log for each of: access token, refresh token, user, database; and the pages of
    // the expiry index.
    assert!(many <= 8 * (4096 + 24), "{many}");
    assert!(many <= few + 2 * (4096 + 24), "{few} {many}");
}
