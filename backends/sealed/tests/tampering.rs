//! What was changed in a sealed store is refused: each byte, each truncation, each exchange.

mod support;

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use msal_cache_core::{
    Batch, Blob, BlobStore, CacheStore, CredentialType, Document, Error, Expect, Json, Memory,
    Partition, Record, Result, Revision,
};
use msal_cache_file::FileStore;
use msal_cache_sealed::{KeyRing, SealFailure, Sealed, SealedBlob};
use support::{keys, list, load, put, refusal, stored, token, user};

/// A sealed store and the one in it.
fn stores(hidden: bool) -> (Arc<Memory>, Sealed<Arc<Memory>>) {
    let inner = Arc::new(Memory::new());
    let sealed = Sealed::new(inner.clone(), "test", keys(&[1, 2]));
    (inner, if hidden { sealed.hide_names() } else { sealed })
}

/// Where a stored record is.
fn place(inner: &Memory, users: usize, sealed: &Sealed<Arc<Memory>>) -> HashMap<String, Partition> {
    let mut places = HashMap::new();
    for record in stored(inner) {
        let text: serde_json::Value = serde_json::from_str(record.value().expose()).unwrap();
        let name = text["partition"].as_str().unwrap();
        places
            .insert(record.key().to_owned(), Partition::user(name.strip_prefix("user/").unwrap()));
    }
    assert_eq!(places.len(), users, "{sealed:?}");
    places
}

fn overwrite(inner: &Memory, partition: &Partition, record: &Record) {
    let mut batch = Batch::new();
    batch.change(partition, Expect::Any).put(record.clone());
    inner.commit(&batch).unwrap();
}

#[test]
fn p17_each_changed_byte_of_a_record_is_noticed() {
    for hidden in [false, true] {
        let (inner, sealed) = stores(hidden);
        let record = token(1);
        put(&sealed, std::slice::from_ref(&record));
        let stored = stored(&*inner).remove(0);
        let partition = place(&inner, 1, &sealed)[stored.key()].clone();
        let text = stored.value().expose().to_owned();
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                overwrite(&inner, &partition, &stored.with_value(Json::from_stored(changed)));
                refusal(load(&sealed, &user(1)));
                refusal(list(&sealed));
                refusal(load(&Sealed::clone_of(&sealed), &user(1)));
            }
        }
        for length in 0..text.len() {
            overwrite(&inner, &partition, &stored.with_value(Json::from_stored(&text[..length])));
            refusal(load(&sealed, &user(1)));
        }
        // Each bit of the envelope, and each of its truncations and extensions.
        let begin = text.find(r#""sealed":""#).unwrap() + 10;
        let envelope = STANDARD_NO_PAD.decode(&text[begin..text.len() - 2]).unwrap();
        let check = |envelope: &[u8]| {
            let envelope = STANDARD_NO_PAD.encode(envelope);
            let text = format!(r#"{}{envelope}"}}"#, &text[..begin]);
            overwrite(&inner, &partition, &stored.with_value(Json::from_stored(text)));
            load(&sealed, &user(1))
        };
        for at in 0..envelope.len() {
            for bit in 0..8 {
                let mut changed = envelope.clone();
                changed[at] ^= 1 << bit;
                refusal(check(&changed));
            }
            refusal(check(&envelope[..at]));
            refusal(check(&envelope[at + 1..]));
            refusal(check(&[&envelope, &envelope[..=at]].concat()));
        }
        assert_eq!(check(&envelope).unwrap(), std::slice::from_ref(&record));
        overwrite(&inner, &partition, &stored);
        assert_eq!(load(&sealed, &user(1)).unwrap(), [record]);
    }
}

/// A handle that has checked nothing yet.
trait CloneOf {
    fn clone_of(other: &Self) -> Self;
}

impl CloneOf for Sealed<Arc<Memory>> {
    fn clone_of(other: &Self) -> Self {
        Self::new(other.store().clone(), "test", other.keys().clone())
    }
}

