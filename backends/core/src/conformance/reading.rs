//! What a load returns.

use super::Harness;
use super::tools::{
    account, assert_holds, assert_same, delete, list, list_since, load, load_since, put, put_one,
};
use crate::{CacheStore, CredentialType, Partition, Revision};

/// A partition without records is an empty snapshot at [`Revision::ABSENT`]. It is `Unchanged` to a
/// caller that knows that revision.
pub fn absent_partitions_are_empty_and_at_absent<H: Harness>() {
    let place = H::new();
    let store = place.open();
    for partition in [
        Partition::user("absent"),
        Partition::app("client", "tenant", None),
        Partition::app_metadata(),
        Partition::unowned(),
    ] {
        let found = load(&store, &partition);
        assert_same("an absent partition", found.records(), &[]);
        assert_eq!(found.revision(), Revision::ABSENT, "{partition:?}");
        assert!(load_since(&store, &partition, Revision::ABSENT).is_none(), "{partition:?}");
    }
    assert_holds(&store, &[]);
    put_one(&store, &account("u", "k", "1"));
    assert_eq!(load(&store, &Partition::user("absent")).revision(), Revision::ABSENT);
}

/// Every handle reads what another one writes: a handle that is opened later, and one that has read
/// an earlier state.
pub fn every_handle_reads_what_another_writes<H: Harness>() {
    let place = H::new();
    let (writer, reader) = (place.open(), place.open());
    let user = Partition::user("u");
    assert_holds(&reader, &[]);
    let mut known = load(&reader, &user).revision();
    for name in ["first", "second", "third"] {
        let records = [account("u", "k", name), account("v", "l", name)];
        put(&writer, &records);
        assert_holds(&reader, &records);
        assert_holds(&place.open(), &records);
        let since = load_since(&reader, &user, known).expect("the partition has changed");
        assert_same("the changed partition", since.records(), &records[..1]);
        known = since.revision();
    }
    delete(&writer, &[account("u", "k", ""), account("v", "l", "")]);
    let since = load_since(&reader, &user, known).expect("the partition is absent now");
    assert_eq!(since.revision(), Revision::ABSENT);
    assert_holds(&reader, &[]);
    assert_holds(&place.open(), &[]);
}

/// A partition is `Unchanged` to a caller that knows its revision, until a record is added, replaced
/// or deleted.
pub fn a_known_revision_is_unchanged_until_its_partition_changes<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let user = Partition::user("u");
    let changes: [&dyn Fn(); 4] = [
        &|| _ = put_one(&store, &account("u", "k", "1")),
        &|| _ = put_one(&store, &account("u", "k", "2")),
        &|| _ = put_one(&store, &account("u", "l", "3")),
        &|| _ = delete(&store, &[account("u", "k", "2")]),
    ];
    for (at, change) in changes.iter().enumerate() {
        let before = load(&store, &user).revision();
        assert!(load_since(&store, &user, before).is_none(), "before change {at}");
        change();
        let after = load_since(&store, &user, before);
        let after = after.unwrap_or_else(|| panic!("`Unchanged` after change {at}"));
        assert_ne!(after.revision(), before, "after change {at}");
        assert_eq!(
            load(&store, &user).revision(),
            after.revision(),
            "read twice after change {at}"
        );
        assert!(load_since(&store, &user, after.revision()).is_none(), "after change {at}");
    }
}

/// A partition that a handle has changed is not called unchanged without a read, by this handle or
/// another one. A store need not know more than that.
pub fn a_partition_that_has_changed_is_not_called_unchanged<H: Harness>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let (user, one) = (Partition::user("u"), account("u", "k", "1"));
    let mut known = vec![Revision::ABSENT];
    for n in 0..6 {
        let writer = if n % 2 == 0 { &other } else { &store };
        if n == 4 {
            delete(writer, std::slice::from_ref(&one));
        } else {
            put_one(writer, &account("u", "k", &n.to_string()));
        }
        let now = load(&store, &user).revision();
        for before in known.iter().filter(|it| **it != now) {
            for handle in [&store, &other] {
                assert!(!handle.is_unchanged(&user, *before), "unchanged after change {n}");
            }
        }
        known.push(now);
    }
}

/// A revision that the store never returned doesn't match: all records are returned. The same is
/// true of [`Revision::ABSENT`] for a partition with records.
pub fn an_unknown_revision_returns_all_records<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let records = [account("u", "k", "1"), account("u", "l", "2")];
    put(&store, &records);
    for unknown in [Revision::ABSENT, Revision::unique(), Revision::from_u128(u128::MAX)] {
        let found = load_since(&store, &Partition::user("u"), unknown);
        let found = found.unwrap_or_else(|| panic!("a load returned `Unchanged` for {unknown:?}"));
        assert_same("a load", found.records(), &records);
        for section in [None, Some(&CredentialType::Account)] {
            let found = list_since(&store, section, unknown);
            let found =
                found.unwrap_or_else(|| panic!("a listing returned `Unchanged` for {unknown:?}"));
            assert_same("a listing", found.records(), &records);
        }
    }
    let absent = load_since(&store, &Partition::user("absent"), Revision::unique());
    assert_eq!(absent.expect("the revision is unknown").revision(), Revision::ABSENT);
}

/// Two places with equally many commits, of the same shape and size, have different revisions. A
/// program may replace one place by the other.
pub fn a_revision_of_another_place_returns_all_records<H: Harness>() {
    let (here, there) = (H::new(), H::new());
    let (here, there) = (here.open(), there.open());
    let user = Partition::user("u");
    for (ours, theirs) in [("ours 1", "their 1"), ("ours 2", "their 2")] {
        let ours = [account("u", "k", ours)];
        put(&here, &ours);
        put_one(&there, &account("u", "k", theirs));
        let theirs = load(&there, &user).revision();
        let found = load_since(&here, &user, theirs).expect("a revision of another place");
        assert_same("a load", found.records(), &ours);
        let theirs = list(&there, None).revision();
        let found = list_since(&here, None, theirs).expect("a revision of another place");
        assert_same("a listing", found.records(), &ours);
    }
}
