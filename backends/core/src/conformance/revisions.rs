//! A revision is never used again for other contents.

use std::collections::HashMap;

use super::Harness;
use super::tools::{
    account, assert_holds, assert_same, delete, list, list_since, load, load_since, purge, put,
    put_one, puts, record,
};
use crate::{CacheStore, Error, Expect, Partition, Record, Revision};

/// Different contents have different revisions, although their sizes are equal and they follow each
/// other within one tick of a clock.
pub fn different_contents_have_different_revisions<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let mut history = History::default();
    for n in 10..60 {
        history.put(&store, &account("u", "k", &n.to_string()));
    }
    // Handles that are opened in between don't start to count again.
    for n in 60..80 {
        history.put(&place.open(), &account("u", "k", &n.to_string()));
    }
}

/// Contents that are restored may have their earlier revision, but not a revision of the contents
/// in between. So a caller that knows the contents in between gets the restored ones.
pub fn restored_contents_do_not_match_revisions_in_between<H: Harness>() {
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
        let now = load_since(handle, &user, between).expect("the partition has changed");
        assert_same("the restored contents", now.records(), std::slice::from_ref(&one));
        assert_ne!(now.revision(), between);
        let late = handle.commit(&puts(Expect::Revision(between), &[account("u", "k", "3")]));
        assert!(matches!(late, Err(Error::Conflict)), "a revision of other contents was accepted");
    }
    assert_ne!(first, between);
    // For the first revision, the store may return `Unchanged` or a snapshot.
    if let Some(now) = load_since(&store, &user, first) {
        assert_same("the restored contents", now.records(), &[one]);
    }
}

/// A partition that was emptied, by a delete or a purge, is absent. When it is filled again, it
/// doesn't repeat revisions, with one handle or with new ones.
pub fn an_emptied_partition_does_not_repeat_revisions<H: Harness>() {
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
            assert_eq!(delete(store, &[expiring]), [Revision::ABSENT], "the partition is empty");
        } else {
            assert_eq!(purge(store, 100), 1);
        }
        let emptied = load_since(store, &user, known).expect("the partition has changed");
        assert_same("an emptied partition", emptied.records(), &[]);
        assert_eq!(emptied.revision(), Revision::ABSENT);
        assert_holds(store, &[]);
    }
}

/// Contents that differ only in where one text ends and the next one starts are different contents.
pub fn the_boundary_of_section_and_key_counts<H: Harness>() {
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
            panic!("{revision:?} names contents of {other} and of {} records", records.len());
        }
        delete(&store, &records);
    }
}

/// Revisions of a listing aren't repeated, also when the store is emptied and filled with equally
/// many records.
pub fn revisions_of_listings_do_not_repeat<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let mut seen: Vec<Revision> = Vec::new();
    for n in 10..20 {
        let records = [account("u", "k", &n.to_string()), account("v", "l", "x")];
        let store: &dyn CacheStore = if n < 15 { &store } else { &place.open() };
        put(store, &records);
        for known in &seen {
            let now = list_since(store, None, *known).expect("the records have changed");
            assert_same("a listing", now.records(), &records);
            assert_ne!(now.revision(), *known, "a revision of other records");
        }
        seen.push(list(store, None).revision());
        delete(store, &records);
        let now = list_since(store, None, seen[seen.len() - 1]).expect("the store is empty");
        assert_same("a listing of an empty store", now.records(), &[]);
        seen.push(now.revision());
        // An empty store may have the same revision each time.
        let empty = seen.pop();
        assert!(!seen.contains(&empty.expect("just pushed")), "a revision of other records");
    }
}

/// All revisions of one partition, for different contents.
#[derive(Default)]
struct History(Vec<Revision>);

impl History {
    /// Puts different contents, and asserts that no earlier revision matches them.
    #[track_caller]
    fn put(&mut self, store: &dyn CacheStore, record: &Record) -> Revision {
        let partition = record.partition();
        let revision = put_one(store, record);
        assert_ne!(revision, Revision::ABSENT, "the revision of {partition:?}");
        for known in &self.0 {
            assert_ne!(revision, *known, "a revision of {partition:?} is repeated");
            let since = load_since(store, partition, *known).expect("the records have changed");
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
