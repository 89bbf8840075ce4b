//! What a commit expects and returns, and that it is atomic.

use super::Harness;
use super::tools::{
    account, assert_conflict, assert_holds, commit, delete, deletes, load, load_since, put,
    put_one, puts, record, token,
};
use crate::{Batch, CredentialType, Expect, Partition, Record, Revision};

/// A batch may put and delete records in several partitions and sections; all of it is applied.
pub fn a_batch_is_applied_to_all_of_its_partitions<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let old = [account("u", "ku", "old"), account("v", "kv", "old"), account("w", "kw", "old")];
    put(&store, &old);
    let new = [
        account("v", "kv", "new"),
        token("x", "kx", "1"),
        record("AppMetadata", "ka", r#"{"client_id":"c","family_id":"1"}"#),
        record("AccessToken", "kt", r#"{"client_id":"c","realm":"r"}"#),
        record("", "version", "1"),
    ];
    let mut batch = puts(Expect::Any, &new);
    batch.change(Partition::user("u"), Expect::Any).delete(CredentialType::Account, "ku".into());
    commit(&store, &batch);
    let expected = [&old[2..], &new].concat();
    assert_holds(&store, &expected);
    assert_holds(&place.open(), &expected);
}

/// A failed expectation is [`Error::Conflict`](crate::Error::Conflict), at any position in the
/// batch, and nothing of the batch is applied.
pub fn a_stale_expectation_conflicts_and_changes_nothing<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let users = ["u", "v", "w"];
    let stale = put(&store, &users.map(|user| account(user, &format!("k{user}"), "1")));
    let before = users.map(|user| account(user, &format!("k{user}"), "2"));
    let revisions = put(&store, &before);
    for (at, stale) in stale.into_iter().enumerate() {
        for wrong in [stale, Revision::unique(), Revision::ABSENT] {
            let mut batch = Batch::new();
            for (i, user) in users.iter().enumerate() {
                let right = if i % 2 == 0 { Expect::Any } else { Expect::Revision(revisions[i]) };
                let expect = if i == at { Expect::Revision(wrong) } else { right };
                let change = batch.change(Partition::user(user), expect);
                change.put(account(user, &format!("more of {user}"), "3"));
                change.delete(CredentialType::Account, format!("k{user}").into());
            }
            batch.change(Partition::user("x"), Expect::Any).put(account("x", "kx", "3"));
            assert_conflict(&store, &batch);
            assert_holds(&store, &before);
            for (user, revision) in users.iter().zip(&revisions) {
                let since = load_since(&store, &Partition::user(user), *revision);
                assert!(since.is_none(), "a commit that conflicted changed {user}");
            }
        }
    }
    assert_holds(&place.open(), &before);
}

/// A commit whose expectations hold is applied. The next commit expects the revision that it
/// returned.
pub fn a_commit_whose_expectations_hold_is_applied<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let mut revision = put_one(&store, &account("u", "k", "0"));
    for n in 1..10 {
        let record = account("u", "k", &n.to_string());
        let expect = Expect::Revision(revision);
        revision = commit(&store, &puts(expect, std::slice::from_ref(&record)))[0];
        assert_holds(&store, &[record]);
    }
    // Two expectations in one commit.
    let other = put_one(&store, &account("v", "l", "0"));
    let mut batch = puts(Expect::Revision(revision), &[account("u", "k", "last")]);
    batch.change(Partition::user("v"), Expect::Revision(other)).put(account("v", "l", "last"));
    commit(&store, &batch);
    assert_holds(&place.open(), &[account("u", "k", "last"), account("v", "l", "last")]);
}

/// A commit with [`Expect::Any`] never conflicts, also where another handle has written in between.
pub fn a_commit_without_expectations_never_conflicts<H: Harness>() {
    let place = H::new();
    let (one, other) = (place.open(), place.open());
    let mut records = Vec::new();
    for n in 0..6 {
        let (store, read) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
        load(read, &Partition::user("u"));
        put_one(store, &account("u", "same", &n.to_string()));
        let mine = account("u", &format!("k{n}"), "");
        put_one(store, &mine);
        records.push(mine);
    }
    records.insert(0, account("u", "same", "5"));
    assert_holds(&one, &records);
    assert_holds(&other, &records);
    commit(&one, &deletes(Expect::Any, &records));
    commit(&other, &deletes(Expect::Any, &records));
    assert_holds(&one, &[]);
}