#[test]
fn p17_each_exchange_among_a_thousand_records_is_noticed() {
    const USERS: usize = 1_000;
    for hidden in [false, true] {
        let (inner, sealed) = stores(hidden);
        let records: Vec<_> = (0..USERS).map(token).collect();
        put(&sealed, &records);
        let places = place(&inner, USERS, &sealed);
        let stored = stored(&*inner);
        for (at, one) in stored.iter().enumerate() {
            // Its neighbour of the same section, and any other record.
            for other in [at + 3, at + 1 + fastrand::usize(..USERS - 1)] {
                let other = &stored[other % USERS];
                let moved = one.with_value(Json::from_stored(other.value().expose()));
                overwrite(&inner, &places[one.key()], &moved);
                let failed = (0..USERS).find(|it| load(&sealed, &user(*it)).is_err());
                let failed = failed.expect("one user's records are refused");
                assert!(matches!(
                    refusal(load(&sealed, &user(failed))),
                    SealFailure::Broken { .. }
                ));
                overwrite(&inner, &places[one.key()], one);
                if at >= 20 {
                    // The rest by the listing, which opens each record.
                    overwrite(&inner, &places[one.key()], &moved);
                    refusal(sealed.list(Some(one.credential_type()), None));
                    overwrite(&inner, &places[one.key()], one);
                }
            }
            if at >= 60 {
                break;
            }
        }
        // All of them at once: each takes the value of the next, so each has to be refused.
        for (at, one) in stored.iter().enumerate() {
            let other = &stored[(at + 1) % USERS];
            let moved = one.with_value(Json::from_stored(other.value().expose()));
            overwrite(&inner, &places[one.key()], &moved);
        }
        for number in 0..USERS {
            refusal(load(&sealed, &user(number)));
        }
    }
}

#[test]
fn p17_a_row_that_is_moved_to_another_user_is_refused() {
    let (inner, sealed) = stores(false);
    put(&sealed, &[token(1), token(2)]);
    let stored = stored(&*inner);
    // The row as it is, under another partition.
    overwrite(&inner, &user(2), stored.iter().find(|it| it.key() == "u1.t-key").unwrap());
    assert!(matches!(refusal(load(&sealed, &user(2))), SealFailure::Broken { number: 2, .. }));
}

#[test]
fn p17_an_expiry_that_was_changed_is_refused() {
    let (inner, sealed) = stores(false);
    put(&sealed, &[token(1)]);
    let stored = stored(&*inner).remove(0);
    let text = stored.value().expose().replace("1001", "9001");
    overwrite(&inner, &user(1), &stored.with_value(Json::from_stored(text)));
    assert!(matches!(refusal(load(&sealed, &user(1))), SealFailure::Broken { .. }));
}

#[test]
fn p17_a_record_of_another_cache_is_refused_under_the_same_keys() {
    let inner = Arc::new(Memory::new());
    put(&Sealed::new(inner.clone(), "one", keys(&[1])), &[token(1)]);
    let other = Sealed::new(inner, "another", keys(&[1]));
    assert!(matches!(refusal(load(&other, &user(1))), SealFailure::Broken { number: 1, .. }));
    assert!(matches!(refusal(list(&other)), SealFailure::Broken { .. }));
}

#[test]
fn p17_a_plain_record_in_a_sealed_store_is_refused() {
    for hidden in [false, true] {
        let (inner, sealed) = stores(hidden);
        put(&*inner, &[token(1)]);
        // Also for another user: nothing of such a store is an empty cache.
        for number in [1, 2] {
            let refused = refusal(load(&sealed, &user(number)));
            assert!(matches!(refused, SealFailure::NotSealed { .. }));
        }
        let mut batch = Batch::new();
        batch.change(user(3), Expect::Any).put(token(3));
        assert!(matches!(refusal(sealed.commit(&batch)), SealFailure::NotSealed { .. }));
        // One that is added later, next to sealed ones.
        let (inner, sealed) = stores(hidden);
        put(&sealed, &[token(1)]);
        let stored = stored(&*inner).remove(0);
        let partition = place(&inner, 1, &sealed)[stored.key()].clone();
        overwrite(&inner, &partition, &stored.with_value(token(1).value().clone()));
        assert!(matches!(refusal(load(&sealed, &user(1))), SealFailure::NotSealed { .. }));
    }
}

#[test]
fn p17_hidden_and_legible_names_are_not_an_empty_cache_to_each_other() {
    for hidden in [false, true] {
        let (inner, sealed) = stores(hidden);
        put(&sealed, &[token(1)]);
        let other = Sealed::new(inner, "test", keys(&[1, 2]));
        let other = if hidden { other } else { other.hide_names() };
        assert_eq!(refusal(load(&other, &user(1))), SealFailure::Names { hidden });
    }
}

