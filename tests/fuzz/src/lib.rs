//! What has to hold whatever text a cache is handed: the bodies of the fuzz targets. The tests run
//! them too, on files that are spoilt in the same way each time.
//!
//! A body panics where something doesn't hold, and returns where the text asks for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use msal_cache::clock::ManualClock;
use msal_cache::store::{Blob, BlobStore, CacheStore, Document, Revision};
use msal_cache::{
    CredentialType, Entry, Error, Event, Fields, Memory, Profile, Query, Result, TokenCache,
};
use msal_cache_core::internal::{decompose, for_each_member, seconds};
use serde_json::Value;

/// When it all happens, in seconds since the epoch.
const NOW: i64 = 1_700_000_100;

/// Whose records the targets write. Nobody else's may change.
const CLIENT: &str = "the client of the fuzz targets";

fn cache<S: CacheStore>(store: S, profile: Profile) -> TokenCache<S> {
    let clock = Arc::new(ManualClock::new(NOW));
    TokenCache::builder(store).profile(profile).clock(clock).build()
}

/// A document is read and comes back value for value, or is refused and changes nothing.
pub fn document(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let read = cache(Memory::new(), Profile::Python);
    match read.deserialize(text) {
        Ok(()) => {}
        Err(Error::Corrupt { .. }) => {
            assert_eq!(read.serialize().unwrap(), "{}", "what was refused left something behind");
            return;
        }
        Err(error) => panic!("{error:?}"),
    }
    let written = read.serialize().unwrap();
    assert!(written.is_ascii());
    let again = cache(Memory::new(), Profile::Python);
    again.deserialize(&written).unwrap();
    // In memory, the records of different users may change places.
    assert!(entries_of(&again.serialize().unwrap()) == entries_of(&written));
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    if has_doubles(body) {
        // Parsers take the last of two; two parts of a section are merged here.
        return;
    }
    // A number beyond a float and half a surrogate pair are kept here, but are no values.
    if let Ok(before) = serde_json::from_str::<Value>(body) {
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), before);
    }
}

/// Whether a name occurs twice in a document, or a key in a section.
fn has_doubles(document: &str) -> bool {
    let mut doubles = false;
    let mut look = |json: &str, inner: &mut dyn FnMut(&str)| {
        let mut names = BTreeSet::new();
        let _ = for_each_member(json, |name, json| {
            doubles |= !names.insert(name.into_owned());
            inner(json);
        });
    };
    let mut sections = Vec::new();
    look(document, &mut |json| sections.push(json.to_owned()));
    for section in sections {
        look(&section, &mut |_| ());
    }
    doubles
}

/// A string that holds a document.
#[derive(Debug)]
struct Held(Mutex<(Revision, Vec<u8>)>);

impl Held {
    fn new(text: &str) -> Self {
        Self(Mutex::new((Revision::unique(), text.into())))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().1.clone()).unwrap()
    }
}

impl BlobStore for Held {
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

/// A sign-in of a user whom no document knows.
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
    let read = cache(Document::new(Held::new(text)), Profile::Python);
    let entries = read.entries(None).unwrap();
    entries.iter().map(|it| (place_of(it), it.json().expose().to_owned())).collect()
}

fn place_of(entry: &Entry) -> (String, String) {
    (entry.credential_type().as_str().to_owned(), entry.key().to_owned())
}

/// Asserts that everything is still there, but for what may have changed, and for what stands in
/// the place of a section that has no records.
fn assert_kept(
    what: &str,
    before: &Entries,
    after: &Entries,
    may_change: impl Fn(&(String, String), &str) -> bool,
) {
    for (place, json) in before {
        let is_placeholder = place.0.is_empty() && matches!(&**json, "null" | "{}");
        if is_placeholder || may_change(place, json) {
            continue;
        }
        let found = after.get(place).unwrap_or_else(|| panic!("{what} lost {place:?}"));
        let value = |json: &str| serde_json::from_str::<Value>(json).ok();
        // What is not ASCII is written in escapes.
        assert!(
            found == json || value(found) == value(json) && !json.is_ascii(),
            "{what} changed {place:?}"
        );
    }
}

