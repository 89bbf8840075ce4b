//! The output of `--json` is documented, and one line.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::help::subcommands;
use crate::tool::Tool;

const DOCUMENTED: &str = include_str!("../../src/docs/json.txt");

/// Members whose names are data: ids of clients and tenants, and names of types, fields and claims.
const DATA: [&str; 5] = ["clients", "tenants", "types", "fields", "claims"];

/// Whether a name is data: the number of a key.
fn is_number(name: &str) -> bool {
    name.bytes().all(|it| it.is_ascii_digit())
}

fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if is_number(name) {
                    continue;
                }
                found.insert(name.clone());
                if !DATA.contains(&name.as_str()) {
                    names(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}

#[test]
fn every_printed_name_is_documented() {
    let client = "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE";
    let request = ["--client", client, "--account", "alice", "--scope", "User.Read"];
    let mut found = BTreeSet::new();
    let mut skipped = Vec::new();
    for subcommand in subcommands() {
        let tool = Tool::with("python-aad.json");
        let id = tool.run(&["tokens", "cache.json", "--json"]).json()["tokens"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut args = vec![subcommand.as_str()];
        match &*subcommand {
            "places" | "ddl" => {}
            // These have no JSON result of their own: `export` prints an MSAL document.
            "completions" | "man" | "export" => {
                skipped.push(subcommand);
                continue;
            }
            // It needs a server: see `sign_in.rs`.
            "sign-in" => continue,
            "seal" | "unseal" | "rekey" | "keys" => {
                let keys = ["--key-file", "cache.keys"];
                tool.run(&[&["keys", "--create"][..], &keys].concat()).expect_code(0);
                if subcommand != "seal" {
                    tool.run(&[&["seal", "cache.json"][..], &keys].concat()).expect_code(0);
                    names(
                        &tool.run(&[&["check", "cache.json", "--json"][..], &keys].concat()).json(),
                        &mut found,
                    );
                }
                args.extend(["cache.json"].iter().chain(&keys));
            }
            "watch" => args.extend(["cache.json", "--count", "0"]),
            "show" => args.extend(["cache.json", &id]),
            "remove" => args.extend(["cache.json", &id, "--yes"]),
            "sign-out" => args.extend(["cache.json", "alice"]),
            "clear" => args.extend(["cache.json", "--yes"]),
            "copy" => args.extend(["cache.json", "other.json"]),
            "import" => args.extend(["other.json", "cache.json"]),
            "why" | "get-token" => {
                args.push("cache.json");
                args.extend(request);
            }
            "add" => {
                tool.write("event.json", EVENT);
                args.extend(["cache.json", "event.json"]);
            }
            _ => args.push("cache.json"),
        }
        args.push("--json");
        let run = tool.run(&args);
        assert!([0, 1].contains(&run.code), "{args:?}: {run:?}");
        if subcommand == "watch" {
            assert_eq!(run.out, "");
            continue;
        }
        names(&run.json(), &mut found);
    }
    names(&Tool::new().run(&["stats", "none", "--json"]).error(), &mut found);
    assert_eq!(skipped, ["export", "completions", "man"]);
    assert!(found.len() > 60, "{found:?}");
    let words: BTreeSet<_> =
        DOCUMENTED.split(|char: char| !char.is_alphanumeric() && char != '_').collect();
    let missing: Vec<_> = found.iter().filter(|it| !words.contains(it.as_str())).collect();
    assert!(missing.is_empty(), "not in src/docs/json.txt: {missing:?}");
}

const EVENT: &str = r#"{
    "client_id": "c", "scope": ["s"], "grant_type": "client_credentials",
    "token_endpoint": "https://login.example/tenant/oauth2/v2.0/token",
    "response": {"access_token": "s3cret", "expires_in": 3600}
}"#;

#[test]
fn every_subcommand_is_documented() {
    for subcommand in subcommands() {
        assert!(DOCUMENTED.contains(&subcommand), "{subcommand}");
    }
}
