use msal_cache_core::{Json, Record, Snapshot};

use super::*;

fn record(key: &str, json: &str) -> Record {
    Record::new(CredentialType::Account, key, Json::from_stored(json))
}

fn decoded(bytes: usize) -> Arc<Decoded> {
    let json = format!(r#"{{"home_account_id":"u","x":"{}"}}"#, "x".repeat(bytes));
    Arc::new(Decoded::new(Revision::unique(), vec![Entry::read(record("k", &json))]))
}

const NOW: Moment = Moment::NEVER;

fn put(cache: &DecodedCache, partition: &Partition, decoded: Arc<Decoded>) {
    cache.put_partition(partition, decoded, cache.ask(partition).1, NOW);
}

fn listing(cache: &DecodedCache, section: &CredentialType) -> Option<Arc<Decoded>> {
    cache.ask_section(section).0
}

fn user(number: usize) -> Partition {
    Partition::user(&number.to_string())
}

#[test]
fn the_least_recently_used_partition_is_dropped() {
    let cache = DecodedCache::new(100_000);
    for number in 0..9 {
        put(&cache, &user(number), decoded(10_000));
    }
    assert!(cache.partition(&user(0)).is_some());
    put(&cache, &user(9), decoded(10_000));
    assert!(cache.partition(&user(0)).is_some(), "just used");
    assert!(cache.partition(&user(1)).is_none(), "used longest ago");
    assert!(cache.partition(&user(9)).is_some(), "just put");
    assert!(cache.weight.load(Ordering::Relaxed) <= 100_000);
}

#[test]
fn texts_that_the_store_has_in_memory_are_not_counted() {
    let kept = decoded(10_000);
    let alone = weight(&kept);
    let _store = kept.entries[0].record().clone();
    assert!(weight(&kept) + 10_000 <= alone);
}

#[test]
fn listings_are_dropped_too() {
    let cache = DecodedCache::new(30_000);
    cache.put_section(
        &CredentialType::Account,
        decoded(20_000),
        cache.ask_section(&CredentialType::Account).1,
        NOW,
    );
    cache.put_section(
        &CredentialType::IdToken,
        decoded(9_000),
        cache.ask_section(&CredentialType::Account).1,
        NOW,
    );
    assert!(listing(&cache, &CredentialType::Account).is_none());
    assert!(listing(&cache, &CredentialType::IdToken).is_some());
    cache.forget_all();
    assert!(listing(&cache, &CredentialType::IdToken).is_none());
    assert_eq!(cache.weight.load(Ordering::Relaxed), 0);
}

#[test]
fn a_commit_drops_what_it_changes_and_all_listings_of_secrets() {
    let cache = DecodedCache::new(1 << 20);
    let partition = Partition::user("u");
    let record = |key: &str| record(key, r#"{"home_account_id":"u"}"#);
    let records = ["kept", "deleted", "put"].map(record).to_vec();
    let before = Decoded::of(Snapshot::new(Revision::unique(), records), None);
    let known = before.revision;
    put(&cache, &partition, Arc::new(before));
    for section in CredentialType::KNOWN {
        cache.put_section(&section, decoded(2), cache.ask_section(&CredentialType::Account).1, NOW);
    }

    let mut batch = Batch::new();
    let change = batch.change(partition.clone(), Expect::Any);
    change.delete(CredentialType::Account, "deleted".into()).put(record("put"));
    change.put(record("new"));
    let written = [Entry::read(record("new"))];
    cache.committed(&batch, &written, &[], NOW);
    for section in CredentialType::KNOWN {
        let public = matches!(section, CredentialType::Account | CredentialType::AppMetadata);
        assert_eq!(listing(&cache, &section).is_some(), public, "{section}");
    }
    let left = cache.partition(&partition).unwrap();
    assert_ne!(left.revision, known, "it would be taken for what is stored");
    let keys: Vec<_> = left.entries.iter().map(Entry::key).collect();
    assert_eq!(keys, ["kept", "new"]);
    assert!(std::ptr::eq(left.entries[1].record(), written[0].record()));
    cache.forget_all();
    assert!(cache.partition(&partition).is_none());
    assert_eq!(cache.weight.load(Ordering::Relaxed), 0);
}

#[test]
fn a_partition_over_the_limit_is_not_kept_and_displaces_nothing() {
    let cache = DecodedCache::new(50_000);
    put(&cache, &user(1), decoded(1));
    put(&cache, &user(2), decoded(50_000));
    assert!(cache.partition(&user(1)).is_some());
    assert!(cache.partition(&user(2)).is_none());
}
