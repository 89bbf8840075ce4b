//! Helpers for several tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use msal_cache::clock::ManualClock;
use msal_cache::store::{Batch, CacheStore, Load, Partition, RefreshGuard, Revision};
use msal_cache::{CredentialType, Event, Fields, Memory, Result, TokenCache};
use serde_json::Value;

/// The initial time of the tests, in seconds since the Unix epoch.
pub(crate) const NOW: i64 = 1_700_000_000;

pub(crate) const CLIENT: &str = "client-id";
pub(crate) const ENVIRONMENT: &str = "login.example";
pub(crate) const REALM: &str = "tenant";

/// A cache in memory and its clock.
pub(crate) fn cache() -> (TokenCache, Arc<ManualClock>) {
    over(Memory::new())
}

/// A cache over a store and its clock.
pub(crate) fn over<S: CacheStore>(store: S) -> (TokenCache<S>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(NOW));
    (TokenCache::with_clock(store, clock.clone()), clock)
}

/// A sign-in of this user, with all five records.
pub(crate) fn sign_in(user: &str, scopes: &str, secret: &str) -> Event {
    Event::new(CLIENT)
        .token_endpoint(format!("https://{ENVIRONMENT}/{REALM}/oauth2/v2.0/token"))
        .scope([scopes])
        .grant_type("authorization_code")
        .response(
            Fields::new()
                .set("access_token", format!("AT-{secret}"))
                .set("refresh_token", format!("RT-{secret}"))
                .set("id_token", id_token(user))
                .set("client_info", client_info(user))
                .set("expires_in", 3600),
        )
}

/// A token of the app itself (client credentials grant).
pub(crate) fn app_token(scope: &str, secret: &str) -> Event {
    Event::new(CLIENT)
        .token_endpoint(format!("https://{ENVIRONMENT}/{REALM}/oauth2/v2.0/token"))
        .scope([scope])
        .grant_type("client_credentials")
        .response(Fields::new().set("access_token", format!("AT-{secret}")).set("expires_in", 3600))
}

pub(crate) fn home(user: &str) -> String {
    format!("{user}.{REALM}")
}

pub(crate) fn client_info(user: &str) -> String {
    base64(&format!(r#"{{"uid":"{user}","utid":"{REALM}"}}"#))
}

pub(crate) fn id_token(user: &str) -> String {
    let claims = format!(r#"{{"oid":"{user}","sub":"s","preferred_username":"{user}@example"}}"#);
    format!("e30.{}.signature", base64(&claims))
}

/// Base64url without padding.
pub(crate) fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    out
}

/// The document of a cache as a value.
pub(crate) fn document<S: CacheStore>(cache: &TokenCache<S>) -> Value {
    serde_json::from_str(&cache.serialize().unwrap()).unwrap()
}

/// A document without its empty sections, which have no meaning.
pub(crate) fn without_empty_sections(mut document: Value) -> Value {
    let sections = document.as_object_mut().unwrap();
    sections.retain(|_, section| section.as_object().is_none_or(|it| !it.is_empty()));
    document
}

/// Files that other libraries wrote, in a directory below `tests/fixtures`.
pub(crate) fn fixtures(folder: &str) -> Vec<(String, PathBuf)> {
    // The tests belong to two packages, the root and `tests/driven`.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut parents = package.ancestors().map(|parent| parent.join("tests/fixtures"));
    let folder = parents.find(|fixtures| fixtures.is_dir()).unwrap().join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .collect();
    files.sort();
    files
}

/// Counts the calls of a store.
#[derive(Debug, Default)]
pub(crate) struct Counting<S> {
    pub(crate) store: S,
    pub(crate) reads: AtomicUsize,
    pub(crate) commits: AtomicUsize,
    pub(crate) purges: AtomicUsize,
    pub(crate) guards: AtomicUsize,
}

impl<S> Counting<S> {
    pub(crate) fn new(store: S) -> Self {
        Self { store, reads: 0.into(), commits: 0.into(), purges: 0.into(), guards: 0.into() }
    }

    pub(crate) fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }
}

impl<S: CacheStore> CacheStore for Counting<S> {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.load(partition, known)
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.load_many(wanted)
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.store.commit(batch)
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.list(credential_type, known)
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.purges.fetch_add(1, Ordering::SeqCst);
        self.store.purge(now)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.guards.fetch_add(1, Ordering::SeqCst);
        self.store.guard(partition, wait)
    }
}