/// Whatever a document holds, a change of it changes what was asked for and nothing else.
pub fn merge(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if decompose(text).is_err() {
        return;
    }
    let before = entries_of(text);
    let entries = cache(Document::new(Held::new(text)), Profile::Python).entries(None).unwrap();
    let expired: BTreeSet<_> = entries.iter().filter(|it| is_expired(it)).map(place_of).collect();
    let ours = |json: &str| json.contains(CLIENT);

    for profile in [Profile::Python, Profile::Family] {
        let changed = cache(Document::new(Held::new(text)), profile);
        changed.add(&sign_in()).unwrap();
        let query = Query::new().client_id(CLIENT).home_account_id("fuzz.target");
        for of in [CredentialType::AccessToken, CredentialType::RefreshToken] {
            assert!(!changed.find(of, &query).unwrap().is_empty(), "the sign-in is not found");
        }
        let after = entries_of(&changed.store().blob().text());
        assert_kept("a sign-in", &before, &after, |place, json| {
            // What nobody owns is swept for the family.
            ours(json) || profile == Profile::Family && (json == "null" || expired.contains(place))
        });
    }

    let changed = cache(Document::new(Held::new(text)), Profile::Python);
    let purged = changed.purge_expired().unwrap();
    assert_eq!(usize::try_from(purged).unwrap(), expired.len());
    let after = entries_of(&changed.store().blob().text());
    assert!(expired.iter().all(|place| !after.contains_key(place)), "a purge left one");
    assert_kept("a purge", &before, &after, |place, _| expired.contains(place));

    // One of them, another for each document.
    let Some(entry) = entries.get(data.len() % entries.len().max(1)) else { return };
    let (of, its_place) = (entry.credential_type(), place_of(entry));
    let new_fields = Fields::new().set("secret", "new").set("invented", 7);
    for fields in [Some(&new_fields), None] {
        let changed = cache(Document::new(Held::new(text)), Profile::Python);
        match changed.modify(of.clone(), entry, fields) {
            Ok(()) => {}
            // It is no object, or no record.
            Err(Error::Invalid { .. }) if fields.is_some() => continue,
            Err(error) => panic!("{error:?}"),
        }
        let after = entries_of(&changed.store().blob().text());
        assert_kept("a change", &before, &after, |place, _| *place == its_place);
        match (fields, after.get(&its_place)) {
            (None, found) => assert!(found.is_none(), "what was removed is there"),
            (Some(_), found) => {
                let changed = found.is_some_and(|it| it.contains(r#""invented": 7"#));
                assert!(changed, "{its_place:?} was not changed: {found:?}");
            }
        }
    }
}

fn is_expired(entry: &Entry) -> bool {
    let expires_on = entry.get("expires_on");
    *entry.credential_type() == CredentialType::AccessToken
        && expires_on.and_then(|it| seconds(&it)).is_some_and(|at| at < NOW)
}

/// The JSON of an event is stored or refused, and what is stored can be read.
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
            Ok(()) => {}
            Err(Error::Invalid { .. }) => {
                assert_eq!(stored.serialize().unwrap(), "{}", "a refused event was stored");
                continue;
            }
            Err(error) => panic!("{error:?}"),
        }
        let entries = stored.entries(None).unwrap();
        for entry in &entries {
            assert_eq!(entry.problem(), None, "{entry:?}");
        }
        stored.add(&event).unwrap();
        assert_eq!(stored.entries(None).unwrap().len(), entries.len(), "stored twice");
        document(stored.serialize().unwrap().as_bytes());
    }
}

/// Every entry of a document can be looked at, and is found by its own fields.
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
        look_at(&entry);
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

fn look_at(entry: &Entry) {
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
