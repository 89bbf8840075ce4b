//! Searches and changes of caches that the MSAL libraries wrote, and of damaged caches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::{CredentialType, Entry, Fields, Memory, Query, TokenCache};
use msal_cache_peers::{Peer, cache_files, difference, document, outcome, without_empty_sections};
use serde_json::{Value, json};

/// The time of all searches, before most of the tokens expire.
const NOW: i64 = 1_700_000_100;

/// The files that MSAL Python can't read.
const UNREADABLE: [&str; 7] = [
    "51-whitespace.json",
    "52-null.json",
    "54-bom.json",
    "55-truncated.json",
    "56-trailing-garbage.json",
    "58-trailing-comma.json",
    "59-array.json",
];

fn ours(state: &str) -> Result<TokenCache<Memory>, msal_cache::Error> {
    let cache = TokenCache::with_clock(Memory::new(), Arc::new(ManualClock::new(NOW)));
    cache.deserialize(state)?;
    Ok(cache)
}

/// Every fixture that both can read: its name, its text and its cache in this crate.
fn caches(peer: &mut Peer) -> Vec<(String, String, TokenCache<Memory>)> {
    let mut caches = Vec::new();
    let mut unreadable = BTreeSet::new();
    let files = cache_files("").into_iter().chain(cache_files("mutations"));
    for (name, state) in files {
        // An unreadable file raises on `deserialize` or on `search`.
        let theirs = peer.call("new", json!({ "cache": "c", "state": state })).and_then(|_| {
            peer.call("search", json!({ "cache": "c", "credential_type": "Invented" }))
        });
        match (ours(&state), theirs) {
            (Ok(cache), Ok(_)) => caches.push((name, state, cache)),
            // This crate skips a byte order mark, which some editors write.
            (Ok(cache), Err(_)) if name == "54-bom.json" => {
                assert!(!cache.entries(None).unwrap().is_empty());
                unreadable.insert(name);
            }
            (ours, theirs) => {
                assert!(ours.is_err() && theirs.is_err(), "{name}: {ours:?} {theirs:?}");
                unreadable.insert(name);
            }
        }
    }
    let expected: BTreeSet<_> = UNREADABLE.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(unreadable, expected);
    caches
}

/// The document as a parser reads it that keeps the last of two members with the same name. An
/// empty text is an empty cache to both.
fn as_read(state: &str) -> Value {
    let text = if state.is_empty() { "{}" } else { state };
    serde_json::from_str(text).expect("Python can read it as JSON")
}

/// A search in terms of both.
#[derive(Clone)]
struct Search {
    credential_type: String,
    target: Vec<String>,
    fields: BTreeMap<String, Option<String>>,
}

impl Search {
    fn for_theirs(&self) -> Value {
        json!({
            "credential_type": self.credential_type,
            "target": self.target,
            "query": self.fields,
        })
    }

    fn for_ours(&self) -> Query {
        let query = Query::new().target(&self.target);
        self.fields
            .iter()
            .fold(query, |query, (name, value)| query.field(name.clone(), value.as_deref()))
    }
}

/// All searches of a document.
fn searches(document: &Value) -> Vec<Search> {
    let mut searches = BTreeMap::new();
    let mut add = |section: &str, target: &[&str], fields: &[(&str, Option<String>)]| {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let target = target.iter().map(|&scope| scope.to_owned()).collect();
        let search =
            Search { credential_type: section.to_owned(), target, fields: fields.collect() };
        searches.insert(search.for_theirs().to_string(), search);
    };
    for section in CredentialType::KNOWN {
        let section = section.as_str();
        add(section, &[], &[]);
        add(section, &["User.Read"], &[]);
        add(section, &[], &[("home_account_id", None)]);
        add(section, &[], &[("home_account_id", Some(String::new()))]);
        add(section, &[], &[("family_id", Some("1".into()))]);
        add(section, &[], &[("family_id", None)]);
        add(section, &[], &[("ext_cache_key", None)]);
        add(section, &[], &[("unheard_of", Some("x".into()))]);
        let entries = document[section].as_object();
        for entry in entries.into_iter().flat_map(|entries| entries.values()) {
            add_searches_for(section, entry, &mut add);
        }
    }
    searches.into_values().collect()
}

