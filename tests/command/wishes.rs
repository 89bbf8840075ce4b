//! Formats, quiet and verbose output, standard input, suggestions, narrow terminals.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::help::subcommands;
use crate::tool::{NOW, Tool, fixtures};

#[test]
fn a_document_on_standard_input_is_read_and_not_changed() {
    let tool = Tool::with("python-all.json");
    let document = fs::read_to_string(fixtures().join("python-all.json")).unwrap();
    for args in [
        &["accounts"][..],
        &["tokens", "--wide"],
        &["tokens", "--json"],
        &["check", "--all"],
        &["export"],
    ] {
        let with = |store: &'static str| {
            let mut args = args.to_vec();
            args.insert(1, store);
            args
        };
        let from_file = tool.run(&with("cache.json"));
        let from_input = tool.run_with_input(&with("-"), &document);
        assert_eq!((from_input.out, from_input.code), (from_file.out, from_file.code), "{args:?}");
    }
    let copied = tool.run_with_input(&["copy", "-", "copy.json"], &document);
    assert_eq!(copied.code, 0, "{copied:?}");
    assert_eq!(tool.read("copy.json"), tool.read("cache.json"));
    for args in [
        &["purge", "-"][..],
        &["clear", "-", "--yes"],
        &["repair", "-"],
        &["sign-out", "-", "alice"],
        &["copy", "cache.json", "-"],
        &["import", "-"],
        &["add", "-"],
        &["lock", "-"],
        &["watch", "-"],
    ] {
        let run = tool.run_with_input(args, &document);
        assert_eq!(run.code, 2, "{args:?}: {run:?}");
        assert!(run.err.contains("standard input"), "{args:?}: {}", run.err);
    }
    let run = tool.run_with_input(&["accounts", "-"], "CANARY");
    assert_eq!(run.code, 4);
    assert!(run.err.contains("standard input is not a token cache"), "{}", run.err);
}

#[test]
fn formats_have_the_same_content() {
    let tool = Tool::with("python-all.json");
    let json = tool.run(&["tokens", "cache.json", "--json"]).out;
    assert_eq!(tool.run(&["tokens", "cache.json", "-o", "json"]).out, json);
    let table = tool.run(&["tokens", "cache.json"]).out;
    assert_eq!(tool.run(&["tokens", "cache.json", "--format", "table"]).out, table);
    let tsv = tool.run(&["tokens", "cache.json", "-o", "tsv"]).expect_code(0);
    let tokens: Value = serde_json::from_str(&json).unwrap();
    let tokens = tokens["tokens"].as_array().unwrap();
    assert_eq!(tsv.lines().count(), tokens.len());
    for (line, token) in tsv.lines().zip(tokens) {
        let fields: Vec<_> = line.split('\t').collect();
        assert_eq!(fields.len(), 15, "{line}");
        assert_eq!(
            (fields[0], fields[1]),
            (token["id"].as_str().unwrap(), token["type"].as_str().unwrap())
        );
        let scopes: Vec<_> = fields[7].split(' ').filter(|it| !it.is_empty()).collect();
        assert_eq!(scopes.len(), token["scopes"].as_array().unwrap().len(), "{line}");
    }
    let stats = tool.run(&["stats", "cache.json", "-o", "tsv"]).expect_code(0);
    assert!(stats.contains("users\t4\n"), "{stats}");
    assert_eq!(tool.run(&["tokens", "cache.json", "--json", "-o", "tsv"]).code, 2);
    // Errors are JSON for JSON only.
    assert!(tool.run(&["tokens", "missing", "-o", "tsv"]).err.starts_with("error: "));
    assert_eq!(tool.run(&["tokens", "missing", "-o", "json"]).error()["kind"], "missing");
    assert_eq!(tool.run(&["tokens", "-o", "json"]).error()["kind"], "usage");
}

