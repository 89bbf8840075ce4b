//! The test vectors of the documentation, which `PyNaCl` made (`tests/peers/sealed/sealed.py`).

mod support;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msal_cache_core::{
    Batch, Blob, BlobStore, CacheStore, CredentialType, Expect, Json, Memory, Partition, Record,
    Result, Revision,
};
use msal_cache_sealed::{Key, KeyRing, Sealed, SealedBlob};
use serde_json::Value;
use support::list;

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_default()
}

fn key(vector: &Value, name: &str) -> Key {
    let hex = text(vector, name).as_bytes().chunks(2);
    let bytes = hex.map(|it| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap());
    Key::from_bytes(&bytes.collect::<Vec<_>>()).unwrap()
}

fn ring(vector: &Value) -> KeyRing {
    let number = u32::try_from(vector["number"].as_u64().unwrap()).unwrap();
    KeyRing::new([(number, key(vector, "secret"))]).unwrap()
}

#[derive(Debug)]
struct Stored(Vec<u8>);

impl BlobStore for Stored {
    fn read(&self, _: Option<Revision>) -> Result<Blob> {
        Ok(Blob::Present(Revision::from_u128(1), self.0.clone().into()))
    }

    fn swap(&self, _: Revision, _: &[u8]) -> Result<Revision> {
        unreachable!()
    }
}

#[test]
fn each_vector_is_opened() {
    let (mut records, mut documents) = (0, 0);
    for vector in vectors() {
        if let Some(document) = vector["document"].as_str() {
            let stored = Stored(STANDARD.decode(text(&vector, "stored")).unwrap());
            let blob = SealedBlob::new(stored, text(&vector, "cache"), ring(&vector));
            let Blob::Present(_, bytes) = blob.read(None).unwrap() else { unreachable!() };
            assert_eq!(bytes.expose(), document.as_bytes());
            documents += 1;
            continue;
        }
        let inner = Arc::new(Memory::new());
        let section = CredentialType::from(text(&vector, "section"));
        let stored = Json::from_stored(text(&vector, "stored"));
        let stored = Record::new(section.clone(), text(&vector, "key"), stored);
        let mut batch = Batch::new();
        // The name of a partition is made of what follows `user/`.
        let partition = match text(&vector, "partition").strip_prefix("user/") {
            Some(user) => Partition::user(user),
            None => Partition::app_metadata(),
        };
        batch.change(&partition, Expect::Any).put(stored);
        let header = Json::from_stored(text(&vector, "header"));
        batch.change(Partition::app("msal-cache", "sealed", None), Expect::Any).put(Record::new(
            CredentialType::from("MsalCacheSealed"),
            "names",
            header,
        ));
        inner.commit(&batch).unwrap();
        let sealed = Sealed::new(inner, text(&vector, "cache"), ring(&vector));
        let is_hidden = vector["hidden"].as_bool().unwrap();
        let sealed = if is_hidden { sealed.hide_names() } else { sealed };
        let expected = Record::new(
            section,
            text(&vector, "plain_key"),
            Json::new(text(&vector, "value")).unwrap(),
        );
        assert_eq!(list(&sealed).unwrap(), std::slice::from_ref(&expected));
        assert_eq!(support::load(&sealed, expected.partition()).unwrap(), [expected]);
        records += 1;
    }
    assert_eq!((records, documents), (4, 1));
}
