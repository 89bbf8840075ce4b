//! A section and a key name one record in the whole store.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use super::Harness;
use super::tools::{
    account, assert_conflict, assert_holds, assert_same, commit, list, list_since, load,
    load_since, purge, put, put_one, puts, record, token,
};
use crate::{Batch, Change, CredentialType, Expect, Partition, Record, Revision};

/// A put under a key of another partition moves the key. The other partition loses its record and
/// gets a new revision, however the key was put there; so a commit that expects its earlier revision
/// conflicts.
pub fn a_put_moves_a_key_from_another_partition<H: Harness>() {
    let once = |change: &mut Change| {
        change.put(account("u", "k", "old"));
    };
    let again = |change: &mut Change| {
        change.put(account("u", "k", "older")).put(account("u", "k", "old"));
    };
    let deleted_between = |change: &mut Change| {
        let (section, key) = (CredentialType::Account, "k".into());
        change.put(account("u", "k", "older")).delete(section, key).put(account("u", "k", "old"));
    };
    let deleted_before = |change: &mut Change| {
        change.delete(CredentialType::Account, "k".into()).put(account("u", "k", "old"));
    };
    let histories: [&[Rewrite<'_>]; 4] =
        [&[&once], &[&again, &once], &[&deleted_between], &[&once, &deleted_before]];
    for history in histories {
        let place = H::new();
        let (store, other) = (place.open(), place.open());
        let (u, v) = (Partition::user("u"), Partition::user("v"));
        let stays = account("u", "stays", "1");
        put_one(&store, &stays);
        for step in history {
            let mut batch = Batch::new();
            step(batch.change(&u, Expect::Any));
            commit(&store, &batch);
        }
        assert_holds(&other, &[stays.clone(), account("u", "k", "old")]);
        let before = load(&store, &u).revision();
        let listed = list(&store, None).revision();

        let moved = account("v", "k", "new");
        let revision = put_one(&store, &moved);
        assert_eq!(load(&store, &v).revision(), revision, "the returned revision of {v:?}");
        for handle in [&store, &other, &place.open()] {
            assert_holds(handle, &[stays.clone(), moved.clone()]);
            let since = load_since(handle, &u, before).expect("the partition has lost a record");
            assert_ne!(since.revision(), before, "the revision of {u:?}");
            assert_same("the former partition", since.records(), std::slice::from_ref(&stays));
            let stale = puts(Expect::Revision(before), &[account("u", "late", "")]);
            assert_conflict(handle, &stale);
        }
        let since = list_since(&store, None, listed).expect("a record has moved");
        assert_same("the listing", since.records(), &[stays, moved]);
    }
}

/// A commit that puts a key into a partition.
type Rewrite<'a> = &'a dyn Fn(&mut Change);

/// A partition whose last record moves away is absent. Where the commit names that partition too,
/// its expectation holds before the move, and the revision after the move is returned.
pub fn a_partition_whose_last_record_moves_is_absent<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let (u, v) = (Partition::user("u"), Partition::user("v"));
    let before = put_one(&store, &account("u", "k", "old"));
    let moved = account("v", "k", "new");
    let mut batch = puts(Expect::Revision(Revision::ABSENT), std::slice::from_ref(&moved));
    batch.change(&u, Expect::Revision(before));
    let revisions = commit(&store, &batch);
    assert_eq!(revisions[1], Revision::ABSENT, "the returned revision of {u:?}");
    assert_eq!(load(&store, &u).revision(), Revision::ABSENT);
    assert_eq!(load(&place.open(), &v).revision(), revisions[0]);
    assert_holds(&store, std::slice::from_ref(&moved));
    assert_conflict(&store, &puts(Expect::Revision(before), &[account("u", "l", "")]));

    let back = account("u", "k", "back");
    commit(&store, &puts(Expect::Revision(Revision::ABSENT), std::slice::from_ref(&back)));
    assert_eq!(load(&store, &v).revision(), Revision::ABSENT);
    assert_holds(&place.open(), &[back]);
}

/// A record that moves is new in its partition and comes last there, wherever its key was in the
/// section before.
pub fn a_moved_record_is_last_in_its_new_partition<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let first = account("u", "a", "1");
    let [b, c, d] = [("v", "b"), ("u", "c"), ("v", "d")].map(|(user, key)| account(user, key, "1"));
    put(&store, &[first, b.clone(), c.clone(), d.clone()]);
    let a = account("v", "a", "2");
    put_one(&store, &a);
    assert_holds(&store, &[b.clone(), c.clone(), d.clone(), a.clone()]);
    // The order stays when the record is replaced later.
    let a = account("v", "a", "3");
    put(&store, &[account("v", "b", "4"), a.clone()]);
    assert_holds(&place.open(), &[account("v", "b", "4"), c, d, a]);
}

