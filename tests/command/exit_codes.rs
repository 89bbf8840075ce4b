//! Exit codes and stable error names.

use std::fs;

use crate::tool::Tool;

#[test]
fn a_missing_store_is_an_error() {
    let tool = Tool::new();
    for store in ["nosuch.json", "sqlite:nosuch.db", "file:nosuch", "azure-cli"] {
        for subcommand in ["accounts", "tokens", "stats", "check", "repair", "purge", "export"] {
            let run = tool.run(&[subcommand, store, "--json"]);
            assert_eq!((run.code, run.out.as_str()), (6, ""), "{subcommand} {store}");
            assert_eq!(run.error()["kind"], "missing");
        }
    }
    assert_eq!(fs::read_dir(tool.path("")).unwrap().count(), 0, "reading created a file");
}

#[test]
fn no_match_exits_with_1() {
    let tool = Tool::with("python-aad.json");
    tool.run(&["tokens", "cache.json"]).expect_code(0);
    tool.run(&["tokens", "cache.json", "--expired"]).expect_code(1);
    tool.run(&["tokens", "cache.json", "--account", "unknown"]).expect_code(1);
    tool.run(&["accounts", "cache.json", "--client", "unknown"]).expect_code(1);
    tool.run(&["show", "cache.json", "ffffffff"]).expect_code(1);
    tool.run(&["sign-out", "cache.json", "bob"]).expect_code(1);
    tool.run(&["remove", "cache.json", "--client", "unknown"]).expect_code(1);
}

#[test]
fn invalid_usage_is_reported_and_changes_nothing() {
    let tool = Tool::with("python-aad.json");
    let before = tool.read("cache.json");
    for args in [
        &["tokens"][..],
        &["tokens", "cache.json", "--type", "bearer"],
        &["tokens", "cache.json", "--expired", "--valid"],
        &["remove", "cache.json"],
        &["remove", "cache.json", "3f2a", "--client", "c"],
        &["clear", "cache.json"],
        &["copy", "cache.json", "cache.json"],
        &["copy", "cache.json", "./cache.json"],
        &["why", "cache.json", "--client", "c", "--scope", "s"],
        &["lock", "sqlite:cache.db"],
        &["invented"],
    ] {
        let run = tool.run(args);
        assert_eq!(run.code, 2, "{args:?}: {run:?}");
        assert!(!run.err.is_empty() && run.out.is_empty(), "{args:?}: {run:?}");
    }
    assert_eq!(tool.read("cache.json"), before);
    for args in [&["tokens", "--json"][..], &["remove", "cache.json", "--json"]] {
        let error = tool.run(args).error();
        assert_eq!((&error["kind"], &error["exit_code"]), (&"usage".into(), &2.into()));
    }
}

#[cfg(unix)]
#[test]
fn a_store_accessible_to_others_is_refused_checked_and_repaired() {
    use std::os::unix::fs::PermissionsExt;
    let tool = Tool::with("python-aad.json");
    tool.run(&["copy", "cache.json", "sqlite:cache.db"]).expect_code(0);
    for name in ["cache.json", "cache.db"] {
        let mode = || fs::metadata(tool.path(name)).unwrap().permissions().mode() & 0o777;
        tool.chmod(name, 0o644);
        let run = tool.run(&["tokens", name]);
        assert_eq!((run.code, run.out.as_str()), (5, ""), "{name}");
        assert!(run.err.contains("mode 0644") && run.err.contains("chmod 600"), "{}", run.err);
        assert_eq!(tool.run(&["tokens", name, "--json"]).error()["kind"], "insecure");
        tool.run(&["tokens", name, "--insecure"]).expect_code(0);
        let checked = tool.run(&["check", name, "--json"]);
        assert_eq!(checked.code, 5);
        assert_eq!(checked.json()["troubles"][0]["kind"], "insecure");
        assert_eq!(checked.json()["entries"], 5, "{name}: the content is checked as well");
        tool.run(&["repair", name, "--dry-run"]).expect_code(0);
        assert_eq!(mode(), 0o644, "{name}: a check or a dry run changed the mode");
        tool.run(&["repair", name]).expect_code(0);
        assert_eq!(mode(), 0o600, "{name}");
        tool.run(&["check", name]).expect_code(0);
    }
}

