//! The command over the key store of the Linux desktop. `tests/servers/secret-service` starts one.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "shared with other tests")]
#[path = "../command/tool.rs"]
mod tool;

use std::fs;

use msal_cache::sealed::keys_from_secret_service;
use msal_cache::secret_service::{SecretEntry, SecretService};
use serde_json::{Value, json};

use crate::tool::{NOW, Run, Tool};

/// Runs the command on the session bus, with the folders of this process.
fn run(tool: &Tool, args: &[&str]) -> Run {
    let mut command = tool.command();
    for name in ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let done = command.args(args).args(["--now", &NOW.to_string()]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
}

fn app(test: &str) -> String {
    format!("test-{}-{test}", std::process::id())
}

fn contents(export: Run) -> Value {
    serde_json::from_str(&export.expect_code(0)).unwrap()
}

#[test]
fn a_cache_in_the_key_store_is_a_store_of_the_command_and_no_plain_text_leaves_it_unasked() {
    let (tool, app) = (Tool::with("python-all.json"), app("cache"));
    let store = format!("secret-service:app:{app}");
    let store = store.as_str();
    let expected = contents(run(&tool, &["export", "cache.json", "--show-secrets"]));
    run(&tool, &["import", store, "cache.json"]).expect_code(0);
    assert_eq!(contents(run(&tool, &["export", store, "--show-secrets"])), expected);
    let stats = run(&tool, &["stats", store, "--json"]).json();
    assert_eq!((&stats["kind"], &stats["store"]), (&json!("secret-service"), &json!(store)));
    let places = run(&tool, &["places", "--json"]).json();
    let place = |name: &str| {
        let places = places["places"].as_array().unwrap();
        places.iter().find(|it| it["name"] == name).unwrap_or(&Value::Null).clone()
    };
    assert_eq!(place(store), json!({"name": store, "of": "an app", "path": null, "exists": true}));
    for (name, owner) in [("shared", "developer tools"), ("dotnet-cae", ".NET tools (CAE)")] {
        let place = place(&format!("secret-service:{name}"));
        assert!(place["exists"].is_boolean() && place["of"] == owner, "{place}");
    }
    assert!(run(&tool, &["places"]).expect_code(0).contains(store));
    for args in [&["accounts", store][..], &["tokens", store], &["check", store], &["lock", store]]
    {
        run(&tool, args).expect_code(0);
    }
    fs::remove_file(tool.path("cache.json")).unwrap();
    let refused: [&[&str]; 5] = [
        &["clear", store, "--yes"],
        &["remove", store, "--type", "id", "--yes"],
        &["export", store, "--show-secrets", "--output", "new.json"],
        &["copy", store, "new.json"],
        &["copy", store, "new.db"],
    ];
    for args in refused {
        let refused = run(&tool, args);
        assert_eq!(refused.code, 2, "{args:?}: {refused:?}");
        assert!(refused.err.contains("hint:"), "{refused:?}");
    }
    assert_eq!(fs::read_dir(tool.path("")).unwrap().count(), 0);
    assert_eq!(contents(run(&tool, &["export", store, "--show-secrets"])), expected);
    run(&tool, &["copy", store, "new.json", "--plain"]).expect_code(0);
    let output = ["export", store, "--show-secrets", "--output", "other.json", "--plain"];
    run(&tool, &output).expect_code(0);
    run(&tool, &["remove", store, "--type", "id", "--yes", "--no-backup"]).expect_code(0);
    run(&tool, &["tokens", store, "--type", "id"]).expect_code(1);
    run(&tool, &["clear", store, "--yes", "--no-backup"]).expect_code(0);
    assert!(SecretService::connect().unwrap().remove(&SecretEntry::app(&app).unwrap()).unwrap());
    for wrong in ["secret-service:", "secret-service:app:", "secret-service:other"] {
        run(&tool, &["tokens", wrong]).expect_code(2);
    }
}

#[test]
fn a_file_is_sealed_by_the_keys_of_an_app_which_opens_it() {
    let (tool, app) = (Tool::with("python-all.json"), app("keys"));
    let keys = ["--key-secret-service", &app, "--seal-name", &app];
    let run = |args: &[&str]| run(&tool, &[args, &keys].concat());
    // Keys are not created by a name with a mistake.
    run(&["seal", "cache.json"]).expect_code(9);
    run(&["keys", "--create"]).expect_code(0);
    run(&["keys", "--create"]).expect_code(2);
    run(&["seal", "cache.json"]).expect_code(0);
    let of_app = keys_from_secret_service(&app).unwrap();
    assert_eq!(of_app.numbers(), [1]);
    run(&["rekey", "cache.json", "--new-key"]).expect_code(0);
    run(&["keys", "cache.json", "--remove", "2"]).expect_code(2);
    run(&["keys", "cache.json", "--remove", "1"]).expect_code(0);
    of_app.reload().unwrap();
    assert_eq!(of_app.numbers(), [2]);
    run(&["accounts", "cache.json"]).expect_code(0);
    // Seals in the key store itself.
    let store = format!("secret-service:app:{app}");
    run(&["copy", "cache.json", &store]).expect_code(0);
    let check = run(&["check", &store, "--json"]).json();
    assert_eq!(check["sealed"]["needed"], json!([2]));
    run(&["clear", &store, "--yes"]).expect_code(0);
    run(&["unseal", "cache.json"]).expect_code(0);
    let service = SecretService::connect().unwrap();
    assert!(service.remove(&SecretEntry::keys_of(&app).unwrap()).unwrap());
    assert!(service.remove(&SecretEntry::app(&app).unwrap()).unwrap());
}

#[test]
fn without_a_session_bus_the_error_names_the_way_out() {
    let tool = Tool::with("python-all.json");
    for args in [
        &["tokens", "secret-service:app:x"][..],
        &["tokens", "cache.json", "--key-secret-service", "x"],
    ] {
        let mut command = tool.command();
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
        let done = command.env("HOME", tool.path("")).args(args).output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(6), "{err}");
        assert!(err.contains("hint:") && err.contains("dbus-run-session"), "{err}");
    }
    let mut command = tool.command();
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let done = command.env("HOME", tool.path("")).args(["places", "--json"]).output().unwrap();
    let places: Value = serde_json::from_slice(&done.stdout).unwrap();
    let unknown = places["places"].as_array().unwrap().iter().filter(|it| it["exists"].is_null());
    assert_eq!(unknown.count(), 4, "{places}");
}
