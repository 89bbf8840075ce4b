//! Sealed here and opened by `PyNaCl`, and the reverse. Run by `tests/peers/sealed/run`.

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msal_cache_core::{
    Batch, Blob, BlobStore, CacheStore, CredentialType, Expect, Json, Memory, Partition, Record,
    Revision,
};
use msal_cache_file::{FileBlob, FileStore};
use msal_cache_sealed::{Sealed, SealedBlob};
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

/// Documents around the sizes of one segment, of two and of many.
fn documents() -> impl Iterator<Item = String> {
    let segment = 262_144;
    let near = |size: usize| [size - 1, size, size + 1, size + 16];
    let sizes = [segment, 2 * segment, 5 * segment].into_iter().flat_map(near);
    [0, 1, 2].into_iter().chain(sizes).map(|size| {
        let lines: Vec<_> = (0..=size / 10).map(|number| format!("{number:09}\n")).collect();
        let text = lines.concat();
        text[..size].to_owned()
    })
}

/// A job with a document, for the cache `test` and the key 5.
fn document_job(verb: &str, document: &str, nonce: usize) -> Value {
    let secret = "05".repeat(32);
    let nonce = format!("{nonce:040x}{:08x}", u32::MAX - 2);
    json!({"verb": verb, "cache": "test", "number": 5, "secret": secret, "document": document, "nonce": nonce})
}

fn sealed_file(path: &std::path::Path) -> SealedBlob<FileBlob> {
    let file = FileStore::builder(path).open_blob().unwrap();
    SealedBlob::new(file, "test", keys(&[5]))
}

#[test]
fn pynacl_opens_documents_that_this_crate_seals() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = documents().enumerate().map(|(number, document)| {
        let path = folder.path().join(number.to_string());
        sealed_file(&path).swap(Revision::ABSENT, document.as_bytes()).unwrap();
        let mut job = document_job("open", "", 0);
        job["stored"] = STANDARD.encode(std::fs::read(path).unwrap()).into();
        job
    });
    let opened = peer(&jobs.collect::<Vec<_>>());
    assert!(opened.into_iter().eq(documents().map(Value::from)));
}

#[test]
fn this_crate_opens_documents_that_pynacl_seals() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("document");
    // With the permissions of a cache.
    sealed_file(&path).swap(Revision::ABSENT, b"").unwrap();
    let jobs = documents().enumerate().map(|(at, document)| document_job("seal", &document, at));
    let sealed = peer(&jobs.collect::<Vec<_>>());
    for (sealed, document) in sealed.iter().zip(documents()) {
        std::fs::write(&path, STANDARD.decode(sealed["stored"].as_str().unwrap()).unwrap())
            .unwrap();
        let Blob::Present(_, text) = sealed_file(&path).read(None).unwrap() else {
            panic!("absent")
        };
        assert!(text.expose() == document.as_bytes(), "{} bytes", document.len());
    }
    assert_eq!(sealed.len(), documents().count());
}
