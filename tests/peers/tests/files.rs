//! One file, written and read by this crate and MSAL Python in turn.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msal_cache::clock::ManualClock;
use msal_cache::store::ext_cache_key;
use msal_cache::{CredentialType, Event, FileStore, Query, TokenCache};
use msal_cache_peers::{
    NOW, Peer, cache_files, difference, document, equal_events, id_token, without_empty_sections,
};
use serde_json::{Value, json};
use tempfile::TempDir;

type Cache = TokenCache<FileStore>;

/// A directory for one test, and the path of a cache in it.
fn temporary_path() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("msal_token_cache.json");
    (folder, path)
}

fn open(path: &Path) -> Cache {
    TokenCache::with_clock(FileStore::open(path).unwrap(), Arc::new(ManualClock::new(NOW)))
}

fn add(cache: &Cache, event: &Value) {
    cache.add(&Event::from_json(&event.to_string()).unwrap()).unwrap();
}

/// Events whose tokens are valid at `NOW`.
fn events() -> Vec<Value> {
    let lasting = equal_events()
        .into_iter()
        .filter(|it| !it.name.contains("below zero") && !it.name.starts_with("expires_on"));
    lasting.map(|it| it.event).collect()
}

/// Asserts that only the owner can open the file, and that its directory has no other file.
fn assert_private_and_alone(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{mode:o}");
    }
    let beside = fs::read_dir(path.parent().unwrap()).unwrap();
    let beside: Vec<_> = beside.map(|it| it.unwrap().path()).filter(|it| it != path).collect();
    assert!(beside.is_empty(), "{beside:?}");
}

/// The entries of a section.
fn entries(document: &Value, section: &CredentialType) -> Vec<Value> {
    let section = document[section.as_str()].as_object();
    section.into_iter().flat_map(|it| it.values().cloned()).collect()
}

fn ext_cache_keys(document: &Value, section: &CredentialType) -> BTreeSet<String> {
    let entries = entries(document, section).into_iter();
    entries.filter_map(|it| it["ext_cache_key"].as_str().map(str::to_owned)).collect()
}

fn sorted(mut entries: Vec<Value>) -> Vec<Value> {
    entries.sort_by_cached_key(Value::to_string);
    entries
}

/// Asserts that MSAL Python finds all entries of our file, in both of its ways to open one. Returns
/// the number of entries.
fn python_finds_everything(peer: &mut Peer, path: &Path, written: &Value) -> usize {
    let mut number = 0;
    for how in ["read_file", "open_file"] {
        peer.get(how, json!({ "cache": how, "path": path }));
        for section in CredentialType::KNOWN {
            // A token with an extended cache key is found only by that key.
            let keys = ext_cache_keys(written, &section).into_iter();
            let keys = keys.map(|key| json!({ "ext_cache_key": key }));
            let mut found = Vec::new();
            for query in keys.chain([json!({})]) {
                let search = json!({
                    "cache": how, "credential_type": section.as_str(), "query": query, "now": NOW,
                });
                found.extend(peer.list("search", search));
            }
            let (found, expected) = (sorted(found), sorted(entries(written, &section)));
            number += expected.len();
            assert!(found == expected, "{how} {section}:\n{found:#?}\n{expected:#?}");
        }
        let theirs = without_empty_sections(peer.document(how));
        assert!(theirs == *written, "{how}:\n{}", difference(written, &theirs));
    }
    number / 2
}

/// The number of tokens and accounts that MSAL Python's application API returns from our file.
#[derive(Debug, Default)]
struct Returned {
    silent: usize,
    for_client: usize,
    accounts: usize,
    /// Tokens that an app can't request, for example those without scopes.
    not_requested: usize,
}