/// Ids that differ in case alone name one partition, as the stored keys made of them are one key.
pub fn ids_that_differ_in_case_share_a_partition<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let app = |client: &str, realm: &str, key: &str| {
        let json = format!(r#"{{"client_id":"{client}","realm":"{realm}"}}"#);
        record("AccessToken", key, &json)
    };
    let key = "--accesstoken-client-contoso.example-scope";
    let spellings = [
        ("client", "Contoso.Example"),
        ("client", "contoso.example"),
        ("CLIENT", "CONTOSO.example"),
    ];
    let partition = Partition::app("Client", "Contoso.EXAMPLE", None);
    for (client, realm) in spellings {
        let before = load(&store, &partition).revision();
        let token = app(client, realm, key);
        put_one(&store, &token);
        assert_holds(&store, std::slice::from_ref(&token));
        assert_conflict(&store, &puts(Expect::Revision(before), &[app(client, realm, "late")]));
        let found = load(&place.open(), &partition);
        assert_same("the partition in any spelling", found.records(), &[token]);
    }
    let token = app("CLIENT", "CONTOSO.example", key);
    let users = [account("Uid.Utid", "k", "1"), account("uid.utid", "l", "2")];
    put(&store, &users);
    assert_same("one user", load(&store, &Partition::user("UID.UTID")).records(), &users);
    assert_holds(&place.open(), &[&[token], &users[..]].concat());
}

/// The ids of two clients may join to one key: client `c-e` in tenant `t`, and client `c` in
/// tenant `e-t`. The key names the record that was put last.
pub fn clients_with_equal_keys_share_a_record<H: Harness>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let key = "--accesstoken-c-e-t-scope";
    let [one, two] = [("c-e", "t"), ("c", "e-t")].map(|(client, realm)| {
        let json = format!(r#"{{"client_id":"{client}","realm":"{realm}"}}"#);
        record("AccessToken", key, &json)
    });
    assert_ne!(one.partition(), two.partition(), "the tokens are in two partitions");
    for (put, lost) in [(&one, &two), (&two, &one), (&one, &two)] {
        put_one(&store, put);
        for handle in [&store, &other] {
            assert_holds(handle, std::slice::from_ref(put));
            assert_eq!(load(handle, lost.partition()).revision(), Revision::ABSENT);
        }
    }
}

/// Of two puts of one key into two partitions in one batch, the last one wins.
pub fn the_last_put_of_a_key_in_a_batch_wins<H: Harness>() {
    let place = H::new();
    let store = place.open();
    // The key is new at first. Later it is in the first partition, the second, and a third.
    for round in 0..4 {
        let value = round.to_string();
        let [first, last] = ["u", "v"].map(|user| account(user, "k", &value));
        let other = account("u", "other", &value);
        let revisions = put(&store, &[first.clone(), other.clone(), last.clone()]);
        for (partition, returned) in
            [first.partition(), last.partition()].into_iter().zip(revisions)
        {
            assert_eq!(load(&store, partition).revision(), returned, "of {partition:?}");
        }
        assert_holds(&store, &[other.clone(), last.clone()]);
        assert_holds(&place.open(), &[other.clone(), last]);
        match round {
            0 => drop(put_one(&store, &first)),
            1 => {}
            _ => drop(put_one(&store, &account("w", "k", &value))),
        }
    }
}

