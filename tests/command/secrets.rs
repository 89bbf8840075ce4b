//! Canaries in place of secrets: no subcommand prints one, except `get-token` and with
//! `--show-secrets`.

use std::fs;

use serde_json::{Value, json};

use crate::help::subcommands;
use crate::tool::{NOW, Tool};

const CANARY: &str = "CANARY";

/// A canary that is long enough to be printed as a hash.
fn secret(of: &str) -> String {
    format!("{CANARY}-{of}-{}", "x".repeat(40))
}

/// A cache in which each value that may be a secret contains a canary: tokens, unknown fields and
/// sections, and values of unexpected types.
fn document() -> Value {
    let claims = "eyJwcmVmZXJyZWRfdXNlcm5hbWUiOiJhbGljZUBleGFtcGxlIn0";
    let user = json!({
        "home_account_id": "alice.home", "environment": "login.example", "realm": "t",
        "client_id": "client", "invented": secret("field"), "client_info": secret("info"),
        "nested": {"deep": [secret("deep")]},
    });
    let with = |fields: Value| {
        let mut record = user.clone();
        record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        record
    };
    let access = |expires: i64| {
        with(json!({
            "credential_type": "AccessToken", "secret": secret("access"), "target": "a b",
            "expires_on": expires.to_string(), "cached_at": NOW.to_string(),
            "ext": {"client_claims": secret("ext")},
        }))
    };
    let mut plain = access(NOW + 3600);
    plain["ext"] = Value::Null;
    json!({
        "AccessToken": {
            "good": plain, "extended": access(NOW + 3600), "expired": access(NOW - 3600),
            "null": null, "odd": [secret("array")], "unreadable": with(json!({
                "secret": secret("unreadable"), "expires_on": {"at": secret("object")},
            })),
        },
        "RefreshToken": {
            "one": with(json!({"credential_type": "RefreshToken", "secret": secret("refresh")})),
            "two": with(json!({"secret": 12345, "token": secret("number")})),
        },
        "IdToken": {"one": with(json!({
            "credential_type": "IdToken", "secret": format!("e30.{claims}.{}", secret("id")),
        }))},
        "Account": {"one": with(json!({
            "username": "alice@example", "tenantProfiles": [secret("profile")],
        }))},
        "AppMetadata": {"one": {"client_id": "client", "environment": "login.example"}},
        "Invented": {"one": with(json!({"secret": secret("section"), "target": [secret("t")]}))},
        "member": secret("member"),
    })
}

fn event() -> Value {
    json!({
        "client_id": "client", "scope": ["c"],
        "token_endpoint": "https://login.example/t/oauth2/v2.0/token",
        "response": {"access_token": secret("new"), "refresh_token": secret("new-rt"),
            "expires_in": 3600, "client_info": "eyJ1aWQiOiJhbGljZSIsInV0aWQiOiJob21lIn0"},
        "data": {"password": secret("password")},
    })
}

/// A cache of ADAL.
fn adal(refresh_token: &Value) -> String {
    json!([{
        "_authority": "https://login.example/t", "_clientId": "client", "userId": "alice@example",
        "accessToken": secret("adal-access"), "refreshToken": refresh_token, "resource": "a",
        "invented": secret("adal-field"),
    }])
    .to_string()
}

/// Runs of a subcommand that print as much as it can print. New subcommands must be added here.
fn runs(subcommand: &str, store: &str, id: &str) -> Vec<Vec<String>> {
    let request = ["--client", "client", "--account", "alice", "--scope", "a"];
    let args: &[&[&str]] = match subcommand {
        "places" | "man" | "ddl" => &[&[]],
        "completions" => &[&["bash"]],
        "show" => &[&[store, id], &[store, "good"], &[store, "odd"], &[store, "unreadable"]],
        "tokens" => &[&[store], &[store, "--type", "other", "--type", "account", "--wide"]],
        "check" => &[&[store, "--all"], &["broken.json"]],
        "repair" => &[&[store, "--dry-run"], &[store], &["broken.json"]],
        "why" => &[
            &[&[store][..], &request[..]].concat(),
            &[store, "--client", "other", "--account", "alice", "--scope", "z", "--wide"],
        ],
        // No cached token matches here; see `get_token_prints_only_the_token` for the other case.
        "get-token" => &[&[store, "--client", "client", "--account", "alice", "--scope", "z"]],
        // `sign_in.rs` tests sign-ins that succeed.
        "sign-in" => &[&[
            store,
            "--client",
            "client",
            "--tenant",
            "t",
            "--scope",
            "a",
            "--device-code",
            "--token-endpoint",
            "http://127.0.0.1:1/token",
        ]],
        "add" => &[&[store, "event.json"], &[store, "broken.json"], &[store, "response.json"]],
        "remove" => &[&[store, id, "--dry-run"], &[store, "--type", "access", "--yes"]],
        "sign-out" => &[&[store, "alice", "--dry-run"], &[store, "alice"], &[store, CANARY]],
        "purge" => &[&[store, "--dry-run"], &[store]],
        "clear" => &[&[store], &[store, "--dry-run"], &[store, "--yes"]],
        "export" => &[&[store], &[store, "--account", "alice"], &[store, "--output", "new.json"]],
        "import" => &[
            &["import.json", "document.json", "--dry-run"],
            &["import.json", "document.json"],
            &["import.json", "document.json", "--replace", "--yes"],
            &["import.json", "broken.json"],
            &["import.json", "adal.json"],
            // `adal.rs` tests refresh tokens that are redeemed.
            #[cfg(feature = "http")]
            &["import.json", "adal.json", "--redeem", "--dry-run"],
            #[cfg(feature = "http")]
            &[
                "import.json",
                "adal.json",
                "--redeem",
                "--token-endpoint",
                "http://127.0.0.1:1/token",
            ],
            #[cfg(feature = "http")]
            &["import.json", "odd-adal.json", "--redeem"],
        ],
        "copy" => &[&[store, "copy.json"], &[store, "sqlite:copy.db", "--account", "alice"]],
        "watch" => &[&[store, "--count", "0"]],
        "accounts" | "stats" => &[&[store]],
        // `sealed.rs` tests sealed stores.
        "seal" | "unseal" | "rekey" => &[&[store, "--key-file", "cache.keys"], &[store]],
        "keys" => &[&["--key-file", "cache.keys"], &[store, "--key-file", "cache.keys"]],
        "lock" => &[&["cache.json"], &["broken.json"]],
        other => panic!("no runs are defined for {other}"),
    };
    let all = args.iter().map(|args| args.iter().map(|it| (*it).to_owned()).collect());
    all.collect()
}

