//! Files that the MSAL libraries wrote, and damaged files.

use serde_json::Value;

use crate::tool::{Tool, fixtures, names};

/// The number of records in a document.
fn records(document: &Value) -> usize {
    let sections = document.as_object().unwrap().values();
    sections.filter_map(Value::as_object).map(serde_json::Map::len).sum()
}

#[test]
fn files_of_every_library_are_shown_checked_and_copied() {
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

        // A copy to a database and back keeps every value, and reading changes nothing.
        tool.run(&["copy", "cache.json", "sqlite:cache.db"]).expect_code(0);
        tool.run(&["copy", "cache.db", "again.json"]).expect_code(0);
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
fn every_damaged_file_is_checked_and_repaired() {
    let (mut unreadable, mut repaired) = (0, 0);
    for name in names("mutations") {
        let tool = Tool::with(&format!("mutations/{name}"));
        let checked = tool.run(&["check", "cache.json", "--json"]);
        assert!([0, 1, 4].contains(&checked.code), "{name}: {checked:?}");
        let plan = tool.run(&["repair", "cache.json", "--dry-run", "--force", "--json"]).json();
        let before = std::fs::read(tool.path("cache.json")).unwrap();
        let original = std::fs::read(fixtures().join("mutations").join(&name)).unwrap();
        assert_eq!(before, original, "{name}: a dry run wrote");
        let done = tool.run(&["repair", "cache.json", "--force", "--json"]).json();
        assert_eq!(done["repaired"], plan["repaired"], "{name}");
        let after = tool.run(&["check", "cache.json", "--json"]);
        let left = after.json()["findings"].as_array().unwrap().clone();
        assert!(left.iter().all(|it| it["remedy"].is_null()), "{name}: {left:?}");
        assert!([0, 1].contains(&after.code), "{name}: {after:?}");

        // The original content is kept, in the renamed file or in the backup.
        if checked.code == 4 {
            unreadable += 1;
            let aside = done["set_aside"].as_str().unwrap();
            assert_eq!(std::fs::read(tool.path(aside)).unwrap(), original, "{name}");
        } else if !done["repaired"].as_array().unwrap().is_empty() {
            repaired += 1;
            let backup = tool.read(done["backup"].as_str().unwrap());
            let parsed: Value = serde_json::from_slice(&original).unwrap();
            assert_eq!(without_empty(backup), without_empty(parsed), "{name}");
        }
    }
    println!("{unreadable} files were renamed, {repaired} were repaired");
    assert_eq!((unreadable, repaired), (7, 15));
}
