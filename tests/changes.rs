//! Changes of a cache, by this process or another, in each store.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use msal_cache::changes::{AccountChange, ChangeKind, Changes, EntryChange};
use msal_cache::store::{CacheStore, Load, delegate_store};
use msal_cache::{CredentialType, Error, Fields, Memory, Query, TokenCache};

use crate::common::{CLIENT, ENVIRONMENT, REALM, home, sign_in};

const LONG: Duration = Duration::from_secs(60);

/// The kind and the user of a change.
fn of(change: &AccountChange) -> (ChangeKind, String) {
    let home = change.account().home_account_id();
    (change.kind(), home.split('.').next().unwrap_or_default().to_owned())
}

fn next<S: CacheStore>(changes: &mut Changes<S>) -> (ChangeKind, String) {
    of(&changes.next_within(LONG).expect("a change in time").unwrap())
}

fn rename<S: CacheStore>(cache: &TokenCache<S>, user: &str, name: &str) {
    let query = Query::new().home_account_id(home(user));
    let account = cache.find(CredentialType::Account, &query).unwrap().remove(0);
    let fields = Fields::new().set("username", name);
    cache.modify(CredentialType::Account, &account, Some(&fields)).unwrap();
}

/// Adds, changes and removes accounts through `writer`, which is another handle.
fn reports_the_changes_of<S: CacheStore, W: CacheStore>(
    watched: &TokenCache<S>,
    writer: &TokenCache<W>,
) {
    let added = |user: &str| (ChangeKind::Added, user.to_owned());
    writer.add(&sign_in("before", "User.Read", "1")).unwrap();
    let mut changes = watched.changes().unwrap();
    assert_eq!(changes.accounts().len(), 1);
    assert!(changes.next_within(Duration::ZERO).is_none(), "it was there before");

    writer.add(&sign_in("alice", "User.Read", "1")).unwrap();
    assert_eq!(next(&mut changes), added("alice"));
    // A new token of the same user changes no account.
    writer.add(&sign_in("alice", "Mail.Read", "2")).unwrap();
    rename(writer, "alice", "alice@new.example");
    let change = changes.next_within(LONG).unwrap().unwrap();
    assert_eq!(of(&change), (ChangeKind::Changed, "alice".to_owned()));
    assert_eq!(change.account().username(), Some("alice@new.example"));
    assert_eq!(changes.accounts().len(), 2);
    writer.remove_user(&home("alice")).unwrap();
    let change = changes.next_within(LONG).unwrap().unwrap();
    assert_eq!(of(&change), (ChangeKind::Removed, "alice".to_owned()));
    assert_eq!(change.account().username(), Some("alice@new.example"), "as it was");

    // Changes that were made while no one looked are all there, and what was undone isn't.
    for user in 0..20 {
        writer.add(&sign_in(&format!("user{user}"), "User.Read", "1")).unwrap();
    }
    writer.add(&sign_in("undone", "User.Read", "1")).unwrap();
    writer.remove_user(&home("undone")).unwrap();
    writer.remove_user(&home("before")).unwrap();
    let mut seen: Vec<_> = (0..21).map(|_| next(&mut changes)).collect();
    seen.retain(|it| *it != added("undone") && it.1 != "undone");
    while seen.len() < 21 {
        let change = next(&mut changes);
        if change.1 != "undone" {
            seen.push(change);
        }
    }
    seen.sort_by_key(|(_, user)| user.clone());
    let mut expected: Vec<_> = (0..20).map(|user| added(&format!("user{user}"))).collect();
    expected.push((ChangeKind::Removed, "before".into()));
    expected.sort_by_key(|(_, user)| user.clone());
    assert_eq!(seen, expected);
    // A notification of the last commit may still be on its way; there is no further change.
    let left = changes.next_within(Duration::from_millis(50));
    assert!(left.is_none_or(|it| of(&it.unwrap()).1 == "undone"));
}

#[test]
fn memory_reports_the_changes_of_all_its_caches() {
    let store = std::sync::Arc::new(Memory::new());
    let cache = TokenCache::new(store.clone());
    reports_the_changes_of(&cache, &cache.clone());
    let cache = TokenCache::new(std::sync::Arc::new(Memory::new()));
    let other = TokenCache::new(cache.store().clone());
    reports_the_changes_of(&cache, &other);
}

/// A store that doesn't implement the verb.
#[derive(Clone, Debug, Default)]
struct Unwatched(std::sync::Arc<Memory>);

impl CacheStore for Unwatched {
    delegate_store!(self => self.0, except watch);
}

