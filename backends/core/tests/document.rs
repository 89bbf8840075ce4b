//! The JSON document: what is kept, and what is an error.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use msal_cache_core::internal::{compose, decompose};
use msal_cache_core::{
    Batch, Blob, BlobStore, CacheStore, CredentialType, Document, Error, Expect, Hold, Json, Load,
    Partition, Record, Result, Revision, retry,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A string that returns these texts in turn, and the last one from then on.
#[derive(Debug)]
struct Script {
    texts: Vec<Vec<u8>>,
    reads: AtomicUsize,
    written: Mutex<Option<Vec<u8>>>,
    holds: AtomicUsize,
    quarantines: bool,
}

impl Script {
    fn new(texts: &[&str]) -> Self {
        Self {
            texts: texts.iter().map(|text| text.as_bytes().to_vec()).collect(),
            reads: AtomicUsize::new(0),
            written: Mutex::new(None),
            holds: AtomicUsize::new(0),
            quarantines: false,
        }
    }

    fn written(&self) -> Value {
        serde_json::from_slice(self.written.lock().unwrap().as_ref().unwrap()).unwrap()
    }
}

impl BlobStore for Script {
    fn read(&self, _known: Option<Revision>) -> Result<Blob> {
        let read = self.reads.fetch_add(1, Ordering::SeqCst);
        let written = self.written.lock().unwrap().clone();
        let text = written.or_else(|| self.texts.get(read.min(self.texts.len() - 1)).cloned());
        Ok(Blob::Present(Revision::unique(), text.unwrap().into()))
    }

    fn swap(&self, _expected: Revision, bytes: &[u8]) -> Result<Revision> {
        *self.written.lock().unwrap() = Some(bytes.to_vec());
        Ok(Revision::unique())
    }

    fn hold(&self) -> Result<Hold<'_>> {
        self.holds.fetch_add(1, Ordering::SeqCst);
        Ok(Hold::none())
    }

    fn quarantine(&self, _unreadable: Revision) -> Result<bool> {
        Ok(self.quarantines)
    }

    fn place(&self) -> String {
        "/the/place".into()
    }
}

fn account(key: &str) -> Record {
    let value = Json::new(r#"{"home_account_id":"u"}"#).unwrap();
    Record::new(CredentialType::Account, key, value)
}

fn put(store: &impl CacheStore, record: Record) -> Result<Vec<Revision>> {
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Any).put(record);
    store.commit(&batch)
}

fn delete(store: &impl CacheStore, partition: Partition, section: &str, key: &str) {
    let mut batch = Batch::new();
    batch.change(partition, Expect::Any).delete(section.into(), key.into());
    store.commit(&batch).unwrap();
}

/// The records of a document. The partition that was found while the document was parsed is the one
/// of the record.
fn records(document: &str) -> Result<Vec<Record>> {
    let records = decompose(document)?;
    for record in &records {
        let key = record.shared_key().clone();
        let again = Record::new(record.credential_type().clone(), key, record.value().clone());
        assert_eq!(record.partition(), again.partition());
        assert_eq!(record.expires_on(), again.expires_on());
    }
    Ok(records)
}

fn round_trip(document: &str) -> Value {
    serde_json::from_str(&compose(records(document).unwrap()).unwrap()).unwrap()
}

#[test]
fn documents_round_trip() {
    for document in [
        json!({}),
        json!({"AccessToken": {}, "Account": {}}),
        json!({"Account": {"k": {"a": [1, null, {"b": "é\u{1F600}\u{2028}"}]}}, "X": {"k": 7}}),
        json!({"a string": "s", "null": null, "list": [1, "two", {}], "number": -1.5e-7}),
        json!({"": {"k": {"v": 1}}, "": 3, "AppMetadata": null, "empty": {}}),
        json!({"Account": {"": {}, "k": null, "n": 3, "s": "s", "l": []}}),
    ] {
        assert_eq!(round_trip(&document.to_string()), document);
    }
}

#[test]
fn numbers_keep_their_digits() {
    let document = r#"{"X": {"k": 123456789012345678901234567890, "e": 1E400, "z": -0.0}}"#;
    let composed = compose(records(document).unwrap()).unwrap();
    for digits in ["123456789012345678901234567890", "1E400", "-0.0"] {
        assert!(composed.contains(digits), "{digits}");
    }
}

#[test]
fn documents_are_written_in_ascii() {
    let composed = compose(records("{\"Äccount\": {\"ключ\": {\"v\": \"語😀\"}}}").unwrap());
    let composed = composed.unwrap();
    assert!(composed.is_ascii());
    let value: Value = serde_json::from_str(&composed).unwrap();
    assert_eq!(value, json!({"Äccount": {"ключ": {"v": "語😀"}}}));
}

