//! The order of records and of operations.

use super::Harness;
use super::tools::{account, assert_holds, commit, delete, purge, put, put_one, record, token};
use crate::{Batch, CredentialType, Expect, Partition};

/// Records are returned in the order in which their keys were first put, in one commit or in
/// several, and not sorted.
pub fn records_are_in_the_order_of_their_first_puts<H: Harness>() {
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

/// A record that is replaced keeps its position.
pub fn a_replaced_record_keeps_its_position<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let mut records = ["c", "a", "b"].map(|key| account("u", key, "old"));
    put(&store, &records);
    for at in [1, 0, 2] {
        records[at] = account("u", records[at].key(), "new");
        put_one(&store, &records[at]);
        assert_holds(&store, &records);
    }
    // Also in a commit that adds records before and after it.
    let more = [account("u", "0", "more"), account("u", "a", "newest"), account("u", "d", "more")];
    put(&store, &more);
    let [c, _, b] = records;
    let [zero, a, d] = more;
    assert_holds(&place.open(), &[c, a, b, zero, d]);
}

/// A deleted record that is put again is new and comes last. Deleting an absent record succeeds and
/// does nothing, also where another section or partition has a record under that key.
pub fn a_deleted_record_returns_at_the_end<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let [a, b, c] = ["a", "b", "c"].map(|key| account("u", key, "1"));
    let same_key = token("u", "a", "\"7\"");
    put(&store, &[a.clone(), b.clone(), c.clone(), same_key.clone()]);
    delete(&store, std::slice::from_ref(&a));
    assert_holds(&store, &[b.clone(), c.clone(), same_key.clone()]);
    delete(&store, &[a.clone(), account("u", "absent", ""), token("u", "b", "1")]);
    delete(&store, &[account("other", "b", "")]);
    assert_holds(&store, &[b.clone(), c.clone(), same_key.clone()]);
    put_one(&store, &a);
    assert_holds(&place.open(), &[b, c, a, same_key]);
}

/// A partition of many records keeps order and positions like a small one, also while it shrinks
/// and grows again.
pub fn large_partitions_behave_like_small_ones<H: Harness>() {
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

    let deleted: Vec<_> = held.iter().step_by(2).cloned().collect();
    held.retain(|it| !deleted.contains(it));
    delete(&store, &deleted);
    assert_holds(&store, &held);
    put(&store, &deleted);
    held.extend(deleted);
    assert_holds(&store, &held);

    let before = held.len();
    held.retain(|it| it.expires_on().is_some_and(|at| at >= 100));
    assert_eq!(purge(&store, 100), (before - held.len()) as u64);
    assert_holds(&store, &held);
    while held.len() > 1 {
        let deleted = held.split_off(held.len() / 2);
        delete(&store, &deleted);
        assert_holds(&store, &held);
    }
    let more: Vec<_> = (200..250).map(|n| record(n, "more")).collect();
    put(&store, &more);
    held.extend(more);
    assert_holds(&place.open(), &held);
}

/// The operations of a change are applied one after the other, so the last operation on a key
/// counts, also where it restores the earlier record.
pub fn operations_are_applied_in_order<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let user = Partition::user("u");
    let section = || CredentialType::Account;
    let mut batch = Batch::new();
    let change = batch.change(user.clone(), Expect::Any);
    change.put(account("u", "k", "1")).delete(section(), "k".into());
    change.put(account("u", "k", "2")).put(account("u", "k", "3"));
    change.put(account("u", "short", "x")).delete(section(), "short".into());
    change.delete(section(), "late".into()).put(account("u", "late", "4"));
    commit(&store, &batch);
    let [k, late] = [account("u", "k", "3"), account("u", "late", "4")];
    assert_holds(&store, &[k.clone(), late.clone()]);

    // Deleted and put again unchanged: the record is new.
    let mut batch = Batch::new();
    let change = batch.change(user.clone(), Expect::Any);
    change.delete(section(), "k".into()).put(k.clone());
    commit(&store, &batch);
    assert_holds(&store, &[late.clone(), k.clone()]);

    // Put unchanged and deleted: the record is deleted.
    let mut batch = Batch::new();
    batch.change(user, Expect::Any).put(k).delete(section(), "k".into());
    commit(&store, &batch);
    assert_holds(&place.open(), &[late]);
}
