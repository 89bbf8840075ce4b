//! The stream of changes.

use std::time::Duration;

use msal_cache::changes::ChangeKind;
use msal_cache::store::{AsyncCacheStore, BoxedCacheStore, Document};
use msal_cache::{AsyncTokenCache, Memory, TokenCache};
use tokio::time::timeout;

use super::stores::{Variable, Waits};
use crate::common::{home, sign_in};

const LONG: Duration = Duration::from_secs(60);

async fn reports_changes<S: AsyncCacheStore + 'static>(cache: AsyncTokenCache<S>) {
    let mut changes = cache.changes().await.unwrap().poll_every(Duration::from_millis(20));
    let writer = cache.clone();
    tokio::spawn(async move {
        for user in ["alice", "bob"] {
            writer.add(&sign_in(user, "User.Read", "1")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        writer.remove_user(&home("alice")).await.unwrap();
    });
    let mut seen = Vec::new();
    while seen.len() < 3 {
        // A deadline may end the wait at any await.
        if let Ok(change) = timeout(Duration::from_millis(7), changes.next()).await {
            let change = change.unwrap();
            seen.push((change.kind(), change.account().home_account_id().to_owned()));
        }
    }
    assert_eq!(
        seen,
        [
            (ChangeKind::Added, home("alice")),
            (ChangeKind::Added, home("bob")),
            (ChangeKind::Removed, home("alice")),
        ]
    );
    assert_eq!(changes.accounts().len(), 1);
}

#[tokio::test]
async fn changes_are_awaited_in_each_store() {
    timeout(LONG, reports_changes(AsyncTokenCache::in_memory())).await.unwrap();
    timeout(LONG, reports_changes(AsyncTokenCache::new(Waits::default()))).await.unwrap();
    let document = Document::new(Variable::default());
    timeout(LONG, reports_changes(AsyncTokenCache::new(document))).await.unwrap();
    let boxed: BoxedCacheStore = Box::<Waits>::default();
    timeout(LONG, reports_changes(AsyncTokenCache::new(boxed))).await.unwrap();
}

#[cfg(feature = "file")]
#[tokio::test]
async fn changes_of_an_offloaded_file_are_awaited() {
    let folder = tempfile::tempdir().unwrap();
    let store = msal_cache::FileStore::open(folder.path().join("cache.json")).unwrap();
    timeout(LONG, reports_changes(AsyncTokenCache::new(msal_cache::store::Offload::new(store))))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_task_sees_the_changes_of_a_thread() {
    let blocking = TokenCache::new(Memory::new());
    let cache = AsyncTokenCache::from(blocking.clone());
    let mut changes = cache.entry_changes().await.unwrap();
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        blocking.add(&sign_in("alice", "User.Read", "1")).unwrap();
    });
    for _ in 0..5 {
        let change = timeout(LONG, changes.next()).await.unwrap().unwrap();
        assert_eq!(change.kind(), ChangeKind::Added);
    }
    assert_eq!(changes.entries().len(), 5);
    writer.join().unwrap();
}
