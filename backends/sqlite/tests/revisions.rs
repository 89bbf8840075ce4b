//! Revisions across handles, restarts and backups, and between partitions.

mod support;

use std::collections::HashSet;
use std::fs;

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Error, Expect, Json, Load, Partition, Record, Revision,
    Snapshot,
};
use msal_cache_sqlite::SqliteStore;
use support::{Place, account, delete, keys, list, load, number, put, raw, token};

#[test]
fn records_order_and_revisions_survive_reopening() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    let records = ["z", "a", "m"].map(|key| account("u", key, key));
    let revision = put(&store, Expect::Any, &records).unwrap()[0];
    let Load::Snapshot(listed) = store.list(None, None).unwrap() else {
        panic!("no revision was given")
    };
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
fn a_key_that_was_deleted_is_put_at_the_end() {
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
fn a_commit_that_changes_nothing_keeps_the_revision_and_is_still_checked() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    let revision = put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    let Load::Snapshot(listed) = store.list(None, None).unwrap() else {
        panic!("no revision was given")
    };
    assert_eq!(put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap(), revision);
    assert_eq!(delete(&store, "u", "absent").unwrap(), revision);
    assert_eq!(delete(&store, "absent", "k").unwrap(), [Revision::ABSENT]);
    assert!(matches!(store.list(None, Some(listed.revision())).unwrap(), Load::Unchanged));

    let stale = Expect::Revision(Revision::unique());
    let same = put(&store, stale, &[account("u", "k", "1")]);
    assert!(matches!(same, Err(Error::Conflict)));

    // A partition that one commit creates and empties is absent.
    let mut batch = Batch::new();
    let change = batch.change(Partition::user("v"), Expect::Any);
    change.put(account("v", "k", "1")).delete(CredentialType::Account, "k".into());
    assert_eq!(store.commit(&batch).unwrap(), [Revision::ABSENT]);
    assert_eq!(load(&store, "v").revision(), Revision::ABSENT);
}

#[test]
fn a_batch_returns_its_revisions_in_the_order_of_its_changes() {
    let store = SqliteStore::in_memory().unwrap();
    let kept = put(&store, Expect::Any, &[account("kept", "k1", "1")]).unwrap()[0];
    put(&store, Expect::Any, &[account("emptied", "k2", "1")]).unwrap();
    let mut batch = Batch::new();
    batch.change(Partition::user("new"), Expect::Any).put(account("new", "k3", "1"));
    batch.change(Partition::user("kept"), Expect::Revision(kept));
    batch
        .change(Partition::user("emptied"), Expect::Any)
        .delete(CredentialType::Account, "k2".into());
    let revisions = store.commit(&batch).unwrap();
    assert_eq!(revisions, [load(&store, "new").revision(), kept, Revision::ABSENT]);
}

#[test]
fn a_purge_changes_only_the_partitions_that_lose_records() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    let records = [
        token("mixed", "mixed-old", "\"50\""),
        token("mixed", "mixed-new", "\"500\""),
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
    assert_eq!(number(&left, "SELECT count(*) FROM partitions_2"), 3);

    // A purge that deletes nothing keeps the revision of the store.
    let Load::Snapshot(listed) = store.list(None, None).unwrap() else {
        panic!("no revision was given")
    };
    assert_eq!(store.purge(100).unwrap(), 0);
    assert!(matches!(store.list(None, Some(listed.revision())).unwrap(), Load::Unchanged));
}

#[test]
fn no_revision_is_used_twice_after_emptying_reopening_or_restoring_a_backup() {
    let place = Place::new();
    let backup = place.at("backup.db");
    let user = Partition::user("u");
    let mut seen = HashSet::new();
    for round in 0..5 {
        let store = SqliteStore::open(place.database()).unwrap();
        for n in 0..5 {
            let record = account("u", "k", &format!("{round}-{n}"));
            let revision = put(&store, Expect::Any, &[record]).unwrap()[0];
            assert!(seen.insert(revision), "{revision:?} was used twice");
            assert!(matches!(store.load(&user, Some(revision)).unwrap(), Load::Unchanged));
        }
        if round == 0 {
            // Closing the last handle moves the log into the database file.
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
            assert!(seen.contains(&snapshot.revision()), "the revision of the backup");
            assert_eq!(snapshot.records(), [account("u", "k", "0-4")]);
        }
    }
    assert_eq!(seen.len(), 25);
}

