//! Snapshots of the text output, at 80 columns and without colors. `INSTA_UPDATE=always` updates
//! them.

use crate::tool::{NOW, Run, Tool};

/// The transcript of a run.
fn transcript(args: &[&str], run: &Run) -> String {
    let mut text = format!("$ msal-cache {}\n{}", args.join(" "), run.out);
    if !run.err.is_empty() {
        text.push_str("--- stderr\n");
        text.push_str(&run.err);
    }
    if run.code != 0 {
        text.extend(["=> ", &run.code.to_string(), "\n"]);
    }
    text
}

fn assert_output(name: &str, shown: &[String]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("command-{name}"), shown.join("\n")));
}

/// Asserts the snapshot of these runs, one after the other in one directory.
fn assert_runs(name: &str, tool: &Tool, runs: &[(i64, &[&str])]) {
    let shown: Vec<_> = runs
        .iter()
        .map(|(seconds, args)| transcript(args, &tool.run_at(NOW + seconds, args)))
        .collect();
    assert_output(name, &shown);
}

#[test]
fn accounts_and_tokens() {
    let tool = Tool::with("python-all.json");
    let client = "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE";
    assert_runs(
        "lists",
        &tool,
        &[
            (0, &["accounts", "cache.json"]),
            (0, &["tokens", "cache.json"]),
            (2000, &["tokens", "cache.json", "--type", "access", "--client", client]),
            (9000, &["tokens", "cache.json", "--account", "alice@outlook", "--sort", "expires"]),
            (0, &["tokens", "cache.json", "--account", "alice@outlook", "--wide"]),
            (0, &["tokens", "cache.json", "--account", "bob"]),
        ],
    );
}

