//! A primary, a replica and three sentinels.

use std::time::{Duration, Instant};

use msal_cache_core::{Blocking, CacheStore, Error, Expect, Partition};
use msal_cache_redis::{RedisFailure, RedisStore};

use crate::failures::failure;
use crate::servers::Server;
use crate::support::{puts, snapshot, token};

#[test]
fn the_sentinels_lead_to_the_new_primary_after_a_failover() {
    let mut primary = Server::start(&[]);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    let sentinels: Vec<_> = (0..3).map(|_| Server::start_sentinel(primary.port, 2)).collect();
    let hosts: Vec<_> = sentinels.iter().map(|it| format!("127.0.0.1:{}", it.port)).collect();
    let started = Instant::now();
    while !sentinels.iter().all(|sentinel| {
        let info: String = sentinel.run("INFO sentinel").unwrap();
        info.contains("slaves=1,sentinels=3")
    }) {
        assert!(started.elapsed() < Duration::from_secs(60), "the sentinels don't find each other");
        std::thread::sleep(Duration::from_millis(100));
    }
    let address = format!("redis://{}", hosts.join(","));
    let unknown = RedisStore::connect(format!("{address}?sentinel=other"));
    let unknown = Blocking::connect(unknown).unwrap_err();
    assert!(matches!(failure(&unknown), RedisFailure::UnknownService { .. }), "{unknown:?}");
    // By the builder, and by the address, in which the first sentinel doesn't answer.
    let by_builder = RedisStore::builder(&*address).sentinel("mine", None);
    let store = Blocking::connect(by_builder.connect()).unwrap();
    let by_address = format!("redis://127.0.0.1:1,{}?sentinel=mine", hosts.join(","));
    let other = Blocking::connect(RedisStore::connect(by_address)).unwrap();
    let mut count = 0;
    for store in [&store, &other] {
        for _ in 0..200 {
            store.commit(&puts(Expect::Any, &[token("u", &format!("k{count}"), "x")])).unwrap();
            count += 1;
        }
    }
    let user = Partition::user("u");
    let known = snapshot(store.load(&user, None).unwrap()).revision();
    // The replica is in step.
    while replica.run::<i64>("HLEN {msal:default}:p:user/u").unwrap() <= count {
        std::thread::sleep(Duration::from_millis(10));
    }
    primary.kill();
    let started = Instant::now();
    let down = store.load(&user, None).unwrap_err();
    assert!(matches!(down, Error::Unavailable { .. }), "{down:?}");
    assert!(!store.is_unchanged(&user, known));
    for store in [&store, &other] {
        let late = puts(Expect::Any, &[token("u", "late", "x")]);
        while let Err(error) = store.commit(&late) {
            assert!(started.elapsed() < Duration::from_secs(60), "{error:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    println!("the failover took {:?}", started.elapsed());
    let found = snapshot(store.load(&user, None).unwrap());
    assert_eq!(i64::try_from(found.records().len()).unwrap(), count + 1);
}
