//! What other programs, administrators and restarts do to the data.

use std::error::Error as _;

use msal_cache_core::internal::{now, verify};
use msal_cache_core::{Blocking, CacheStore, Error, Expect, Load, Partition, Ready, Revision};
use msal_cache_redis::{Credentials, RedisFailure, RedisStore};

use crate::support::{open, puts, run, snapshot, token, unused_name, url};

pub(crate) fn failure(error: &Error) -> &RedisFailure {
    error.source().and_then(|it| it.downcast_ref()).unwrap_or_else(|| panic!("{error:?}"))
}

#[test]
fn a_key_of_another_type_is_an_error_and_nothing_is_written() {
    for key in ["own", "exp", "parts", "gone", "p:user/v"] {
        let name = unused_name();
        let store = open(&name);
        run::<()>(&format!("SET {{msal:{name}}}:{key} other"));
        let refused =
            store.commit(&puts(Expect::Any, &[token("u", "k", "1"), token("v", "l", "1")]));
        assert!(matches!(refused, Err(Error::Corrupt { .. })), "{key}: {refused:?}");
        let loaded = store.load(&Partition::user("u"), None).unwrap();
        assert!(snapshot(loaded).records().is_empty(), "{key}");
        let keys: Vec<String> = run(&format!("KEYS {{msal:{name}}}:*"));
        assert_eq!(keys.len(), 1, "{keys:?}");
    }
}

#[test]
fn data_of_another_program_is_an_error() {
    let name = unused_name();
    let store = open(&name);
    run::<()>(&format!("HSET {{msal:{name}}}:p:user/u field value"));
    let user = Partition::user("u");
    assert!(matches!(store.load(&user, None), Err(Error::Corrupt { .. })));
    let refused = store.commit(&puts(Expect::Any, &[token("u", "k", "1")]));
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    // A record that isn't one.
    let name = unused_name();
    let store = open(&name);
    store.commit(&puts(Expect::Any, &[token("u", "k", "1")])).unwrap();
    run::<()>(&format!("HSET {{msal:{name}}}:p:user/u a\0b value"));
    assert!(matches!(store.load(&user, None), Err(Error::Corrupt { .. })));
    assert!(matches!(store.list(None, None), Err(Error::Corrupt { .. })));
}

#[test]
fn data_of_a_newer_version_is_refused() {
    let name = unused_name();
    let store = open(&name);
    run::<()>(&format!("HSET {{msal:{name}}}:meta version 2"));
    let refused = store.commit(&puts(Expect::Any, &[token("u", "k", "1")]));
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    let refused = Blocking::connect(RedisStore::builder(url()).name(name).connect()).unwrap_err();
    assert!(refused.to_string().contains("newer version"), "{refused}");
}

#[test]
fn lost_data_is_absent_and_its_revisions_dont_return() {
    let name = unused_name();
    let store = open(&name);
    let (user, put) = (Partition::user("u"), puts(Expect::Any, &[token("u", "k", "1")]));
    let revision = store.commit(&put).unwrap()[0];
    let listed = snapshot(store.list(None, None).unwrap()).revision();
    // As `FLUSHALL` does, or a restart without persistence.
    for key in run::<Vec<String>>(&format!("KEYS {{msal:{name}}}:*")) {
        run::<()>(&format!("DEL {key}"));
    }
    run::<()>("SCRIPT FLUSH");
    let lost = snapshot(store.load(&user, Some(revision)).unwrap());
    assert_eq!((lost.revision(), lost.records().len()), (Revision::ABSENT, 0));
    assert!(snapshot(store.list(None, Some(listed)).unwrap()).records().is_empty());
    let late = puts(Expect::Revision(revision), &[token("u", "k", "2")]);
    assert!(matches!(store.commit(&late), Err(Error::Conflict)));
    assert_ne!(store.commit(&put).unwrap()[0], revision);
}

#[test]
fn a_lost_connection_is_made_again() {
    let name = unused_name();
    run::<()>(&format!("ACL SETUSER {name} on >secret +@all allkeys"));
    let address = url().replace("redis://", &format!("redis://{name}:secret@"));
    let store = Blocking::connect(RedisStore::builder(address).name(&name).connect()).unwrap();
    let user = Partition::user("u");
    for n in 0..20 {
        // The connections of this store alone: other tests run meanwhile.
        let clients: String = run("CLIENT LIST");
        let own = clients.lines().filter(|line| line.contains(&format!("user={name} ")));
        let ids: Vec<_> = own.filter_map(|it| it.split(' ').next()?.strip_prefix("id=")).collect();
        assert_eq!(ids.len(), 1, "{clients}");
        run::<()>(&format!("CLIENT KILL ID {}", ids[0]));
        let revision = store.commit(&puts(Expect::Any, &[token("u", "k", &n.to_string())]));
        let revision = revision.unwrap()[0];
        assert_eq!(store.load(&user, Some(revision)).unwrap(), Load::Unchanged);
    }
}