/// A token of a client in a tenant, under this key.
fn app(client: &str, realm: &str, key: &str, secret: &str) -> Record {
    let json = format!(r#"{{"client_id":"{client}","realm":"{realm}","secret":"{secret}"}}"#);
    Record::new(CredentialType::AccessToken, key, Json::new(json).unwrap())
}

fn of(store: &SqliteStore, partition: &Partition) -> Snapshot {
    match store.load(partition, None).unwrap() {
        Load::Snapshot(snapshot) => snapshot,
        Load::Unchanged => panic!("no revision was given"),
    }
}

#[test]
fn a_put_takes_a_key_from_another_partition() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    // The tokens of two clients under one key, and another token.
    let (first, second) = (app("c-e", "t", "c-e-t", "1"), app("c", "e-t", "c-e-t", "2"));
    let other = app("c-e", "t", "other", "1");
    let [one, two] = [&first, &second].map(Partition::of);
    assert_ne!(one, two);
    let before = put(&store, Expect::Any, &[first.clone(), other.clone()]).unwrap();
    let Load::Snapshot(listed) = store.list(None, None).unwrap() else {
        panic!("no revision was given")
    };

    let moved = put(&store, Expect::Any, std::slice::from_ref(&second)).unwrap();
    assert_eq!(of(&store, &two), Snapshot::new(moved[0], vec![second.clone()]));
    let left = of(&store, &one);
    assert_ne!(left.revision(), before[0]);
    assert_eq!(left.records(), std::slice::from_ref(&other));
    assert_eq!(list(&store, None), [other.clone(), second.clone()], "a moved key is a new key");
    let since = store.list(None, Some(listed.revision())).unwrap();
    assert!(matches!(since, Load::Snapshot(_)));
    // A commit that expects the old revision conflicts.
    let stale = put(&store, Expect::Revision(before[0]), std::slice::from_ref(&other));
    assert!(matches!(stale, Err(Error::Conflict)));

    // The other partition loses its last record, and is absent.
    let moved = put(&store, Expect::Any, std::slice::from_ref(&first)).unwrap();
    assert_eq!(of(&store, &one), Snapshot::new(moved[0], vec![other, first]));
    assert_eq!(of(&store, &two), Snapshot::new(Revision::ABSENT, Vec::new()));
    assert_eq!(number(&raw(&place.database()), "SELECT count(*) FROM partitions_2"), 1);
    // A delete doesn't reach a record of another partition.
    let mut batch = Batch::new();
    batch.change(&two, Expect::Any).delete_record(&second);
    assert_eq!(store.commit(&batch).unwrap(), [Revision::ABSENT]);
    assert_eq!(of(&store, &one).revision(), moved[0]);
}

#[test]
fn revisions_are_those_at_the_end_of_the_commit() {
    let store = SqliteStore::in_memory().unwrap();
    let users = ["a", "b", "c", "d"].map(Partition::user);
    let stored = [account("a", "1", "a"), account("b", "2", "b"), account("c", "3", "c")];
    put(&store, Expect::Any, &stored).unwrap();
    let mut batch = Batch::new();
    // Later changes take `1` from `a`, `3` and `4` from `d`, and `2` from `b`.
    batch.change(&users[0], Expect::Any).put(account("a", "1", "new"));
    batch.change(&users[3], Expect::Any).put(account("d", "3", "d")).put(account("d", "4", "d"));
    batch.change(&users[1], Expect::Any).put(account("b", "4", "b")).put(account("b", "1", "b"));
    let last = batch.change(Partition::user("e"), Expect::Any);
    last.put(account("e", "2", "e")).put(account("e", "3", "e"));
    let revisions = store.commit(&batch).unwrap();
    let loaded = ["a", "d", "b", "e", "c"].map(|user| load(&store, user));
    assert_eq!(revisions, [0, 1, 2, 3].map(|n: usize| loaded[n].revision()));
    assert_eq!(revisions[..2], [Revision::ABSENT; 2]);
    assert_eq!(keys(loaded[2].records()), ["4", "1"]);
    assert_eq!(keys(loaded[3].records()), ["2", "3"]);
    assert_eq!(loaded[4].revision(), Revision::ABSENT);

    // One commit moves a key to `b` and back: it comes last, and both have new revisions.
    let mut batch = Batch::new();
    let b = batch.change(&users[1], Expect::Revision(revisions[2]));
    b.put(account("b", "2", "b"));
    batch.change(Partition::user("e"), Expect::Any).put(account("e", "2", "e"));
    let after = store.commit(&batch).unwrap();
    assert_eq!(after, [load(&store, "b").revision(), load(&store, "e").revision()]);
    assert!(!revisions.contains(&after[0]) && !revisions.contains(&after[1]));
    assert_eq!(keys(load(&store, "b").records()), ["4", "1"]);
    assert_eq!(keys(load(&store, "e").records()), ["3", "2"]);
}
