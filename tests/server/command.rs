//! The command `msal-cache` over a cache on a server.

use clap::CommandFactory;
use serde_json::Value;

use crate::administration::administer;
use crate::args::Arguments;
use crate::stores::{Server, open, unused_name};
use crate::tool::{Run, Tool};

/// The address of an unused cache.
fn address() -> String {
    format!("{}#{}", Server::started().url(), unused_name())
}

/// The address of an unused cache, as the command prints it.
fn shown(address: &str) -> String {
    address.replace("?sslmode=disable", "")
}

/// The runs of a subcommand, after the fixture was imported.
fn runs(subcommand: &str, store: &str) -> Vec<Vec<String>> {
    let request = ["--client", "python-client", "--account", "alice", "--scope", "User.Read"];
    let nothing = "http://127.0.0.1:1/token";
    let sign_in = ["--client", "c", "--tenant", "t", "--scope", "s", "--device-code"];
    let sign_in = [&sign_in[..], &["--token-endpoint", nothing]].concat();
    let args: &[&[&str]] = match subcommand {
        "accounts" | "stats" | "check" | "lock" => &[&[store]],
        "tokens" => &[&[store], &[store, "--type", "access", "--wide"]],
        "show" => &[&[store, "0"]],
        "repair" | "purge" => &[&[store, "--dry-run"], &[store]],
        "why" | "get-token" => &[&[&[store][..], &request[..]].concat()],
        "add" => &[&[store, "event.json"]],
        "remove" => &[&[store, "--type", "access", "--yes"], &[store, "--type", "id", "--dry-run"]],
        "sign-out" => &[&[store, "alice", "--dry-run"], &[store, "alice"]],
        "clear" => &[&[store, "--yes"]],
        "export" => &[&[store], &[store, "--show-secrets", "--output", "new.json"]],
        "import" => &[&[store, "cache.json"], &[store, "cache.json", "--replace", "--yes"]],
        "copy" => &[&[store, "copy.json"], &["cache.json", store], &[store, store]],
        "watch" => &[&[store, "--count", "0"]],
        // Nothing answers there; what a sign-in stores is tested on a file.
        "sign-in" => &[&[&[store][..], &sign_in[..]].concat()],
        // `a_cache_on_a_server_is_sealed_and_made_plain_again` runs those that seal.
        "seal" | "unseal" | "rekey" | "keys" | "places" | "ddl" | "completions" | "man" => &[],
        other => panic!("no runs are defined for {other}"),
    };
    let all = args.iter().map(|args| args.iter().map(|it| (*it).to_owned()).collect());
    all.collect()
}

fn run(tool: &Tool, subcommand: &str, args: &[String], more: &[&str]) -> Run {
    let mut all = vec![subcommand];
    all.extend(args.iter().map(String::as_str).chain(more.iter().copied()));
    tool.run(&all)
}

fn with_fixture(store: &str) -> Tool {
    let tool = Tool::with("python-all.json");
    tool.write(
        "event.json",
        r#"{"client_id": "client", "scope": ["c"],
            "token_endpoint": "https://login.example/t/oauth2/v2.0/token",
            "response": {"access_token": "new", "expires_in": 3600,
                "client_info": "eyJ1aWQiOiJhbGljZSIsInV0aWQiOiJob21lIn0"}}"#,
    );
    tool.run(&["import", store, "cache.json"]).expect_code(0);
    tool
}

