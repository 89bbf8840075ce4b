//! What every store promises, on a database in a file with either journal and in memory.

mod support;

use std::thread;

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Error, Expect, Json, Load, Partition, Record, Revision,
};
use msal_cache_sqlite::{Journal, SqliteStore, Synchronous};
use support::{Place, account, list, load, put, token};

fn on_every_store(case: impl Fn(&dyn CacheStore)) {
    case(&SqliteStore::in_memory().unwrap());
    for journal in [Journal::Auto, Journal::Wal, Journal::Rollback] {
        let place = Place::new();
        let builder = SqliteStore::builder(place.database()).journal(journal);
        case(&builder.synchronous(Synchronous::Normal).open().unwrap());
    }
}

#[test]
fn what_is_not_there_is_empty_and_absent() {
    on_every_store(|store| {
        let snapshot = load(store, "nobody");
        assert_eq!((snapshot.revision, snapshot.records.len()), (Revision::ABSENT, 0));
        assert_eq!(list(store, None), []);
        let known = store.load(&Partition::user("nobody"), Some(Revision::ABSENT)).unwrap();
        assert!(matches!(known, Load::Unchanged));
    });
}

#[test]
fn what_is_put_is_there_in_order_and_as_written() {
    on_every_store(|store| {
        let records = [
            account("u", "z", "last letter first"),
            account("u", "a", r"\ud83d\ude00 \\ \u0000 é 語"),
            Record::new(
                "Invented".into(),
                "k\"\\\n é",
                Json::new(r#"{"home_account_id":"u","x":[1.50,9e999,{"a":null}]}"#).unwrap(),
            ),
        ];
        put(store, Expect::Any, &records).unwrap();
        let stored = load(store, "u").records;
        assert_eq!(stored.len(), records.len());
        assert_eq!(stored, records);
        assert_eq!(list(store, Some("Account")).len(), 2);
        assert_eq!(list(store, Some("Invented")).len(), 1);
        assert_eq!(list(store, Some("RefreshToken")), []);
        assert_eq!(list(store, None).len(), 3);
    });
}

#[test]
fn a_known_key_keeps_its_place_and_a_deleted_one_goes() {
    on_every_store(|store| {
        put(store, Expect::Any, &["a", "b", "c"].map(|key| account("u", key, "old"))).unwrap();
        let mut batch = Batch::new();
        let change = batch.change(Partition::user("u"), Expect::Any);
        change.put(account("u", "b", "new")).delete(CredentialType::Account, "a".into());
        change.delete(CredentialType::Account, "never there".into());
        change.delete(CredentialType::IdToken, "c".into());
        store.commit(&batch).unwrap();
        let expected = [account("u", "b", "new"), account("u", "c", "old")];
        assert_eq!(load(store, "u").records, expected);
    });
}

#[test]
fn operations_apply_in_their_order() {
    on_every_store(|store| {
        let mut batch = Batch::new();
        let change = batch.change(Partition::user("u"), Expect::Any);
        change.put(account("u", "k", "1")).delete(CredentialType::Account, "k".into());
        change.put(account("u", "k", "2")).put(account("u", "k", "3"));
        change.put(account("u", "gone", "x")).delete(CredentialType::Account, "gone".into());
        store.commit(&batch).unwrap();
        assert_eq!(load(store, "u").records, [account("u", "k", "3")]);

        // Deleted and put again as it was, it is there.
        let mut batch = Batch::new();
        let change = batch.change(Partition::user("u"), Expect::Any);
        change.delete(CredentialType::Account, "k".into()).put(account("u", "k", "3"));
        store.commit(&batch).unwrap();
        assert_eq!(load(store, "u").records, [account("u", "k", "3")]);
    });
}

#[test]
fn a_known_revision_is_unchanged_until_something_changes() {
    on_every_store(|store| {
        let [revision] = put(store, Expect::Any, &[account("u", "k", "1")]).unwrap()[..] else {
            panic!("one change, one revision")
        };
        let user = Partition::user("u");
        assert_eq!(load(store, "u").revision, revision);
        assert!(matches!(store.load(&user, Some(revision)).unwrap(), Load::Unchanged));
        put(store, Expect::Any, &[account("u", "k", "2")]).unwrap();
        assert!(matches!(store.load(&user, Some(revision)).unwrap(), Load::Snapshot(_)));
    });
}

#[test]
fn a_listing_is_unchanged_until_something_changes() {
    on_every_store(|store| {
        put(store, Expect::Any, &[account("u", "k", "1")]).unwrap();
        let section = Some(&CredentialType::Account);
        let Load::Snapshot(before) = store.list(section, None).unwrap() else { panic!() };
        assert!(matches!(store.list(section, Some(before.revision)).unwrap(), Load::Unchanged));
        put(store, Expect::Any, &[account("v", "k2", "1")]).unwrap();
        let Load::Snapshot(after) = store.list(section, Some(before.revision)).unwrap() else {
            panic!("it changed")
        };
        assert_eq!((before.records.len(), after.records.len()), (1, 2));
    });
}

#[test]
fn a_stale_expectation_conflicts_and_changes_nothing_anywhere() {
    on_every_store(|store| {
        let stale = put(store, Expect::Any, &[account("u", "k", "1")]).unwrap()[0];
        put(store, Expect::Any, &[account("u", "k", "2")]).unwrap();
        let mut batch = Batch::new();
        batch.change(Partition::user("v"), Expect::Any).put(account("v", "k2", "x"));
        batch.change(Partition::user("u"), Expect::Revision(stale)).put(account("u", "k", "3"));
        batch.change(Partition::user("w"), Expect::Any).put(account("w", "k3", "x"));
        assert!(matches!(store.commit(&batch), Err(Error::Conflict)));
        assert_eq!(list(store, None), [account("u", "k", "2")]);

        let absent = Expect::Revision(Revision::ABSENT);
        assert!(matches!(put(store, absent, &[account("u", "n", "x")]), Err(Error::Conflict)));
        put(store, absent, &[account("new", "n", "x")]).unwrap();
    });
}

#[test]
fn partitions_are_isolated() {
    on_every_store(|store| {
        let u = put(store, Expect::Any, &[account("u", "ku", "1")]).unwrap()[0];
        put(store, Expect::Any, &[account("v", "kv", "1")]).unwrap();
        assert_eq!(load(store, "u").records, [account("u", "ku", "1")]);
        assert_eq!(load(store, "u").revision, u);
        // Another partition's record is not deleted, though the key is right.
        let mut batch = Batch::new();
        batch
            .change(Partition::user("v"), Expect::Any)
            .delete(CredentialType::Account, "ku".into());
        store.commit(&batch).unwrap();
        assert_eq!(load(store, "u").records.len(), 1);
        put(store, Expect::Revision(u), &[account("u", "ku", "2")]).unwrap();
    });
}

#[test]
fn an_emptied_partition_is_absent_and_its_revisions_do_not_return() {
    on_every_store(|store| {
        let user = Partition::user("u");
        let first = put(store, Expect::Any, &[account("u", "k", "1")]).unwrap()[0];
        let mut batch = Batch::new();
        batch.change(user.clone(), Expect::Any).delete(CredentialType::Account, "k".into());
        assert_eq!(store.commit(&batch).unwrap(), [Revision::ABSENT]);
        assert_eq!(load(store, "u").revision, Revision::ABSENT);
        let second = put(store, Expect::Any, &[account("u", "k", "2")]).unwrap()[0];
        assert_ne!(first, second);
        assert!(matches!(store.load(&user, Some(first)).unwrap(), Load::Snapshot(_)));
    });
}

#[test]
fn purging_deletes_what_has_expired_and_leaves_other_partitions_alone() {
    on_every_store(|store| {
        let records = [
            token("u", "past", "\"99\""),
            token("u", "number", "99"),
            token("u", "now", "\"100\""),
            token("u", "unreadable", "\"2020-01-01\""),
            token("v", "future", "\"101\""),
            account("u", "account", "x"),
        ];
        let revisions = put(store, Expect::Any, &records).unwrap();
        assert_eq!(store.purge(100).unwrap(), 2);
        let left: Vec<_> = list(store, None).into_iter().map(|it| it.key.to_string()).collect();
        assert_eq!(left.len(), 4);
        for key in ["now", "unreadable", "future", "account"] {
            assert!(left.contains(&key.to_owned()), "{key}");
        }
        assert_ne!(load(store, "u").revision, revisions[0]);
        assert_eq!(load(store, "v").revision, revisions[1]);
        assert_eq!(store.purge(100).unwrap(), 0);
    });
}

#[test]
fn an_empty_batch_does_nothing_and_still_checks() {
    on_every_store(|store| {
        assert_eq!(store.commit(&Batch::new()).unwrap(), []);
        let mut batch = Batch::new();
        batch.change(Partition::user("u"), Expect::Revision(Revision::unique()));
        assert!(matches!(store.commit(&batch), Err(Error::Conflict)));
        assert_eq!(list(store, None), []);
    });
}

#[test]
fn nothing_is_lost_among_threads() {
    const THREADS: usize = 8;
    const EACH: usize = 25;
    const LEN: usize = r#"{"home_account_id":"shared","username":""}"#.len();
    on_every_store(|store| {
        thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    for n in 0..EACH {
                        let mine = account(&format!("u{thread}"), &format!("{thread}-{n}"), "x");
                        put(store, Expect::Any, &[mine]).unwrap();
                        // All of them count up one record, by expectation.
                        msal_cache_core::retry(|| {
                            let shared = load(store, "shared");
                            let count =
                                shared.records.first().map_or(0, |it| it.value.expose().len());
                            let more = account(
                                "shared",
                                "count",
                                &"x".repeat(count.saturating_sub(LEN) + 1),
                            );
                            put(store, Expect::Revision(shared.revision), &[more])
                        })
                        .unwrap();
                    }
                });
            }
        });
        assert_eq!(list(store, None).len(), THREADS * EACH + 1);
        let counted = load(store, "shared").records[0].value.expose().len() - LEN;
        assert_eq!(counted, THREADS * EACH);
    });
}

#[test]
fn nothing_prints_what_is_stored() {
    on_every_store(|store| {
        let record = account("u", "k", "CANARY");
        put(store, Expect::Any, std::slice::from_ref(&record)).unwrap();
        let mut batch = Batch::new();
        batch.change(record.partition(), Expect::Any).put(record);
        let printed = format!("{store:?} {batch:?} {:?}", store.list(None, None).unwrap());
        assert!(!printed.contains("CANARY"), "{printed}");
    });
}
