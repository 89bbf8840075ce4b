//! What the tests share.
#![allow(dead_code, reason = "each test uses a part")]

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Expect, Json, Load, Partition, Record, Result,
};
use msal_cache_sealed::{Key, KeyRing, SealFailure};

/// A text that no sealed place may show.
pub(crate) const CANARY: &str = "canary-7f3e91";

pub(crate) fn key(byte: u8) -> Key {
    Key::from_bytes(&[byte; 32]).unwrap()
}

pub(crate) fn keys(numbers: &[u32]) -> KeyRing {
    let keys = numbers.iter().map(|number| (*number, key(u8::try_from(*number).unwrap())));
    KeyRing::new(keys).unwrap()
}

pub(crate) fn user(user: usize) -> Partition {
    Partition::user(&format!("u{user}.t"))
}

/// A token of a user, which expires in two of three cases.
pub(crate) fn token(user: usize) -> Record {
    let home = format!("u{user}.t");
    let (section, expiry) = match user % 3 {
        0 => (CredentialType::RefreshToken, String::new()),
        _ => (CredentialType::AccessToken, format!(r#""expires_on":"{}","#, 1_000 + user)),
    };
    let json = format!(
        r#"{{"home_account_id":"{home}",{expiry}"client_id":"c","secret":"{CANARY}-{user}"}}"#
    );
    Record::new(section, format!("{home}-key"), Json::new(json).unwrap())
}

pub(crate) fn put(store: &impl CacheStore, records: &[Record]) {
    let mut batch = Batch::new();
    for record in records {
        batch.change(record.partition(), Expect::Any).put(record.clone());
    }
    store.commit(&batch).unwrap();
}

pub(crate) fn list(store: &impl CacheStore) -> Result<Vec<Record>> {
    match store.list(None, None)? {
        Load::Snapshot(snapshot) => Ok(snapshot.into_records()),
        Load::Unchanged => unreachable!(),
    }
}

pub(crate) fn load(store: &impl CacheStore, partition: &Partition) -> Result<Vec<Record>> {
    match store.load(partition, None)? {
        Load::Snapshot(snapshot) => Ok(snapshot.into_records()),
        Load::Unchanged => unreachable!(),
    }
}

/// The reason for which something wasn't opened; it must show nothing of what is stored.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T>) -> SealFailure {
    let error = result.expect_err("it is refused");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(CANARY) && !shown.contains("u1.t"), "{shown}");
    match SealFailure::of(&error) {
        Some(failure) => failure.clone(),
        None => panic!("another error: {error}"),
    }
}

/// Compares records without regard to their order.
pub(crate) fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by(|a, b| a.key().cmp(b.key()));
    records
}

/// Whether a stored record is the header of a sealed store.
pub(crate) fn is_header(record: &Record) -> bool {
    record.credential_type().as_str() == "MsalCacheSealed"
}

/// The records in a store, as they are stored, without the header.
pub(crate) fn stored(inner: &impl CacheStore) -> Vec<Record> {
    let mut records = list(inner).unwrap();
    records.retain(|it| !is_header(it));
    records
}

/// The header in a store, as it is stored.
pub(crate) fn header(inner: &impl CacheStore) -> Record {
    list(inner).unwrap().into_iter().find(is_header).expect("the store has a header")
}
