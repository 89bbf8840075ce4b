//! Everything that is put is kept.

use super::Harness;
use super::tools::{
    account, assert_holds, assert_same, commit, delete, list, load, put, puts, record,
};
use crate::{Batch, CacheStore, CredentialType, Expect, Json, Partition, Record};

/// Records of every section are kept, including sections that aren't in the schema, and are not
/// confused with each other.
pub fn records_of_every_section_are_kept<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let mut records = Vec::new();
    for section in CredentialType::KNOWN.iter().map(CredentialType::as_str).chain([
        "Invented",
        "account",
        "ACCOUNT",
        "Account ",
        "a.b",
        "1",
        "null",
        "sección \u{1f600}",
        "\"quoted\" 'too' \\ \n",
        "%_*?",
    ]) {
        // The same keys in all sections, since a key names a record within its section.
        for key in ["k", "l"] {
            let json = r#"{"home_account_id":"u","client_id":"c"}"#;
            records.push(record(section, key, json));
        }
    }
    put(&store, &records);
    assert_holds(&store, &records);
    assert_holds(&place.open(), &records);
}

/// A section is identified by its name: a section of the schema is the same when it is spelled out
/// as [`CredentialType::Other`].
pub fn a_section_is_identified_by_its_name<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let spelled_out = CredentialType::Other("Account".into());
    let [a, b] = ["a", "b"].map(|key| account("u", key, "1"));
    let again = Record::new(spelled_out.clone(), "a", account("u", "a", "2").value().clone());
    put(&store, &[a, b.clone()]);
    put(&store, std::slice::from_ref(&again));
    let stored = [account("u", "a", "2"), b.clone()];
    assert_holds(&store, &stored);
    assert_same("a listing", list(&store, Some(&spelled_out)).records(), &stored);
    let mut batch = Batch::new();
    batch.change(again.partition(), Expect::Any).delete(spelled_out, "a".into());
    commit(&store, &batch);
    assert_holds(&place.open(), &[b]);
}

/// Members of the document that aren't sections, and values in sections that aren't objects, belong
/// to no user or client. They are kept for other libraries.
pub fn members_of_the_document_are_kept<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let mut records = vec![
        record("", "version", "3"),
        record("", "a text", r#""with \"quotes\" and \u00e9""#),
        record("", "a list", "[1, {\"AccessToken\": {}}]"),
        record("", "a boolean", "true"),
        record("Invented", "a number", "7"),
        record("Invented", "a list", "[]"),
        record("Invented", "null", "null"),
        record("Invented", "empty", "{}"),
        account("u", "k", "1"),
    ];
    put(&store, &records);
    assert_holds(&store, &records);
    assert_holds(&place.open(), &records);
    assert_same("unowned records", load(&store, &Partition::unowned()).records(), &records[..8]);

    records[0] = record("", "version", "4");
    put(&store, &records[..1]);
    let deleted = records.remove(2);
    delete(&store, &[deleted]);
    assert_holds(&place.open(), &records);
}

/// Keys are any text. Two keys that differ in any way are different keys.
pub fn unusual_keys_are_kept_and_distinct<H: Harness>() {
    let long = "long".repeat(2000);
    let keys = [
        "",
        " ",
        "k",
        "K",
        "k ",
        " k",
        "k\0",
        "k\n",
        "\\",
        "\"",
        "'",
        "k'; --",
        "%",
        "_",
        "a/b",
        "a\\/b",
        "../k",
        ".",
        "1",
        "01",
        "1.0",
        "1e0",
        "null",
        "\u{e9}",
        "e\u{301}",
        "\u{df}",
        "ss",
        "SS",
        "\u{130}",
        "i",
        "I",
        "\u{1f600}",
        "\u{2028}",
        "\u{feff}k",
        "\u{202e}k",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{7f}",
        long.as_str(),
    ];
    let place = H::new();
    let store = place.open();
    let mut records: Vec<_> =
        keys.iter().enumerate().map(|(at, key)| account("u", key, &at.to_string())).collect();
    put(&store, &records);
    assert_holds(&store, &records);
    assert_holds(&place.open(), &records);

    // Each of them can be replaced and deleted by itself.
    for (at, key) in keys.iter().enumerate().step_by(2) {
        records[at] = account("u", key, "again");
        put(&store, &records[at..=at]);
    }
    assert_holds(&store, &records);
    let deleted: Vec<_> = records.iter().skip(1).step_by(2).cloned().collect();
    delete(&store, &deleted);
    let left: Vec<_> = records.into_iter().step_by(2).collect();
    assert_holds(&place.open(), &left);
}

