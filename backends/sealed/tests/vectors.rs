//! The test vectors of the documentation, which `PyNaCl` made (`tests/peers/sealed/sealed.py`).

mod support;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use msal_cache_core::{
    Batch, Blob, BlobStore, CacheStore, CredentialType, Expect, Json, Memory, Partition, Record,
    Result, Revision,
};
use msal_cache_sealed::{Key, KeyRing, Sealed, SealedBlob};
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::list;

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_default()
}

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    let hex = text(vector, name).as_bytes().chunks(2);
    hex.map(|it| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap()).collect()
}

fn number(vector: &Value) -> u32 {
    u32::try_from(vector["number"].as_u64().unwrap()).unwrap()
}

fn ring(vector: &Value) -> KeyRing {
    let key = Key::from_bytes(&bytes(vector, "secret")).unwrap();
    KeyRing::new([(number(vector), key)]).unwrap()
}

/// A document of several segments, which is too long for the vectors: sealed here by their rules, and
/// compared with the hash of what `PyNaCl` sealed.
fn in_segments(vector: &Value, text: &[u8]) -> Vec<u8> {
    const SEGMENT: usize = 262_144;
    let field = |field: &str| {
        [&u32::try_from(field.len()).unwrap().to_be_bytes(), field.as_bytes()].concat()
    };
    let header = [&[1], &number(vector).to_be_bytes()[..]].concat();
    let size = (text.len() as u64).to_be_bytes();
    let fields = [field("msal-cache document"), field(self::text(vector, "cache"))].concat();
    let aad = [&header, &size[..], &fields].concat();
    let cipher = XChaCha20Poly1305::new_from_slice(&bytes(vector, "secret")).unwrap();
    let nonce = bytes(vector, "nonce");
    let last = u32::from_be_bytes(nonce[20..].try_into().unwrap());
    let (mut texts, mut tags) = (Vec::new(), Vec::new());
    for (index, msg) in (0..).zip(text.chunks(SEGMENT)) {
        let last = last.wrapping_add(index).to_be_bytes();
        let nonce: [u8; 24] = [&nonce[..20], &last].concat().try_into().unwrap();
        let sealed = cipher.encrypt(&nonce.into(), Payload { msg, aad: &aad }).unwrap();
        texts.extend_from_slice(&sealed[..msg.len()]);
        tags.extend_from_slice(&sealed[msg.len()..]);
    }
    [b"msal-cache sealed\n", &header[..], &nonce, &texts, &tags].concat()
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
            let times = vector["times"].as_u64().map(|it| usize::try_from(it).unwrap());
            let document = document.repeat(times.unwrap_or(1));
            let stored = if times.is_some() {
                let stored = in_segments(&vector, document.as_bytes());
                assert_eq!(Sha256::digest(&stored)[..], bytes(&vector, "sha256"));
                stored
            } else {
                STANDARD.decode(text(&vector, "stored")).unwrap()
            };
            let blob = SealedBlob::new(Stored(stored), text(&vector, "cache"), ring(&vector));
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
    assert_eq!((records, documents), (4, 2));
}