/// [`Revision::ABSENT`] expects that the partition has no records: at first, and after it was
/// emptied.
pub fn absent_expects_an_empty_partition<H: Harness>() {
    let place = H::new();
    let (one, other) = (place.open(), place.open());
    let record = account("u", "k", "1");
    let first = puts(Expect::Revision(Revision::ABSENT), std::slice::from_ref(&record));
    commit(&one, &first);
    let second = puts(Expect::Revision(Revision::ABSENT), &[account("u", "l", "2")]);
    assert_conflict(&one, &second);
    assert_conflict(&other, &second);
    assert_holds(&other, std::slice::from_ref(&record));
    delete(&other, &[record]);
    commit(&one, &second);
    assert_conflict(&other, &first);
    // Other partitions don't matter.
    let third = puts(Expect::Revision(Revision::ABSENT), &[account("v", "m", "3")]);
    commit(&other, &third);
    assert_holds(&one, &[account("u", "l", "2"), account("v", "m", "3")]);
}

/// Handles that have read an earlier state and write in turn, to one partition and to others, keep
/// each other's records.
pub fn handles_that_write_in_turn_lose_nothing<H: Harness>() {
    let place = H::new();
    let stores = [place.open(), place.open(), place.open()];
    for store in &stores {
        assert_holds(store, &[]);
    }
    let mut records: Vec<Record> = Vec::new();
    for round in 0..3 {
        for (handle, store) in stores.iter().enumerate() {
            let name = format!("{round} {handle}");
            let new = [account("u", &format!("u{name}"), ""), account(&name, &name, "")];
            put(store, &new);
            records.extend(new);
        }
    }
    for store in &stores {
        assert_holds(store, &records);
    }
    for (handle, store) in stores.iter().enumerate() {
        delete(store, &[records.remove(handle)]);
    }
    for store in &stores {
        assert_holds(store, &records);
    }
}

/// A commit returns the revisions that later loads return, in the order of its changes. A partition
/// that it has emptied is at [`Revision::ABSENT`].
pub fn a_commit_returns_the_new_revisions<H: Harness>() {
    let place = H::new();
    let store = place.open();
    put(&store, &[account("e", "ke", "1"), account("m", "km", "1")]);
    for round in 0..3 {
        let mut batch = Batch::new();
        for user in ["z", "e", "a", "m"] {
            let change = batch.change(Partition::user(user), Expect::Any);
            if user == "e" {
                change.delete(CredentialType::Account, "ke".into());
            } else {
                change.put(account(user, &format!("k{user}"), &round.to_string()));
            }
        }
        let revisions = commit(&store, &batch);
        for (change, returned) in batch.changes().iter().zip(&revisions) {
            let (found, partition) = (load(&store, change.partition()), change.partition());
            assert_eq!(found.revision(), *returned, "of {partition:?} in round {round}");
            assert_eq!(found.records().is_empty(), *returned == Revision::ABSENT, "{partition:?}");
        }
    }
}

/// A batch without changes succeeds, and so does one that puts what is stored already.
pub fn a_batch_without_effect_succeeds<H: Harness>() {
    let place = H::new();
    let store = place.open();
    commit(&store, &Batch::new());
    delete(&store, &[account("absent", "k", "")]);
    assert_holds(&store, &[]);
    let records = [account("u", "k", "1"), account("v", "l", "2")];
    put(&store, &records);
    commit(&store, &Batch::new());
    let returned = put(&store, &records)[0];
    assert_eq!(load(&store, &Partition::user("u")).revision(), returned);
    let returned = delete(&store, &[account("u", "absent", "")])[0];
    assert_eq!(load(&store, &Partition::user("u")).revision(), returned);
    assert_holds(&place.open(), &records);
}

/// A change without operations does nothing, but its expectation has to hold.
pub fn an_expectation_without_operations_is_checked<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let revision = put_one(&store, &account("u", "k", "1"));
    let guarded = |expect| {
        let mut batch = puts(Expect::Any, &[account("v", "l", "2")]);
        batch.change(Partition::user("u"), expect);
        batch
    };
    assert_conflict(&store, &guarded(Expect::Revision(Revision::unique())));
    assert_conflict(&store, &guarded(Expect::Revision(Revision::ABSENT)));
    assert_holds(&store, &[account("u", "k", "1")]);
    let returned = commit(&store, &guarded(Expect::Revision(revision)));
    assert_eq!(load(&store, &Partition::user("u")).revision(), returned[1]);
    let mut absent = Batch::new();
    absent.change(Partition::user("absent"), Expect::Revision(Revision::ABSENT));
    assert_eq!(commit(&store, &absent), [Revision::ABSENT]);
    assert_holds(&place.open(), &[account("u", "k", "1"), account("v", "l", "2")]);
}
