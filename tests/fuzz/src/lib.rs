//! The bodies of the fuzz targets: properties that hold for every input. The tests run them, too, on
//! files that are damaged in a reproducible way.
//!
//! A body panics if a property is violated, and returns if the input is not applicable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use msal_cache::clock::ManualClock;
use msal_cache::store::{Blob, BlobStore, CacheStore, Document, Revision};
use msal_cache::{
    CredentialType, Entry, Error, Event, Fields, Memory, Profile, Query, Result, TokenCache,
};
use msal_cache_core::internal::{decompose, for_each_member, seconds};
use serde_json::Value;
use serde_json::value::RawValue;

/// The time in all targets, in seconds since the Unix epoch.
const NOW: i64 = 1_700_000_100;

/// The client whose records the targets write. Records of other clients must not change.
const CLIENT: &str = "the client of the fuzz targets";

fn cache<S: CacheStore>(store: S, profile: Profile) -> TokenCache<S> {
    let clock = Arc::new(ManualClock::new(NOW));
    TokenCache::builder(store).profile(profile).clock(clock).build()
}

/// A document is read and written with equal values, or it is rejected and changes nothing.
pub fn document(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let read = cache(Memory::new(), Profile::Python);
    match read.deserialize(text) {
        Ok(()) => {}
        Err(Error::Corrupt { .. }) => {
            assert_eq!(read.serialize().unwrap(), "{}", "a rejected document left records behind");
            return;
        }
        Err(error) => panic!("{error:?}"),
    }
    let written = read.serialize().unwrap();
    assert!(written.is_ascii());
    let again = cache(Memory::new(), Profile::Python);
    again.deserialize(&written).unwrap();
    // In memory, the order of records of different users may change.
    assert!(entries_of(&again.serialize().unwrap()) == entries_of(&written));
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    if has_duplicates(body) {
        // Parsers keep the last of two members; this crate merges two sections with the same name.
        return;
    }
    // This crate keeps numbers out of range and unpaired surrogates, which `Value` can't represent.
    if let Ok(before) = serde_json::from_str::<Value>(body) {
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), before);
    }
}

/// Whether a document has two members with the same name, or a section two keys.
fn has_duplicates(document: &str) -> bool {
    let mut duplicates = false;
    let mut inspect = |json: &str, inner: &mut dyn FnMut(&str)| {
        let mut names = BTreeSet::new();
        let _ = for_each_member(json, |name, json| {
            duplicates |= !names.insert(name.into_owned());
            inner(json);
        });
    };
    let mut sections = Vec::new();
    inspect(document, &mut |json| sections.push(json.to_owned()));
    for section in sections {
        inspect(&section, &mut |_| ());
    }
    duplicates
}

/// A document in memory.
#[derive(Debug)]
struct DocumentBlob(Mutex<(Revision, Vec<u8>)>);

impl DocumentBlob {
    fn new(text: &str) -> Self {
        Self(Mutex::new((Revision::unique(), text.into())))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().1.clone()).unwrap()
    }
}

impl BlobStore for DocumentBlob {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        let held = self.0.lock().unwrap();
        Ok(match held.0 {
            revision if known == Some(revision) => Blob::Unchanged,
            revision => Blob::Present(revision, held.1.clone().into()),
        })
    }

    fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        let mut held = self.0.lock().unwrap();
        if held.0 != expected {
            return Err(Error::Conflict);
        }
        *held = (Revision::unique(), bytes.to_vec());
        Ok(held.0)
    }
}

/// A sign-in of a user that is in no document.
fn sign_in() -> Event {
    // {"uid":"fuzz","utid":"target"}
    const CLIENT_INFO: &str = "eyJ1aWQiOiJmdXp6IiwidXRpZCI6InRhcmdldCJ9";
    // {"oid":"fuzz","sub":"s"}
    const CLAIMS: &str = "eyJvaWQiOiJmdXp6Iiwic3ViIjoicyJ9";
    Event::new(CLIENT)
        .token_endpoint("https://login.microsoftonline.com/target/oauth2/v2.0/token")
        .scope(["User.Read"])
        .response(
            Fields::new()
                .set("access_token", "AT")
                .set("refresh_token", "RT")
                .set("id_token", format!("e30.{CLAIMS}.signature"))
                .set("client_info", CLIENT_INFO)
                .set("expires_in", 3600),
        )
}

type Entries = BTreeMap<(String, String), String>;

/// All entries by section and key, with their JSON.
fn entries_of(text: &str) -> Entries {
    let read = cache(Document::new(DocumentBlob::new(text)), Profile::Python);
    let entries = read.entries(None).unwrap();
    entries.iter().map(|it| (id_of(it), it.json().expose().to_owned())).collect()
}