impl Returned {
    /// Requests all access tokens that an app can request, and all accounts.
    fn request(&mut self, peer: &mut Peer, written: &Value) {
        let text = |entry: &Value, name: &str| entry[name].as_str().map(str::to_owned);
        let accounts = entries(written, &CredentialType::Account);
        let mut apps = BTreeSet::new();
        for token in entries(written, &CredentialType::AccessToken) {
            let authority = text(&token, "environment").zip(text(&token, "realm"));
            let (Some((environment, realm)), Some(client)) = (authority, text(&token, "client_id"))
            else {
                self.not_requested += 1;
                continue;
            };
            let authority = format!("https://{environment}/{realm}");
            let scopes = text(&token, "target").unwrap_or_default();
            let scopes: Vec<_> = scopes.split_whitespace().collect();
            let seconds = |name| text(&token, name).and_then(|it| it.parse::<i64>().ok());
            if scopes.is_empty()
                || client.is_empty()
                || seconds("expires_on").is_none_or(|at| at < NOW + 300)
                || seconds("refresh_on").is_some_and(|at| at < NOW)
            {
                self.not_requested += 1;
                continue;
            }
            let key_of_path = ext_cache_key([("fmi_path", FMI_PATH)]);
            let fmi_path = match text(&token, "ext_cache_key") {
                None => None,
                key if key == key_of_path => Some(FMI_PATH),
                Some(_) => {
                    self.not_requested += 1; // Its parameters are unknown.
                    continue;
                }
            };
            let common = json!({
                "cache": "open_file", "client_id": client, "authority": authority,
                "scopes": scopes, "now": NOW,
            });
            let response = match text(&token, "home_account_id") {
                None if token["key_id"].is_null() => {
                    self.for_client += 1;
                    let more = json!({ "fmi_path": fmi_path });
                    peer.get("for_client", merged(common, more))
                }
                Some(home) if listed(&accounts, &environment).contains(&home) => {
                    self.silent += 1;
                    apps.insert((client, environment, authority));
                    let mut data = json!({});
                    if let Some(key_id) = text(&token, "key_id") {
                        data = json!({
                            "token_type": token["token_type"], "key_id": key_id, "req_cnf": "c",
                        });
                    }
                    if let Some(path) = fmi_path {
                        data = merged(data, json!({ "fmi_path": path }));
                    }
                    let more = json!({ "home_account_id": home, "data": data });
                    peer.get("silent", merged(common, more))
                }
                _ => {
                    self.not_requested += 1;
                    continue;
                }
            };
            let what = || format!("{token}\n{response}");
            assert_eq!(response["result"]["token_source"], "cache", "{}", what());
            assert_eq!(response["requests"], 0, "{}", what());
            assert_eq!(response["result"]["access_token"], token["secret"], "{}", what());
            assert_eq!(response["result"]["token_type"], token["token_type"], "{}", what());
        }
        for (client, environment, authority) in apps {
            let parameters =
                json!({ "cache": "open_file", "client_id": client, "authority": authority });
            let found = peer.list("accounts", parameters);
            let found: BTreeSet<_> =
                found.iter().filter_map(|it| text(it, "home_account_id")).collect();
            let expected = listed(&accounts, &environment);
            assert_eq!(found, expected, "{authority}");
            self.accounts += expected.len();
        }
    }
}

const FMI_PATH: &str = "SomeFmiPath/FmiCredentialPath";