#[test]
fn quiet_prints_errors_only_and_verbose_prints_what_is_read() {
    let tool = Tool::with("python-all.json");
    for (args, code) in [
        (&["accounts", "cache.json"][..], 0),
        (&["tokens", "cache.json", "--account", "unknown"], 1),
        (&["check", "cache.json"], 0),
        (&["purge", "cache.json"], 0),
        (&["sign-out", "cache.json", "alice@outlook"], 0),
    ] {
        let run = tool.run(&[args, &["--quiet"]].concat());
        assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (code, "", ""), "{args:?}");
    }
    let run = tool.run(&["tokens", "missing.json", "-q"]);
    assert_eq!((run.code, run.err.as_str()), (6, "error: could not find missing.json\n"));
    // What a script asks for is printed.
    assert!(!tool.run(&["export", "cache.json", "-q"]).out.is_empty());
    assert!(!tool.run(&["stats", "cache.json", "-q", "--json"]).out.is_empty());
    let run = tool.run(&["tokens", "cache.json", "--verbose"]);
    assert!(run.err.contains("store: cache.json (file)"), "{}", run.err);
    assert!(run.err.contains("read "), "{}", run.err);
    assert_eq!(run.out, tool.run(&["tokens", "cache.json"]).out);
}

#[test]
fn words_of_other_tools_are_understood() {
    let tool = Tool::new();
    for (word, wanted) in [
        ("list", "`tokens`"),
        ("ls", "`tokens`"),
        ("login", if cfg!(feature = "http") { "`sign-in`" } else { "doesn't sign in" }),
        ("logout", "`sign-out`"),
        ("rm", "`remove`"),
        ("delete", "`remove`"),
        ("whoami", "`accounts`"),
    ] {
        let run = tool.run_without_time(&[word]);
        assert_eq!(run.code, 2, "{word}");
        assert!(run.err.contains(wanted), "{word}: {}", run.err);
        let error = tool.run_without_time(&[word, "--json"]).error();
        assert!(error["hint"].as_str().unwrap().contains(wanted), "{word}: {error}");
    }
    let run = tool.run_without_time(&["tokns"]);
    assert!(run.err.contains("tokens"), "{}", run.err);
}

#[test]
fn a_missing_argument_is_named_under_json() {
    let tool = Tool::new();
    for (args, missing) in [
        (&["tokens", "--json"][..], "<STORE>"),
        (&["why", "cache.json", "--json"], "--client <ID>"),
        (&["why", "cache.json", "--client", "c", "--json"], "--scope <SCOPE>"),
        (&["copy", "cache.json", "-o", "json"], "<TO>"),
        (&["tokens", "cache.json", "--type", "x", "--json"], "'x'"),
    ] {
        let error = tool.run_without_time(args).error();
        assert_eq!((&error["kind"], &error["exit_code"]), (&"usage".into(), &2.into()));
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(missing), "{args:?}: {message}");
        assert!(!message.contains('\n') && !message.contains("Usage"), "{message}");
    }
}

#[test]
fn tables_fit_60_columns() {
    for fixture in ["python-all.json", "node-foci.json", "dotnet-aad.json"] {
        let tool = Tool::with(fixture);
        for columns in ["60", "72", "80", "100"] {
            for args in [
                &["accounts", "cache.json"][..],
                &["tokens", "cache.json"],
                &["tokens", "cache.json", "--type", "access", "--type", "app"],
                &["stats", "cache.json"],
                &["check", "cache.json"],
                &["repair", "cache.json", "--dry-run"],
                &["remove", "cache.json", "--type", "access", "--dry-run"],
                &["places"],
                &["lock", "cache.json"],
            ] {
                let mut command = tool.command();
                command.args(args).args(["--now", &(NOW + 9000).to_string()]);
                let done = command.env("COLUMNS", columns).output().unwrap();
                for line in String::from_utf8(done.stdout).unwrap().lines() {
                    let width = line.chars().count();
                    let columns: usize = columns.parse().unwrap();
                    // A path or an id can't be cut.
                    let long = line.split_whitespace().any(|word| word.len() + 12 > columns);
                    assert!(width <= columns || long, "{fixture} {args:?}: {width}: {line}");
                }
            }
        }
    }
}