#[test]
fn p17_a_missing_key_is_named_and_damages_nothing() {
    let inner = Arc::new(Memory::new());
    let both = Sealed::new(inner.clone(), "test", keys(&[1, 2]));
    put(&both, &[token(1)]);
    let old = Sealed::new(inner.clone(), "test", keys(&[1]));
    let before = list(&*inner).unwrap();
    let missing = |failure| matches!(failure, SealFailure::MissingKey { number: 2, ref has, .. } if *has == [1]);
    assert!(missing(refusal(load(&old, &user(1)))));
    assert!(missing(refusal(list(&old))));
    let mut batch = Batch::new();
    batch.change(user(2), Expect::Any).put(token(2));
    assert!(missing(refusal(old.commit(&batch))));
    assert!(missing(refusal(old.rekey())));
    assert_eq!(list(&*inner).unwrap(), before);
    // The same number with other bytes.
    let wrong = KeyRing::new([(2, support::key(77))]).unwrap();
    let wrong = Sealed::new(inner.clone(), "test", wrong);
    let refused = refusal(load(&wrong, &user(1)));
    assert!(matches!(refused, SealFailure::Broken { number: 2, .. }), "{refused}");
    assert_eq!(list(&*inner).unwrap(), before);
}

#[test]
fn p17_the_records_of_a_document_are_not_sealed_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = FileStore::open(folder.path().join("cache")).unwrap();
    put(&file, &[token(1)]);
    let sealed = Sealed::new(file, "test", keys(&[1]));
    assert_eq!(refusal(sealed.seal_plain()), SealFailure::Document);
    assert_eq!(list(sealed.store()).unwrap(), [token(1)]);
    let file = FileStore::open(folder.path().join("other")).unwrap();
    let sealed = Sealed::new(file, "test", keys(&[1]));
    let mut batch = Batch::new();
    batch.change(user(1), Expect::Any).put(token(1));
    assert_eq!(refusal(sealed.commit(&batch)), SealFailure::Document);
    let reader = FileStore::open(folder.path().join("other")).unwrap();
    let reader = Sealed::new(reader, "test", keys(&[1]));
    assert_eq!(refusal(load(&reader, &user(1))), SealFailure::Document);
}

#[test]
fn p17_records_stay_with_the_purge_until_they_expire() {
    for hidden in [false, true] {
        let (_, sealed) = stores(hidden);
        put(&sealed, &[token(0), token(1), token(2)]);
        assert_eq!(sealed.purge(1_002).unwrap(), 1);
        assert_eq!(list(&sealed).unwrap().len(), 2);
        let records = sealed.list(Some(&CredentialType::AccessToken), None).unwrap();
        assert!(format!("{records:?}").contains("u2.t-key"));
    }
}

/// The length of the first line of a document.
const MAGIC: usize = 18;

/// A string that doesn't change.
#[derive(Debug)]
struct Stored(Vec<u8>);

impl BlobStore for Stored {
    fn read(&self, _: Option<Revision>) -> Result<Blob> {
        Ok(Blob::Present(Revision::from_u128(1), self.0.clone().into()))
    }

    fn swap(&self, _: Revision, _: &[u8]) -> Result<Revision> {
        Err(Error::Conflict)
    }
}

/// The size of a segment of a document.
const SEGMENT: usize = 262_144;