/// A value is kept as text, with its digits, white space, order of members, repeated members, and
/// escapes that aren't valid Unicode.
pub fn values_are_kept_as_written<H: Harness>() {
    let deep =
        format!(r#"{{"home_account_id":"u","deep":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    let values = [
        r#"{"home_account_id":"u","n":[1.50,0.10,-0.0,1E400,9e-999,123456789012345678901234567890]}"#,
        "{ \"z\" : 1 ,\t\"home_account_id\":\"u\", \"a\":\r\n[ ] }",
        r#"{"twice":1,"home_account_id":"u","twice":2}"#,
        r#"{"home_account_id":"u","escapes":"\u0041\/\b\f\n\r\t\\\"\u0000\u001f\u00e9"}"#,
        r#"{"home_account_id":"u","half a character":"\ud83d"}"#,
        r#"{"home_account_id":"u","":{"":[{}]},"null":null,"true":true}"#,
        deep.as_str(),
    ];
    let place = H::new();
    let store = place.open();
    let records: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(at, value)| record("RefreshToken", &format!("k{at}"), value))
        .collect();
    put(&store, &records);
    assert_holds(&store, &records);
    assert_holds(&place.open(), &records);
    // A later commit of another record may write them again.
    put(&store, &[account("v", "l", "")]);
    assert_same("a load", load(&store, &Partition::user("u")).records(), &records);
}

/// Characters of any kind are kept in values. They may be returned as escapes, but numbers in the
/// same value keep their digits.
pub fn unicode_in_values_is_kept<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let records: Vec<_> = [
        "é",
        "e\u{301}",
        "語",
        "\u{1f600}\u{200d}\u{1f525}",
        "\u{2028}\u{2029}",
        "\u{feff}",
        "\u{fffd}\u{ffff}",
        "\u{10ffff}",
        "\u{202e}txt",
        "\u{7f}\u{80}",
        "é\\u00e9\\\\é",
    ]
    .iter()
    .enumerate()
    .map(|(at, text)| {
        let json = format!(r#"{{"home_account_id":"u","{text}":"{text}","n":1.50,"m":[1E2]}}"#);
        record("IdToken", &format!("k{at}"), &json)
    })
    .collect();
    put(&store, &records);
    assert_holds(&store, &records);
    assert_holds(&place.open(), &records);
}

/// A value of a megabyte is kept, together with small ones.
pub fn large_values_are_kept<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let large = "0123456789abcdef".repeat(1 << 16);
    let records =
        [account("u", "small", "x"), account("u", "large", &large), account("v", "other", "y")];
    put(&store, &records);
    assert_holds(&store, &records);
    assert_holds(&place.open(), &records);
    let records = [records[0].clone(), account("u", "large", "small now"), records[2].clone()];
    put(&store, &records);
    assert_holds(&place.open(), &records);
}

/// A batch of many records in many partitions is applied completely.
pub fn many_records_are_kept<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let records: Vec<_> = (0..1000)
        .map(|n| account(&format!("user {}", n % 40), &format!("k{n}"), &n.to_string()))
        .collect();
    put(&store, &records);
    assert_holds(&store, &records);
    assert_holds(&place.open(), &records);
}

/// A value that isn't JSON is kept or is an error. In both cases other records are unaffected; after
/// an error, nothing of the batch was applied.
pub fn invalid_json_affects_no_other_record<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let before = [account("u", "k", "1"), account("v", "l", "2")];
    put(&store, &before);
    let value = Json::from_stored("{\"CANARY\": ");
    let broken = Record::new(CredentialType::Account, "broken", value);
    let more = account("w", "m", "3");
    let batch = puts(Expect::Any, &[more.clone(), broken.clone()]);
    match store.commit(&batch) {
        Ok(_) => {
            // The record names no user.
            delete(&store, &[broken]);
            assert_holds(&place.open(), &[&before[..], &[more]].concat());
        }
        Err(error) => {
            let printed = format!("{error} {error:?}");
            assert!(!printed.contains("CANARY"), "the error quotes the value: {printed}");
            assert_holds(&store, &before);
            assert_holds(&place.open(), &before);
        }
    }
}