#[test]
fn color_is_off_in_help_when_asked() {
    let tool = Tool::new();
    for args in [&["--help"][..], &["tokens", "--help"], &["-h"]] {
        for never in [&["--color", "never"][..], &["--color=never"]] {
            let run = tool.run_without_time(&[never, args].concat());
            assert!(!run.out.contains('\u{1b}') && !run.out.is_empty(), "{args:?}");
        }
        let always = tool.run_without_time(&[&["--color", "always"], args].concat());
        assert!(always.out.contains('\u{1b}'), "{args:?}: {}", always.out);
    }
    let error = tool.run_without_time(&["--color=always", "invented"]).err;
    assert!(error.contains('\u{1b}'), "{error}");
    let error = tool.run_without_time(&["--color=never", "invented"]).err;
    assert!(!error.contains('\u{1b}'), "{error}");
}

#[test]
fn every_manual_has_the_section_on_json() {
    let tool = Tool::new();
    let printed = tool.run_without_time(&["man"]).expect_code(0);
    tool.run_without_time(&["man", "--output", "man1"]).expect_code(0);
    let written = fs::read_to_string(tool.path("man1/msal-cache.1")).unwrap();
    for page in [&printed, &written] {
        let (_, json) = page.split_once(".SH JSON").unwrap();
        for subcommand in subcommands() {
            let name = subcommand.replace('-', "\\-");
            assert!(json.contains(&name), "{subcommand}");
        }
    }
}

#[test]
fn places_are_listed_as_far_as_the_environment_names_them() {
    let tool = Tool::new();
    let run = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = tool.command();
        command.env_remove("HOME").envs(variables.iter().copied()).arg("places").args(args);
        let done = command.output().unwrap();
        let code = done.status.code().unwrap();
        (code, String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    fs::create_dir(tool.path("az")).unwrap();
    tool.write("az/msal_token_cache.json", "{}");
    let azure = tool.path("az").display().to_string();
    let (code, out, err) = run(&[("AZURE_CONFIG_DIR", &azure)], &["--json"]);
    assert_eq!(code, 0, "{err}");
    let places: Value = serde_json::from_str(&out).unwrap();
    let first = &places["places"][0];
    assert_eq!((&first["name"], &first["exists"]), (&"azure-cli".into(), &true.into()), "{out}");
    assert!(first["path"].as_str().unwrap().starts_with(&azure));
    let (code, out, err) = run(&[("AZURE_CONFIG_DIR", &azure)], &[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("azure-cli") && out.contains("shared"), "{out}");
}

#[test]
fn waiting_for_a_lock_is_said_once() {
    let tool = Tool::with("python-all.json");
    let me = std::process::id();
    fs::write(tool.path("cache.json.lockfile"), format!("{me} /usr/bin/az")).unwrap();
    let sign_out = ["sign-out", "cache.json", "alice@outlook", "--lock-timeout", "2.5"];
    let run = tool.run(&sign_out);
    assert_eq!(run.code, 3, "{run:?}");
    let (waiting, error) = run.err.split_once('\n').unwrap();
    assert!(waiting.contains("waiting for the lock of cache.json, held by process"), "{waiting}");
    assert!(waiting.contains("(/usr/bin/az)") && waiting.contains("2.5 s"), "{waiting}");
    assert!(error.starts_with("error: "), "{error}");
    let quiet = tool.run(&[&sign_out[..], &["--quiet"]].concat());
    assert!(quiet.err.starts_with("error: ") && quiet.err.lines().count() == 1, "{}", quiet.err);
    // It goes on when the lock is free.
    let child = tool.command().args(["purge", "cache.json"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    fs::remove_file(tool.path("cache.json.lockfile")).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
}
