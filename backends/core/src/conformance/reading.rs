//! What a load answers.

use super::Harness;
use super::tools::{
    account, assert_holds, assert_same, delete, list, list_since, load, load_since, put, put_one,
};
use crate::{CredentialType, Partition, Revision};

/// A partition that holds nothing is a snapshot without records, at [`Revision::ABSENT`], and
/// whoever knows that is told that nothing has changed.
pub fn what_is_not_there_is_empty_and_absent<H: Harness>() {
    let place = H::new();
    let store = place.open();
    for partition in [
        Partition::user("nobody"),
        Partition::app("client", "tenant", None),
        Partition::app_metadata(),
        Partition::unowned(),
    ] {
        let found = load(&store, &partition);
        assert_same("an empty place", found.records(), &[]);
        assert_eq!(found.revision(), Revision::ABSENT, "{partition:?} of an empty place");
        assert!(load_since(&store, &partition, Revision::ABSENT).is_none(), "{partition:?}");
    }
    assert_holds(&store, &[]);
    put_one(&store, &account("u", "k", "somebody"));
    assert_eq!(load(&store, &Partition::user("nobody")).revision(), Revision::ABSENT);
}

/// What one handle writes, every handle reads: one that is opened later, and one that has looked
/// before and found something else.
pub fn what_one_handle_writes_every_handle_reads<H: Harness>() {
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
        let since = load_since(&reader, &user, known).expect("it has changed since");
        assert_same("what is new", since.records(), &records[..1]);
        known = since.revision();
    }
    delete(&writer, &[account("u", "k", ""), account("v", "l", "")]);
    let since = load_since(&reader, &user, known).expect("it is gone since");
    assert_eq!(since.revision(), Revision::ABSENT);
    assert_holds(&reader, &[]);
    assert_holds(&place.open(), &[]);
}

/// A caller that knows the revision of what is there is told so, until it changes: by a new
/// record, another value, or a record less.
pub fn a_known_revision_is_unchanged_until_something_changes<H: Harness>() {
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
        assert!(load_since(&store, &user, before).is_none(), "nothing changed before {at}");
        change();
        let after = load_since(&store, &user, before);
        let after = after.unwrap_or_else(|| panic!("change {at} was not noticed"));
        assert_ne!(after.revision(), before, "after change {at}");
        assert_eq!(
            load(&store, &user).revision(),
            after.revision(),
            "read twice after change {at}"
        );
        assert!(load_since(&store, &user, after.revision()).is_none(), "nothing since {at}");
    }
}

/// A revision that nobody was ever given stands for nothing: whoever comes with it is shown
/// everything. So is whoever comes with [`Revision::ABSENT`] to what is there.
pub fn an_invented_revision_reads_everything<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let records = [account("u", "k", "1"), account("u", "l", "2")];
    put(&store, &records);
    for invented in [Revision::ABSENT, Revision::unique(), Revision::from_u128(u128::MAX)] {
        let everything = load_since(&store, &Partition::user("u"), invented);
        let everything = everything.unwrap_or_else(|| panic!("{invented:?} was taken for known"));
        assert_same("a load", everything.records(), &records);
        for section in [None, Some(&CredentialType::Account)] {
            let everything = list_since(&store, section, invented);
            let everything =
                everything.unwrap_or_else(|| panic!("{invented:?} was taken for a listing's"));
            assert_same("a listing", everything.records(), &records);
        }
    }
    let nothing = load_since(&store, &Partition::user("nobody"), Revision::unique());
    assert_eq!(nothing.expect("the revision is invented").revision(), Revision::ABSENT);
}

/// Two places that have seen as many commits, of the same shape and size, are still two: the
/// revisions of one are no revisions of the other. A program may put one in the other's stead.
pub fn a_revision_of_another_place_reads_everything<H: Harness>() {
    let (here, there) = (H::new(), H::new());
    let (here, there) = (here.open(), there.open());
    let user = Partition::user("u");
    for (ours, theirs) in [("ours 1", "their 1"), ("ours 2", "their 2")] {
        let ours = [account("u", "k", ours)];
        put(&here, &ours);
        put_one(&there, &account("u", "k", theirs));
        let theirs = load(&there, &user).revision();
        let everything = load_since(&here, &user, theirs).expect("it is another place's revision");
        assert_same("a load", everything.records(), &ours);
        let theirs = list(&there, None).revision();
        let everything = list_since(&here, None, theirs).expect("it is another place's listing");
        assert_same("a listing", everything.records(), &ours);
    }
}
