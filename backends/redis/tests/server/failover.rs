//! What a failover to a replica loses, with and without waiting for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use msal_cache_core::{Blocking, CacheStore, Expect, Partition};
use msal_cache_redis::RedisStore;

use crate::cluster::until;
use crate::servers::Server;
use crate::support::{puts, snapshot, token};

const WRITERS: usize = 4;

/// Kills a primary during commits, after its replica was cut off for `lag`. Returns how many commits were
/// acknowledged, and how many of them the replica doesn't have.
fn kill_primary(wait_for: u32, lag: Duration) -> (usize, usize) {
    let mut primary = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    until("the replica follows", || {
        let [on_primary, on_replica] =
            [&primary, &replica].map(|it| it.run::<String>("INFO replication").unwrap_or_default());
        on_primary.contains("state=online") && on_replica.contains("master_link_status:up")
    });
    let address = format!("redis://127.0.0.1:{}", primary.port);
    let open = || {
        let builder = RedisStore::builder(&*address).replicas(wait_for);
        Blocking::connect(builder.timeout(Duration::from_secs(20)).connect()).unwrap()
    };
    let stores: Vec<_> = (0..WRITERS).map(|_| open()).collect();
    let (is_killed, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    // A replica that is stopped still reads later what the system has received for it; one that is
    // its own primary doesn't.
    let promote = || replica.run::<()>("REPLICAOF NO ONE").unwrap();
    let acknowledged: Vec<Vec<String>> = std::thread::scope(|threads| {
        let writers: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(writer, store)| {
                let (is_killed, count) = (&is_killed, &count);
                threads.spawn(move || {
                    let (user, mut keys) = (format!("u{writer}"), Vec::new());
                    while !is_killed.load(Ordering::SeqCst) {
                        let key = format!("{writer}-{}", keys.len());
                        if store.commit(&puts(Expect::Any, &[token(&user, &key, "x")])).is_err() {
                            break;
                        }
                        keys.push(key);
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                    keys
                })
            })
            .collect();
        let until_more = || {
            let before = count.load(Ordering::SeqCst);
            until("commits", || count.load(Ordering::SeqCst) > before + 100);
        };
        until_more();
        if !lag.is_zero() {
            promote();
            std::thread::sleep(lag);
            if wait_for == 0 {
                until_more();
            }
        }
        primary.kill();
        is_killed.store(true, Ordering::SeqCst);
        writers.into_iter().map(|it| it.join().unwrap()).collect()
    });
    promote();
    let found = replica.open().unwrap();
    let mut lost = 0;
    for (writer, keys) in acknowledged.iter().enumerate() {
        let there = snapshot(found.load(&Partition::user(&format!("u{writer}")), None).unwrap());
        let has = |key: &String| there.records().iter().any(|it| it.key() == key);
        lost += keys.iter().filter(|key| !has(key)).count();
    }
    (acknowledged.iter().map(Vec::len).sum(), lost)
}

#[test]
fn a_failover_loses_no_commit_that_has_waited_for_the_replica() {
    let cut_off = Duration::from_millis(300);
    for (name, wait_for, lag) in [
        ("without WAIT, a replica in step", 0, Duration::ZERO),
        ("without WAIT, a replica cut off for 300 ms", 0, cut_off),
        ("with WAIT, a replica in step", 1, Duration::ZERO),
        ("with WAIT, a replica cut off for 300 ms", 1, cut_off),
    ] {
        let (made, lost) = kill_primary(wait_for, lag);
        println!("{name}: {lost} of {made} acknowledged commits lost");
        assert!(wait_for == 0 || lost == 0, "{name}: {lost} of {made}");
        // The test shows nothing if nothing is lost.
        assert!(wait_for > 0 || lag.is_zero() || lost > 0, "{name}");
    }
}