#[test]
fn each_subcommand_does_on_a_server_what_it_does_on_a_file() {
    let mut count = 0;
    for command in Arguments::command().get_subcommands() {
        let name = command.get_name();
        for nth in 0..runs(name, "").len() {
            for format in [&[][..], &["--json"], &["-o", "tsv"]] {
                let (server, file) = (address(), "same.json".to_owned());
                let [on_server, on_file] = [&server, &file].map(|store| {
                    let tool = with_fixture(store);
                    let run = run(&tool, name, &runs(name, store)[nth], format);
                    let left = tool.run(&["export", store, "--show-secrets"]);
                    (run, left.out)
                });
                let what = format!("{name} {nth} {format:?}");
                if name == "lock" {
                    assert_eq!(on_server.0.code, 2, "{what}: {on_server:?}");
                    continue;
                }
                assert_eq!(on_server.0.code, on_file.0.code, "{what}: {on_server:?} {on_file:?}");
                let [left, expected] = [&on_server.1, &on_file.1]
                    .map(|text| serde_json::from_str::<Value>(text).unwrap());
                assert_eq!(left, expected, "{what}");
                count += 1;
            }
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn a_backup_is_written_to_the_current_folder_and_can_be_restored() {
    let store = address();
    let tool = with_fixture(&store);
    let before = tool.run(&["export", &store, "--show-secrets"]).out;
    let cleared = tool.run(&["clear", &store, "--yes", "--json"]).json();
    let backup = cleared["backup"].as_str().unwrap().to_owned();
    assert!(backup.starts_with("127.0.0.1-") && !backup.contains('/'), "{backup}");
    assert_eq!(cleared["store"], shown(&store));
    tool.run(&["import", &store, &backup, "--replace", "--yes"]).expect_code(0);
    assert_eq!(tool.run(&["export", &store, "--show-secrets"]).out, before);
}

#[test]
fn a_change_by_another_process_is_watched() {
    let store = address();
    let tool = with_fixture(&store);
    let args = ["watch", &store, "--count", "1", "--interval", "10", "--json"];
    let child = tool.command().args(args).spawn().unwrap();
    // Changes until it has seen one: when it begins to watch isn't known.
    let watched = std::thread::spawn(move || child.wait_with_output().unwrap());
    while !watched.is_finished() {
        tool.run(&["add", &store, "event.json"]).expect_code(0);
        tool.run(&["sign-out", &store, "alice.home"]).expect_code(0);
    }
    let out = String::from_utf8(watched.join().unwrap().stdout).unwrap();
    let change: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert!(change["change"].is_string(), "{change}");
}

#[test]
fn no_password_of_a_server_is_printed() {
    let (canary, name) = ("CANARY-p4ss", unused_name());
    let server = Server::started();
    let down = match server {
        Server::Postgres(_) => {
            administer(&format!(
                "CREATE ROLE \"{name}\" SUPERUSER LOGIN PASSWORD '{canary}' IN ROLE with_password"
            ));
            format!("postgres://app:{canary}@127.0.0.1:1/d?password={canary}#x")
        }
        Server::Redis(_) => {
            administer(&format!("ACL SETUSER {name} on >{canary} ~* &* +@all"));
            format!("redis://app:{canary}@127.0.0.1:1#x")
        }
    };
    let cache = address();
    let at = |user: &str| {
        let (scheme, host) = cache.split_once("://").unwrap();
        format!("{scheme}://{user}@{}", host.trim_start_matches("msal@"))
    };
    let good = at(&format!("{name}:{canary}"));
    let wrong = at(&format!("{name}:{canary}-wrong"));
    let mut printed = Vec::new();
    for command in Arguments::command().get_subcommands() {
        let subcommand = command.get_name();
        for (store, is_good) in [(&good, true), (&down, false), (&wrong, false)] {
            let tool = if is_good { with_fixture(store) } else { Tool::with("python-all.json") };
            for args in runs(subcommand, store) {
                for more in [&["-v"][..], &["--json"], &["--unknown"], &[store, store, store]] {
                    printed.push(run(&tool, subcommand, &args, more));
                }
            }
        }
    }
    assert!(printed.len() > 200, "{}", printed.len());
    for Run { out, err, .. } in &printed {
        assert!(!out.contains(canary) && !err.contains(canary), "{out}\n{err}");
    }
    let tool = Tool::new();
    let verbose = tool.run(&["stats", &good, "-v"]);
    assert!(verbose.err.contains(&shown(&at(&name))), "{verbose:?}");

    // From the environment.
    let of_environment = |variable: &str, password: &str| {
        let args = ["accounts", &at(&name), "--json"];
        let done = tool.command().env(variable, password).args(args).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    let variables: &[_] = match server {
        Server::Postgres(_) => &["PGPASSWORD"],
        Server::Redis(_) => &["REDISCLI_AUTH", "VALKEYCLI_AUTH"],
    };
    for variable in variables {
        let (code, refused) = of_environment(variable, canary);
        assert!([0, 1].contains(&code), "{refused}");
        let (code, refused) = of_environment(variable, "wrong");
        assert!(code == 7 && refused.contains(variables[0]), "{refused}");
    }
    if let Server::Postgres(_) = server {
        tool.write("passwords", format!("*:*:*:*:{canary}\n"));
        tool.chmod("passwords", 0o600);
        let (code, refused) = of_environment("PGPASSFILE", "passwords");
        assert!([0, 1].contains(&code), "{refused}");
    }
}

#[test]
fn errors_name_the_server_and_the_remedy() {
    let tool = Tool::new();
    let error = |store: &str, code: i32| {
        let run = tool.run(&["accounts", store, "--json"]);
        assert_eq!(run.code, code, "{run:?}");
        let error = run.error();
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (text("kind"), text("message"), text("hint"))
    };
    let server = Server::started();
    let [down, malformed, example, unnamed] = match &server {
        Server::Postgres(url) => {
            ["postgres://127.0.0.1:1", "postgres://[", "postgres://USER@HOST", &format!("{url}#")]
                .map(str::to_owned)
        }
        Server::Redis(url) => {
            ["redis://127.0.0.1:1", "redis://[", "redis://USER@HOST", &format!("{url}#no name")]
                .map(str::to_owned)
        }
    };
    let (kind, message, hint) = error(&down, 6);
    assert_eq!(kind, "unavailable");
    assert!(message.contains("127.0.0.1:1"), "{message}");
    assert!(hint.contains("host and port"), "{hint}");
    let (kind, message, hint) = error(&malformed, 7);
    assert_eq!(kind, "store-failed");
    assert!(message.contains("address") && hint.contains(&example), "{message} {hint}");
    let (kind, message, _) = error(&unnamed, 2);
    assert_eq!(kind, "invalid-input");
    assert!(message.contains("name"), "{message}");

    let name = unused_name();
    let url = server.url();
    match server {
        Server::Postgres(_) => {
            let schema = name.replace('-', "_");
            let (kind, message, hint) = error(&format!("{url}&schema={schema}"), 7);
            assert_eq!(kind, "store-failed");
            assert!(
                message.contains(&schema) && hint.contains("msal-cache ddl"),
                "{message} {hint}"
            );
            // Nothing was created.
            administer(&format!(
                "CREATE SCHEMA {schema}; CREATE TABLE {schema}.msal_version (a int)"
            ));
            let (kind, message, hint) = error(&format!("{url}&schema={schema}"), 7);
            assert_eq!(kind, "store-failed");
            assert!(message.contains("another application"), "{message}");
            assert!(hint.contains("?schema="), "{hint}");
            drop(open(&name));
            administer(&format!("CREATE ROLE \"{name}\" LOGIN"));
            let limited = url.replace("msal@", &format!("{name}@"));
            let (kind, message, hint) = error(&limited, 7);
            assert_eq!(kind, "store-failed");
            assert!(
                message.contains("GRANT") && hint.contains("msal-cache ddl"),
                "{message} {hint}"
            );
        }
        Server::Redis(_) => {
            administer(&format!("SET {{msal:{name}}}:meta other"));
            let (kind, _, hint) = error(&format!("{url}#{name}"), 4);
            assert_eq!(kind, "corrupt");
            assert!(hint.contains("another program"), "{hint}");
            administer(&format!("ACL SETUSER {name} on nopass ~* &* +@all -info"));
            let limited = url.replace("redis://", &format!("redis://{name}:x@"));
            let (kind, message, hint) = error(&limited, 7);
            assert_eq!(kind, "store-failed");
            assert!(message.contains("permission"), "{message}");
            assert!(hint.contains("docs::redis"), "{hint}");
        }
    }
}

#[test]
fn an_application_works_with_the_tables_that_an_operator_creates() {
    let Server::Postgres(url) = Server::started() else { return };
    let role = unused_name().replace('-', "_");
    administer(&format!("CREATE ROLE {role} LOGIN"));
    let tool = Tool::new();
    let options = ["--schema", &role, "--prefix", "web_", "--role", &role, "--row-level-security"];
    let sql = tool.run(&[&["ddl"][..], &options].concat()).expect_code(0);
    administer(&sql);
    let json = tool.run(&[&["ddl", "--json"][..], &options].concat()).json();
    assert_eq!(json["sql"], sql.trim_end());
    let of = |cache: &str| {
        let url = url.replace("msal@", &format!("{role}@"));
        format!("{url}&schema={role}&prefix=web_#{cache}")
    };
    let tool = with_fixture(&of(&role));
    tool.run(&["accounts", &of(&role)]).expect_code(0);
    // The cache of another role.
    let refused = tool.run(&["import", &of("other"), "cache.json", "--json"]);
    assert_eq!(refused.code, 7, "{refused:?}");

    for wrong in [["--schema", "a b"], ["--prefix", ""], ["--role", ""]] {
        assert_eq!(tool.run(&[&["ddl"][..], &wrong].concat()).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_cache_on_a_server_is_sealed_and_made_plain_again() {
    let store = address();
    let tool = with_fixture(&store);
    let keys = ["--key-file", "cache.keys"];
    tool.run(&[&["keys", "--create"][..], &keys].concat()).expect_code(0);
    let run = |args: &[&str]| tool.run(&[args, &keys].concat());
    tool.run(&["import", &store, "cache.json"]).expect_code(0);
    // A server lists in no order.
    let contents = |export: Run| -> Value { serde_json::from_str(&export.expect_code(0)).unwrap() };
    let expected = contents(tool.run(&["export", &store, "--show-secrets"]));
    run(&["seal", &store, "--hide-names"]).expect_code(0);
    let refused = tool.run(&["tokens", &store, "--json"]);
    assert_eq!((refused.code, &refused.error()["kind"]), (9, &Value::from("sealed")));
    run(&["rekey", &store, "--new-key"]).expect_code(0);
    let check = run(&["check", &store, "--json"]).json();
    assert_eq!(check["sealed"]["needed"], serde_json::json!([2]));
    assert_eq!(check["sealed"]["names"], "hidden");
    assert_eq!(contents(run(&["export", &store, "--show-secrets"])), expected);
    run(&["keys", &store, "--remove", "1"]).expect_code(0);
    run(&["unseal", &store]).expect_code(0);
    assert_eq!(contents(tool.run(&["export", &store, "--show-secrets"])), expected);
}
