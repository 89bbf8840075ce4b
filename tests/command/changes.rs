//! Subcommands that change a store.

use serde_json::{Value, json};

use crate::tool::{NOW, Tool};

const STORES: [&str; 2] = ["cache.json", "sqlite:cache.db"];

/// A copy of the fixture in this store.
fn with(fixture: &str, store: &str) -> Tool {
    let tool = Tool::with(fixture);
    if store != "cache.json" {
        tool.run(&["copy", "cache.json", store]).expect_code(0);
    }
    tool
}

fn document(tool: &Tool, store: &str) -> Value {
    serde_json::from_str(&tool.run(&["export", store, "--show-secrets"]).expect_code(0)).unwrap()
}

fn count(tool: &Tool, args: &[&str]) -> usize {
    let run = tool.run(&[&["tokens"][..], args, &["--json"]].concat());
    run.json()["tokens"].as_array().unwrap().len()
}

#[test]
fn add_stores_the_tokens_of_a_response() {
    let response = r#"{"access_token": "new", "expires_in": 3600, "refresh_token": "rt",
        "client_info": "eyJ1aWQiOiJhbGljZSIsInV0aWQiOiJob21lIn0"}"#;
    for store in STORES {
        let tool = Tool::new();
        let incomplete = tool.run_with_input(&["add", store], response);
        assert_eq!(incomplete.code, 2, "{incomplete:?}");
        assert!(incomplete.err.contains("--client"), "{}", incomplete.err);
        let endpoint = "https://login.example/tenant/oauth2/v2.0/token";
        let flags = ["--client", "c", "--token-endpoint", endpoint, "--scope", "User.Read"];
        let args = [&["add", store, "--json"][..], &flags[..]].concat();
        let added = tool.run_with_input(&args, response).json();
        let types: Vec<_> =
            added["added"].as_array().unwrap().iter().map(|it| it["type"].clone()).collect();
        assert_eq!(types.len(), 4, "{added}");
        assert_eq!(count(&tool, &[store, "--account", "alice.home", "--valid"]), 1);
        assert_eq!(tool.run_with_input(&["add", store, "--client", "c"], "{}").code, 2);
        let error = tool.run_with_input(&["add", store], r#"{"error": "invalid_grant"}"#);
        assert_eq!(error.code, 2);
        assert_eq!(document(&tool, store)["AccessToken"].as_object().unwrap().len(), 1);
    }
}

#[test]
fn add_writes_records_in_the_requested_profile() {
    let event = r#"{"client_id": "C", "scope": ["s"], "grant_type": "client_credentials",
        "token_endpoint": "https://login.example/t/oauth2/v2.0/token",
        "response": {"access_token": "s3cret", "expires_in": 3600}}"#;
    let written = |flags: &[&str]| {
        let tool = Tool::new();
        assert_eq!(tool.run_with_input(&[&["add", "cache.json"], flags].concat(), event).code, 0);
        let checked = tool.run(&["check", "cache.json", "--json"]).json();
        checked["findings"].as_array().unwrap().clone()
    };
    assert_eq!(written(&[])[0]["kind"], "null-home-account");
    assert_eq!(written(&["--profile", "family"]), [Value::Null; 0]);
}

#[test]
fn remove_deletes_exactly_the_selected_entries() {
    for store in STORES {
        let tool = with("python-all.json", store);
        let all = count(&tool, &[store]);
        let listed = tool.run(&["tokens", store, "--type", "access", "--json"]).json();
        let id = listed["tokens"][3]["id"].as_str().unwrap();
        let dry = tool.run(&["remove", store, id, "--dry-run", "--json"]).json();
        assert_eq!((&dry["removed"][0]["id"], count(&tool, &[store])), (&json!(id), all));
        tool.run(&["remove", store, &id[..7], "--yes"]).expect_code(0);
        assert_eq!(count(&tool, &[store]), all - 1);
        assert_eq!(tool.run(&["show", store, id]).code, 1);

        let client = "04b07795";
        let of_client = count(&tool, &[store, "--client", client]);
        assert!(of_client > 0);
        let removed = tool.run(&["remove", store, "--client", client, "--yes", "--json"]).json();
        assert_eq!(removed["removed"].as_array().unwrap().len(), of_client + 1, "and its metadata");
        assert_eq!(count(&tool, &[store, "--client", client]), 0);
        assert_eq!(count(&tool, &[store]), all - 1 - of_client);
    }
}