/// The home account ids that an app of this cloud lists.
fn listed(accounts: &[Value], environment: &str) -> BTreeSet<String> {
    let accounts = accounts.iter().filter(|it| {
        it["environment"] == environment
            && (it["authority_type"] == "MSSTS" || it["authority_type"] == "ADFS")
    });
    accounts.filter_map(|it| it["home_account_id"].as_str().map(str::to_owned)).collect()
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

#[test]
fn python_reads_what_we_write() {
    let mut peer = Peer::start();
    let (mut files, mut found, mut returned) = (0, 0, Returned::default());
    for (name, state) in cache_files("") {
        let (_folder, path) = temporary_path();
        open(&path).deserialize(&state).unwrap();
        assert_private_and_alone(&path);
        let written = document(&fs::read_to_string(&path).unwrap());
        assert_eq!(written, document(&state), "{name}");
        found += python_finds_everything(&mut peer, &path, &written);
        if name.starts_with("python-") {
            returned.request(&mut peer, &written);
        }
        files += 1;
    }
    // Each event in a separate file, so that no event replaces records of another.
    for event in events() {
        let (_folder, path) = temporary_path();
        let cache = open(&path);
        add(&cache, &event);
        assert_private_and_alone(&path);
        let written = document(&fs::read_to_string(&path).unwrap());
        assert_eq!(written, document(&cache.serialize().unwrap()));
        found += python_finds_everything(&mut peer, &path, &written);
        returned.request(&mut peer, &written);
        files += 1;
    }
    // All events in one file.
    let (_folder, path) = temporary_path();
    let cache = open(&path);
    for event in events() {
        add(&cache, &event);
    }
    assert_private_and_alone(&path);
    let written = document(&fs::read_to_string(&path).unwrap());
    found += python_finds_everything(&mut peer, &path, &written);
    assert!(returned.silent > 80 && returned.for_client > 25, "{returned:?}");
    println!("{} files of ours: {found} entries found by Python; {returned:?}", files + 1);
}

/// Asserts that this crate finds all entries of a file of MSAL Python. Returns their number.
fn we_find_everything(cache: &Cache, theirs: &Value) -> usize {
    let mut number = 0;
    for section in CredentialType::KNOWN {
        let found = cache.find(section.clone(), &Query::new().field("ext_cache_key", None));
        let mut found = found.unwrap();
        for key in ext_cache_keys(theirs, &section) {
            let query = Query::new().ext_cache_key(key);
            found.extend(cache.find(section.clone(), &query).unwrap());
        }
        let found = found.iter().map(|it| serde_json::from_str(it.json().expose()).unwrap());
        let found = sorted(found.collect());
        let expected = sorted(entries(theirs, &section));
        number += expected.len();
        assert!(found == expected, "{section}:\n{found:#?}\n{expected:#?}");
    }
    assert_eq!(document(&cache.serialize().unwrap()), *theirs);
    number
}

#[test]
fn we_read_what_python_writes() {
    let mut peer = Peer::start();
    let (mut files, mut found) = (0, 0);
    for (name, state) in cache_files("") {
        if !name.starts_with("python-") {
            continue;
        }
        let (_folder, path) = temporary_path();
        peer.get("save_file", json!({ "path": path, "state": state }));
        found += we_find_everything(&open(&path), &document(&state));
        files += 1;
    }
    // One handle to a file that is missing at first and then changes.
    let (_folder, path) = temporary_path();
    let cache = open(&path);
    assert!(cache.entries(None).unwrap().is_empty());
    peer.get("open_file", json!({ "cache": "c", "path": path }));
    for event in events() {
        peer.get("add", json!({ "cache": "c", "event": event, "now": NOW }));
        let theirs = without_empty_sections(peer.document("c"));
        found += we_find_everything(&cache, &theirs);
        files += 1;
    }
    println!("{files} files of Python: {found} entries found by us");
}

/// A sign-in of a user, with a scope and tokens of this number.
fn sign_in(user: &str, number: usize) -> Value {
    json!({
        "client_id": "client",
        "scope": [format!("scope-{number}")],
        "token_endpoint": "https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
        "grant_type": "authorization_code",
        "response": {
            "access_token": format!("access token {number} of {user}"),
            "refresh_token": format!("refresh token {number} of {user}"),
            "id_token": id_token(&json!({ "sub": user, "preferred_username": user })),
            "expires_in": 3600,
        },
    })
}

const ROUNDS: usize = 20;

#[test]
fn both_write_one_file_in_turn_and_no_update_is_lost() {
    let mut peer = Peer::start();
    let (_folder, path) = temporary_path();
    peer.get("open_file", json!({ "cache": "c", "path": path }));
    let cache = open(&path);
    let query = |user: &str, number: usize| {
        json!({
            "cache": "c",
            "credential_type": "AccessToken",
            "target": [format!("scope-{number}")],
            "query": { "home_account_id": user },
            "now": NOW,
        })
    };
    let ours = |user: &str, number: usize| {
        let query = Query::new().home_account_id(user).target([format!("scope-{number}")]);
        cache.find(CredentialType::AccessToken, &query).unwrap()
    };
    for number in 0..ROUNDS {
        // One user signs in on each side, and another one on both.
        for user in ["alice", "shared"] {
            add(&cache, &sign_in(user, 2 * number));
            assert_private_and_alone(&path);
            let found = peer.list("search", query(user, 2 * number));
            assert_eq!(found.len(), 1, "round {number}: Python does not see {user}");
            let secret = format!("access token {} of {user}", 2 * number);
            assert_eq!(found[0]["secret"], secret.as_str());
        }
        for user in ["bob", "shared"] {
            let event = sign_in(user, 2 * number + 1);
            peer.get("add", json!({ "cache": "c", "event": event, "now": NOW }));
            assert_private_and_alone(&path);
            let found = ours(user, 2 * number + 1);
            assert_eq!(found.len(), 1, "round {number}: we do not see {user}");
            let secret = format!("access token {} of {user}", 2 * number + 1);
            assert_eq!(found[0].access_token().unwrap().secret().expose(), secret);
        }
    }
    let mut tokens = 0;
    for number in 0..ROUNDS {
        let written = [("alice", 2 * number), ("bob", 2 * number + 1)];
        let shared = [("shared", 2 * number), ("shared", 2 * number + 1)];
        for (user, number) in written.into_iter().chain(shared) {
            assert_eq!(ours(user, number).len(), 1, "{user} {number}");
            assert_eq!(peer.list("search", query(user, number)).len(), 1, "{user} {number}");
            tokens += 1;
        }
    }
    let on_disk = document(&fs::read_to_string(&path).unwrap());
    for section in [CredentialType::AccessToken, CredentialType::RefreshToken] {
        assert_eq!(entries(&on_disk, &section).len(), tokens, "{section}");
    }
    assert_eq!(entries(&on_disk, &CredentialType::Account).len(), 3);
    println!("{ROUNDS} rounds in turn: {tokens} access and {tokens} refresh tokens, none lost");
}

#[test]
fn each_sees_the_removals_of_the_other() {
    let mut peer = Peer::start();
    let (_folder, path) = temporary_path();
    let cache = open(&path);
    peer.get("open_file", json!({ "cache": "c", "path": path }));
    for number in 0..ROUNDS {
        add(&cache, &sign_in("alice", number));
    }
    let find = |peer: &mut Peer, credential_type: &str| {
        let search = json!({ "cache": "c", "credential_type": credential_type, "now": NOW });
        peer.list("search", search)
    };
    for left in (0..ROUNDS).rev() {
        let token = find(&mut peer, "RefreshToken").swap_remove(0);
        peer.get("change", json!({ "cache": "c", "how": "remove_rt", "entry": token }));
        assert_eq!(cache.find(CredentialType::RefreshToken, &Query::new()).unwrap().len(), left);
        let token = cache.find(CredentialType::AccessToken, &Query::new()).unwrap().swap_remove(0);
        cache.remove_at(&token).unwrap();
        assert_eq!(find(&mut peer, "AccessToken").len(), left);
    }
    assert_private_and_alone(&path);
    println!("{ROUNDS} refresh tokens removed by Python and {ROUNDS} access tokens by us");
}

#[test]
fn non_ascii_user_names_work_in_a_locale_without_utf_8() {
    let name = "ålice.ΟΔΥΣΣΕΥΣ@contoso.example 🦀";
    let mut peer = Peer::start_with(&[
        ("LC_ALL", "C"),
        ("LANG", "C"),
        ("PYTHONUTF8", "0"),
        ("PYTHONCOERCECLOCALE", "0"),
        ("PYTHONIOENCODING", "ascii"),
    ]);
    let encoding = peer.get("about", json!({}))["encoding"].clone();
    let is_utf_8 = encoding.as_str().unwrap().to_lowercase().contains("utf");
    assert!(!is_utf_8, "Python uses {encoding}");
    let (_folder, path) = temporary_path();
    let cache = open(&path);
    add(&cache, &sign_in(name, 1));
    assert!(fs::read(&path).unwrap().is_ascii());
    let written = document(&fs::read_to_string(&path).unwrap());
    python_finds_everything(&mut peer, &path, &written);
    let account = json!({
        "cache": "open_file", "credential_type": "Account", "query": { "username": name },
    });
    assert_eq!(peer.list("search", account).len(), 1);
    // The other direction.
    let event = sign_in("bøb", 2);
    peer.get("add", json!({ "cache": "open_file", "event": event, "now": NOW }));
    let query = Query::new().username("bøb");
    assert_eq!(cache.find(CredentialType::Account, &query).unwrap().len(), 1);
    assert_eq!(cache.find(CredentialType::Account, &Query::new().username(name)).unwrap().len(), 1);
    assert_private_and_alone(&path);
    println!("non-ASCII user names are read and written in a locale with {encoding}");
}
