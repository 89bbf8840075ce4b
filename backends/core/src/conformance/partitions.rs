//! Partitions are isolated from each other.

use super::Harness;
use super::tools::{
    account, assert_holds, assert_same, commit, delete, load, load_since, put, put_one, record,
};
use crate::{Batch, CredentialType, Expect, Partition, Record};

/// Users, clients, their tenants, extended cache keys, metadata and unowned records are read
/// separately.
pub fn partitions_are_read_separately<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let records = [
        record("AccessToken", "1", r#"{"home_account_id":"u","client_id":"c","realm":"r"}"#),
        record("AccessToken", "2", r#"{"client_id":"c","realm":"r"}"#),
        record("AccessToken", "3", r#"{"client_id":"c","realm":"s"}"#),
        record("AccessToken", "4", r#"{"client_id":"d","realm":"r"}"#),
        record("AccessToken", "5", r#"{"client_id":"c","realm":"r","ext_cache_key":"e"}"#),
        record("AccessToken", "6", r#"{"client_id":"c","realm":"r","ext_cache_key":"f"}"#),
        record("AppMetadata", "7", r#"{"client_id":"c","environment":"example.org"}"#),
        record("AccessToken", "8", r#"{"realm":"r"}"#),
    ];
    put(&store, &records);
    assert_holds(&store, &records);
    assert_holds(&place.open(), &records);
    for record in &records {
        let found = load(&store, record.partition()).into_records();
        assert_same("a partition of one record", &found, std::slice::from_ref(record));
    }
}

/// A record belongs to the user in its JSON, however the id is written: with escapes, with white
/// space, as a number, before or after other fields, or twice, where the last one counts.
pub fn a_record_belongs_to_the_user_it_names<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let values = [
        r#"{"home_account_id":"user 12"}"#,
        r#"{"home_account_id":"\u0075ser\u002012"}"#,
        r#"{ "x" : {"home_account_id":"inner"} , "home_account_id" : "user 12" }"#,
        r#"{"home_account_id":"user 13","home_account_id":"user 12"}"#,
        r#"{"home\u005faccount_id":"user 12"}"#,
        r#"{"home_account_id":12}"#,
        r#"{"home_account_id":"12"}"#,
        r#"{"home_account_id":"","client_id":"user 12"}"#,
        r#"{"home_account_id":null,"client_id":"\u0075ser 12"}"#,
        r#"{"x":"\"home_account_id\":\"user 12\"","home_account_id":"user 13"}"#,
    ];
    let records: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(at, value)| record("IdToken", &format!("k{at}"), value))
        .collect();
    let users = records_of(&records, &Partition::user("user 12"));
    assert_eq!(users.len(), 5, "the records of this user");
    put(&store, &records);
    assert_holds(&store, &records);
    assert_holds(&place.open(), &records);
    delete(&place.open(), &users);
    let left: Vec<_> = records.into_iter().filter(|it| !users.contains(it)).collect();
    assert_holds(&store, &left);
}

/// The records that belong to this partition.
fn records_of(records: &[Record], partition: &Partition) -> Vec<Record> {
    records.iter().filter(|it| *it.partition() == *partition).cloned().collect()
}

/// Ids that look similar to a database, a file system or a pattern are different users.
pub fn similar_user_ids_are_distinct<H: Harness>() {
    let users = [
        "u",
        "u ",
        "u.t",
        "u%2Ft",
        "u/t",
        "u\\\\t",
        "u_t",
        "u%",
        "%",
        "*",
        "..",
        "u'",
        "1",
        "1.0",
        "\u{e9}",
        "e\u{301}",
        "\u{df}",
        "ss",
        "u\\u0000",
        "\u{1f600}",
    ];
    let place = H::new();
    let store = place.open();
    let mut records: Vec<_> = users
        .iter()
        .enumerate()
        .map(|(at, user)| account(user, &format!("k{at}"), &at.to_string()))
        .collect();
    put(&store, &records);
    assert_holds(&store, &records);
    assert_holds(&place.open(), &records);
    while let Some(deleted) = records.pop() {
        delete(&store, &[deleted]);
        assert_holds(&store, &records);
    }
}

/// A delete affects the records of its own partition only, although another partition has a record
/// under that section and key.
pub fn a_delete_affects_its_partition_only<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let records = [account("u", "ku", "1"), account("v", "kv", "1"), record("", "version", "3")];
    put(&store, &records);
    let mut batch = Batch::new();
    let change = batch.change(Partition::user("v"), Expect::Any);
    change.delete(CredentialType::Account, "ku".into()).delete_record(&records[2]);
    batch.change(Partition::unowned(), Expect::Any).delete(CredentialType::Account, "kv".into());
    commit(&store, &batch);
    assert_holds(&store, &records);
}

/// A commit doesn't change the revisions of other partitions, so their writers don't conflict with
/// it.
pub fn a_commit_leaves_other_partitions_unchanged<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let user = Partition::user("u");
    let revision = put_one(&store, &account("u", "ku", "1"));
    put(&store, &[account("v", "kv", "1"), account("w", "kw", "1")]);
    put_one(&store, &account("v", "kv", "22"));
    delete(&store, &[account("w", "kw", "1")]);
    assert!(load_since(&store, &user, revision).is_none(), "other partitions have changed");
    let mut batch = Batch::new();
    batch.change(user, Expect::Revision(revision)).put(account("u", "ku", "2"));
    commit(&store, &batch);
    assert_holds(&store, &[account("u", "ku", "2"), account("v", "kv", "22")]);
}