#[test]
fn p10_no_subcommand_prints_a_secret() {
    let mut count = 0;
    for store in ["cache.json", "sqlite:cache.db"] {
        for subcommand in subcommands() {
            for json in [false, true] {
                let tool = Tool::new();
                tool.write("document.json", document().to_string());
                tool.write("event.json", event().to_string());
                tool.write("response.json", event()["response"].to_string());
                tool.write("broken.json", format!("{{\"AccessToken\": {{\"k\": \"{CANARY}"));
                tool.write("adal.json", adal(&json!(secret("adal-refresh"))));
                tool.write("odd-adal.json", adal(&json!([secret("adal-list")])));
                fs::write(tool.path("broken.json.lockfile"), CANARY).unwrap();
                tool.run(&["import", store, "document.json"]).expect_code(0);
                tool.run(&["keys", "--create", "--key-file", "cache.keys"]).expect_code(0);
                let tokens = tool.run(&["tokens", store, "--json"]).json();
                let id = tokens["tokens"][0]["id"].as_str().unwrap();
                for mut args in runs(&subcommand, store, id) {
                    args.insert(0, subcommand.clone());
                    args.extend(["--lock-timeout".into(), "0".into()]);
                    if json {
                        args.push("--json".into());
                    }
                    let args: Vec<_> = args.iter().map(String::as_str).collect();
                    let run = tool.run(&args);
                    assert!([0, 1, 2, 3, 4, 6, 8, 9].contains(&run.code), "{args:?}: {run:?}");
                    assert!(!run.out.is_empty() || !run.err.is_empty() || subcommand == "watch");
                    // Arguments may be printed, values from the store may not.
                    let out = run.out.replace(&format!("{CANARY:?}"), "");
                    let err = run.err.replace(&format!("{CANARY:?}"), "");
                    let err = err.replace(&format!("\\\"{CANARY}\\\""), "");
                    assert!(!out.contains(CANARY), "{args:?}: {out}");
                    assert!(!err.contains(CANARY), "{args:?}: {err}");
                    count += 1;
                }
                if let Ok(exported) = fs::read_to_string(tool.path("new.json")) {
                    assert!(!exported.contains(CANARY), "{exported}");
                }
            }
        }
    }
    println!("P10: {count} runs of {} subcommands: no canary", subcommands().len());
    assert!(count > 100);
}

#[test]
fn get_token_prints_only_the_token() {
    let tool = Tool::new();
    tool.write("cache.json", document().to_string());
    let run = tool.run(&[
        "get-token",
        "cache.json",
        "--client",
        "client",
        "--account",
        "alice",
        "--scope",
        "b",
    ]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(run.out, format!("{}\n", secret("access")));
}

#[test]
fn show_secrets_prints_the_secrets() {
    let tool = Tool::new();
    tool.write("cache.json", document().to_string());
    let shown = tool.run(&["show", "cache.json", "good", "--show-secrets"]).expect_code(0);
    assert!(shown.contains(&secret("access")) && shown.contains(&secret("field")), "{shown}");
    let exported = tool.run(&["export", "cache.json", "--show-secrets"]).expect_code(0);
    assert_eq!(serde_json::from_str::<Value>(&exported).unwrap(), document());
    tool.run(&["export", "cache.json", "--show-secrets", "--output", "new.json"]).expect_code(0);
    assert_eq!(tool.read("new.json"), document());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(tool.path("new.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // An existing file is not overwritten.
    assert_eq!(tool.run(&["export", "cache.json", "--output", "new.json"]).code, 6);
}
