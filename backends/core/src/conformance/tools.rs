//! Helpers of the cases: records, verbs that must not fail, and strict comparisons.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::{
    Batch, CacheStore, CredentialType, Error, Expect, Json, Load, Partition, Record, Result,
    Revision, Snapshot,
};

pub(super) fn record(section: &str, key: &str, json: &str) -> Record {
    let json = Json::new(json).expect("valid JSON");
    Record::new(section.into(), key, json)
}

/// An account. Accounts of different users need different keys, since a key is the identity of a
/// record within a section.
pub(super) fn account(user: &str, key: &str, name: &str) -> Record {
    record("Account", key, &format!(r#"{{"home_account_id":"{user}","username":"{name}"}}"#))
}

/// An access token with this JSON value as its expiry.
pub(super) fn token(user: &str, key: &str, expires_on: &str) -> Record {
    let json = format!(r#"{{"home_account_id":"{user}","expires_on":{expires_on}}}"#);
    record("AccessToken", key, &json)
}

/// A batch that puts these records into their partitions.
pub(super) fn puts(expect: Expect, records: &[Record]) -> Batch {
    let mut batch = Batch::new();
    for record in records {
        batch.change(record.partition(), expect).put(record.clone());
    }
    batch
}

/// A batch that deletes these records.
pub(super) fn deletes(expect: Expect, records: &[Record]) -> Batch {
    let mut batch = Batch::new();
    for record in records {
        let (section, key) = (record.credential_type().clone(), record.shared_key().clone());
        batch.change(record.partition(), expect).delete(section, key);
    }
    batch
}

#[track_caller]
pub(super) fn commit(store: &dyn CacheStore, batch: &Batch) -> Vec<Revision> {
    let revisions = store.commit(batch).expect("the commit must succeed");
    assert_eq!(revisions.len(), batch.changes().len(), "the number of returned revisions");
    revisions
}

#[track_caller]
pub(super) fn put(store: &dyn CacheStore, records: &[Record]) -> Vec<Revision> {
    commit(store, &puts(Expect::Any, records))
}

/// Puts one record and returns the revision of its partition.
#[track_caller]
pub(super) fn put_one(store: &dyn CacheStore, record: &Record) -> Revision {
    put(store, std::slice::from_ref(record))[0]
}

#[track_caller]
pub(super) fn delete(store: &dyn CacheStore, records: &[Record]) -> Vec<Revision> {
    commit(store, &deletes(Expect::Any, records))
}

#[track_caller]
pub(super) fn purge(store: &dyn CacheStore, now: i64) -> u64 {
    store.purge(now).expect("the purge must succeed")
}

#[track_caller]
pub(super) fn load(store: &dyn CacheStore, partition: &Partition) -> Snapshot {
    match store.load(partition, None).expect("the load must succeed") {
        Load::Snapshot(snapshot) => snapshot,
        Load::Unchanged => panic!("`Unchanged` to a caller that knows no revision"),
    }
}

/// The snapshot of a caller that knows a revision; `None` where the store returns `Unchanged`.
#[track_caller]
pub(super) fn load_since(
    store: &dyn CacheStore,
    partition: &Partition,
    known: Revision,
) -> Option<Snapshot> {
    snapshot(store.load(partition, Some(known)))
}

#[track_caller]
pub(super) fn list(store: &dyn CacheStore, section: Option<&CredentialType>) -> Snapshot {
    match store.list(section, None).expect("the listing must succeed") {
        Load::Snapshot(snapshot) => snapshot,
        Load::Unchanged => panic!("`Unchanged` to a caller that knows no revision"),
    }
}

/// The listing of a caller that knows a revision; `None` where the store returns `Unchanged`.
#[track_caller]
pub(super) fn list_since(
    store: &dyn CacheStore,
    section: Option<&CredentialType>,
    known: Revision,
) -> Option<Snapshot> {
    snapshot(store.list(section, Some(known)))
}

#[track_caller]
fn snapshot(load: Result<Load>) -> Option<Snapshot> {
    match load.expect("the read must succeed") {
        Load::Snapshot(snapshot) => Some(snapshot),
        Load::Unchanged => None,
    }
}

/// Asserts that a commit is a conflict.
#[track_caller]
pub(super) fn assert_conflict(store: &dyn CacheStore, batch: &Batch) {
    match store.commit(batch) {
        Err(Error::Conflict) => {}
        Err(error) => panic!("a failed expectation returned {error:?} instead of `Conflict`"),
        Ok(_) => panic!("a commit with a failed expectation succeeded"),
    }
}

/// Asserts that the store holds exactly these records, by all listings and by loads of their
/// partitions. The order counts within one section of one partition, since no other is promised.
#[track_caller]
pub(super) fn assert_holds(store: &dyn CacheStore, expected: &[Record]) {
    assert_same("the listing of all sections", list(store, None).records(), expected);
    let known = CredentialType::KNOWN.iter().map(CredentialType::as_str);
    let sections: BTreeSet<_> = known.chain(expected.iter().map(section_of)).collect();
    for section in sections.into_iter().map(CredentialType::from) {
        let found = list(store, Some(&section)).into_records();
        let expected: Vec<_> =
            expected.iter().filter(|it| *it.credential_type() == section).cloned().collect();
        assert_same(&format!("the listing of section {section:?}"), &found, &expected);
    }
    let partitions: BTreeSet<_> = expected.iter().map(Record::partition).collect();
    for partition in partitions {
        let found = load(store, partition);
        let expected: Vec<_> =
            expected.iter().filter(|it| it.partition() == partition).cloned().collect();
        assert_same(&format!("partition {partition:?}"), found.records(), &expected);
        assert_ne!(found.revision(), Revision::ABSENT, "the revision of {partition:?}");
    }
}

/// Asserts that these are the same records, in the same order within each section of a partition.
#[track_caller]
pub(super) fn assert_same(what: &str, found: &[Record], expected: &[Record]) {
    let (found, expected) = (grouped(found), grouped(expected));
    let groups: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    for group in groups {
        let [found, expected] =
            [&found, &expected].map(|it| it.get(group).map_or(&[][..], |it| it));
        let same = found.len() == expected.len()
            && found.iter().zip(expected).all(|(found, expected)| is_same(found, expected));
        assert!(
            same,
            "{what}, section {:?} of {:?}:\nfound    {}\nexpected {}",
            group.1,
            group.0,
            shown(found),
            shown(expected)
        );
    }
}

type Groups<'a> = BTreeMap<(Partition, &'a str), Vec<&'a Record>>;

fn grouped(records: &[Record]) -> Groups<'_> {
    let mut groups = Groups::new();
    for record in records {
        groups.entry((record.partition().clone(), section_of(record))).or_default().push(record);
    }
    groups
}

fn section_of(record: &Record) -> &str {
    record.credential_type().as_str()
}

/// Compares records. Values are returned as they were put, with one exception: characters that
/// aren't ASCII may be escaped, as in the document that all MSAL libraries share.
fn is_same(found: &Record, expected: &Record) -> bool {
    let [text, expected_text] = [found, expected].map(|it| it.value().expose());
    found.key() == expected.key()
        && found.credential_type() == expected.credential_type()
        && (text == expected_text
            || !expected_text.is_ascii() && normalized(text) == normalized(expected_text))
}

/// The text with each string in one spelling. Everything else is unchanged, including numbers.
fn normalized(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let mut escaped = false;
        let end = rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let (string, after) = rest.split_at(end.map_or(rest.len(), |end| end + 2));
        match serde_json::from_str::<String>(string) {
            // Writing to a string can't fail.
            Ok(text) => drop(write!(out, "{text:?}")),
            Err(_) => out.push_str(string),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The records for a message. They are test data, so their values may be printed.
fn shown(records: &[&Record]) -> String {
    if records.is_empty() {
        return "no records".into();
    }
    let shown = records.iter().take(20).map(|record| {
        let text: String = record.value().expose().chars().take(120).collect();
        format!("{:?}: {text}", record.key())
    });
    format!("{} records: {}", records.len(), shown.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_may_be_escaped_and_numbers_may_not_change() {
        let of = |json| record("X", "k", json);
        assert!(is_same(&of(r#"{"a":"\u00e9\"","b":1.50}"#), &of(r#"{"a":"é\"","b":1.50}"#)));
        assert!(!is_same(&of(r#"{"a":"\u00e9","b":1.5}"#), &of(r#"{"a":"é","b":1.50}"#)));
        assert!(!is_same(&of(r#"{"a":"\u00ea","b":1.50}"#), &of(r#"{"a":"é","b":1.50}"#)));
        assert!(!is_same(&of(r#"{"a":"A"}"#), &of(r#"{"a":"\u0041"}"#)));
    }

    #[test]
    #[should_panic(expected = "section \"AccessToken\"")]
    fn a_different_order_is_an_error() {
        let [a, b] = ["a", "b"].map(|key| token("u", key, "1"));
        assert_same("it", &[a.clone(), b.clone()], &[b, a]);
    }
}
