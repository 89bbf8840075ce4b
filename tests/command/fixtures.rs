//! Files that every MSAL library wrote, and files that somebody spoilt.

use serde_json::Value;

use crate::tool::{Tool, fixtures, names};

/// How many records a document holds.
fn records(document: &Value) -> usize {
    let sections = document.as_object().unwrap().values();
    sections.filter_map(Value::as_object).map(serde_json::Map::len).sum()
}

#[test]
fn every_library_s_file_is_shown_checked_and_copied() {
    for name in names("") {
        let tool = Tool::with(&name);
        let before = tool.read("cache.json");
        let stats = tool.run(&["stats", "cache.json", "--json"]).json();
        assert_eq!(stats["entries"], records(&before), "{name}");
        assert_eq!(stats["unreadable"], 0, "{name}");

        let all = tool.run(&["tokens", "cache.json", "--json"]);
        let tokens = all.json()["tokens"].as_array().unwrap().clone();
        let section = |name: &str| before[name].as_object().map_or(0, serde_json::Map::len);
        let expected = section("AccessToken") + section("RefreshToken") + section("IdToken");
        assert_eq!(tokens.len(), expected, "{name}");
        for token in &tokens {
            let id = token["id"].as_str().unwrap();
            let shown = tool.run(&["show", "cache.json", id, "--json"]).json();
            assert_eq!(shown["entry"]["key"], token["key"], "{name}");
        }
        let checked = tool.run(&["check", "cache.json", "--json"]);
        assert_eq!(checked.code, 0, "{name}: {checked:?}");

        // To a database and back, value for value, and nothing here was written by looking.
        tool.run(&["copy", "cache.json", "sqlite:cache.db"]).ends(0);
        tool.run(&["copy", "cache.db", "again.json"]).ends(0);
        assert_eq!(without_empty(tool.read("again.json")), without_empty(before.clone()), "{name}");
        assert_eq!(tool.read("cache.json"), before, "{name}");
        assert_eq!(tool.run(&["tokens", "cache.db", "--json"]).out, all.out, "{name}");
    }
}

fn without_empty(mut document: Value) -> Value {
    let sections = document.as_object_mut().unwrap();
    sections.retain(|_, section| section.as_object().is_none_or(|it| !it.is_empty()));
    document
}

#[test]
fn every_spoilt_file_is_looked_at_and_repaired() {
    let (mut unreadable, mut mended) = (0, 0);
    for name in names("mutations") {
        let tool = Tool::with(&format!("mutations/{name}"));
        let checked = tool.run(&["check", "cache.json", "--json"]);
        assert!([0, 1, 4].contains(&checked.code), "{name}: {checked:?}");
        let plan = tool.run(&["repair", "cache.json", "--dry-run", "--json"]).json();
        let before = std::fs::read(tool.path("cache.json")).unwrap();
        let original = std::fs::read(fixtures().join("mutations").join(&name)).unwrap();
        assert_eq!(before, original, "{name}: a dry run wrote");
        let done = tool.run(&["repair", "cache.json", "--json"]).json();
        assert_eq!(done["mended"], plan["mended"], "{name}");
        let after = tool.run(&["check", "cache.json", "--json"]);
        let left = after.json()["findings"].as_array().unwrap().clone();
        assert!(left.iter().all(|it| it["remedy"].is_null()), "{name}: {left:?}");
        assert!([0, 1].contains(&after.code), "{name}: {after:?}");

        // What stood there before is still there, wherever it is.
        if checked.code == 4 {
            unreadable += 1;
            let aside = done["set_aside"].as_str().unwrap();
            assert_eq!(std::fs::read(tool.path(aside)).unwrap(), original, "{name}");
        } else if !done["mended"].as_array().unwrap().is_empty() {
            mended += 1;
            let backup = tool.read(done["backup"].as_str().unwrap());
            let parsed: Value = serde_json::from_slice(&original).unwrap();
            assert_eq!(without_empty(backup), without_empty(parsed), "{name}");
        }
    }
    println!("{unreadable} files were set aside, {mended} were mended");
    assert_eq!((unreadable, mended), (7, 14));
}