#[cfg(unix)]
#[test]
fn a_shared_folder_is_reported_and_a_repair_says_what_it_closes() {
    use std::os::unix::fs::PermissionsExt;
    let tool = Tool::with("mutations/32-random-keys.json");
    fs::create_dir(tool.path("shared")).unwrap();
    fs::rename(tool.path("cache.json"), tool.path("shared/cache.json")).unwrap();
    tool.chmod("shared", 0o777);
    let mode = || fs::metadata(tool.path("shared")).unwrap().permissions().mode() & 0o777;
    let store = "shared/cache.json";
    let read = tool.run(&["accounts", store]);
    assert_eq!(read.code, 5, "{read:?}");
    assert!(!read.err.contains("msal-cache repair"), "{}", read.err);
    let dry = tool.run(&["repair", store, "--dry-run"]).expect_code(0);
    assert!(dry.contains("shared would be closed to other users, if it holds no other"), "{dry}");
    // The content alone can be repaired.
    tool.run(&["repair", store, "--insecure"]).expect_code(0);
    assert_eq!(mode(), 0o777);
    for entry in fs::read_dir(tool.path("shared")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() != "cache.json" {
            fs::remove_file(path).unwrap();
        }
    }
    let done = tool.run(&["repair", store]).expect_code(0);
    assert!(done.contains("shared closed to other users") && !done.contains("0600"), "{done}");
    assert_eq!(mode(), 0o755);
    tool.run(&["accounts", store]).expect_code(0);
}

#[test]
fn a_broken_file_is_renamed_and_its_records_are_recovered() {
    let tool = Tool::with("python-aad.json");
    let complete = fs::read(tool.path("cache.json")).unwrap();
    for (broken, recovered) in [(&b""[..], 0), (b"CANARY", 0), (&complete[..2000], 2)] {
        let tool = Tool::new();
        tool.write("cache.json", broken);
        for subcommand in ["accounts", "tokens", "stats", "export", "purge"] {
            let run = tool.run(&[subcommand, "cache.json", "--json"]);
            assert_eq!((run.code, run.out.as_str()), (4, ""), "{subcommand}");
            assert_eq!(run.error()["kind"], "corrupt");
        }
        tool.run(&["check", "cache.json"]).expect_code(4);
        // A write by the command doesn't rename the broken file.
        if !broken.is_empty() {
            let event = r#"{"client_id": "c", "response": {}}"#;
            assert_eq!(tool.run_with_input(&["add", "cache.json"], event).code, 4);
            assert_eq!(fs::read(tool.path("cache.json")).unwrap(), broken);
        }
        // What has no readable record is replaced only on request.
        let mut repair = vec!["repair", "cache.json", "--json"];
        if recovered == 0 && !broken.is_empty() {
            let run = tool.run(&repair);
            assert_eq!((run.code, &run.error()["kind"]), (4, &"corrupt".into()), "{run:?}");
            assert_eq!(fs::read(tool.path("cache.json")).unwrap(), broken);
            repair.push("--force");
        }
        let repaired = tool.run(&repair).json();
        assert_eq!(repaired["saved"], recovered);
        assert_eq!(repaired["set_aside"], "cache.json.corrupt-1");
        assert_eq!(fs::read(tool.path("cache.json.corrupt-1")).unwrap(), broken);
        let stats = tool.run(&["stats", "cache.json", "--json"]).json();
        assert_eq!(stats["entries"], recovered);
    }
    tool.write("cache.db", b"CANARY");
    assert_eq!(tool.run(&["tokens", "sqlite:cache.db"]).code, 4);
}

