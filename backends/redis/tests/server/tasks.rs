//! The store is asynchronous down to the socket: a call waits in no thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use msal_cache_core::{AsyncCacheStore, ChangeSignal, Expect, Partition};
use msal_cache_redis::RedisStore;
use tokio::runtime::Builder;

use crate::support::{puts, snapshot, token, unused_name, url};

#[test]
fn no_call_uses_a_thread_of_a_pool() {
    let threads = Arc::new(AtomicUsize::new(0));
    let counted = threads.clone();
    // All tasks run in this thread. A runtime starts others for `spawn_blocking` alone.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .on_thread_start(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = RedisStore::builder(url()).name(unused_name()).connect().await.unwrap();
        let watch = store.watch(ChangeSignal::new()).await.unwrap();
        let tasks = (0..64).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let user = Partition::user(&format!("u{n}"));
                let held = store.guard(&user, Duration::from_secs(60)).await.unwrap();
                for round in 0..20 {
                    let record = token(&format!("u{n}"), &format!("k{n}"), &format!("x{round}"));
                    store.commit(&puts(Expect::Any, &[record])).await.unwrap();
                    store.load(&user, None).await.unwrap();
                }
                drop(held);
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(snapshot(store.list(None, None).await.unwrap()).records().len(), 64);
        store.purge(100).await.unwrap();
        drop(watch);
        assert_eq!(threads.load(Ordering::SeqCst), 0, "threads of the runtime");
        // The count counts.
        tokio::task::spawn_blocking(|| {}).await.unwrap();
        assert_eq!(threads.load(Ordering::SeqCst), 1);
    });
}
