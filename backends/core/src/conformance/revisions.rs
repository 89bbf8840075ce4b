//! A revision never returns for other contents.

use std::collections::HashMap;

use super::Harness;
use super::tools::{
    account, assert_holds, assert_same, delete, list, list_since, load, load_since, purge, put,
    put_one, puts, record,
};
use crate::{CacheStore, Error, Expect, Partition, Record, Revision};

/// Contents after contents, of the same size and within one tick of any clock: each has a
/// revision of its own.
pub fn other_contents_never_share_a_revision<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let mut history = History::default();
    for n in 10..60 {
        history.put(&store, &account("u", "k", &n.to_string()));
    }
    // Handles that are opened in between don't begin to count anew.
    for n in 60..80 {
        history.put(&place.open(), &account("u", "k", &n.to_string()));
    }
}

/// Contents that were there before may have the revision that they had; what stood there in
/// between has another. So nobody who saw that takes it for what is there now.
pub fn a_change_there_and_back_is_no_trap<H: Harness>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let user = Partition::user("u");
    let (one, two) = (account("u", "k", "1"), account("u", "k", "2"));
    put_one(&store, &one);
    let first = load(&other, &user).revision();
    put_one(&store, &two);
    let between = load(&other, &user).revision();
    put_one(&store, &one);
    for handle in [&store, &other] {
        let now = load_since(handle, &user, between).expect("it has changed since");
        assert_same("what is there now", now.records(), std::slice::from_ref(&one));
        assert_ne!(now.revision(), between);
        let late = handle.commit(&puts(Expect::Revision(between), &[account("u", "k", "3")]));
        assert!(matches!(late, Err(Error::Conflict)), "a revision of other contents was accepted");
    }
    assert_ne!(first, between);
    // Whoever saw it at first may be told either, and finds the same.
    if let Some(now) = load_since(&store, &user, first) {
        assert_same("what is there again", now.records(), &[one]);
    }
}

/// A partition that is emptied is absent, and when it is filled again it doesn't begin to count
/// anew: neither by a delete nor by a purge, with one handle or with new ones.
pub fn an_emptied_partition_does_not_begin_anew<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let user = Partition::user("u");
    let mut history = History::default();
    for n in 10..20 {
        let expiring = format!(r#"{{"home_account_id":"u","expires_on":"50","n":"{n}"}}"#);
        let expiring = record("AccessToken", "k", &expiring);
        let store: &dyn CacheStore = if n < 15 { &store } else { &place.open() };
        let known = history.put(store, &expiring);
        if n % 2 == 0 {
            assert_eq!(delete(store, &[expiring]), [Revision::ABSENT], "it is empty now");
        } else {
            assert_eq!(purge(store, 100), 1);
        }
        let emptied = load_since(store, &user, known).expect("it has changed since");
        assert_same("an emptied partition", emptied.records(), &[]);
        assert_eq!(emptied.revision(), Revision::ABSENT);
        assert_holds(store, &[]);
    }
}

/// Contents that read the same when one forgets where a name ends are other contents.
pub fn where_a_name_ends_matters<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let value = r#"{"home_account_id":"u"}"#;
    let mut seen = HashMap::new();
    for records in [
        vec![record("Ab", "c", value)],
        vec![record("A", "bc", value)],
        vec![record("A", "b", value), record("A", "c", value)],
        vec![record("A", "c", value), record("Ab", "d", value)],
        vec![record("A", "c", value), record("A", "bd", value)],
    ] {
        let revision = put(&store, &records)[0];
        if let Some(other) = seen.insert(revision, records.len()) {
            panic!("{revision:?} stands for {other} and for {} records", records.len());
        }
        delete(&store, &records);
    }
}

/// The revisions of a listing don't return either: not when the store is emptied and filled with
/// as much.
pub fn revisions_of_a_listing_do_not_return<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let mut seen: Vec<Revision> = Vec::new();
    for n in 10..20 {
        let records = [account("u", "k", &n.to_string()), account("v", "l", "x")];
        let store: &dyn CacheStore = if n < 15 { &store } else { &place.open() };
        put(store, &records);
        for known in &seen {
            let now = list_since(store, None, *known).expect("it listed other records");
            assert_same("a listing", now.records(), &records);
            assert_ne!(now.revision(), *known, "it stood for other records");
        }
        seen.push(list(store, None).revision());
        delete(store, &records);
        let now = list_since(store, None, seen[seen.len() - 1]).expect("everything is gone");
        assert_same("a listing of nothing", now.records(), &[]);
        seen.push(now.revision());
        // Nothing is nothing: it may have one revision, which then stands for it each time.
        let listed_nothing = seen.pop();
        assert!(!seen.contains(&listed_nothing.expect("just pushed")), "it stood for records");
    }
}

/// Every revision that one partition had, for contents that all differ.
#[derive(Default)]
struct History(Vec<Revision>);

impl History {
    /// Puts other contents, and insists that no earlier revision stands for them.
    #[track_caller]
    fn put(&mut self, store: &dyn CacheStore, record: &Record) -> Revision {
        let partition = record.partition();
        let revision = put_one(store, record);
        assert_ne!(revision, Revision::ABSENT, "{partition:?} holds something");
        for known in &self.0 {
            assert_ne!(revision, *known, "a revision of {partition:?} has returned");
            let since = load_since(store, partition, *known).expect("it held something else");
            assert_same("a load", since.records(), std::slice::from_ref(record));
        }
        if let Some(stale) = self.0.last() {
            let late = store.commit(&puts(Expect::Revision(*stale), std::slice::from_ref(record)));
            assert!(matches!(late, Err(Error::Conflict)), "an earlier revision was accepted");
        }
        self.0.push(revision);
        revision
    }
}