/// Adds the searches for an entry and for similar ones.
fn add_searches_for(
    section: &str,
    entry: &Value,
    add: &mut impl FnMut(&str, &[&str], &[(&str, Option<String>)]),
) {
    let text = |value: &Value| match value {
        Value::String(text) => Some(Some(text.clone())),
        Value::Number(number) => Some(Some(number.to_string())),
        Value::Null => Some(None),
        _ => None,
    };
    for (name, value) in entry.as_object().into_iter().flatten() {
        let Some(value) = text(value) else { continue };
        add(section, &[], &[(name, value.clone())]);
        add(section, &[], &[(name, None)]);
        if let Some(value) = value {
            add(section, &[], &[(name, Some(format!("{value}x")))]);
            add(section, &[], &[(name, Some(value.to_uppercase()))]);
        }
    }
    // The queries of an app.
    let names = ["home_account_id", "environment", "client_id", "realm"];
    let known = |name: &'static str| entry.get(name).and_then(text).map(|value| (name, value));
    let identity: Vec<_> = names.into_iter().filter_map(known).collect();
    let key_id = [known("key_id"), Some(("key_id", Some("other".into())))];
    let ext_cache_key = [
        known("ext_cache_key"),
        Some(("ext_cache_key", Some("cojvfy5tzae3njpkvcebguvvx5vvmnj8hphqrbogjoi".into()))),
    ];
    let mut queries = vec![identity.clone()];
    for more in key_id.into_iter().chain(ext_cache_key).flatten() {
        queries.push(identity.iter().cloned().chain([more]).collect());
    }
    let mut other_case = identity.clone();
    for (name, value) in &mut other_case {
        if *name == "environment" {
            *value = value.as_ref().map(|host| host.to_uppercase());
        }
    }
    queries.push(other_case);
    queries.push(identity.into_iter().filter(|(name, _)| *name != "realm").collect());
    let scopes: Vec<_> =
        entry["target"].as_str().unwrap_or("User.Read").split_whitespace().collect();
    let upper: Vec<_> = scopes.iter().map(|scope| scope.to_uppercase()).collect();
    let backwards: Vec<_> = scopes.iter().rev().copied().collect();
    for query in &queries {
        add(section, &[], query);
        add(section, &scopes, query);
        add(section, &backwards, query);
        add(section, &[scopes.clone(), scopes.clone()].concat(), query);
        add(section, &[&scopes[..], &["Not.Granted"]].concat(), query);
        add(section, &upper.iter().map(String::as_str).collect::<Vec<_>>(), query);
        for scope in &scopes {
            add(section, &[scope], query);
        }
    }
}

/// Decides why only one side finds an entry. `None` is an unexpected difference.
struct Judge<'a> {
    document: &'a Value,
    search: &'a Search,
}

impl Judge<'_> {
    /// Whether the extended cache key has the field name of another library.
    fn foreign_ext_cache_key(entry: &Value) -> bool {
        ["ext", "additionalCacheKeyComponents", "ext_cache_key_hash"]
            .iter()
            .any(|name| entry.get(name).is_some())
    }

    fn only_ours(&self, entry: &Value) -> Option<&'static str> {
        let section = self.document[&self.search.credential_type].as_object();
        if !section.is_some_and(|it| it.values().any(|it| it == entry)) {
            return Some("is in the first of two sections with the same name");
        }
        for (name, wanted) in &self.search.fields {
            let found = entry.get(name);
            let same = match (found, wanted) {
                (Some(Value::String(found)), Some(wanted)) if name == "environment" => {
                    *found == wanted.to_lowercase()
                }
                (Some(found), Some(wanted)) => found == wanted,
                (Some(found), None) => found.is_null(),
                (None, _) => false,
            };
            if same {
                continue;
            }
            return match (found, wanted) {
                (None, None) => Some("lacks a field that is queried as null"),
                (Some(Value::String(found)), None)
                    if name == "home_account_id" && found.is_empty() =>
                {
                    Some("has an empty home_account_id, queried as null")
                }
                (None | Some(Value::Null), Some(wanted))
                    if name == "home_account_id" && wanted.is_empty() =>
                {
                    Some("has no home_account_id, queried as empty")
                }
                (Some(Value::Number(number)), Some(wanted)) if number.to_string() == *wanted => {
                    Some("has a number, queried as a string")
                }
                (None, Some(_))
                    if name == "ext_cache_key" && Self::foreign_ext_cache_key(entry) =>
                {
                    Some("has the extended cache key of another library")
                }
                _ => None,
            };
        }
        let scopes: Vec<_> = entry["target"].as_str().unwrap_or_default().split(' ').collect();
        let exact = self.search.target.iter().all(|it| scopes.contains(&it.as_str()));
        (!exact).then_some("has the scopes in a different case")
    }

    fn only_theirs(&self, entry: &Value) -> Option<&'static str> {
        if entry["expires_on"]
            .as_str()
            .and_then(|at| at.parse().ok())
            .is_some_and(|at: i64| at < NOW)
        {
            return Some("has expired, but is found by its key");
        }
        // MSAL Python compares keys only, which contain the scopes.
        if !entry["target"].is_string() && !self.search.target.is_empty() {
            return Some("lacks its scopes, but is found by its key");
        }
        (Self::foreign_ext_cache_key(entry) && !self.search.fields.contains_key("ext_cache_key"))
            .then_some("has the extended cache key of another library, not queried")
    }
}