#[test]
fn sign_out_removes_all_entries_of_one_user_only() {
    for store in STORES {
        let tool = with("python-all.json", store);
        let home = "22222222-2222-2222-2222-222222222222.11111111-1111-1111-1111-111111111111";
        let before = document(&tool, store).to_string();
        assert!(before.contains(home));
        let dry = tool.run(&["sign-out", store, home, "--dry-run", "--json"]).json();
        assert_eq!(document(&tool, store).to_string(), before);
        let done = tool.run(&["sign-out", store, home, "--json"]).json();
        assert_eq!(done["removed"], dry["removed"]);
        let after = document(&tool, store).to_string();
        assert!(!after.contains(home));
        let left = tool.run(&["accounts", store, "--json"]).json();
        assert_eq!(left["accounts"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn purge_deletes_expired_access_tokens() {
    for store in STORES {
        let tool = with("python-all.json", store);
        let later = NOW + 7200;
        let dry = tool.run_at(later, &["purge", store, "--dry-run", "--json"]).json();
        let purged = tool.run_at(later, &["purge", store, "--json"]).json()["purged"].clone();
        assert_eq!(purged, dry["removed"].as_array().unwrap().len());
        assert_eq!(purged, 14);
        assert_eq!(count(&tool, &[store, "--type", "access"]), 1);
        assert_eq!(count(&tool, &[store, "--type", "refresh"]), 9);
    }
}

#[test]
fn a_cleared_store_exists_and_is_empty() {
    for store in STORES {
        let tool = with("python-all.json", store);
        assert_eq!(tool.run(&["clear", store]).code, 2, "no confirmation");
        tool.run(&["clear", store, "--dry-run"]).expect_code(0);
        assert_ne!(count(&tool, &[store]), 0);
        tool.run(&["clear", store, "--yes"]).expect_code(0);
        assert_eq!(tool.run(&["stats", store, "--json"]).json()["entries"], 0);
    }
}

#[test]
fn import_merges_or_replaces_and_rejects_redacted_documents() {
    for store in STORES {
        let tool = with("python-aad.json", store);
        let redacted = tool.run(&["export", store]).expect_code(0);
        let run = tool.run_with_input(&["import", store], &redacted);
        assert_eq!(run.code, 2, "{run:?}");

        let other = r#"{"Account": {"k": {"home_account_id": "u.t", "n": 1.50}}, "version": 3}"#;
        tool.run_with_input(&["import", store], other);
        let merged = document(&tool, store);
        assert_eq!(merged["Account"].as_object().unwrap().len(), 2);
        assert_eq!(merged["version"], 3);
        let dry = tool
            .run_with_input(&["import", store, "--replace", "--dry-run", "--json"], other)
            .json();
        assert_eq!((&dry["deleted"], document(&tool, store)), (&json!(5), merged));
        tool.run_with_input(&["import", store, "--replace", "--yes"], other);
        assert_eq!(document(&tool, store), serde_json::from_str::<Value>(other).unwrap());
        // Unknown values are kept byte for byte.
        assert!(tool.run(&["export", store, "--show-secrets"]).out.contains("1.50"));
    }
}

#[test]
fn copy_with_account_copies_one_user_only() {
    let tool = Tool::with("python-all.json");
    tool.run(&["copy", "cache.json", "sqlite:one.db", "--account", "alice@outlook"]).expect_code(0);
    let accounts = tool.run(&["accounts", "one.db", "--json"]).json();
    assert_eq!(accounts["accounts"].as_array().unwrap().len(), 1);
    assert_eq!(accounts["accounts"][0]["username"], "alice@outlook.example");
    tool.run(&["copy", "cache.json", "two.json", "--dry-run"]).expect_code(0);
    assert!(!tool.path("two.json").exists(), "a dry run created a file");
    tool.run(&["copy", "cache.json", "sqlite:three.db", "--dry-run"]).expect_code(0);
    assert!(!tool.path("three.db").exists(), "a dry run created a database");
}

#[test]
fn a_backup_restores_the_store_before_its_repair() {
    for store in STORES {
        let tool = with("mutations/32-random-keys.json", store);
        let before = document(&tool, store);
        let done = tool.run(&["repair", store, "--json"]).json();
        assert_eq!(done["repaired"].as_array().unwrap().len(), 5);
        assert_ne!(document(&tool, store), before);
        let backup = done["backup"].as_str().unwrap();
        tool.run(&["import", store, backup, "--replace", "--yes"]).expect_code(0);
        assert_eq!(document(&tool, store), before);
        let again = tool.run(&["repair", store, "--no-backup", "--json"]).json();
        assert_eq!(again["backup"], Value::Null);
    }
}
