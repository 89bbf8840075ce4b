//! What outlives the handles.

use super::Persistent;
use super::tools::{
    account, assert_holds, assert_same, commit, delete, list, list_since, load, load_since, purge,
    put, put_one, puts, record, token,
};
use crate::{CacheStore, Error, Expect, Partition, Revision};

/// What was stored is there when the last handle was dropped and a new one is opened: in its
/// order, with sections that nobody knows, and to be worked on.
pub fn what_was_stored_outlives_the_handles<H: Persistent>() {
    let place = H::new();
    let mut records = vec![
        account("u", "z", "first"),
        account("u", "a", "\u{e9} \u{1f600}"),
        token("v", "t", "50"),
        record("Invented", "k", r#"{"home_account_id":"u","n":[1.50,9e999]}"#),
        record("", "version", "3"),
    ];
    put(&place.open(), &records);
    assert_holds(&place.open(), &records);

    records[0] = account("u", "z", "again");
    put_one(&place.open(), &records[0]);
    delete(&place.open(), &[records.remove(1)]);
    assert_eq!(purge(&place.open(), 100), 1);
    records.remove(1);
    assert_holds(&place.open(), &records);

    delete(&place.open(), &records);
    assert_holds(&place.open(), &[]);
}

/// A revision from before stands for what stood there then: it conflicts, and is not unchanged,
/// where something else stands there now. A program may keep it longer than its handle.
pub fn revisions_do_not_return_after_reopening<H: Persistent>() {
    let place = H::new();
    let user = Partition::user("u");
    let (mut loaded, mut listed) = (Vec::new(), Vec::new());
    for n in 10..24 {
        let record = account("u", "k", &n.to_string());
        let now = [record.clone()];
        let revision = put_one(&place.open(), &record);
        assert!(!loaded.contains(&revision), "a revision has returned");
        let store = place.open();
        for known in &loaded {
            let since = load_since(&store, &user, *known).expect("it held something else");
            assert_same("a load", since.records(), &now);
            let late = store.commit(&puts(Expect::Revision(*known), &now));
            assert!(matches!(late, Err(Error::Conflict)), "an earlier revision was accepted");
        }
        for known in &listed {
            let since = list_since(&store, None, *known).expect("it listed something else");
            assert_same("a listing", since.records(), &now);
        }
        loaded.push(load(&store, &user).revision());
        loaded.push(revision);
        listed.push(list(&store, None).revision());
        drop(store);
        // Every second time the place is empty in between.
        if n % 2 == 0 {
            assert_eq!(delete(&place.open(), &now), [Revision::ABSENT]);
        }
    }
}

/// Several handles of before and after the last one was dropped: what expects what a new handle
/// has read is committed.
pub fn a_new_handle_goes_on_where_the_last_one_ended<H: Persistent>() {
    let place = H::new();
    for n in 0..5 {
        let store = place.open();
        let before = load(&store, &Partition::user("u"));
        assert_eq!(before.records().len(), n);
        let more = account("u", &format!("k{n}"), "");
        commit(&store, &puts(Expect::Revision(before.revision()), &[more]));
    }
}
