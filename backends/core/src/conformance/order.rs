//! The order of records, and of what is done to them.

use super::Harness;
use super::tools::{account, assert_holds, commit, delete, purge, put, put_one, record, token};
use crate::{Batch, CredentialType, Expect, Partition};

/// Records come in the order in which their keys were first put, however they sort and whether
/// they came in one commit or in several.
pub fn records_come_in_the_order_in_which_they_were_put<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let keys = ["m", "z", "a", "10", "9", "\u{e9}", "M", "b"];
    let mut records = Vec::new();
    for (at, keys) in keys.chunks(3).enumerate() {
        let new: Vec<_> = keys.iter().map(|key| account("u", key, &at.to_string())).collect();
        put(&store, &new);
        records.extend(new);
    }
    assert_holds(&store, &records);
    assert_holds(&place.open(), &records);
}

/// A record that is written again stays where it stood.
pub fn a_known_key_keeps_its_place<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let mut records = ["c", "a", "b"].map(|key| account("u", key, "old"));
    put(&store, &records);
    for at in [1, 0, 2] {
        records[at] = account("u", records[at].key(), "new");
        put_one(&store, &records[at]);
        assert_holds(&store, &records);
    }
    // And in a commit that brings others before and after it.
    let more = [account("u", "0", "more"), account("u", "a", "newest"), account("u", "d", "more")];
    put(&store, &more);
    let [c, _, b] = records;
    let [zero, a, d] = more;
    assert_holds(&place.open(), &[c, a, b, zero, d]);
}

/// A deleted record is gone; put again, it is new and comes last. Deleting what isn't there is no
/// error and does nothing, least of all to its namesake in another section.
pub fn a_deleted_record_goes_and_comes_back_at_the_end<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let [a, b, c] = ["a", "b", "c"].map(|key| account("u", key, "1"));
    let namesake = token("u", "a", "\"7\"");
    put(&store, &[a.clone(), b.clone(), c.clone(), namesake.clone()]);
    delete(&store, std::slice::from_ref(&a));
    assert_holds(&store, &[b.clone(), c.clone(), namesake.clone()]);
    delete(&store, &[a.clone(), account("u", "never there", ""), token("u", "b", "1")]);
    delete(&store, &[account("nobody", "b", "")]);
    assert_holds(&store, &[b.clone(), c.clone(), namesake.clone()]);
    put_one(&store, &a);
    assert_holds(&place.open(), &[b, c, a, namesake]);
}

/// A partition of many records is no different: the order, the places of known keys and what is
/// gone are those of a small one, also while it shrinks and grows again.
pub fn a_large_partition_is_like_a_small_one<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let record = |n: usize, value: &str| {
        let expires_on = if n.is_multiple_of(5) { "50" } else { "150" };
        let json = format!(r#"{{"home_account_id":"u","expires_on":{expires_on},"v":"{value}"}}"#);
        record("AccessToken", &format!("k{n}"), &json)
    };
    let mut held: Vec<_> = (0..120).map(|n| record(n, "old")).collect();
    put(&store, &held);
    for n in (0..120).step_by(3) {
        held[n] = record(n, "new");
    }
    let new: Vec<_> = held.iter().step_by(3).cloned().collect();
    put(&store, &new);
    assert_holds(&store, &held);

    let gone: Vec<_> = held.iter().step_by(2).cloned().collect();
    held.retain(|it| !gone.contains(it));
    delete(&store, &gone);
    assert_holds(&store, &held);
    put(&store, &gone);
    held.extend(gone);
    assert_holds(&store, &held);

    let before = held.len();
    held.retain(|it| it.expires_on().is_some_and(|at| at >= 100));
    assert_eq!(purge(&store, 100), (before - held.len()) as u64);
    assert_holds(&store, &held);
    while held.len() > 1 {
        let gone = held.split_off(held.len() / 2);
        delete(&store, &gone);
        assert_holds(&store, &held);
    }
    let more: Vec<_> = (200..250).map(|n| record(n, "more")).collect();
    put(&store, &more);
    held.extend(more);
    assert_holds(&place.open(), &held);
}

/// The operations of a change apply one after the other, so the last word on a key counts: also
/// where it says what stood there before.
pub fn operations_apply_in_their_order<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let user = Partition::user("u");
    let section = || CredentialType::Account;
    let mut batch = Batch::new();
    let change = batch.change(user.clone(), Expect::Any);
    change.put(account("u", "k", "1")).delete(section(), "k".into());
    change.put(account("u", "k", "2")).put(account("u", "k", "3"));
    change.put(account("u", "gone", "x")).delete(section(), "gone".into());
    change.delete(section(), "late".into()).put(account("u", "late", "4"));
    commit(&store, &batch);
    let [k, late] = [account("u", "k", "3"), account("u", "late", "4")];
    assert_holds(&store, &[k.clone(), late.clone()]);

    // Deleted and put again as it was, it is there, and new.
    let mut batch = Batch::new();
    let change = batch.change(user.clone(), Expect::Any);
    change.delete(section(), "k".into()).put(k.clone());
    commit(&store, &batch);
    assert_holds(&store, &[late.clone(), k.clone()]);

    // Put as it is and deleted then, it is gone.
    let mut batch = Batch::new();
    batch.change(user, Expect::Any).put(k).delete(section(), "k".into());
    commit(&store, &batch);
    assert_holds(&place.open(), &[late]);
}