#[test]
fn a_user_without_the_permissions_is_refused_when_it_connects() {
    let name = unused_name();
    for missing in ["-zadd", "-hset", "-info", "-evalsha", "-wait", "resetkeys"] {
        run::<()>(&format!("ACL SETUSER {name} reset on >secret +@all allkeys {missing}"));
        let user = name.clone();
        let builder = RedisStore::builder(url()).name(&name).replicas(1).credentials(move || {
            let username = Some(user.clone());
            async { Ok(Credentials { username, password: "secret".into() }) }
        });
        let refused = Blocking::connect(builder.connect()).unwrap_err();
        assert!(
            matches!(failure(&refused), RedisFailure::Permission { .. }),
            "{missing}: {refused:?}"
        );
    }
}

#[test]
fn a_wrong_password_is_an_error_that_doesnt_print_it() {
    let builder = RedisStore::builder(url()).credentials(|| async {
        Ok(Credentials { username: Some("nobody".into()), password: "p4ssword".into() })
    });
    let refused = Blocking::connect(builder.connect()).unwrap_err();
    assert!(matches!(failure(&refused), RedisFailure::Authentication { .. }), "{refused:?}");
    assert!(!format!("{refused:?} {}", failure(&refused)).contains("p4ssword"));
    let unreachable = RedisStore::connect("redis://:p4ssword@127.0.0.1:1");
    let refused = Blocking::connect(unreachable).unwrap_err();
    assert!(matches!(failure(&refused), RedisFailure::Unreachable { .. }), "{refused:?}");
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
    assert!(!format!("{refused:?} {}", failure(&refused)).contains("p4ssword"));
}

#[test]
fn a_listing_in_chunks_is_of_one_moment() {
    let name = unused_name();
    let (store, writer) = (open(&name), open(&name));
    let users = 500;
    let all: Vec<_> = (0..users).map(|n| token(&format!("u{n}"), &format!("k{n}"), "x")).collect();
    store.commit(&puts(Expect::Any, &all)).unwrap();
    // Each commit deletes one user and adds another one, so the number of records is constant.
    let stop = std::sync::atomic::AtomicBool::new(false);
    let stopped = || stop.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut n = 0;
            while !stopped() {
                let old = token(&format!("u{n}"), &format!("k{n}"), "x");
                n += 1;
                let next = n + users - 1;
                let new = token(&format!("u{next}"), &format!("k{next}"), "x");
                let mut batch = puts(Expect::Any, &[new]);
                batch.change(old.partition(), Expect::Any).delete_record(&old);
                writer.commit(&batch).unwrap();
            }
        });
        for _ in 0..50 {
            let listed = snapshot(store.list(None, None).unwrap());
            assert_eq!(listed.records().len(), users);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn the_permissions_in_the_guide_are_enough() {
    let guide = include_str!("../../../../src/docs/redis.md");
    let rules = guide.split("ACL SETUSER app ").nth(1).unwrap().split("```").next().unwrap();
    let name = unused_name();
    let rules = rules.replace("msal:web", &format!("msal:{name}")).replace('\n', " ");
    let words: Vec<_> = rules.split_whitespace().collect();
    run::<()>(&format!("ACL SETUSER {name} reset {}", words.join(" ")));
    let address = url().replace("redis://", &format!("redis://{name}:password@"));
    let store = Blocking::connect(RedisStore::builder(address).name(&name).connect()).unwrap();
    assert!(store.get_ref().is_tracking());
    let user = Partition::user("u");
    let held = store.guard(&user, std::time::Duration::ZERO).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    // The key moves, so both partitions change; then everything is deleted again.
    store.commit(&puts(Expect::Any, &[token("u", "k", "1")])).unwrap();
    store.commit(&puts(Expect::Any, &[token("v", "k", "1")])).unwrap();
    assert_eq!(snapshot(store.list(None, None).unwrap()).records().len(), 1);
    let mut batch = msal_cache_core::Batch::new();
    let moved = token("v", "k", "1");
    batch.change(moved.partition(), Expect::Any).delete_record(&moved);
    store.commit(&batch).unwrap();
    assert_eq!(store.purge(100).unwrap(), 0);
    drop(held);
    let other = open(&name).guard(&user, std::time::Duration::ZERO);
    drop(other.unwrap());
    let verify = || now(verify(&Ready(&store), 1_700_000_000));
    verify().unwrap();

    // A user who may read and not write, and one who may do nothing.
    for taken in ["-@write", "-@all"] {
        run::<()>(&format!("ACL SETUSER {name} {taken}"));
        let refused = verify().unwrap_err();
        assert!(matches!(failure(&refused), RedisFailure::Permission { .. }), "{refused:?}");
        assert!(failure(&refused).to_string().contains("ACL rules"), "{refused:?}");
    }
    assert!(snapshot(open(&name).list(None, None).unwrap()).records().is_empty());
}
