//! What a purge deletes and keeps.

use super::Harness;
use super::tools::{
    account, assert_holds, delete, list, load, load_since, purge, put, put_one, record, token,
};
use crate::{CacheStore, Partition, Revision};

/// A purge deletes the records that expire before `now`, and returns their number. A record that
/// expires exactly at `now` stays.
pub fn a_purge_deletes_exactly_the_expired_records<H: Harness>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let records: Vec<_> = (90..110)
        .map(|at| token(&format!("user {}", at % 3), &format!("k{at}"), &format!("\"{at}\"")))
        .collect();
    put(&store, &records);
    assert_purge(&store, 90, 0);
    assert_holds(&store, &records);
    assert_purge(&store, 91, 1);
    assert_holds(&store, &records[1..]);
    assert_purge(&store, 91, 0);
    assert_purge(&other, 100, 9);
    assert_holds(&store, &records[10..]);
    assert_holds(&place.open(), &records[10..]);
    assert_purge(&store, i64::MIN, 0);
    assert_purge(&store, i64::MAX, 10);
    assert_holds(&other, &[]);
    assert_purge(&store, i64::MAX, 0);
}

/// An expiry is read as [`Record::expires_on`](crate::Record::expires_on) reads it: a string or a
/// number, with or without a fraction. A record whose expiry can't be read stays.
pub fn a_purge_reads_expiries_as_records_do<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let records: Vec<_> = [
        "\"99\"",
        "99",
        "\"100\"",
        "100",
        "99.9",
        "\"99.9\"",
        "100.5",
        "\" 17 \"",
        "-1",
        "\"-1\"",
        "0",
        "9.9e1",
        "1e300",
        "\"007\"",
        "\"1000\"",
        "null",
        "\"\"",
        "\"2020-01-01\"",
        "\"soon\"",
        "true",
        "[1]",
        "{}",
        "9007199254740993",
        "\"\\u0031\"",
    ]
    .iter()
    .enumerate()
    .map(|(at, expires_on)| token("u", &format!("k{at}"), expires_on))
    .chain([record("AccessToken", "none", r#"{"home_account_id":"u"}"#)])
    .collect();
    put(&store, &records);
    let (expired, left): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|it| it.expires_on().is_some_and(|at| at < 100));
    assert_purge(&store, 100, expired.len() as u64);
    assert_holds(&store, &left);
}

/// Only access tokens expire. An `expires_on` in another section has no meaning.
pub fn a_purge_deletes_access_tokens_only<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let old = r#"{"home_account_id":"u","client_id":"c","expires_on":"1"}"#;
    let sections = ["RefreshToken", "IdToken", "Account", "AppMetadata", "Invented"];
    let mut records = sections.map(|section| record(section, "k", old)).to_vec();
    // A member of the document is not an expiry, whatever its name.
    records.push(record("", "expires_on", "1"));
    put(&store, &records);
    put_one(&store, &token("u", "k", "1"));
    assert_purge(&store, 1000, 1);
    assert_holds(&store, &records);
}

/// The expiry of the stored value counts: a token that was renewed stays, and one whose expiry was
/// moved forward is deleted.
pub fn a_purge_uses_the_latest_value<H: Harness>() {
    let place = H::new();
    let store = place.open();
    put(&store, &[token("u", "renewed", "50"), token("u", "shortened", "150")]);
    put(&store, &[token("u", "odd", "50"), token("u", "lost", "50")]);
    let renewed = [token("u", "renewed", "150"), token("u", "odd", "\"never\"")];
    put(&store, &renewed);
    put_one(&store, &token("u", "shortened", "50"));
    delete(&store, &[token("u", "lost", "50")]);
    assert_purge(&store, 100, 1);
    assert_holds(&store, &renewed);
}

/// A purge covers all partitions. It changes the revisions of those that lose records, and no
/// others. A partition that it has emptied is absent.
pub fn a_purge_leaves_other_partitions_unchanged<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let left = [
        account("touched", "a", "stays"),
        token("untouched", "b", "150"),
        account("untouched too", "c", "stays"),
        record("AppMetadata", "d", r#"{"client_id":"c"}"#),
    ];
    put(&store, &left);
    put(&store, &[token("touched", "e", "50"), token("emptied", "f", "50")]);
    let app = record("AccessToken", "g", r#"{"client_id":"c","realm":"r","expires_on":"50"}"#);
    let unowned = record("AccessToken", "h", r#"{"expires_on":50}"#);
    put(&store, &[app.clone(), unowned.clone()]);
    let revision = |partition: &Partition| load(&store, partition).revision();
    let before = left.each_ref().map(|record| revision(record.partition()));

    assert_purge(&store, 100, 4);
    assert_holds(&store, &left);
    let changed = load_since(&store, &Partition::user("touched"), before[0]);
    assert_ne!(changed.expect("a record was deleted").revision(), before[0]);
    for (record, before) in left.iter().zip(before).skip(1) {
        let since = load_since(&store, record.partition(), before);
        assert!(since.is_none(), "{:?} has changed", record.partition());
    }
    for emptied in
        [Partition::user("emptied"), app.partition().clone(), unowned.partition().clone()]
    {
        assert_eq!(revision(&emptied), Revision::ABSENT, "{emptied:?} is empty");
    }
}

/// A purge without expired records changes nothing, on an empty place and on one with records.
pub fn a_purge_without_expired_records_changes_nothing<H: Harness>() {
    let place = H::new();
    let store = place.open();
    assert_purge(&store, i64::MAX, 0);
    assert_holds(&store, &[]);
    let records = [account("u", "k", "1"), token("v", "l", "\"soon\"")];
    put(&store, &records);
    let revisions = records.each_ref().map(|it| load(&store, it.partition()).revision());
    assert_purge(&store, i64::MAX, 0);
    assert_holds(&store, &records);
    for (record, revision) in records.iter().zip(revisions) {
        assert!(load_since(&store, record.partition(), revision).is_none());
    }
    assert_eq!(list(&store, None).records().len(), 2);
}

#[track_caller]
fn assert_purge(store: &dyn CacheStore, now: i64, expected: u64) {
    let purged = purge(store, now);
    assert_eq!(purged, expected, "the number of records that expire before {now}");
}