#[test]
fn unchanged_values_keep_their_text() {
    let odd = "{ \"b\":1.0 ,\n\t\"a\" : \"\\u0041\\/\" }";
    let store = Document::new(Script::new(&[&format!("{{\"X\": {{\"k\": {odd}}}}}")]));
    put(&store, account("new")).unwrap();
    let written = store.blob().written.lock().unwrap().clone().unwrap();
    assert!(String::from_utf8(written).unwrap().contains(odd));
}

#[test]
fn the_last_of_repeated_keys_counts_and_repeated_sections_are_merged() {
    let document = r#"{"Account": {"k": 1, "other": 2, "k": 3}, "AccessToken": {"a": 1},
                       "Account": {"more": 4, "other": 5}, "AccessToken": {}}"#;
    assert_eq!(
        round_trip(document),
        json!({"Account": {"k": 3, "other": 5, "more": 4}, "AccessToken": {"a": 1}})
    );
    let records = decompose(document).unwrap();
    let keys: Vec<_> = records.iter().map(Record::key).collect();
    assert_eq!(keys, ["k", "other", "more", "a"], "each key is one record");
}

#[test]
fn a_byte_order_mark_is_skipped_and_not_written() {
    let composed = compose(records("\u{feff}{\"A\": {\"k\": 1}}").unwrap()).unwrap();
    assert!(composed.starts_with('{'));
}

