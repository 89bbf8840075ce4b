//! No trace event carries a secret. This is a separate binary with one subscriber for all threads:
//! if a thread without a subscriber reaches a call site first, the call site is disabled for all.

#[allow(dead_code, reason = "not all of it is needed here")]
mod common;

mod canary;

#[cfg(feature = "azure")]
#[path = "traces/azure.rs"]
mod azure;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msal_cache::endpoint::{
    TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind,
};
use msal_cache::outage::OutagePolicy;
use msal_cache::store::{CacheStore, Load, Partition, Revision, delegate_store};
use msal_cache::{
    AccountInfo, CredentialType, Error, Fields, Memory, Query, SilentRequest, TokenCache,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::canary::{CANARY, clean, event};

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
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(sink.clone())
        .with_ansi(false)
        .init();
    exercise(Memory::new());
    outage();
    #[cfg(feature = "file")]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.json");
        exercise(msal_cache::FileStore::open(&path).unwrap());
        // A broken file, which the next write renames.
        std::fs::write(&path, format!("{{\"{CANARY}")).unwrap();
        exercise(msal_cache::FileStore::open(&path).unwrap());
    }
    #[cfg(feature = "sealed")]
    sealed();
    #[cfg(feature = "azure")]
    let drawn = azure::exercise();
    let traced = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    #[cfg(feature = "sealed")]
    assert!(!traced.contains(&KEY[..40]), "a trace event has a key: {traced}");
    #[cfg(feature = "azure")]
    {
        for secret in drawn {
            assert!(secret.len() > 40 && !traced.contains(&secret), "{secret}: {traced}");
        }
        assert!(traced.contains("a user signed in"), "no sign-in was traced: {traced}");
    }
    assert!(traced.contains("stored a token response"), "no event was traced: {traced}");
    clean("a trace event", &traced);
    clean("a trace event", &traced.replace("alice", CANARY));
    for line in AUDITED {
        assert!(traced.contains(line), "{line} is missing: {traced}");
    }
    // An audit can distinguish the events of users.
    let alice = Partition::user(&common::home("alice")).digest();
    assert!(traced.contains(&format!("of=\"{alice}\"")), "{traced}");
}

#[cfg(feature = "sealed")]
const KEY: &str = "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=";

/// Uses sealed stores, also with a wrong key and with changed records.
#[cfg(feature = "sealed")]
fn sealed() {
    use msal_cache::sealed::{KeyRing, SealFailure, Sealed};
    use msal_cache::store::{Batch, Expect, Json};
    let keys = |number: u32| KeyRing::from_text(&format!("{number} {KEY}")).unwrap();
    for hidden in [false, true] {
        let inner = Arc::new(Memory::new());
        let open = |keys| {
            let sealed = Sealed::new(inner.clone(), "traces", keys);
            if hidden { sealed.hide_names() } else { sealed }
        };
        exercise(open(keys(1)));
        TokenCache::new(open(keys(1))).add(&event()).unwrap();
        let refused = |keys| {
            let error = TokenCache::new(open(keys)).entries(None).unwrap_err();
            assert!(SealFailure::of(&error).is_some(), "{error}");
            clean("SealFailure", &format!("{error} {error:?} {error:#?}"));
        };
        refused(keys(2));
        let Load::Snapshot(stored) = inner.list(None, None).unwrap() else { unreachable!() };
        clean("a sealed store", &format!("{stored:?}"));
        let mut batch = Batch::new();
        for record in stored.records() {
            let text = record.value().expose();
            clean("a sealed record", text);
            let changed = Json::new(text.replace("sealed\":\"A", "sealed\":\"B")).unwrap();
            batch.change(record.partition(), Expect::Any).put(record.with_value(changed));
        }
        inner.commit(&batch).unwrap();
        refused(keys(1));
    }
}

/// Sends a success, errors and no response in turn, with canaries in each value.
struct Server(AtomicUsize);

impl TokenEndpoint for Server {
    fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let body = match self.0.fetch_add(1, Ordering::SeqCst) {
            0 | 4 => Fields::new()
                .set("access_token", CANARY)
                .set("refresh_token", format!("{CANARY}-next"))
                .set("expires_in", 3600),
            1 => Fields::new()
                .set("error", "invalid_grant")
                .set("suberror", "basic_action")
                .set("error_description", format!("for alice, {CANARY}"))
                .set("claims", CANARY)
                .set("correlation_id", "c-1"),
            2 => Fields::new().set("error", "invalid_grant").set("suberror", "bad_token"),
            _ => {
                let cause = std::io::Error::other("it broke");
                return Err(TransportError::new(TransportErrorKind::Unreachable, cause));
            }
        };
        Ok(TokenResponse::new(if body.get("error").is_some() { 400 } else { 200 }, body))
    }
}

/// Operations of an app, whose events the trace must contain.
fn audit(cache: &TokenCache<impl CacheStore>) {
    let client = cache.client(common::CLIENT, "https://login.example/tenant");
    let server = Server(AtomicUsize::new(0));
    let alice = AccountInfo::of(common::home("alice"));
    let forced = SilentRequest::new(["User.Read"], &alice).force_refresh(true);
    client.acquire_token_silent(["User.Read"], &alice, &server).unwrap();
    client.acquire(&forced, &server).unwrap();
    for _ in 0..2 {
        client.acquire(&forced, &server).unwrap_err();
    }
    client.acquire_token_for_client(["scope"], &server).unwrap_err();
    client.acquire_token_for_client(["scope"], &server).unwrap();
    client.remove_account(&alice).unwrap();
}

/// A store that can't be reached after its first two loads and until it was asked once more.
#[derive(Debug, Default)]
struct Remote {
    store: Memory,
    loads: AtomicUsize,
}

impl CacheStore for Remote {
    delegate_store!(self => self.store, except load, load_many, is_unchanged, is_immediate);

    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load, Error> {
        if self.loads.fetch_add(1, Ordering::SeqCst) == 1 {
            return Err(Error::Unavailable { store: "test", source: "it is down".into() });
        }
        self.store.load(partition, known)
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>, Error> {
        self.store.load_many(wanted)
    }
}

/// Looks tokens up before, in and after an outage.
fn outage() {
    let policy = OutagePolicy::ServeKnown(Duration::from_secs(60));
    let cache = TokenCache::builder(Remote::default()).outage_policy(policy).build();
    cache.add(&event()).unwrap();
    let query = Query::new().home_account_id(common::home("alice"));
    for _ in 0..2 {
        cache.find(CredentialType::AccessToken, &query).unwrap();
    }
    cache.add(&event()).unwrap();
}

const AUDITED: [&str; 12] = [
    "returned a cached access token",
    "a new access token is needed",
    "took the guard of a refresh",
    "acquired an access token",
    "the token endpoint refused",
    "error=\"invalid_grant\"",
    "removed a token that failed",
    "the token endpoint did not respond",
    "signed a user out",
    "the store can't be reached; look-ups get what is known",
    "the store can't be reached: returned what is known",
    "the store can be reached again",
];

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
    audit(&cache);
}
