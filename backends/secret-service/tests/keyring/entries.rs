//! Which secret an entry is, and what other programs see of it.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use msal_cache_core::{CacheStore, Error, Load};
use msal_cache_secret_service::{Encoding, SecretEntry, SecretService, SecretServiceStore};

use crate::support::{account, entry, keys, put, tool, unused_name};

/// Stores a secret with attributes, and a schema.
fn store_by_libsecret(label: &str, attributes: &[&str], secret: &str) {
    let mut command = Command::new("secret-tool");
    command.args(["store", "--label", label]).args(attributes);
    let stored = tool(&mut command, secret.as_bytes());
    assert!(stored.status.success(), "{stored:?}");
}

/// The secret that libsecret finds by these attributes.
fn lookup_by_libsecret(attributes: &[&str]) -> String {
    let found = tool(Command::new("secret-tool").arg("lookup").args(attributes), b"");
    String::from_utf8(found.stdout).unwrap()
}

#[test]
fn libsecret_finds_what_is_written_and_the_reverse() {
    let (folder, name) = (tempfile::tempdir().unwrap(), unused_name());
    let entry = entry(folder.path(), &name).label("Tokens");
    let store = SecretServiceStore::open(entry.clone()).unwrap();
    put(&store, &account("a", "1")).unwrap();
    let attributes = ["name", &*name, "xdg:schema", "msal-cache.test"];
    let found = lookup_by_libsecret(&attributes);
    assert!(found.starts_with('{') && found.contains("\"a\""), "{found}");

    store_by_libsecret("Tokens", &attributes, r#"{"Account": {"b": {"home_account_id": "b"}}}"#);
    assert_eq!(keys(&SecretServiceStore::open(entry.clone()).unwrap()).unwrap(), ["b"]);
    put(&store, &account("c", "1")).unwrap();
    let found: serde_json::Value = serde_json::from_str(&lookup_by_libsecret(&attributes)).unwrap();
    assert_eq!(found["Account"].as_object().unwrap().len(), 2);
    // It is still one item.
    let all = tool(Command::new("secret-tool").args(["search", "--all", "name", &name]), b"");
    let printed = String::from_utf8_lossy(&[all.stdout, all.stderr].concat()).into_owned();
    assert_eq!(printed.matches("label = Tokens").count(), 1, "{printed}");
    assert!(SecretService::connect().unwrap().remove(&entry).unwrap());
    assert!(keys(&store).unwrap().is_empty());
}

#[test]
fn the_entry_with_exactly_the_attributes_is_preferred() {
    let (folder, name) = (tempfile::tempdir().unwrap(), unused_name());
    let more = ["name", &*name, "xdg:schema", "msal-cache.test", "more", "1"];
    // In this order: the service replaces an item that has more attributes than the new one.
    store_by_libsecret("exact", &more[..4], r#"{"Account": {"exact": {}}}"#);
    store_by_libsecret("other", &more, r#"{"Account": {"other": {}}}"#);
    let entry = entry(folder.path(), &name);
    let store = SecretServiceStore::open(entry.clone()).unwrap();
    assert_eq!(keys(&store).unwrap(), ["exact"]);
    put(&store, &account("a", "1")).unwrap();
    assert!(!lookup_by_libsecret(&more).contains("\"a\""));
    let service = SecretService::connect().unwrap();
    assert!(service.remove(&entry).unwrap());
    // As libsecret does, it uses an item that has more attributes where there is no other.
    assert_eq!(keys(&SecretServiceStore::open(entry.clone()).unwrap()).unwrap(), ["other"]);
    assert!(service.remove(&entry.attribute("more", "1")).unwrap());
}

#[test]
fn the_schema_of_dotnet_is_written_and_not_compared() {
    let (folder, name) = (tempfile::tempdir().unwrap(), unused_name());
    let signal = folder.path().join("msal.cache");
    let attributes = [("MsalClientID", &*name), ("Version", "1.0.0.0")];
    let of = |schema| SecretEntry::msal_dotnet(schema, attributes, &signal).unwrap();
    let store = SecretServiceStore::open(of("msal.cache")).unwrap();
    put(&store, &account("a", "1")).unwrap();
    let found = lookup_by_libsecret(&["MsalClientID", &name, "xdg:schema", "msal.cache"]);
    assert!(!found.contains('{'), "base64: {found}");
    assert_eq!(keys(&SecretServiceStore::open(of("other")).unwrap()).unwrap(), ["a"]);
    let go = SecretEntry::msal_go("other", &attributes, &signal).unwrap();
    assert!(keys(&SecretServiceStore::open(go).unwrap()).unwrap().is_empty());
    // An entry in the other encoding is an error, and is not overwritten.
    let json = of("msal.cache").encoding(Encoding::Json);
    let wrong = SecretServiceStore::open(json).unwrap();
    assert!(matches!(keys(&wrong), Err(Error::Corrupt { .. })));
    assert!(matches!(put(&wrong, &account("b", "1")), Err(Error::Corrupt { .. })));
    assert_eq!(keys(&store).unwrap(), ["a"]);
    SecretService::connect().unwrap().remove(&of("msal.cache")).unwrap();
}

#[test]
fn each_write_touches_the_signal_file_and_leaves_no_other_file() {
    let (folder, name) = (tempfile::tempdir().unwrap(), unused_name());
    let entry = entry(folder.path(), &name);
    let store = SecretServiceStore::open(entry.clone()).unwrap();
    assert!(keys(&store).unwrap().is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "reading writes nothing");
    let before = SystemTime::now();
    put(&store, &account("a", "CANARY")).unwrap();
    let modified = || fs::metadata(entry.signal()).unwrap().modified().unwrap();
    let first = modified();
    assert!(first > before);
    put(&store, &account("b", "CANARY")).unwrap();
    assert!(modified() > first);
    assert_eq!(fs::read(entry.signal()).unwrap(), b"");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    SecretService::connect().unwrap().remove(&entry).unwrap();
}

#[test]
fn a_change_without_the_signal_is_noticed_within_seconds() {
    let (folder, name) = (tempfile::tempdir().unwrap(), unused_name());
    let entry = entry(folder.path(), &name);
    let store = SecretServiceStore::open(entry.clone()).unwrap();
    put(&store, &account("a", "1")).unwrap();
    let old = SystemTime::now() - Duration::from_secs(60);
    fs::File::options().append(true).open(entry.signal()).unwrap().set_modified(old).unwrap();
    let Load::Snapshot(read) = store.list(None, None).unwrap() else { panic!("nothing is known") };
    let known = Some(read.revision());
    assert!(matches!(store.list(None, known).unwrap(), Load::Unchanged));
    let changed = r#"{"Account": {"b": {"home_account_id": "b"}}}"#;
    store_by_libsecret("x", &["name", &name, "xdg:schema", "msal-cache.test"], changed);
    let started = std::time::Instant::now();
    while matches!(store.list(None, known).unwrap(), Load::Unchanged) {
        assert!(started.elapsed() < Duration::from_secs(5), "the change was never noticed");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(keys(&store).unwrap(), ["b"]);
    SecretService::connect().unwrap().remove(&entry).unwrap();
}

#[test]
fn a_secret_that_is_no_document_is_an_error_and_is_kept() {
    let (folder, name) = (tempfile::tempdir().unwrap(), unused_name());
    let attributes = ["name", &*name, "xdg:schema", "msal-cache.test"];
    store_by_libsecret("x", &attributes, "CANARY");
    let entry = entry(folder.path(), &name);
    let store = SecretServiceStore::open(entry.clone()).unwrap();
    let error = put(&store, &account("a", "1")).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { place, .. } if place.contains(&name)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("CANARY"));
    assert_eq!(lookup_by_libsecret(&attributes), "CANARY");
    // The empty secret is the empty cache.
    store_by_libsecret("x", &attributes, "");
    put(&store, &account("a", "1")).unwrap();
    assert_eq!(keys(&store).unwrap(), ["a"]);
    SecretService::connect().unwrap().remove(&entry).unwrap();
}
