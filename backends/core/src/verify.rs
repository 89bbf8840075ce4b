//! A proof that a store works: a record is written, read back and deleted.

use std::time::Duration;

use crate::{
    AsyncCacheStore, Batch, CredentialType, Error, Expect, Json, Load, Record, Result, Revision,
    Snapshot,
};

/// For how long the test record is valid, in seconds. Where a process is killed before it deletes the
/// record, the next purge after that time does.
const VALID_FOR: i64 = 300;

/// How long to wait for the guard. No other caller has the partition.
const GUARD_WAIT: Duration = Duration::from_secs(5);

/// Proves that a store can be read and written: puts a record into a partition of its own, takes the
/// guard, reads the record back and deletes it. `now` is in seconds since the epoch.
///
/// # Errors
///
/// Those of the store; and [`Error::NotKept`] where it doesn't report an error, and doesn't return
/// what was written.
#[doc(hidden)]
pub async fn verify<S: AsyncCacheStore>(store: &S, now: i64) -> Result<()> {
    let record = test_record(now);
    // First, so that a place that can't be read isn't written either.
    expect(&load(store, &record).await?, &[], "it has a record that was never written")?;
    let verified = write_and_read(store, &record).await;
    let deleted = delete(store, &record).await;
    verified?;
    deleted?;
    expect(&load(store, &record).await?, &[], "it returns a record that was deleted")
}

async fn write_and_read<S: AsyncCacheStore>(store: &S, record: &Record) -> Result<()> {
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Revision(Revision::ABSENT)).put(record.clone());
    store.commit(&batch).await?;
    let guard = store.guard(record.partition(), GUARD_WAIT).await?;
    let read = load(store, record).await?;
    drop(guard);
    expect(&read, std::slice::from_ref(record), "it doesn't return the record that was written")
}

async fn delete<S: AsyncCacheStore>(store: &S, record: &Record) -> Result<()> {
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Any).delete_record(record);
    store.commit(&batch).await.map(drop)
}

async fn load<S: AsyncCacheStore>(store: &S, record: &Record) -> Result<Snapshot> {
    match store.load(record.partition(), None).await? {
        Load::Snapshot(snapshot) => Ok(snapshot),
        Load::Unchanged => Err(not_kept("it reports `Unchanged` to a caller that knows nothing")),
    }
}

fn expect(read: &Snapshot, expected: &[Record], otherwise: &str) -> Result<()> {
    if read.records() == expected { Ok(()) } else { Err(not_kept(otherwise)) }
}

fn not_kept(reason: &str) -> Error {
    Error::NotKept { reason: reason.into() }
}

/// An access token that no app asks for, and that every MSAL library deletes once it has expired. Its
/// tenant is random, so it has a partition of its own.
fn test_record(now: i64) -> Record {
    let realm = format!("{:032x}", Revision::unique().as_u128());
    let expires_on = now.saturating_add(VALID_FOR);
    let key = format!("-verify.invalid-accesstoken-msal-cache-verify-{realm}-verify");
    let value = format!(
        r#"{{"credential_type":"AccessToken","home_account_id":"","environment":"verify.invalid","client_id":"msal-cache-verify","realm":"{realm}","target":"verify","token_type":"Bearer","cached_at":"{now}","expires_on":"{expires_on}","extended_expires_on":"{expires_on}","secret":"not a token"}}"#
    );
    Record::new(CredentialType::AccessToken, key, Json::from_stored(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CacheStore, Memory, Ready, internal::now};

    #[test]
    fn the_test_record_has_a_partition_of_its_own_and_expires() {
        let [one, two] = [test_record(1000), test_record(1000)];
        assert!(Json::new(one.value().expose()).is_ok());
        assert_eq!(one.expires_on(), Some(1300));
        assert!(one.partition().as_str().starts_with("app/msal-cache-verify/"));
        assert_ne!(one.partition(), two.partition());
        assert_ne!(one.key(), two.key());
    }

    #[test]
    fn a_working_store_is_verified_and_left_as_it_was() {
        let store = Memory::new();
        now(verify(&Ready(&store), 1000)).unwrap();
        let Load::Snapshot(all) = store.list(None, None).unwrap() else { panic!("nothing known") };
        assert!(all.records().is_empty());
    }
}