fn id_of(entry: &Entry) -> (String, String) {
    (entry.credential_type().as_str().to_owned(), entry.key().to_owned())
}

/// Asserts that all entries are unchanged, except those that may change and the placeholders of
/// empty sections.
fn assert_kept(
    what: &str,
    before: &Entries,
    after: &Entries,
    may_change: impl Fn(&(String, String), &str) -> bool,
) {
    for (id, json) in before {
        let is_placeholder = id.0.is_empty() && matches!(&**json, "null" | "{}");
        if is_placeholder || may_change(id, json) {
            continue;
        }
        let found = after.get(id).unwrap_or_else(|| panic!("{what} lost {id:?}"));
        let value = |json: &str| serde_json::from_str::<Value>(json).ok();
        // Non-ASCII characters are written as escapes.
        assert!(
            found == json || value(found) == value(json) && !json.is_ascii(),
            "{what} changed {id:?}"
        );
    }
}

/// A change of a document changes the requested records and no others.
pub fn merge(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if decompose(text).is_err() {
        return;
    }
    let before = entries_of(text);
    let entries =
        cache(Document::new(DocumentBlob::new(text)), Profile::Python).entries(None).unwrap();
    let expired: BTreeSet<_> = entries.iter().filter(|it| is_expired(it)).map(id_of).collect();
    let ours = |json: &str| json.contains(CLIENT);

    for profile in [Profile::Python, Profile::Family] {
        let changed = cache(Document::new(DocumentBlob::new(text)), profile);
        changed.add(&sign_in()).unwrap();
        let query = Query::new().client_id(CLIENT).home_account_id("fuzz.target");
        for of in [CredentialType::AccessToken, CredentialType::RefreshToken] {
            assert!(!changed.find(of, &query).unwrap().is_empty(), "the sign-in is not found");
        }
        let after = entries_of(&changed.store().blob().text());
        assert_kept("a sign-in", &before, &after, |id, json| {
            // `Profile::Family` removes expired tokens and `null` records.
            ours(json) || profile == Profile::Family && (json == "null" || expired.contains(id))
        });
    }

    let changed = cache(Document::new(DocumentBlob::new(text)), Profile::Python);
    let purged = changed.purge_expired().unwrap();
    let after = entries_of(&changed.store().blob().text());
    assert!(expired.iter().all(|id| !after.contains_key(id)), "a purge left an expired token");
    let deleted: Vec<_> = entries.iter().filter(|it| !after.contains_key(&id_of(it))).collect();
    assert_eq!(usize::try_from(purged).unwrap(), deleted.len());
    // A token that an expired one superseded is deleted with it.
    let superseded = |id: &(String, String)| {
        let it = deleted.iter().find(|it| id_of(it) == *id);
        it.is_some_and(|it| deleted.iter().any(|other| it != other && share_api(it, other)))
    };
    assert_kept("a purge", &before, &after, |id, _| expired.contains(id) || superseded(id));

    // One entry, which depends on the input.
    let Some(entry) = entries.get(data.len() % entries.len().max(1)) else { return };
    let (of, its_id) = (entry.credential_type(), id_of(entry));
    let new_fields = Fields::new().set("secret", "new").set("invented", 7);
    for fields in [Some(&new_fields), None] {
        let changed = cache(Document::new(DocumentBlob::new(text)), Profile::Python);
        match changed.modify(of.clone(), entry, fields) {
            Ok(()) => {}
            // It is not an object, or not a record.
            Err(Error::Invalid { .. }) if fields.is_some() => continue,
            Err(error) => panic!("{error:?}"),
        }
        let after = entries_of(&changed.store().blob().text());
        assert_kept("a change", &before, &after, |id, _| *id == its_id);
        match (fields, after.get(&its_id)) {
            (None, found) => assert!(found.is_none(), "the removed entry is still present"),
            (Some(_), found) => {
                let changed = found.is_some_and(|it| it.contains(r#""invented": 7"#));
                assert!(changed, "{its_id:?} was not changed: {found:?}");
            }
        }
    }
}

/// Whether two access tokens of one user and client have a scope in common.
fn share_api(one: &Entry, other: &Entry) -> bool {
    let (Some(one), Some(other)) = (one.access_token(), other.access_token()) else { return false };
    one.home_account_id().unwrap_or_default() == other.home_account_id().unwrap_or_default()
        && one.client_id() == other.client_id()
        && one.scopes().any(|scope| other.scopes().any(|it| it.eq_ignore_ascii_case(scope)))
}

fn is_expired(entry: &Entry) -> bool {
    let expires_on = entry.get("expires_on");
    *entry.credential_type() == CredentialType::AccessToken
        && expires_on.and_then(|it| seconds(&it)).is_some_and(|at| at < NOW)
}

/// An event is stored or rejected, and the stored records are readable.
pub fn event(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let event = match Event::from_json(text) {
        Ok(event) => event,
        Err(Error::Corrupt { .. } | Error::Invalid { .. }) => return,
        Err(error) => panic!("{error:?}"),
    };
    for profile in [Profile::Python, Profile::Family] {
        let stored = cache(Memory::new(), profile);
        match stored.add(&event) {
            Ok(_) => {}
            Err(Error::Invalid { .. }) => {
                assert_eq!(stored.serialize().unwrap(), "{}", "a rejected event was stored");
                continue;
            }
            Err(error) => panic!("{error:?}"),
        }
        let entries = stored.entries(None).unwrap();
        for entry in &entries {
            assert_eq!(entry.problem(), None, "{entry:?}");
        }
        stored.add(&event).unwrap();
        assert_eq!(
            stored.entries(None).unwrap().len(),
            entries.len(),
            "an event that is added twice is stored twice"
        );
        document(stored.serialize().unwrap().as_bytes());
    }
}

/// Every entry of a document can be inspected, and is found by its own fields.
pub fn search(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let read = cache(Memory::new(), Profile::Python);
    if read.deserialize(text).is_err() {
        return;
    }
    for of in CredentialType::KNOWN {
        for query in [Query::new(), Query::new().target(["User.Read"]).home_account_id(None)] {
            read.find(of.clone(), &query).unwrap();
        }
    }
    for entry in read.entries(None).unwrap() {
        inspect(&entry);
        if entry.problem().is_some() || is_expired(&entry) {
            continue;
        }
        let mut query = Query::new();
        for name in ["home_account_id", "environment", "client_id", "realm", "secret"] {
            if let Some(text) = entry.get(name) {
                query = query.field(name, &*text);
            }
        }
        if let Some(token) = entry.access_token() {
            query = query.target(token.scopes()).ext_cache_key(token.ext_cache_key());
        }
        let found = read.find(entry.credential_type().clone(), &query).unwrap();
        assert!(found.contains(&entry), "not found by its own fields: {entry:?}");
    }
}

/// Calls all accessors of an entry.
fn inspect(entry: &Entry) {
    assert!(!format!("{entry:?}").is_empty());
    let _ = entry.fields();
    if let Some(token) = entry.access_token() {
        let times = (token.cached_at(), token.expires_on(), token.refresh_on());
        let _ = (times, token.extended_expires_on(), token.secret().expose().len());
    }
    if let Some(token) = entry.refresh_token() {
        let _ = (token.last_modification_time(), token.secret().expose().len());
    }
    if let Some(token) = entry.id_token() {
        let _ = token.claims();
    }
    if let Some(account) = entry.account() {
        let _ = (account.username(), account.authority_type());
    }
}

/// What is recovered of any bytes is a document, whose records are recovered again.
pub fn salvage(data: &[u8]) {
    let found = msal_cache::check::salvage(data).unwrap();
    let recovered = entries_of(&found);
    let is_section = |name: &str| CredentialType::KNOWN.iter().any(|it| it.as_str() == name);
    // The key of a record can't be told from the name of a section.
    if !recovered.keys().any(|(_, key)| is_section(key)) {
        let again = msal_cache::check::salvage(found.as_bytes()).unwrap();
        assert!(entries_of(&again) == recovered, "other records were recovered from {found}");
    }
    let readers = msal_cache::check::readers(data);
    if let Ok(text) = str::from_utf8(data) {
        let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
        let is_read = data.is_empty() || (is_json && text.trim() != "null");
        assert_eq!(readers.node, is_read, "{readers:?}");
    }
}

/// Any document is checked at any time, and repairs come to an end.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for now in [NOW, i64::MIN, i64::MAX] {
        let clock = Arc::new(ManualClock::new(now));
        let read = TokenCache::builder(Memory::new()).clock(clock).build();
        if read.deserialize(text).is_err() {
            return;
        }
        let before = read.entries(None).unwrap().len();
        for finding in read.check().unwrap() {
            assert!(!finding.to_string().is_empty() && !finding.meaning().is_empty());
            inspect(finding.entry());
        }
        // A key may become free for another record.
        let rounds = (0..before + 2).find(|_| read.repair().unwrap().is_empty());
        assert!(rounds.is_some(), "each repair finds something to repair");
        assert!(read.entries(None).unwrap().len() <= before, "a repair added a record");
    }
}
