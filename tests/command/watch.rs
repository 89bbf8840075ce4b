//! `watch` prints changes as they happen.

use std::io::{BufRead, BufReader};
use std::process::Child;

use serde_json::Value;

use crate::tool::Tool;

fn start(tool: &Tool, args: &[&str]) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut command = tool.command();
    let mut child = command.arg("watch").args(args).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    (child, lines)
}

#[test]
fn additions_and_removals_are_printed() {
    for store in ["cache.json", "sqlite:cache.db"] {
        let tool = Tool::with("python-aad.json");
        if store != "cache.json" {
            tool.run(&["copy", "cache.json", store]).expect_code(0);
        }
        // The run ends after 6 changes, however they are spread over polls.
        let (mut child, mut lines) =
            start(&tool, &[store, "--count", "6", "--interval", "20", "--color", "never"]);
        assert!(lines.next().unwrap().starts_with("Watching cache"), "{store}");
        let event = r#"{
            "client_id": "c", "scope": ["s"], "grant_type": "client_credentials",
            "token_endpoint": "https://login.example/tenant/oauth2/v2.0/token",
            "response": {"access_token": "SECRET", "expires_in": 3600}
        }"#;
        assert_eq!(tool.run_with_input(&["add", store], event).code, 0);
        let added = [lines.next().unwrap(), lines.next().unwrap()];
        assert!(added[0].contains("added") && added[0].contains("access token"), "{added:?}");
        assert!(added[1].contains("app metadata"), "{added:?}");
        tool.run(&["sign-out", store, "alice"]).expect_code(0);
        let removed: Vec<_> = lines.by_ref().take(4).collect();
        assert!(removed.iter().all(|line| line.contains("removed")), "{removed:?}");
        assert_eq!(removed.len(), 4);
        assert!(!added.concat().contains("SECRET"));
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn each_change_is_a_line_of_json_with_its_writer() {
    let tool = Tool::with("python-aad.json");
    let (mut child, mut lines) = start(&tool, &["cache.json", "--json", "--count", "1"]);
    // The holder of the lock counts as the writer.
    tool.write("cache.json.lockfile", "4242 /usr/bin/az");
    // The watcher may not have started yet: change the file until it reports a change.
    let mut number = 0;
    while child.try_wait().unwrap().is_none() {
        number += 1;
        let mut document = tool.read("cache.json");
        let token = document["RefreshToken"].as_object_mut().unwrap().values_mut().next().unwrap();
        token["secret"] = format!("NEW-{number}").into();
        tool.write("new.json", document.to_string());
        std::fs::rename(tool.path("new.json"), tool.path("cache.json")).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let change: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!(change["change"], "changed");
    assert_eq!(change["fields"], serde_json::json!(["secret"]));
    assert_eq!(change["entry"]["type"], "refresh");
    assert_eq!(change["by"], "/usr/bin/az, process 4242");
    assert!(!change.to_string().contains("NEW-"));
}
