//! What a revision stands for: across handles, restarts and backups.

mod support;

use std::collections::HashSet;
use std::fs;

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Error, Expect, Load, Partition, Revision,
};
use msal_cache_sqlite::SqliteStore;
use support::{Place, account, delete, keys, list, load, put, raw, token};

#[test]
fn everything_is_there_after_reopening_at_the_same_revision_and_in_order() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    let records = ["z", "a", "m"].map(|key| account("u", key, key));
    let revision = put(&store, Expect::Any, &records).unwrap()[0];
    let Load::Snapshot(listed) = store.list(None, None).unwrap() else { panic!("new") };
    drop(store);

    let store = SqliteStore::open(place.database()).unwrap();
    let snapshot = load(&store, "u");
    assert_eq!((snapshot.revision(), snapshot.records()), (revision, &records[..]));
    let user = Partition::user("u");
    assert!(matches!(store.load(&user, Some(revision)).unwrap(), Load::Unchanged));
    assert!(matches!(store.list(None, Some(listed.revision())).unwrap(), Load::Unchanged));
}

#[test]
fn another_handle_sees_a_commit_at_once() {
    let place = Place::new();
    let [a, b] = [(); 2].map(|()| SqliteStore::open(place.database()).unwrap());
    for n in 0..20 {
        let [write, read] = if n % 2 == 0 { [&a, &b] } else { [&b, &a] };
        let before = load(read, "u").revision();
        let after = put(write, Expect::Any, &[account("u", "k", &n.to_string())]).unwrap()[0];
        let user = Partition::user("u");
        let Load::Snapshot(seen) = read.load(&user, Some(before)).unwrap() else {
            panic!("commit {n} was not seen")
        };
        assert_eq!(seen.revision(), after);
        assert_eq!(seen.records(), [account("u", "k", &n.to_string())]);
    }
}

#[test]
fn a_deleted_key_comes_back_at_the_end() {
    let store = SqliteStore::in_memory().unwrap();
    put(&store, Expect::Any, &["a", "b", "c"].map(|key| account("u", key, "x"))).unwrap();
    for key in ["c", "a"] {
        delete(&store, "u", key).unwrap();
        put(&store, Expect::Any, &[account("u", key, "x")]).unwrap();
    }
    assert_eq!(keys(load(&store, "u").records()), ["b", "c", "a"]);
    assert_eq!(keys(&list(&store, Some("Account"))), ["b", "c", "a"]);
    assert_eq!(keys(&list(&store, None)), ["b", "c", "a"]);
}

#[test]
fn what_changes_nothing_keeps_its_revision_and_is_still_checked() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    let revision = put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    let Load::Snapshot(listed) = store.list(None, None).unwrap() else { panic!("new") };
    assert_eq!(put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap(), revision);
    assert_eq!(delete(&store, "u", "never there").unwrap(), revision);
    assert_eq!(delete(&store, "nobody", "k").unwrap(), [Revision::ABSENT]);
    assert!(matches!(store.list(None, Some(listed.revision())).unwrap(), Load::Unchanged));

    let stale = Expect::Revision(Revision::unique());
    let same = put(&store, stale, &[account("u", "k", "1")]);
    assert!(matches!(same, Err(Error::Conflict)));

    // A partition that comes and goes within one commit was never there.
    let mut batch = Batch::new();
    let change = batch.change(Partition::user("v"), Expect::Any);
    change.put(account("v", "k", "1")).delete(CredentialType::Account, "k".into());
    assert_eq!(store.commit(&batch).unwrap(), [Revision::ABSENT]);
    assert_eq!(load(&store, "v").revision(), Revision::ABSENT);
}

#[test]
fn a_batch_returns_its_revisions_in_the_order_of_its_changes() {
    let store = SqliteStore::in_memory().unwrap();
    let kept = put(&store, Expect::Any, &[account("kept", "k", "1")]).unwrap()[0];
    put(&store, Expect::Any, &[account("gone", "k", "1")]).unwrap();
    let mut batch = Batch::new();
    batch.change(Partition::user("new"), Expect::Any).put(account("new", "k", "1"));
    batch.change(Partition::user("kept"), Expect::Revision(kept));
    batch.change(Partition::user("gone"), Expect::Any).delete(CredentialType::Account, "k".into());
    let revisions = store.commit(&batch).unwrap();
    assert_eq!(revisions, [load(&store, "new").revision(), kept, Revision::ABSENT]);
}

#[test]
fn a_purge_leaves_the_revisions_of_others_alone_and_no_empty_partition_behind() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    let records = [
        token("mixed", "old", "\"50\""),
        token("mixed", "new", "\"500\""),
        token("old", "old", "50"),
        token("new", "new", "500"),
        account("account", "a", "x"),
    ];
    let revisions = put(&store, Expect::Any, &records).unwrap();
    assert_eq!(store.purge(100).unwrap(), 2);
    let after = ["mixed", "old", "new", "account"].map(|user| load(&store, user).revision());
    assert_ne!(after[0], revisions[0]);
    assert_eq!(after[1], Revision::ABSENT);
    assert_eq!(after[2..], revisions[2..]);
    let left = raw(&place.database());
    assert_eq!(support::number(&left, "SELECT count(*) FROM partitions"), 3);

    // A purge that finds nothing says nothing new.
    let Load::Snapshot(listed) = store.list(None, None).unwrap() else { panic!("new") };
    assert_eq!(store.purge(100).unwrap(), 0);
    assert!(matches!(store.list(None, Some(listed.revision())).unwrap(), Load::Unchanged));
}

#[test]
fn no_revision_returns_after_emptying_reopening_or_a_backup_that_was_put_back() {
    let place = Place::new();
    let backup = place.at("backup.db");
    let user = Partition::user("u");
    let mut seen = HashSet::new();
    for round in 0..5 {
        let store = SqliteStore::open(place.database()).unwrap();
        for n in 0..5 {
            let record = account("u", "k", &format!("{round}-{n}"));
            let revision = put(&store, Expect::Any, &[record]).unwrap()[0];
            assert!(seen.insert(revision), "{revision:?} returned");
            assert!(matches!(store.load(&user, Some(revision)).unwrap(), Load::Unchanged));
        }
        if round == 0 {
            // The log is part of the database until the last one closes it.
            drop(store);
            fs::copy(place.database(), &backup).unwrap();
            continue;
        }
        assert_eq!(delete(&store, "u", "k").unwrap(), [Revision::ABSENT]);
        if round == 3 {
            drop(store);
            fs::copy(&backup, place.database()).unwrap();
            let restored = SqliteStore::open(place.database()).unwrap();
            let snapshot = load(&restored, "u");
            assert!(seen.contains(&snapshot.revision()), "it is what it was");
            assert_eq!(snapshot.records(), [account("u", "k", "0-4")]);
        }
    }
    assert_eq!(seen.len(), 25);
}
