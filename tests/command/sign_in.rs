//! Sign-ins and refreshes against a server on the loopback interface.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::stand_in::StandIn;
use crate::stand_in::browser::visit;
use crate::tool::{Run, Tool};

const CLIENT: [&str; 4] = ["--client", "app", "--tenant", "contoso"];

fn run(tool: &Tool, server: &StandIn, args: &[&str], more: &[&str]) -> Run {
    let endpoint = format!("{}/contoso/oauth2/v2.0/token", server.url());
    let args = [args, &CLIENT, &["--environment", "login.example"], more].concat();
    tool.run_without_time(&[&args[..], &["--token-endpoint", &endpoint]].concat())
}

fn sign_in(tool: &Tool, server: &StandIn, store: &str, more: &[&str]) -> Run {
    let device = ["--device-code", "--scope", "User.Read"];
    run(tool, server, &["sign-in", store], &[&device[..], more].concat())
}

fn get_token(tool: &Tool, server: &StandIn, scope: &str, more: &[&str]) -> Run {
    let request = ["--refresh", "--account", "alice", "--scope", scope];
    run(tool, server, &["get-token", "cache.json"], &[&request[..], more].concat())
}

fn prints_no_token(run: &Run) {
    for text in [&run.out, &run.err] {
        for secret in ["access token", "refresh token", "a device code"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_user_signs_in_by_device_code_and_the_next_token_needs_no_user() {
    let (tool, server) = (Tool::new(), StandIn::start().unwrap());
    let signed_in = sign_in(&tool, &server, "cache.json", &[]);
    assert_eq!(signed_in.code, 0, "{signed_in:?}");
    assert!(signed_in.err.contains("enter the code WDJB-MJHT"), "{signed_in:?}");
    assert!(signed_in.out.starts_with("Signed in alice@contoso.example;"), "{signed_in:?}");
    prints_no_token(&signed_in);
    let stored = tool.read("cache.json");
    for section in ["AccessToken", "RefreshToken", "IdToken", "Account"] {
        assert_eq!(stored[section].as_object().unwrap().len(), 1, "{section}");
    }

    // From the cache.
    let requests = server.token_requests();
    let token = get_token(&tool, &server, "User.Read", &[]).expect_code(0);
    assert!(token.starts_with("access token "), "{token}");
    assert_eq!(server.token_requests(), requests);
    // By the refresh token, once.
    let other = get_token(&tool, &server, "Mail.Read", &[]).expect_code(0);
    assert!(other.trim_end().ends_with(" of alice") && other != token, "{other}");
    assert_eq!(get_token(&tool, &server, "Mail.Read", &[]).expect_code(0), other);
    assert_eq!(server.token_requests(), requests + 1);
}

#[test]
fn the_result_as_json_names_the_user_and_no_token() {
    let (tool, server) = (Tool::new(), StandIn::start().unwrap());
    let signed_in = sign_in(&tool, &server, "sqlite:cache.db", &["--json"]);
    prints_no_token(&signed_in);
    let result = signed_in.json();
    assert_eq!(result["username"], "alice@contoso.example");
    assert_eq!(result["home_account_id"], "alice.contoso");
    let documented = include_str!("../../src/docs/json.txt");
    for name in result.as_object().unwrap().keys() {
        assert!(documented.contains(&format!("\"{name}\"")), "{name}");
    }
    let accounts = tool.run_without_time(&["accounts", "cache.db", "--json"]).json();
    assert_eq!(accounts["accounts"][0]["username"], "alice@contoso.example");
}

#[test]
fn a_user_signs_in_by_the_browser_that_gets_the_printed_address() {
    let (tool, server) = (Tool::new(), StandIn::start().unwrap());
    let address = format!("{}/contoso/oauth2/v2.0", server.url());
    let mut command = tool.command();
    command.args(["sign-in", "cache.json", "--no-browser", "--scope", "User.Read"]).args(CLIENT);
    command.args(["--environment", "login.example", "--account", "bob", "--timeout", "60"]);
    command.args(["--token-endpoint", &format!("{address}/token")]);
    command.args(["--authorization-endpoint", &format!("{address}/authorize")]);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    lines.read_line(&mut line).unwrap();
    visit(line.trim().strip_prefix("To sign in, open ").unwrap_or_else(|| panic!("{line}")))
        .unwrap();
    let done = child.wait_with_output().unwrap();
    let out = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && out.starts_with("Signed in bob@contoso.example"), "{out}");
}

#[cfg(unix)]
#[test]
fn a_well_known_place_is_a_store_to_sign_in_to() {
    let (tool, server) = (Tool::new(), StandIn::start().unwrap());
    let endpoint = format!("{}/contoso/oauth2/v2.0/token", server.url());
    let place = ["--environment", "login.example", "--token-endpoint", &endpoint];
    for store in ["app:my-tool", "azure-cli"] {
        let run = |args: &[&str]| {
            let args = [args, &["--scope", "User.Read", "--json"], &CLIENT, &place].concat();
            let done = tool.command().env("HOME", tool.path("home")).args(args).output().unwrap();
            assert!(done.status.success(), "{store}: {done:?}");
            serde_json::from_slice::<Value>(&done.stdout).unwrap()
        };
        let signed_in = run(&["sign-in", store, "--device-code"]);
        assert_eq!(signed_in["username"], "alice@contoso.example");
        let token = run(&["get-token", store, "--account", "alice", "--refresh"]);
        assert!(token["token"].as_str().unwrap().starts_with("access token"), "{token}");
    }
    assert!(tool.path("home/.azure/msal_token_cache.json").exists());
}

#[test]
fn what_the_server_refuses_is_an_error_without_secrets() {
    let (tool, server) = (Tool::new(), StandIn::start().unwrap());
    sign_in(&tool, &server, "cache.json", &[]).expect_code(0);
    // The refresh token becomes invalid: another one of the same form was used.
    let mut stored = tool.read("cache.json");
    for token in stored["RefreshToken"].as_object_mut().unwrap().values_mut() {
        token["secret"] = Value::from("CANARY");
    }
    tool.write("cache.json", stored.to_string());
    let refused = get_token(&tool, &server, "Mail.Read", &["--json"]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{refused:?}");
    assert_eq!(refused.error()["kind"], "nothing-found");
    assert!(refused.error()["hint"].as_str().unwrap().contains("msal-cache sign-in"));
    assert!(!refused.err.contains("CANARY"), "{refused:?}");

    drop(server);
    let closed = "http://127.0.0.1:1/contoso/oauth2/v2.0/token";
    let args =
        ["get-token", "cache.json", "--refresh", "--account", "alice", "--scope", "Mail.Read"];
    let more =
        [&args[..], &CLIENT, &["--environment", "login.example", "--token-endpoint", closed]];
    let failed = tool.run_without_time(&[&more.concat()[..], &["--json"]].concat());
    assert_eq!((failed.code, failed.out.as_str()), (8, ""), "{failed:?}");
    assert_eq!(failed.error()["kind"], "server");
}

#[test]
fn endpoints_that_are_not_known_are_discovered_only_where_a_request_is_needed() {
    let (tool, server) = (Tool::new(), StandIn::start().unwrap());
    // No server is there.
    let place = [&CLIENT[..], &["--environment", "127.0.0.1:1"]].concat();
    let document = "127.0.0.1:1/contoso/v2.0/.well-known/openid-configuration";
    let fails = |run: &Run| {
        assert_eq!((run.code, run.out.as_str()), (8, ""), "{run:?}");
        assert_eq!(run.error()["kind"], "server");
        assert!(run.error()["message"].as_str().unwrap().contains(document), "{run:?}");
    };
    let args = ["sign-in", "cache.json", "--device-code", "--scope", "User.Read", "--json"];
    let args = [&args[..], &place, &["--no-instance-discovery"]].concat();
    fails(&tool.run_without_time(&args));
    // A user of that place.
    sign_in(&tool, &server, "cache.json", &[]).expect_code(0);
    let stored = tool.read("cache.json").to_string().replace("login.example", "127.0.0.1");
    tool.write("cache.json", stored);

    let get_token = |scope| {
        let more = ["--account", "alice", "--refresh", "--no-instance-discovery", "--json"];
        let request = ["get-token", "cache.json", "--scope", scope];
        tool.run_without_time(&[&request[..], &place, &more].concat())
    };
    assert!(get_token("User.Read").json()["token"].as_str().unwrap().starts_with("access token"));
    fails(&get_token("Mail.Read"));
}

#[test]
fn a_refresh_is_for_a_user_and_a_store_that_can_be_changed() {
    let tool = Tool::with("python-aad.json");
    let request = ["--client", "c", "--scope", "s", "--refresh"];
    for args in [
        &[&["get-token", "cache.json", "--app"][..], &request].concat()[..],
        &[&["get-token", "-", "--account", "alice"][..], &request].concat(),
        &["sign-in", "cache.json", "--client", "c", "--scope", "s"],
        &["sign-in", "-", "--client", "c", "--scope", "s", "--tenant", "t", "--device-code"],
        &["sign-in", "cache.json", "--client", "c", "--scope", "s", "--tenant", "a b"],
        &["sign-in", "cache.json", "--client", "c", "--scope", "s", "--issuer", "http://i.example"],
        &[
            "sign-in",
            "c",
            "--client",
            "c",
            "--scope",
            "s",
            "--issuer",
            "https://i",
            "--tenant",
            "t",
        ],
        &[
            "get-token",
            "cache.json",
            "--client",
            "c",
            "--scope",
            "s",
            "--account",
            "alice",
            "--issuer",
            "https://i",
        ],
    ] {
        let run = tool.run_without_time(args);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}: {run:?}");
    }
}