#[test]
fn a_store_of_your_own_is_polled() {
    let cache = TokenCache::new(Unwatched::default());
    let other = TokenCache::new(cache.store().clone());
    let mut changes = cache.changes().unwrap().poll_every(Duration::from_millis(10));
    other.add(&sign_in("alice", "User.Read", "1")).unwrap();
    assert_eq!(next(&mut changes), (ChangeKind::Added, "alice".into()));
    // Its own changes are noticed at once, however rarely it is polled.
    let mut changes = cache.changes().unwrap().poll_every(Duration::from_secs(3600));
    cache.add(&sign_in("bob", "User.Read", "1")).unwrap();
    let started = Instant::now();
    assert_eq!(next(&mut changes), (ChangeKind::Added, "bob".into()));
    assert!(started.elapsed() < LONG);
}

#[cfg(feature = "file")]
#[test]
fn a_file_reports_the_changes_of_another_handle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let open = || TokenCache::new(msal_cache::FileStore::open(&path).unwrap());
    reports_the_changes_of(&open(), &open());
}

#[cfg(feature = "sqlite")]
#[test]
fn a_database_reports_the_changes_of_another_handle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let open = || TokenCache::new(msal_cache::SqliteStore::open(&path).unwrap());
    reports_the_changes_of(&open(), &open());
}

/// The store that the other process writes to.
const PLACE: &str = "MSAL_CACHE_TEST_CHANGES";

#[cfg_attr(not(any(feature = "file", feature = "sqlite")), allow(dead_code))]
fn writes<S: CacheStore>(cache: &TokenCache<S>) {
    let pause = || std::thread::sleep(Duration::from_millis(600));
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    pause();
    rename(cache, "alice", "alice@new.example");
    pause();
    cache.remove_user(&home("alice")).unwrap();
}

/// Watches the changes by another process, which runs this `test`, too.
#[cfg_attr(not(any(feature = "file", feature = "sqlite")), allow(dead_code))]
fn reports_another_process<S: CacheStore>(test: &str, name: &str, open: impl Fn(&Path) -> S) {
    if let Some(place) = env::var_os(PLACE) {
        return writes(&TokenCache::new(open(Path::new(&place))));
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join(name);
    let mut changes = TokenCache::new(open(&place)).changes().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args([&format!("changes::{test}"), "--exact", "--test-threads=1"])
        .env(PLACE, &place)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let seen: Vec<_> = (0..3).map(|_| next(&mut changes).0).collect();
    assert_eq!(seen, [ChangeKind::Added, ChangeKind::Changed, ChangeKind::Removed]);
    assert!(child.wait().unwrap().success());
}

#[cfg(feature = "file")]
#[test]
fn a_file_reports_the_changes_of_another_process() {
    let open = |place: &Path| msal_cache::FileStore::open(place).unwrap();
    let test = "a_file_reports_the_changes_of_another_process";
    reports_another_process(test, "cache.json", open);
}

#[cfg(feature = "sqlite")]
#[test]
fn a_database_reports_the_changes_of_another_process() {
    let open = |place: &Path| msal_cache::SqliteStore::open(place).unwrap();
    let test = "a_database_reports_the_changes_of_another_process";
    reports_another_process(test, "cache.db", open);
}

#[test]
fn entries_are_reported_with_what_they_were() {
    let cache = TokenCache::in_memory();
    let mut changes = cache.entry_changes().unwrap();
    assert!(changes.entries().is_empty());
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let added: Vec<EntryChange> = changes.by_ref().take(5).map(Result::unwrap).collect();
    assert!(added.iter().all(|it| it.kind() == ChangeKind::Added && it.before().is_none()));
    assert_eq!(changes.entries().len(), 5);
    let of_type = |it: &&EntryChange| *it.entry().credential_type() == CredentialType::RefreshToken;
    let token = added.iter().find(of_type).unwrap().entry().clone();
    cache.update_rt(&token, "RT-2").unwrap();
    let change = changes.next().unwrap().unwrap();
    assert_eq!(change.kind(), ChangeKind::Changed);
    let secret = |it: &msal_cache::Entry| it.refresh_token().unwrap().secret().expose().to_owned();
    assert_eq!(secret(change.before().unwrap()), "RT-1");
    assert_eq!(secret(change.entry()), "RT-2");
    assert!(!format!("{change:?} {changes:?}").contains("RT-"), "{change:?}");
    cache.remove_rt(change.entry()).unwrap();
    let change = changes.next().unwrap().unwrap();
    assert_eq!((change.kind(), secret(change.entry()).as_str()), (ChangeKind::Removed, "RT-2"));
}

#[test]
fn accounts_of_different_clouds_are_different_accounts() {
    let cache = TokenCache::in_memory();
    let mut changes = cache.changes().unwrap();
    let account = |key: &str, environment: &str| {
        format!(
            r#""{key}": {{"home_account_id": "u.t", "environment": "{environment}", "realm": "t"}}"#
        )
    };
    let document = |accounts: &[String]| format!(r#"{{"Account": {{{}}}}}"#, accounts.join(","));
    let public = account("a", "login.windows.net");
    cache.deserialize(&document(&[public.clone(), account("b", "login.example")])).unwrap();
    assert_eq!(next(&mut changes).0, ChangeKind::Added);
    assert_eq!(next(&mut changes).0, ChangeKind::Added);
    // Another alias of the same cloud is a change, and a removal in one cloud leaves the other.
    let alias = account("c", "login.microsoftonline.com");
    cache.deserialize(&document(&[alias])).unwrap();
    assert_eq!(next(&mut changes).0, ChangeKind::Changed);
    let removed = changes.next_within(LONG).unwrap().unwrap();
    assert_eq!(removed.kind(), ChangeKind::Removed);
    assert_eq!(removed.account().environment(), Some("login.example"));
    let accounts = changes.accounts();
    assert_eq!(accounts.len(), 1);
    let client = cache.client(CLIENT, format!("https://{ENVIRONMENT}/{REALM}"));
    assert!(client.account(accounts[0].home_account_id()).unwrap().is_none());
}

/// A store that can't be read for a while.
#[derive(Clone, Debug, Default)]
struct Broken(std::sync::Arc<(Memory, std::sync::atomic::AtomicBool)>);

impl CacheStore for Broken {
    delegate_store!(self => self.0.0, except list);

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<msal_cache::store::Revision>,
    ) -> msal_cache::Result<Load> {
        if self.0.1.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Error::invalid("the store", "it is broken"));
        }
        self.0.0.list(credential_type, known)
    }
}