#[test]
fn a_locked_file_is_waited_for_and_reported() {
    let tool = Tool::with("python-aad.json");
    tool.run(&["lock", "cache.json"]).expect_code(0);
    let me = std::process::id();
    fs::write(tool.path("cache.json.lockfile"), format!("{me} /usr/bin/az")).unwrap();
    let lock = tool.run(&["lock", "cache.json", "--json"]);
    assert_eq!(lock.code, 1);
    let lock = lock.json();
    assert_eq!(lock["process"], me);
    assert_eq!((&lock["program"], &lock["alive"]), (&"/usr/bin/az".into(), &true.into()));
    assert!(lock["since"].as_i64().unwrap() > 1_700_000_000);

    // Readers need no lock. Writers wait, and their error names the holder.
    tool.run(&["accounts", "cache.json"]).expect_code(0);
    let sign_out = ["sign-out", "cache.json", "alice", "--lock-timeout", "0", "--json"];
    let run = tool.run(&sign_out);
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(run.error()["kind"], "locked");
    assert!(run.err.contains("/usr/bin/az"), "{}", run.err);
    fs::remove_file(tool.path("cache.json.lockfile")).unwrap();
    tool.run(&sign_out).expect_code(0);

    fs::write(tool.path("cache.json.lockfile"), "99999999 node").unwrap();
    let lock = tool.run(&["lock", "cache.json", "--json"]).json();
    if cfg!(unix) {
        assert_eq!(lock["alive"], false);
    }
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    use std::io::Read;
    let tool = Tool::with("python-all.json");
    for _ in 0..5 {
        let args = ["export", "cache.json"];
        let mut child = tool.command().args(args).spawn().unwrap();
        let mut first = [0; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&done.stderr), "");
    }
}

#[test]
fn a_path_that_is_not_a_file_is_an_error_that_names_it() {
    let tool = Tool::with("python-aad.json");
    for store in [".", "cache.json/deeper", "sqlite:."] {
        let run = tool.run(&["tokens", store, "--json"]);
        assert!([5, 6].contains(&run.code), "{store}: {run:?}");
        assert!(!run.error()["message"].as_str().unwrap().is_empty());
    }
    let run = tool.run(&["add", "cache.json", "nosuch-event.json"]);
    assert_eq!(run.code, 6);
    assert!(run.err.contains("nosuch-event.json"), "{}", run.err);
}

#[test]
fn invalid_input_is_an_error_that_names_the_input() {
    let tool = Tool::new();
    let run = tool.run_with_input(&["add", "cache.json", "--client", "c"], "CANARY");
    assert_eq!(run.code, 4, "{run:?}");
    assert!(run.err.contains("standard input is not a token response or an event"), "{}", run.err);
    let run = tool.run_with_input(&["add", "cache.json"], "[]");
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.err.contains("standard input is not a token response or an event"), "{}", run.err);
    tool.write("input.json", "CANARY");
    let run = tool.run(&["import", "cache.json", "input.json", "--json"]);
    assert_eq!((run.code, &run.error()["kind"]), (4, &"corrupt".into()));
    assert!(run.err.contains("input.json is not a token cache"), "{}", run.err);
    assert!(!run.err.contains("CANARY") && run.error()["hint"].is_null(), "{}", run.err);
}

/// `--insecure` is advised only where it helps.
#[cfg(unix)]
#[test]
fn a_database_with_two_names_is_refused_without_a_false_hint() {
    let tool = Tool::with("python-aad.json");
    tool.run(&["copy", "cache.json", "one.db"]).expect_code(0);
    fs::hard_link(tool.path("one.db"), tool.path("two.db")).unwrap();
    for args in [&["tokens", "one.db"][..], &["tokens", "two.db", "--insecure"]] {
        let run = tool.run(args);
        assert_eq!(run.code, 5, "{}", run.err);
        assert!(run.err.contains("remove the other names"), "{}", run.err);
        assert!(!run.err.contains("hint:"), "{}", run.err);
    }
}
