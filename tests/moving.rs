//! A cache moves from any store to any other and means the same there.

use std::fs;

use msal_cache::TokenCache;
use msal_cache::store::CacheStore;
use serde_json::{Value, json};

use crate::common::{document, fixtures, sign_in, without_empty_sections};
use crate::stores::{EVERY, Open, on_every_store};

on_every_store! {
    what_any_library_wrote_arrives_in_every_store
    what_stands_in_the_target_stays
    a_document_replaces_whatever_stood_there
    a_document_that_is_none_changes_nothing
}

/// Every cache file that another library wrote, and the odd ones among the changed.
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
        // A section that is none: no library could use it.
        Err(msal_cache::Error::Corrupt { .. }) => false,
        Err(error) => panic!("{name}: {error}"),
    }
}

fn what_any_library_wrote_arrives_in_every_store(open: Open) {
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
    println!("{moved} caches moved; refused: {refused:?}");
    assert!(moved >= 50 * EVERY.len(), "{moved}");
    assert!(refused.len() <= 1, "{refused:?}");
}

fn what_stands_in_the_target_stays(open: Open) {
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

fn a_document_replaces_whatever_stood_there(open: Open) {
    let (cache, _) = open();
    // A member may be a value at one time and a section at another.
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

fn a_document_that_is_none_changes_nothing(open: Open) {
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