fn as_value(entry: &Entry) -> Value {
    serde_json::from_str(entry.json().expose()).expect("a stored entry is JSON")
}

/// The elements of `all` without those of `others`, each as often as it occurs.
fn without(all: &[Value], others: &[Value]) -> Vec<Value> {
    let mut others = others.to_vec();
    let mut left = all.to_vec();
    left.retain(|it| match others.iter().position(|other| other == it) {
        Some(at) => {
            others.swap_remove(at);
            false
        }
        None => true,
    });
    left
}

#[test]
fn searches_find_the_same_entries() {
    let mut peer = Peer::start();
    let (mut asked, mut found, mut raised) = (0, 0, 0);
    let mut reasons: BTreeMap<&str, (usize, BTreeSet<String>)> = BTreeMap::new();
    let mut faults = Vec::new();
    let caches = caches(&mut peer);
    for (name, state, cache) in &caches {
        let document = as_read(state);
        let searches = searches(&document);
        let described: Vec<_> = searches.iter().map(Search::for_theirs).collect();
        let responses =
            peer.list("queried", json!({ "state": state, "queries": described, "now": NOW }));
        for (search, response) in searches.iter().zip(responses) {
            asked += 1;
            let credential_type = CredentialType::from(search.credential_type.as_str());
            let ours: Vec<_> = cache
                .search(credential_type, &search.for_ours())
                .unwrap_or_else(|error| panic!("{name}: {}: {error}", search.for_theirs()))
                .map(|entry| as_value(&entry))
                .collect();
            let alone = response["alone"].clone();
            let theirs = outcome(response).unwrap_or_else(|_| {
                raised += 1;
                // A section that is not an object raises as a whole.
                outcome(alone).unwrap_or_default()
            });
            let theirs = theirs.as_array().cloned().unwrap_or_default();
            found += ours.len();
            let judge = Judge { document: &document, search };
            let mut settle =
                |side: &str, entry: &Value, reason: Option<&'static str>| match reason {
                    Some(reason) => {
                        let of_reason = reasons.entry(reason).or_default();
                        of_reason.0 += 1;
                        of_reason.1.insert(name.clone());
                    }
                    None => faults
                        .push(format!("{name}: {}\n  only {side}: {entry}", search.for_theirs())),
                };
            for entry in without(&ours, &theirs) {
                settle("ours", &entry, judge.only_ours(&entry));
            }
            for entry in without(&theirs, &ours) {
                settle("theirs", &entry, judge.only_theirs(&entry));
            }
        }
    }
    let shown = &faults[..faults.len().min(15)];
    assert!(faults.is_empty(), "{} differences:\n{}", faults.len(), shown.join("\n"));
    println!(
        "{asked} searches of {} caches found {found} entries; Python raised in {raised}; listed \
         differences:",
        caches.len()
    );
    for (reason, (number, files)) in &reasons {
        println!("  {number:6} {reason} ({} files)", files.len());
    }
    // Each listed difference must occur.
    assert_eq!(reasons.into_keys().collect::<Vec<_>>(), REASONS);
}

/// The listed reasons why only one side finds an entry, sorted.
const REASONS: [&str; 10] = [
    "has a number, queried as a string",
    "has an empty home_account_id, queried as null",
    "has expired, but is found by its key",
    "has no home_account_id, queried as empty",
    "has the extended cache key of another library",
    "has the extended cache key of another library, not queried",
    "has the scopes in a different case",
    "is in the first of two sections with the same name",
    "lacks a field that is queried as null",
    "lacks its scopes, but is found by its key",
];

/// A change of one entry, in terms of both, and its expected result.
struct EntryChange<'a> {
    entry: &'a Entry,
    how: &'static str,
    fields: Option<Value>,
}

