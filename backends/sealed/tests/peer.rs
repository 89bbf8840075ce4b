//! Sealed here and opened by `PyNaCl`, and the reverse. Run by `tests/peers/sealed/run`.

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use msal_cache_core::{Batch, CacheStore, CredentialType, Expect, Json, Memory, Partition, Record};
use msal_cache_sealed::Sealed;
use serde_json::{Value, json};
use support::{header, keys, list, put, sorted, stored, token};

/// Passes jobs to the peer, and returns its results.
fn peer(jobs: &[Value]) -> Vec<Value> {
    let variable = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| panic!("no {name}; run tests/peers/sealed/run"))
    };
    let mut peer = Command::new(variable("MSAL_CACHE_PYNACL"))
        .args([variable("MSAL_CACHE_PYNACL_PEER").as_str(), "check"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    peer.stdin.take().unwrap().write_all(json!(jobs).to_string().as_bytes()).unwrap();
    let output = peer.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A job with a record, for the cache `test` and the key 5.
fn job(record: &Record, hidden: bool) -> Value {
    let hex = |byte: u8| format!("{byte:02x}").repeat(32);
    json!({
        "cache": "test", "number": 5, "secret": hex(5), "names": hex(200), "hidden": hidden,
        "partition": record.partition().as_str(), "section": record.credential_type().as_str(),
        "key": record.key(), "expires_on": record.expires_on().map(|at| at.to_string()),
        "value": record.value().expose(),
    })
}

/// Records of each kind, also with text that JSON escapes.
fn records() -> Vec<Record> {
    let mut records: Vec<_> = (0..100).map(token).collect();
    for home in ["\u{e9}\"\\\u{1f600}", "a/b%c", "\u{7f}\u{2028}"] {
        let json = json!({"home_account_id": home, "secret": "s", "expires_on": "17"}).to_string();
        let json = Json::new(json).unwrap();
        records.push(Record::new(CredentialType::AccessToken, format!("{home}-k"), json));
    }
    let json = Json::new(r#"{"client_id":"c"}"#).unwrap();
    records.push(Record::new(CredentialType::AppMetadata, "metadata", json));
    records
}

fn sealed(inner: &Arc<Memory>, hidden: bool) -> Sealed<Arc<Memory>> {
    let sealed = Sealed::new(inner.clone(), "test", keys(&[5]));
    if hidden { sealed.hide_names() } else { sealed }
}

#[test]
fn pynacl_opens_what_this_crate_seals() {
    for hidden in [false, true] {
        let mut jobs = Vec::new();
        for record in records() {
            let inner = Arc::new(Memory::new());
            put(&sealed(&inner, hidden), std::slice::from_ref(&record));
            let stored = stored(&*inner).remove(0);
            let mut job = job(&record, hidden);
            job["verb"] = "open".into();
            // The peer finds the key of the names there.
            job["names"] = Value::Null;
            job["header"] = header(&*inner).value().expose().into();
            job["stored"] = stored.value().expose().into();
            job["stored_key"] = stored.key().into();
            jobs.push(job);
        }
        let opened = peer(&jobs);
        let expected: Vec<_> =
            records().iter().map(|it| Value::from(it.value().expose())).collect();
        assert_eq!(opened, expected);
    }
}

#[test]
fn this_crate_opens_what_pynacl_seals() {
    for hidden in [false, true] {
        let jobs = records().into_iter().enumerate().map(|(number, record)| {
            let mut job = job(&record, hidden);
            job["verb"] = "seal".into();
            job["nonce"] = format!("{number:048x}").into();
            job
        });
        let inner = Arc::new(Memory::new());
        for (result, record) in peer(&jobs.collect::<Vec<_>>()).iter().zip(records()) {
            let text = |name: &str| result[name].as_str().unwrap().to_owned();
            let stored = Json::from_stored(text("stored"));
            let stored = Record::new(record.credential_type().clone(), text("key"), stored);
            let partition = if hidden {
                Partition::user(text("partition").strip_prefix("user/").unwrap())
            } else {
                record.partition().clone()
            };
            let header = Json::from_stored(text("header"));
            let mut batch = Batch::new();
            batch.change(&partition, Expect::Any).put(stored);
            batch
                .change(Partition::app("msal-cache", "sealed", None), Expect::Any)
                .put(Record::new(CredentialType::from("MsalCacheSealed"), "names", header));
            inner.commit(&batch).unwrap();
        }
        let sealed = sealed(&inner, hidden);
        assert_eq!(sorted(list(&sealed).unwrap()), sorted(records()));
        for record in records() {
            assert!(support::load(&sealed, record.partition()).unwrap().contains(&record));
        }
    }
}
