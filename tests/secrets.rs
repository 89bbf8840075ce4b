//! Canaries in place of secrets: no public type prints one, and no error quotes one. Trace events
//! are looked at in `traces.rs`.

use std::fmt::Debug;

use crate::canary::{CANARY, clean, event};
use crate::common::{cache, home};
use msal_cache::{Batch, CacheStore, CredentialType, Entry, Expect, Fields, Load, Query};

fn prints_nothing(what: &str, value: &impl Debug) {
    clean(what, &format!("{value:?}"));
    clean(what, &format!("{value:#?}"));
}

#[test]
fn p10_no_public_type_prints_a_secret() {
    let (cache, _) = cache();
    prints_nothing("Event", &event());
    cache.add(&event()).unwrap();
    prints_nothing("TokenCache", &cache);
    let query = Query::new().home_account_id(home("alice"));
    for entry in cache.entries(None).unwrap() {
        prints_nothing("Entry", &entry);
        prints_nothing("Json", entry.json());
        prints_nothing("Fields", &entry.fields().unwrap());
        prints_nothing("AccessToken", &entry.access_token());
        prints_nothing("RefreshToken", &entry.refresh_token());
        prints_nothing("IdToken", &entry.id_token());
        prints_nothing("Account", &entry.account());
        prints_nothing("AppMetadata", &entry.app_metadata());
        prints_nothing("Secret", &entry.access_token().map(|it| it.secret()));
        prints_nothing("claims", &entry.id_token().map(|it| it.claims()));
        assert_eq!(entry.get("secret"), None);
    }
    prints_nothing("Vec<Entry>", &cache.find(CredentialType::AccessToken, &query).unwrap());
    prints_nothing("Query", &Query::new().field("secret", CANARY));
    prints_nothing("Wanted", &msal_cache::Wanted::from(CANARY));
    prints_nothing("Memory", cache.store());

    let loaded = cache.store().list(None, None).unwrap();
    prints_nothing("Load", &loaded);
    let Load::Snapshot(snapshot) = loaded else { panic!("nothing was known") };
    assert!(snapshot.records.iter().any(|it| it.value.expose().contains(CANARY)));
    let mut batch = Batch::new();
    for record in snapshot.records {
        batch.change(record.partition(), Expect::Any).put(record);
    }
    prints_nothing("Batch", &batch);
    prints_nothing("Op", &batch.changes()[0].ops());
}

#[test]
fn p10_an_entry_of_ones_own_prints_no_secret() {
    let fields = Fields::new().set("secret", CANARY).set("environment", "login.example");
    let entry = Entry::new(CredentialType::RefreshToken, &fields).unwrap();
    prints_nothing("Entry", &entry);
    assert_eq!(entry.refresh_token().unwrap().secret().expose(), CANARY);
}
