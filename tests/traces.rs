//! No trace event carries a secret. A process of its own, with one subscriber for all threads: a
//! place in the code that a thread without a subscriber meets first stays silent for the others.

#[allow(dead_code, reason = "not all of it is needed here")]
mod common;

mod canary;

use std::io;
use std::sync::{Arc, Mutex};

use msal_cache::{CacheStore, CredentialType, Fields, Memory, Query, TokenCache};
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
        .init();
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