#[test]
fn p17_segments_of_a_document_can_not_be_exchanged_removed_or_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let seal = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        let file = FileStore::builder(&path).open_blob().unwrap();
        SealedBlob::new(file, "test", keys(&[1])).swap(Revision::ABSENT, text).unwrap();
        std::fs::read(&path).unwrap()
    };
    let read =
        |bytes: &[u8]| SealedBlob::new(Stored(bytes.to_vec()), "test", keys(&[1])).read(None);
    let text: Vec<_> = (b'a'..=b'z').cycle().take(3 * SEGMENT + 1_000).collect();
    let whole = seal("one", &text);
    let other = seal("other", &text);
    let Ok(Blob::Present(_, opened)) = read(&whole) else { panic!("it is refused") };
    assert!(opened.expose() == text);

    let begin = MAGIC + 29;
    let parts = |bytes: &[u8]| -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let (text, tags) = bytes[begin..].split_at(text.len());
        let pieces = |it: &[u8], size| it.chunks(size).map(<[u8]>::to_vec).collect();
        (pieces(text, SEGMENT), pieces(tags, 16))
    };
    let (texts, tags) = parts(&whole);
    let (other_texts, other_tags) = parts(&other);
    assert_eq!((texts.len(), tags.len()), (4, 4));
    let check = |texts: &[Vec<u8>], tags: &[Vec<u8>]| {
        refusal(read(&[&whole[..begin], &texts.concat(), &tags.concat()].concat()));
    };
    for one in 0..4 {
        for two in 0..one {
            let (mut texts, mut tags) = (texts.clone(), tags.clone());
            tags.swap(one, two);
            check(&texts, &tags);
            texts.swap(one, two);
            check(&texts, &tags);
        }
        // Of another envelope, with its tag and without.
        let (mut mixed, mut mixed_tags) = (texts.clone(), tags.clone());
        mixed[one].clone_from(&other_texts[one]);
        check(&mixed, &tags);
        mixed_tags[one].clone_from(&other_tags[one]);
        check(&mixed, &mixed_tags);
        check(&texts, &mixed_tags);
        // The first of them alone, the last ones, one less, one twice.
        check(&texts[..one], &tags[..one]);
        check(&texts[one + 1..], &tags[one + 1..]);
        let without = |all: &[Vec<u8>]| [&all[..one], &all[one + 1..]].concat();
        check(&without(&texts), &without(&tags));
        let twice = |all: &[Vec<u8>]| [&all[..=one], &all[one..]].concat();
        check(&twice(&texts), &twice(&tags));
        // A bit in each part of a segment and of its tag.
        for at in [0, texts[one].len() / 2, texts[one].len() - 1] {
            let mut changed = texts.clone();
            changed[one][at] ^= 1;
            check(&changed, &tags);
        }
        for at in [0, 7, 15] {
            let mut changed = tags.clone();
            changed[one][at] ^= 0x80;
            check(&texts, &changed);
        }
    }
    // A part of the text under the tags of the whole.
    for size in [0, 1, SEGMENT, text.len() - 1] {
        refusal(read(&[&whole[..begin + size], &tags.concat()].concat()));
        refusal(read(&[&whole[..begin + size], &tags[0]].concat()));
    }
}

#[test]
fn p17_each_changed_byte_and_truncation_of_a_document_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let open = |name: &str, numbers: &[u32]| {
        let file = FileStore::builder(&path).open_blob().unwrap();
        Document::new(SealedBlob::new(file, name, keys(numbers)))
    };
    put(&open("test", &[1]), &[token(1)]);
    let whole = std::fs::read(&path).unwrap();
    let blob = |bytes: &[u8]| SealedBlob::new(Stored(bytes.to_vec()), "test", keys(&[1]));
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            refusal(blob(&changed).read(None));
        }
        refusal(blob(&whole[..at]).read(None));
        refusal(blob(&whole[at + 1..]).read(None));
        refusal(blob(&[&whole, &whole[..=at]].concat()).read(None));
    }
    blob(&whole).read(None).unwrap();
    // Parts of two documents.
    put(&open("test", &[1]), &[token(2)]);
    let newer = std::fs::read(&path).unwrap();
    let tags = (whole.len() - 16, newer.len() - 16);
    for (end, begin) in [(MAGIC + 17, MAGIC + 17), (MAGIC + 29, MAGIC + 29), tags] {
        refusal(blob(&[&whole[..end], &newer[begin..]].concat()).read(None));
        refusal(blob(&[&newer[..begin], &whole[end..]].concat()).read(None));
    }
    std::fs::write(&path, &whole).unwrap();

    // Neither a reader nor a writer with other keys or another name changes the file.
    for store in [open("other", &[1]), open("test", &[2])] {
        refusal(load(&store, &user(1)));
        let mut batch = Batch::new();
        batch.change(user(2), Expect::Any).put(token(2));
        refusal(store.commit(&batch));
    }
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    assert_eq!(
        std::fs::read_dir(folder.path())
            .unwrap()
            .filter(|it| { it.as_ref().unwrap().file_name().to_string_lossy().contains("corrupt") })
            .count(),
        0
    );
    // A plain document is refused, too.
    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(refusal(load(&open("test", &[1]), &user(1))), SealFailure::NotSealed { .. }));
}