impl EntryChange<'_> {
    fn for_theirs(&self) -> Value {
        json!({
            "how": self.how,
            "entry": as_value(self.entry),
            "credential_type": self.entry.credential_type().as_str(),
            "fields": self.fields,
            "secret": "updated",
            "now": NOW,
        })
    }

    fn apply(&self, cache: &TokenCache<Memory>) -> msal_cache::Result<()> {
        let entry = self.entry;
        match self.how {
            "remove_at" => cache.remove_at(entry),
            "remove_rt" => cache.remove_rt(entry),
            "remove_idt" => cache.remove_idt(entry),
            "remove_account" => cache.remove_account(entry),
            "update_rt" => cache.update_rt(entry, "updated"),
            _ => {
                let fields = self.fields.as_ref().map(|it| Fields::from_json(&it.to_string()));
                let fields = fields.transpose()?;
                cache.modify(entry.credential_type().clone(), entry, fields.as_ref())
            }
        }
    }

    /// The document after the change of the entry under its stored key.
    fn expected(&self, mut document: Value) -> Value {
        let section = &mut document[self.entry.credential_type().as_str()];
        let changes = match self.how {
            "update_rt" => {
                json!({ "secret": "updated", "last_modification_time": NOW.to_string() })
            }
            _ => self.fields.clone().unwrap_or_default(),
        };
        match changes {
            Value::Object(changes) if !changes.is_empty() => {
                let entry = section[self.entry.key()].as_object_mut().expect("an object");
                entry.extend(changes);
            }
            _ => drop(section.as_object_mut().expect("a section").remove(self.entry.key())),
        }
        without_empty_sections(document)
    }
}

fn changes(entry: &Entry) -> Vec<EntryChange<'_>> {
    let (remove, update) = match entry.credential_type() {
        CredentialType::AccessToken => (Some("remove_at"), None),
        CredentialType::RefreshToken => (Some("remove_rt"), Some("update_rt")),
        CredentialType::IdToken => (Some("remove_idt"), None),
        CredentialType::Account => (Some("remove_account"), None),
        _ => (None, None),
    };
    let mut changes: Vec<_> = remove
        .into_iter()
        .chain(update)
        .map(|how| EntryChange { entry, how, fields: None })
        .collect();
    let fields = [
        None,
        Some(json!({})),
        Some(json!({ "secret": "changed" })),
        Some(json!({ "added": { "deep": [1, null, "é🦀"] }, "username": "ålice", "n": null })),
    ];
    changes.extend(fields.map(|fields| EntryChange { entry, how: "modify", fields }));
    changes
}

#[test]
fn equal_changes_make_equal_caches() {
    let mut peer = Peer::start();
    let (mut equal, mut by_stored_key, mut raised, mut lost) = (0, 0, 0, BTreeSet::new());
    for (name, state, cache) in caches(&mut peer) {
        let before = document(&cache.serialize().unwrap());
        let entries = cache.entries(None).unwrap();
        let changes: Vec<_> = entries
            .iter()
            .filter(|it| CredentialType::KNOWN.contains(it.credential_type()))
            .flat_map(changes)
            .collect();
        let requests: Vec<_> = changes.iter().map(EntryChange::for_theirs).collect();
        let theirs = peer.list("changed", json!({ "state": state, "changes": requests }));
        // Python's parser drops the first of two members with the same name.
        let python_has_all = without_empty_sections(as_read(&state)) == before;
        if !python_has_all {
            lost.insert(name.clone());
        }
        for (change, theirs) in changes.iter().zip(theirs) {
            let cache = ours(&state).unwrap();
            let what = || format!("{name}: {}", change.for_theirs());
            if change.entry.fields().is_err() && change.how == "modify" {
                let removes = !change.fields.as_ref().is_some_and(|it| it != &json!({}));
                assert_eq!(change.apply(&cache).is_ok(), removes, "{}", what());
                assert!(outcome(theirs).is_err(), "{}", what());
                raised += 1;
                continue;
            }
            change.apply(&cache).unwrap_or_else(|error| panic!("{}: {error}", what()));
            let after = document(&cache.serialize().unwrap());
            let expected = change.expected(before.clone());
            assert!(after == expected, "{}\n{}", what(), difference(&after, &expected));
            match outcome(theirs).map(without_empty_sections) {
                Ok(theirs) if theirs == after => equal += 1,
                Ok(_) if !python_has_all => {}
                Ok(theirs) => {
                    // MSAL Python changes the entry under the computed key.
                    let computed = peer.list(
                        "keys",
                        json!({
                            "credential_type": change.entry.credential_type().as_str(),
                            "fields": [as_value(change.entry)],
                        }),
                    );
                    let computed = computed[0].as_str().unwrap();
                    assert_ne!(
                        computed,
                        change.entry.key(),
                        "{}\n{}",
                        what(),
                        difference(&after, &theirs)
                    );
                    by_stored_key += 1;
                }
                Err(_) => raised += 1,
            }
        }
    }
    assert_eq!(lost, BTreeSet::from(["60-dup-json-keys.json".to_owned()]));
    println!(
        "{equal} changes made equal caches; {by_stored_key} changed an entry under its stored key, \
         which Python did not; {raised} raised in Python"
    );
}