/// A delete in a partition that doesn't have the key does nothing, also where the partition had it
/// before.
pub fn a_delete_in_the_former_partition_does_nothing<H: Harness>() {
    let place = H::new();
    let store = place.open();
    put_one(&store, &account("u", "k", "old"));
    let moved = account("v", "k", "new");
    put_one(&store, &moved);
    let stays = account("u", "stays", "1");
    put_one(&store, &stays);
    for user in ["u", "absent"] {
        let mut batch = Batch::new();
        batch.change(Partition::user(user), Expect::Any).delete_record(&moved);
        commit(&store, &batch);
        assert_holds(&store, &[moved.clone(), stays.clone()]);
    }
    // In the commit that moves the key: after the move, and before it.
    let back = account("u", "k", "back");
    let mut batch = puts(Expect::Any, std::slice::from_ref(&back));
    batch.change(Partition::user("v"), Expect::Any).delete_record(&back);
    commit(&store, &batch);
    assert_holds(&store, &[stays.clone(), back.clone()]);
    let mut batch = Batch::new();
    batch.change(Partition::user("u"), Expect::Any).delete_record(&back);
    batch.change(Partition::user("v"), Expect::Any).put(moved.clone());
    commit(&store, &batch);
    assert_holds(&place.open(), &[stays, moved]);
}

/// A record that has moved is one record for a listing and a purge.
pub fn a_moved_record_is_listed_and_purged_once<H: Harness>() {
    let place = H::new();
    let store = place.open();
    put(&store, &[token("u", "renewed", "50"), token("u", "expired", "50")]);
    let renewed = token("v", "renewed", "150");
    put(&store, &[renewed.clone(), token("w", "expired", "60")]);
    assert_eq!(list(&store, None).records().len(), 2, "the number of records");
    assert_eq!(purge(&store, 100), 1, "the number of expired records");
    assert_holds(&store, std::slice::from_ref(&renewed));
    put_one(&store, &token("u", "expired", "150"));
    assert_eq!(purge(&store, 100), 0, "the number of expired records");
    assert_holds(&place.open(), &[renewed, token("u", "expired", "150")]);
}

/// Threads that concurrently put the same keys into different partitions leave one record under
/// each key. The keys of one commit end in one partition.
pub fn concurrent_puts_of_one_key_leave_one_record<H: Harness>() {
    const THREADS: usize = 6;
    let place = H::new();
    let stores: Vec<_> = (0..THREADS).map(|_| place.open()).collect();
    for round in 0..12 {
        let records = |user: usize, turn: usize| {
            let mut records = ["a", "b"].map(|key| {
                account(&format!("user {user}"), &format!("{key}{round}"), &turn.to_string())
            });
            if user.is_multiple_of(2) {
                records.reverse();
            }
            records
        };
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for (user, store) in stores.iter().enumerate() {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    put(store, &records(user, 0));
                    // Deleted and put again in one commit.
                    let again = records(user, 1);
                    let mut batch = Batch::new();
                    let change = batch.change(again[0].partition(), Expect::Any);
                    for record in &again {
                        change.delete_record(record).put(record.clone());
                    }
                    commit(store, &batch);
                });
            }
        });
        let held = list(&place.open(), None).into_records();
        let of_round = ["a", "b"].map(|key| format!("{key}{round}"));
        let keys: BTreeSet<_> = held.iter().map(Record::key).collect();
        assert_eq!(keys.len(), held.len(), "two records have one key");
        assert_eq!(held.len(), 2 * (round + 1), "the number of records");
        let of_round = held.iter().filter(|it| of_round.iter().any(|key| key == it.key()));
        let owners: BTreeSet<_> = of_round.map(Record::partition).collect();
        assert_eq!(owners.len(), 1, "the number of partitions with records of one commit");
        for store in &stores {
            assert_holds(store, &held);
            let loaded: usize = (0..THREADS)
                .map(|user| load(store, &Partition::user(&format!("user {user}"))).records().len())
                .sum();
            assert_eq!(loaded, held.len(), "the number of records in all partitions");
        }
    }
}
