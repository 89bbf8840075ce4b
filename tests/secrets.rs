//! Canaries in place of secrets: no public type prints one, no error quotes one, and no trace
//! event carries one.

use std::fmt::Debug;

use crate::common::{CLIENT, cache, client_info, home, id_token};
use msal_cache::{Batch, CacheStore, CredentialType, Entry, Event, Expect, Fields, Load, Query};
use serde_json::json;

/// Stands within each secret.
const CANARY: &str = "CANARY";

fn event() -> Event {
    // A signature that is a canary makes the whole token one.
    let id_token = format!("{}-{CANARY}", id_token("alice"));
    Event::new(CLIENT)
        .token_endpoint("https://login.example/tenant/oauth2/v2.0/token")
        .scope(["User.Read"])
        .grant_type("password")
        .response(
            Fields::new()
                .set("access_token", format!("{CANARY}-at"))
                .set("refresh_token", format!("{CANARY}-rt"))
                .set("id_token", id_token)
                .set("client_info", client_info("alice"))
                .set("id_token_claims", json!({"sub": "s", "secret_claim": CANARY}))
                .set("expires_in", 3600),
        )
        .data(
            Fields::new()
                .set("password", CANARY)
                .set("client_secret", CANARY)
                .set("code", CANARY)
                .set("code_verifier", CANARY)
                .set("client_assertion", CANARY)
                .set("device_code", CANARY)
                .set("assertion", CANARY),
        )
}

fn clean(what: &str, printed: &str) {
    assert!(!printed.contains(CANARY), "{what} prints a secret: {printed}");
}

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

#[cfg(feature = "tracing")]
mod traces {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use msal_cache::{Memory, TokenCache};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Sink {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn p10_no_trace_event_carries_a_secret() {
        let sink = Sink::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(sink.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            exercise(Memory::new());
            #[cfg(feature = "file")]
            {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("cache.json");
                exercise(msal_cache::FileStore::open(&path).unwrap());
                // A broken file, set aside by the next write.
                std::fs::write(&path, format!("{{\"{CANARY}")).unwrap();
                exercise(msal_cache::FileStore::open(&path).unwrap());
            }
        });
        let traced = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert!(traced.contains("stored a token response"), "nothing was traced: {traced}");
        clean("a trace event", &traced);
        clean("a trace event", &traced.replace("alice", CANARY));
    }

    fn exercise(store: impl CacheStore) {
        let cache = TokenCache::new(store);
        cache.add(&event()).unwrap();
        for of in CredentialType::KNOWN {
            for entry in cache.find(of.clone(), &Query::new()).unwrap() {
                let fields = Fields::new().set("added", CANARY);
                cache.modify(of.clone(), &entry, Some(&fields)).unwrap();
            }
        }
        let state = cache.serialize().unwrap();
        cache.deserialize(&state).unwrap();
        assert!(cache.deserialize(CANARY).is_err());
        cache.purge_expired().unwrap();
    }
}
