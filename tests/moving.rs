//! A cache is copied from any store to any other without changes.

use std::fs;

use msal_cache::TokenCache;
use msal_cache::store::CacheStore;
use serde_json::{Value, json};

use crate::common::{document, fixtures, sign_in, without_empty_sections};
use crate::stores::{EVERY, Open, on_every_store};

on_every_store! {
    caches_of_every_library_are_copied_to_every_store
    records_in_the_target_are_kept
    a_document_replaces_the_previous_content
    an_invalid_document_changes_nothing
}

/// All cache files that other libraries wrote, and the unusual ones among the damaged files.
fn documents() -> Vec<(String, Value)> {
    let files = fixtures("").into_iter().chain(fixtures("mutations"));
    files
        .filter_map(|(name, path)| {
            let text = fs::read_to_string(path).ok()?;
            Some((name, serde_json::from_str(&text).ok().filter(Value::is_object)?))
        })
        .collect()
}

fn fill<S: CacheStore>(cache: &TokenCache<S>, name: &str, value: &Value) -> bool {
    match cache.deserialize(&value.to_string()) {
        Ok(()) => true,
        // A section is not an object, so no library can use it.
        Err(msal_cache::Error::Corrupt { .. }) => false,
        Err(error) => panic!("{name}: {error}"),
    }
}

fn caches_of_every_library_are_copied_to_every_store(open: Open) {
    let (mut moved, mut refused) = (0, Vec::new());
    for (name, value) in documents() {
        let (from, _) = open();
        if !fill(&from, &name, &value) {
            refused.push(name);
            continue;
        }
        assert_eq!(document(&from), value, "{name}");
        for target in EVERY {
            let (to, _) = target();
            let copied = from.copy_to(&to).unwrap();
            assert_eq!(to.has_state_changed(), copied > 0);
            assert_eq!(document(&to), value, "{name}");
            assert_eq!(from.copy_to(&to).unwrap(), copied, "{name}: a second time");
            assert_eq!(document(&to), value, "{name}: a second time");

            moved += 1;
        }
    }
    println!("{moved} copies; rejected files: {refused:?}");
    assert!(moved >= 50 * EVERY.len(), "{moved}");
    assert!(refused.len() <= 1, "{refused:?}");
}

fn records_in_the_target_are_kept(open: Open) {
    let (from, _) = open();
    from.add(&sign_in("alice", "User.Read", "new")).unwrap();
    for target in EVERY {
        let (to, _) = target();
        to.deserialize(r#"{"kept": 1, "Invented": {"k": {"home_account_id": "u"}}}"#).unwrap();
        to.add(&sign_in("alice", "User.Read", "old")).unwrap();
        to.add(&sign_in("bob", "User.Read", "bob")).unwrap();
        assert_eq!(from.copy_to(&to).unwrap(), 5);
        let now = document(&to);
        assert_eq!(now["kept"], 1);
        assert_eq!(now["Invented"]["k"]["home_account_id"], "u");
        let secrets: Vec<_> = now["AccessToken"].as_object().unwrap().values().collect();
        assert_eq!(
            secrets.iter().map(|it| &it["secret"]).collect::<Vec<_>>(),
            ["AT-new", "AT-bob"]
        );
    }
}

fn a_document_replaces_the_previous_content(open: Open) {
    let (cache, _) = open();
    // A member may change between a value and a section.
    for value in [
        json!({"x": 3, "Account": {"k": {"home_account_id": "u"}}}),
        json!({"x": {"k": {"home_account_id": "u"}, "l": 5}}),
        json!({"x": {}}),
        json!({"x": [{"k": 1}], "AccessToken": {"k": null}}),
        json!({"x": {"k": {"home_account_id": "v"}}}),
        json!({}),
    ] {
        cache.deserialize(&value.to_string()).unwrap();
        assert_eq!(document(&cache), value);
    }
}

fn an_invalid_document_changes_nothing(open: Open) {
    let (cache, _) = open();
    cache.add(&sign_in("alice", "User.Read", "1")).unwrap();
    let before = document(&cache);
    for text in ["[]", "null", "{", "{} {}", r#"{"AccessToken": []}"#, " "] {
        cache.deserialize(text).expect_err(text);
        assert_eq!(document(&cache), before, "{text}");
    }
    cache.deserialize("").unwrap();
    assert_eq!(without_empty_sections(document(&cache)), json!({}));
}