#[test]
fn an_error_is_reported_once_and_loses_no_change() {
    let broken = |cache: &TokenCache<Broken>, is: bool| {
        cache.store().0.1.store(is, std::sync::atomic::Ordering::SeqCst);
    };
    let cache = TokenCache::new(Broken::default());
    let mut changes = cache.changes().unwrap();
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    broken(&cache, true);
    assert!(changes.next_within(Duration::ZERO).unwrap().is_err());
    assert!(changes.next_within(Duration::ZERO).is_none(), "the same error");
    cache.add(&sign_in("bob", "User.Read", "1")).unwrap();
    broken(&cache, false);
    let both = [next(&mut changes).1, next(&mut changes).1];
    assert_eq!(both, ["alice", "bob"]);
    broken(&cache, true);
    assert!(changes.next_within(Duration::ZERO).unwrap().is_err(), "a new one");
    assert!(cache.changes().is_err());
}

#[cfg(all(feature = "file", target_os = "linux"))]
#[test]
fn a_dropped_watch_leaves_no_thread_and_no_open_file() {
    // In a process of its own, since other tests have threads.
    if env::var_os(PLACE).is_none() {
        let status = Command::new(env::current_exe().unwrap())
            .args(["changes::a_dropped_watch_leaves_no_thread_and_no_open_file", "--exact"])
            .env(PLACE, "itself")
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    let now = || (count("/proc/self/task"), count("/proc/self/fd"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let cache = TokenCache::new(msal_cache::FileStore::open(&path).unwrap());
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let before = now();
    for _ in 0..20 {
        let mut changes = cache.changes().unwrap();
        assert!(changes.next_within(Duration::from_millis(1)).is_none());
    }
    let deadline = Instant::now() + LONG;
    // The thread of the write before may have ended, too.
    while now().0 > before.0 || now().1 > before.1 {
        assert!(Instant::now() < deadline, "{:?} instead of {before:?}", now());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(all(feature = "watch", target_os = "linux"))]
#[test]
fn a_file_is_watched_by_the_notifications_of_the_system() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let link = folder.path().join("links").join("link.json");
    std::fs::create_dir(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let open = |path| TokenCache::new(msal_cache::FileStore::open(path).unwrap());
    for watched in [&path, &link] {
        let user = watched.file_stem().unwrap().to_str().unwrap();
        // It is never polled.
        let changes = open(watched).changes().unwrap();
        let mut changes = changes.poll_every(Duration::from_secs(3600));
        std::thread::scope(|threads| {
            threads.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                open(&path).add(&sign_in(user, "User.Read", "1")).unwrap();
            });
            assert_eq!(next(&mut changes), (ChangeKind::Added, user.to_owned()));
        });
        // Another library writes in place.
        let document = std::fs::read_to_string(&path).unwrap();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                let document = document.replace(&format!("{user}@example"), "new@example");
                std::fs::write(&path, document).unwrap();
            });
            assert_eq!(next(&mut changes), (ChangeKind::Changed, user.to_owned()));
        });
    }
}