#[test]
fn invalid_documents_are_errors_with_a_position_and_without_their_text() {
    let long = format!("{{\"Account\": {{\"k\": \"{}", "CANARY".repeat(100));
    for (text, reason, position) in [
        ("", "it is empty", None),
        (" \n\t", "it is empty", None),
        ("null", "its JSON is not an object", None),
        ("[\"CANARY\"]", "its JSON is not an object", None),
        ("\"CANARY\"", "its JSON is not an object", None),
        ("CANARY", "it is not valid JSON", Some((1, 1))),
        ("{\"a\": {}}CANARY", "it is not valid JSON", Some((1, 10))),
        ("{\"a\": {},}", "it is not valid JSON", Some((1, 10))),
        ("{\"a\": {\n\"CANARY\": tru}}", "it is not valid JSON", Some((2, 14))),
        (long.as_str(), "it ends too early", Some((1, 619))),
        ("{\"AccessToken\": [\"CANARY\"]}", "its section AccessToken is not an object", None),
        ("{\"Account\": 7}", "its section Account is not an object", None),
    ] {
        let error = decompose(text).unwrap_err();
        let printed = format!("{error} / {error:?}");
        assert!(!printed.contains("CANARY"), "{printed}");
        match error {
            Error::Corrupt { reason: found, position: at, .. } => {
                assert_eq!((found.as_str(), at), (reason, position), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn invalid_utf8_is_an_error_with_its_position() {
    let mut script = Script::new(&[""]);
    script.texts = vec![b"{\"a\":\n \"\xff\xfe\"}".to_vec()];
    let error = Document::new(script).list(None, None).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Corrupt { ref place, ref reason, position: Some((2, 3)) }
                if place == "/the/place" && reason == "it is not UTF-8"
        ),
        "{error:?}"
    );
}

#[test]
fn deep_nesting_is_accepted() {
    let deep = format!("{{\"X\": {{\"k\": {}1{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    let composed = compose(records(&deep).unwrap()).unwrap();
    assert!(composed.contains(&"[".repeat(100_000)));
}

#[test]
fn a_document_of_many_members_is_read_and_written_in_linear_time() {
    let members: Vec<_> = (0..100_000).map(|n| format!("\"m{n}\": {n}")).collect();
    let document = format!("{{{}}}", members.join(","));
    let started = Instant::now();
    let records = records(&document).unwrap();
    assert_eq!(records.len(), members.len());
    assert_eq!(decompose(&compose(records).unwrap()).unwrap().len(), members.len());
    let took = started.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_partial_read_is_repeated() {
    let whole = r#"{"Account": {"k": {"home_account_id": "u"}}}"#;
    let store = Document::new(Script::new(&["", &whole[..20], whole]));
    let Load::Snapshot(snapshot) = store.load(&Partition::user("u"), None).unwrap() else {
        panic!()
    };
    assert_eq!(snapshot.records().len(), 1);
    assert_eq!(store.blob().holds.load(Ordering::SeqCst), 0, "the number of locks of a reader");
}

#[test]
fn a_reader_of_an_unreadable_string_takes_the_lock_and_writes_nothing() {
    let mut script = Script::new(&["{\"torn"]);
    script.quarantines = true;
    let store = Document::new(script);
    assert!(matches!(store.list(None, None), Err(Error::Corrupt { .. })));
    assert_eq!(store.blob().holds.load(Ordering::SeqCst), 1);
    assert!(store.blob().written.lock().unwrap().is_none());
}

#[test]
fn a_writer_replaces_an_unreadable_string_only_after_a_quarantine() {
    let store = Document::new(Script::new(&["{\"torn"]));
    assert!(matches!(put(&store, account("k")), Err(Error::Corrupt { .. })));
    assert!(store.blob().written.lock().unwrap().is_none());

    let mut script = Script::new(&["{\"torn"]);
    script.quarantines = true;
    let store = Document::new(script);
    put(&store, account("k")).unwrap();
    assert_eq!(store.blob().written(), json!({"Account": {"k": {"home_account_id": "u"}}}));
}

#[test]
fn a_delete_from_an_unreadable_string_is_an_error_without_a_quarantine() {
    let mut script = Script::new(&["{"]);
    script.quarantines = true;
    let store = Document::new(script);
    let mut batch = Batch::new();
    batch.change(Partition::user("u"), Expect::Any).delete(CredentialType::Account, "k".into());
    assert!(matches!(store.commit(&batch), Err(Error::Corrupt { .. })));
    assert!(matches!(store.purge(0), Err(Error::Corrupt { .. })));
    assert!(store.blob().written.lock().unwrap().is_none());
    let record = account("new");
    batch.change(record.partition(), Expect::Any).put(record);
    store.commit(&batch).unwrap();
}

#[test]
fn keys_that_are_not_unicode_are_kept() {
    let document = r#"{
        "Account": {"\ud800-k": {"n": 1}, "\udfff-k": {"n": 2}, "k": {"home_account_id": "u"}},
        "Other": {"\udc00": {"\ud83d": "\ude00"}, "last": {}},
        "\udc00": {"k": 3}
    }"#;
    let compact = |text: &str| text.replace([' ', '\n'], "");
    assert_eq!(compact(&compose(records(document).unwrap()).unwrap()), compact(document));

    let store = Document::new(Script::new(&[document]));
    let Load::Snapshot(found) = store.load(&Partition::user("u"), None).unwrap() else { panic!() };
    assert_eq!(found.records().len(), 1);
    put(&store, account("new")).unwrap();
    let written = store.blob().written.lock().unwrap().clone().unwrap();
    let written = compact(std::str::from_utf8(&written).unwrap());
    let new = r#","new":{"home_account_id":"u"}}"#;
    assert_eq!(written.replace(new, "}"), compact(document));

    // It can be deleted like any other key.
    let Load::Snapshot(all) = store.list(Some(&CredentialType::Account), None).unwrap() else {
        panic!()
    };
    let odd = all.records().iter().find(|it| it.value().expose().contains('1')).unwrap();
    delete(&store, odd.partition().clone(), "Account", odd.key());
    let written = store.blob().written.lock().unwrap().clone().unwrap();
    let written = String::from_utf8(written).unwrap();
    assert!(!written.contains(r"\ud800-k") && written.contains(r"\udfff-k"), "{written}");
}

#[test]
fn a_commit_that_changes_nothing_writes_nothing() {
    let store = Document::new(Script::new(&[r#"{"Account": {"k": {"home_account_id":"u"}}}"#]));
    put(&store, account("k")).unwrap();
    delete(&store, Partition::user("u"), "Account", "no such key");
    delete(&store, Partition::user("u"), "NoSuchSection", "k");
    assert!(store.blob().written.lock().unwrap().is_none());
}

#[test]
fn invalid_json_is_not_written() {
    let store = Document::new(Script::new(&["{}"]));
    let record = Record::new("Account".into(), "k", Json::from_stored("{\"CANARY"));
    let error = put(&store, record).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("CANARY"));
    assert!(store.blob().written.lock().unwrap().is_none());
}

#[test]
fn only_null_becomes_a_section() {
    let store = Document::new(Script::new(&[r#"{"Account": null, "X": [1]}"#]));
    put(&store, account("k")).unwrap();
    let section = json!({"k": {"home_account_id": "u"}});
    assert_eq!(store.blob().written(), json!({"Account": section, "X": [1]}));

    let record = Record::new("X".into(), "k", Json::new("{}").unwrap());
    assert!(matches!(put(&store, record), Err(Error::Invalid { .. })));
}

#[test]
fn a_section_that_loses_its_last_record_is_removed_and_an_empty_one_stays() {
    let document = r#"{"Account": {"k": {"home_account_id": "u"}}, "IdToken": {}}"#;
    let store = Document::new(Script::new(&[document]));
    delete(&store, Partition::user("u"), "Account", "k");
    assert_eq!(store.blob().written(), json!({"IdToken": {}}));
}

#[test]
fn members_that_are_not_sections_can_be_put_and_deleted_beside_records() {
    let member = |name: &str, json: &str| {
        Record::new(CredentialType::Other("".into()), name, Json::new(json).unwrap())
    };
    let store = Document::new(Script::new(&[r#"{"Account": {"k": {}}}"#]));
    put(&store, member("version", "3")).unwrap();
    put(&store, member("IdToken", "{}")).unwrap();
    put(&store, member("Account", "{}")).unwrap();
    put(&store, member("Account", "null")).unwrap();
    assert_eq!(store.blob().written(), json!({"Account": {"k": {}}, "version": 3, "IdToken": {}}));
    assert!(matches!(put(&store, member("Account", "3")), Err(Error::Invalid { .. })));
    delete(&store, Partition::unowned(), "", "version");
    delete(&store, Partition::unowned(), "", "Account");
    assert_eq!(store.blob().written(), json!({"Account": {"k": {}}, "IdToken": {}}));
}

/// A blob that another writer changes before each swap.
#[derive(Debug, Default)]
struct Contested {
    swaps: AtomicUsize,
}

impl BlobStore for Contested {
    fn read(&self, _known: Option<Revision>) -> Result<Blob> {
        Ok(Blob::Present(Revision::unique(), b"{}".to_vec().into()))
    }

    fn swap(&self, _expected: Revision, _bytes: &[u8]) -> Result<Revision> {
        self.swaps.fetch_add(1, Ordering::SeqCst);
        Err(Error::Conflict)
    }

    fn place(&self) -> String {
        "/the/place".into()
    }
}

#[test]
fn a_swap_that_always_conflicts_is_contended_after_64_attempts() {
    let store = Document::new(Contested::default());
    let error = put(&store, account("k")).unwrap_err();
    assert!(
        matches!(error, Error::Contended { ref place, attempts: 64 } if place == "/the/place"),
        "{error:?}"
    );
    assert!(error.is_retryable());
    assert_eq!(store.blob().swaps.load(Ordering::SeqCst), 64);
}

#[test]
fn a_retried_commit_to_a_contended_blob_costs_64_swaps() {
    let store = Document::new(Contested::default());
    let error = retry(|| put(&store, account("k"))).unwrap_err();
    assert!(matches!(error, Error::Contended { .. }), "{error:?}");
    assert_eq!(store.blob().swaps.load(Ordering::SeqCst), 64);
}

#[test]
fn a_stale_expectation_is_a_conflict_before_any_swap() {
    let store = Document::new(Contested::default());
    let mut batch = Batch::new();
    let record = account("k");
    batch.change(record.partition(), Expect::Revision(Revision::unique())).put(record.clone());
    assert!(matches!(store.commit(&batch), Err(Error::Conflict)));
    assert_eq!(store.blob().swaps.load(Ordering::SeqCst), 0);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,6}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_document() -> impl Strategy<Value = Value> {
    let record = prop_oneof![
        4 => (prop::option::of("[ab]"), prop::option::of("[cd]"), any_json()).prop_map(|(home, client, more)| {
            json!({"home_account_id": home, "client_id": client, "realm": "r", "more": more})
        }),
        1 => any_json(),
    ];
    let section = prop::collection::hash_map(".{0,6}", record, 0..4);
    let names = prop::sample::select(CredentialType::KNOWN.map(|it| it.to_string()).to_vec());
    let known = prop::collection::hash_map(names, section, 0..5);
    let unknown = prop::collection::hash_map("[^A]{0,6}", any_json(), 0..3);
    (known, unknown).prop_map(|(known, unknown)| {
        let known = known.into_iter().map(|(name, records)| (name, json!(records)));
        Value::Object(known.chain(unknown).collect())
    })
}

proptest! {
    #[test]
    fn random_documents_round_trip(document in any_document()) {
        prop_assert_eq!(round_trip(&document.to_string()), document);
    }

    #[test]
    fn a_put_changes_no_other_record(document in any_document(), key in ".{0,6}") {
        let store = Document::new(Script::new(&[&document.to_string()]));
        put(&store, account(&key)).unwrap();
        let mut expected = document;
        if !expected["Account"].is_object() {
            expected["Account"] = json!({});
        }
        expected["Account"][&key] = json!({"home_account_id": "u"});
        let written = store.blob().written.lock().unwrap().is_some();
        prop_assert!(written);
        prop_assert_eq!(store.blob().written(), expected);
    }

    #[test]
    fn damaged_documents_never_panic(
        document in any_document(),
        flip in (any::<prop::sample::Index>(), 1..=255_u8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = document.to_string().into_bytes();
        let at = flip.0.index(bytes.len());
        bytes[at] ^= flip.1;
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(records) = records(&text)
        {
            compose(records).unwrap();
        }
    }
}
