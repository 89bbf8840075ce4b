//! Searching and changing caches that the real MSAL libraries wrote, and caches with one thing
//! wrong in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::{CredentialType, Entry, Fields, Memory, Query, TokenCache};
use msal_cache_peers::{Peer, cache_files, difference, document, outcome, without_empty_sections};
use serde_json::{Value, json};

/// When everything is asked: before most of the tokens expire.
const NOW: i64 = 1_700_000_100;

/// The files that are no document to Python.
const NOT_READ: [&str; 7] = [
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

/// Every file of the fixtures that both read, with the cache as it is here.
fn caches(peer: &mut Peer) -> Vec<(String, String, TokenCache<Memory>)> {
    let mut caches = Vec::new();
    let mut not_read = BTreeSet::new();
    let files = cache_files("").into_iter().chain(cache_files("mutations"));
    for (name, state) in files {
        // What is no document at all raises when it is read or when it is searched.
        let theirs = peer.call("new", json!({ "cache": "c", "state": state })).and_then(|_| {
            peer.call("search", json!({ "cache": "c", "credential_type": "Invented" }))
        });
        match (ours(&state), theirs) {
            (Ok(cache), Ok(_)) => caches.push((name, state, cache)),
            // Editors write a byte order mark; we read past it.
            (Ok(cache), Err(_)) if name == "54-bom.json" => {
                assert!(!cache.entries(None).unwrap().is_empty());
                not_read.insert(name);
            }
            (ours, theirs) => {
                assert!(ours.is_err() && theirs.is_err(), "{name}: {ours:?} {theirs:?}");
                not_read.insert(name);
            }
        }
    }
    let expected: BTreeSet<_> = NOT_READ.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(not_read, expected);
    caches
}

/// The document as a parser reads it that takes the last of two members of one name. The empty
/// text is the empty cache to both.
fn as_read(state: &str) -> Value {
    let text = if state.is_empty() { "{}" } else { state };
    serde_json::from_str(text).expect("Python has read it as JSON")
}

/// A search, as both understand it.
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

/// Everything to ask of a document.
fn searches(document: &Value) -> Vec<Search> {
    let mut searches = BTreeMap::new();
    let mut ask = |section: &str, target: &[&str], fields: &[(&str, Option<String>)]| {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let target = target.iter().map(|&scope| scope.to_owned()).collect();
        let search =
            Search { credential_type: section.to_owned(), target, fields: fields.collect() };
        searches.insert(search.for_theirs().to_string(), search);
    };
    for section in CredentialType::KNOWN {
        let section = section.as_str();
        ask(section, &[], &[]);
        ask(section, &["User.Read"], &[]);
        ask(section, &[], &[("home_account_id", None)]);
        ask(section, &[], &[("home_account_id", Some(String::new()))]);
        ask(section, &[], &[("family_id", Some("1".into()))]);
        ask(section, &[], &[("family_id", None)]);
        ask(section, &[], &[("ext_cache_key", None)]);
        ask(section, &[], &[("unheard_of", Some("x".into()))]);
        let entries = document[section].as_object();
        for entry in entries.into_iter().flat_map(|entries| entries.values()) {
            about_entry(section, entry, &mut ask);
        }
    }
    searches.into_values().collect()
}

fn about_entry(
    section: &str,
    entry: &Value,
    ask: &mut impl FnMut(&str, &[&str], &[(&str, Option<String>)]),
) {
    let text = |value: &Value| match value {
        Value::String(text) => Some(Some(text.clone())),
        Value::Number(number) => Some(Some(number.to_string())),
        Value::Null => Some(None),
        _ => None,
    };
    for (name, value) in entry.as_object().into_iter().flatten() {
        let Some(value) = text(value) else { continue };
        ask(section, &[], &[(name, value.clone())]);
        ask(section, &[], &[(name, None)]);
        if let Some(value) = value {
            ask(section, &[], &[(name, Some(format!("{value}x")))]);
            ask(section, &[], &[(name, Some(value.to_uppercase()))]);
        }
    }
    // As an app asks.
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
        ask(section, &[], query);
        ask(section, &scopes, query);
        ask(section, &backwards, query);
        ask(section, &[scopes.clone(), scopes.clone()].concat(), query);
        ask(section, &[&scopes[..], &["Not.Granted"]].concat(), query);
        ask(section, &upper.iter().map(String::as_str).collect::<Vec<_>>(), query);
        for scope in &scopes {
            ask(section, &[scope], query);
        }
    }
}

/// Why a search finds an entry here and not in Python, or the other way round; `None` where it
/// should not be.
struct Judge<'a> {
    document: &'a Value,
    search: &'a Search,
}

