//! Records and revisions outlive the handles.

use super::Persistent;
use super::tools::{
    account, assert_holds, assert_same, commit, delete, list, list_since, load, load_since, purge,
    put, put_one, puts, record, token,
};
use crate::{CacheStore, Error, Expect, Partition, Revision};

/// Records are kept after the last handle was dropped: in their order, in all sections, and ready
/// for further changes.
pub fn records_outlive_the_handles<H: Persistent>() {
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

/// A revision that was read before the place was reopened names the contents of that time. For
/// other contents, a load is not `Unchanged`, and a commit conflicts. A program may keep a revision
/// longer than its handle.
pub fn revisions_do_not_repeat_after_reopening<H: Persistent>() {
    let place = H::new();
    let user = Partition::user("u");
    let (mut loaded, mut listed) = (Vec::new(), Vec::new());
    for n in 10..24 {
        let record = account("u", "k", &n.to_string());
        let now = [record.clone()];
        let revision = put_one(&place.open(), &record);
        assert!(!loaded.contains(&revision), "a revision is repeated");
        let store = place.open();
        for known in &loaded {
            let since = load_since(&store, &user, *known).expect("the records have changed");
            assert_same("a load", since.records(), &now);
            let late = store.commit(&puts(Expect::Revision(*known), &now));
            assert!(matches!(late, Err(Error::Conflict)), "an earlier revision was accepted");
        }
        for known in &listed {
            let since = list_since(&store, None, *known).expect("the records have changed");
            assert_same("a listing", since.records(), &now);
        }
        loaded.push(load(&store, &user).revision());
        loaded.push(revision);
        listed.push(list(&store, None).revision());
        drop(store);
        // Every second time, the place is empty in between.
        if n % 2 == 0 {
            assert_eq!(delete(&place.open(), &now), [Revision::ABSENT]);
        }
    }
}

/// A commit that expects a revision read by a new handle is applied, after earlier handles were
/// dropped.
pub fn a_new_handle_continues_from_the_stored_revision<H: Persistent>() {
    let place = H::new();
    for n in 0..5 {
        let store = place.open();
        let before = load(&store, &Partition::user("u"));
        assert_eq!(before.records().len(), n);
        let more = account("u", &format!("k{n}"), "");
        commit(&store, &puts(Expect::Revision(before.revision()), &[more]));
    }
}