#[test]
fn one_entry() {
    let tool = Tool::with("node-foci.json");
    let listed = tool.run(&["tokens", "cache.json", "--json"]).json();
    let ids: Vec<_> = listed["tokens"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    let shown: Vec<_> = ids
        .iter()
        .map(|id| ["show", "cache.json", id.as_str().unwrap()])
        .map(|args| transcript(&args, &tool.run(&args)))
        .collect();
    assert_output("show", &shown);
}

#[test]
fn statistics() {
    let tool = Tool::with("python-all.json");
    assert_runs(
        "stats",
        &tool,
        &[(3500, &["stats", "cache.json"]), (9000, &["stats", "cache.json"])],
    );
    let tool = Tool::new();
    tool.write("cache.json", "{}");
    assert_runs(
        "stats-empty",
        &tool,
        &[(0, &["stats", "cache.json"]), (0, &["accounts", "cache.json"])],
    );
}

#[test]
fn checks_and_repairs() {
    let tool = Tool::with("mutations/32-random-keys.json");
    assert_runs(
        "repair",
        &tool,
        &[
            (0, &["check", "cache.json"]),
            (0, &["repair", "cache.json", "--dry-run"]),
            (0, &["repair", "cache.json"]),
            (0, &["repair", "cache.json"]),
            (0, &["check", "cache.json"]),
        ],
    );
    let tool = Tool::with("python-all.json");
    assert_runs("check", &tool, &[(9000, &["check", "cache.json"])]);
    let tool = Tool::with("mutations/10-no-expires_on.json");
    assert_runs("check-unreadable", &tool, &[(0, &["check", "cache.json"])]);
    let tool = Tool::with("mutations/55-truncated.json");
    assert_runs(
        "check-broken",
        &tool,
        &[
            (0, &["accounts", "cache.json"]),
            (0, &["check", "cache.json"]),
            (0, &["repair", "cache.json"]),
            (0, &["repair", "cache.json", "--force"]),
            (0, &["check", "cache.json"]),
        ],
    );
}

#[cfg(unix)]
#[test]
fn an_unsafe_file() {
    let tool = Tool::with("python-aad.json");
    tool.chmod("cache.json", 0o644);
    assert_runs(
        "unsafe",
        &tool,
        &[
            (0, &["accounts", "cache.json"]),
            (0, &["check", "cache.json"]),
            (0, &["repair", "cache.json"]),
        ],
    );
}

#[test]
fn why() {
    let tool = Tool::with("python-all.json");
    let (cli, account) =
        ("04b07795-8ddb-461a-bbee-02f9e1bf7b46", "22222222-2222-2222-2222-222222222222.1");
    let known = "https://management.core.windows.net//.default";
    let ask =
        |scope| ["why", "cache.json", "--client", cli, "--account", account, "--scope", scope];
    let new = ["why", "cache.json", "--client", "new-app", "--account", account, "--scope", "s"];
    let adfs = ["why", "cache.json", "--client", cli, "--account", "FAKE-ADFS", "--scope", "s"];
    let app = [
        "why",
        "cache.json",
        "--client",
        "cccccccc-0000-0000-0000-000000000001",
        "--app",
        "--scope",
        "https://graph.microsoft.com/.default",
    ];
    assert_runs(
        "why",
        &tool,
        &[
            (0, &ask(known)),
            (0, &ask("Mail.Read")),
            (9000, &ask(known)),
            (0, &new),
            (0, &adfs),
            (0, &app),
        ],
    );
    assert_runs(
        "get-token",
        &tool,
        &[
            (
                0,
                &[
                    "get-token",
                    "cache.json",
                    "--client",
                    cli,
                    "--account",
                    account,
                    "--scope",
                    known,
                ],
            ),
            (
                9000,
                &[
                    "get-token",
                    "cache.json",
                    "--client",
                    cli,
                    "--account",
                    account,
                    "--scope",
                    known,
                ],
            ),
        ],
    );
}

#[test]
fn changes() {
    let tool = Tool::with("python-aad.json");
    tool.write(
        "event.json",
        r#"{
        "client_id": "c", "scope": ["s"], "grant_type": "client_credentials",
        "token_endpoint": "https://login.example/tenant/oauth2/v2.0/token",
        "response": {"access_token": "s3cret", "expires_in": 3600}
    }"#,
    );
    assert_runs(
        "changes",
        &tool,
        &[
            (0, &["add", "cache.json", "event.json"]),
            (0, &["copy", "cache.json", "sqlite:cache.db"]),
            (9000, &["purge", "cache.db", "--dry-run"]),
            (9000, &["purge", "cache.db"]),
            (0, &["sign-out", "cache.json", "bob"]),
            (0, &["sign-out", "cache.json", "alice"]),
            (0, &["import", "cache.json", "event.json"]),
            (0, &["clear", "cache.json"]),
            (0, &["clear", "cache.json", "--yes"]),
            (0, &["export", "cache.db", "--output", "out.json"]),
            (0, &["import", "cache.json", "out.json"]),
            (0, &["lock", "cache.json"]),
            (0, &["tokens", "nosuch.json"]),
        ],
    );
}

/// With the key store of the desktop, which can't be reached here.
#[cfg(all(feature = "secret-service", target_os = "linux"))]
#[test]
fn places() {
    assert_runs("places", &Tool::new(), &[(0, &["places"])]);
}

#[test]
fn help_texts() {
    let tool = Tool::new();
    // Features add these subcommands.
    let is_in_all = |line: &&str| !line.starts_with("  sign-in ") && !line.starts_with("  ddl ");
    let help = |args: &[&str]| {
        let shown = transcript(args, &tool.run_without_time(args));
        shown.split_inclusive('\n').filter(is_in_all).collect::<String>()
    };
    assert_output("help", &[help(&["-h"]), help(&["tokens", "-h"]), help(&["add", "--help"])]);
}

#[test]
fn the_readme_example_matches_the_output() {
    let tool = Tool::with("python-foci.json");
    std::fs::rename(tool.path("cache.json"), tool.path("token_cache.json")).unwrap();
    let args = ["tokens", "token_cache.json"];
    let shown = transcript(&args, &tool.run_at(NOW + 1080, &args));
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&format!("```console\n{shown}```")), "{shown}");
}