impl Judge<'_> {
    /// Under the names that the other libraries have for it.
    fn foreign_ext_cache_key(entry: &Value) -> bool {
        ["ext", "additionalCacheKeyComponents", "ext_cache_key_hash"]
            .iter()
            .any(|name| entry.get(name).is_some())
    }

    fn only_ours(&self, entry: &Value) -> Option<&'static str> {
        let section = self.document[&self.search.credential_type].as_object();
        if !section.is_some_and(|it| it.values().any(|it| it == entry)) {
            return Some("stands in the first of two sections of one name");
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
                (None, None) => Some("lacks what is asked for as null"),
                (Some(Value::String(found)), None)
                    if name == "home_account_id" && found.is_empty() =>
                {
                    Some("has an empty home_account_id, asked for as null")
                }
                (None | Some(Value::Null), Some(wanted))
                    if name == "home_account_id" && wanted.is_empty() =>
                {
                    Some("has no home_account_id, asked for as empty")
                }
                (Some(Value::Number(number)), Some(wanted)) if number.to_string() == *wanted => {
                    Some("has a number, asked for as a text")
                }
                (None, Some(_))
                    if name == "ext_cache_key" && Self::foreign_ext_cache_key(entry) =>
                {
                    Some("has the extended key of another library")
                }
                _ => None,
            };
        }
        let scopes: Vec<_> = entry["target"].as_str().unwrap_or_default().split(' ').collect();
        let exact = self.search.target.iter().all(|it| scopes.contains(&it.as_str()));
        (!exact).then_some("has the scopes in another case")
    }

    fn only_theirs(&self, entry: &Value) -> Option<&'static str> {
        if entry["expires_on"]
            .as_str()
            .and_then(|at| at.parse().ok())
            .is_some_and(|at: i64| at < NOW)
        {
            return Some("has expired, and is found by its key");
        }
        // Python trusts the key, in which the scopes stand too.
        if !entry["target"].is_string() && !self.search.target.is_empty() {
            return Some("lacks its scopes, and is found by its key");
        }
        (Self::foreign_ext_cache_key(entry) && !self.search.fields.contains_key("ext_cache_key"))
            .then_some("has the extended key of another library, which wasn't asked for")
    }
}

fn as_value(entry: &Entry) -> Value {
    serde_json::from_str(entry.json().expose()).expect("a stored entry is JSON")
}

/// What is in the first and not in the second, counted.
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
        let queries: Vec<_> = searches.iter().map(Search::for_theirs).collect();
        let answers =
            peer.list("queried", json!({ "state": state, "queries": queries, "now": NOW }));
        for (search, answer) in searches.iter().zip(answers) {
            asked += 1;
            let credential_type = CredentialType::from(search.credential_type.as_str());
            let ours: Vec<_> = cache
                .search(credential_type, &search.for_ours())
                .unwrap_or_else(|error| panic!("{name}: {}: {error}", search.for_theirs()))
                .map(|entry| as_value(&entry))
                .collect();
            let alone = answer["alone"].clone();
            let theirs = outcome(answer).unwrap_or_else(|_| {
                raised += 1;
                // A section that is no object raises as a whole.
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
        "{asked} searches of {} caches found {found} entries; Python raised in {raised}; found \
         otherwise, for a reason:",
        caches.len()
    );
    for (reason, (number, files)) in &reasons {
        println!("  {number:6} {reason} ({} files)", files.len());
    }
    // Each reason is a promise, so each must have been met.
    assert_eq!(reasons.into_keys().collect::<Vec<_>>(), REASONS);
}

/// Why an entry may be found by one of both alone.
const REASONS: [&str; 10] = [
    "has a number, asked for as a text",
    "has an empty home_account_id, asked for as null",
    "has expired, and is found by its key",
    "has no home_account_id, asked for as empty",
    "has the extended key of another library",
    "has the extended key of another library, which wasn't asked for",
    "has the scopes in another case",
    "lacks its scopes, and is found by its key",
    "lacks what is asked for as null",
    "stands in the first of two sections of one name",
];

/// A change of one entry: as both are told it, and what is expected of the document.
struct Changing<'a> {
    entry: &'a Entry,
    how: &'static str,
    fields: Option<Value>,
}

impl Changing<'_> {
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

    /// The document after the change, by the key under which the entry stands.
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

fn changes(entry: &Entry) -> Vec<Changing<'_>> {
    let (remove, update) = match entry.credential_type() {
        CredentialType::AccessToken => (Some("remove_at"), None),
        CredentialType::RefreshToken => (Some("remove_rt"), Some("update_rt")),
        CredentialType::IdToken => (Some("remove_idt"), None),
        CredentialType::Account => (Some("remove_account"), None),
        _ => (None, None),
    };
    let mut changes: Vec<_> =
        remove.into_iter().chain(update).map(|how| Changing { entry, how, fields: None }).collect();
    let fields = [
        None,
        Some(json!({})),
        Some(json!({ "secret": "changed" })),
        Some(json!({ "added": { "deep": [1, null, "é🦀"] }, "username": "ålice", "n": null })),
    ];
    changes.extend(fields.map(|fields| Changing { entry, how: "modify", fields }));
    changes
}

#[test]
fn changes_make_the_same_cache() {
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
        let told: Vec<_> = changes.iter().map(Changing::for_theirs).collect();
        let theirs = peer.list("changed", json!({ "state": state, "changes": told }));
        // Of a name that stands twice, Python's parser drops the first.
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
                    // Python looks under the key that it would have given the entry.
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
        "{equal} changes made equal caches; {by_stored_key} changed the entry where it stands and \
         Python did not; {raised} raised in Python"
    );
}
