//! How runs end: what a script goes by.

use std::fs;

use crate::tool::Tool;

#[test]
fn a_missing_store_is_not_an_empty_one() {
    let tool = Tool::new();
    for store in ["nosuch.json", "sqlite:nosuch.db", "file:nosuch", "azure-cli"] {
        for subcommand in ["accounts", "tokens", "stats", "check", "repair", "purge", "export"] {
            let run = tool.run(&[subcommand, store, "--json"]);
            assert_eq!((run.code, run.out.as_str()), (6, ""), "{subcommand} {store}");
            assert_eq!(run.error()["kind"], "missing");
        }
    }
    assert_eq!(fs::read_dir(tool.path("")).unwrap().count(), 0, "looking made a file");
}

#[test]
fn nothing_found_is_told_from_something() {
    let tool = Tool::with("python-aad.json");
    tool.run(&["tokens", "cache.json"]).ends(0);
    tool.run(&["tokens", "cache.json", "--expired"]).ends(1);
    tool.run(&["tokens", "cache.json", "--account", "nobody"]).ends(1);
    tool.run(&["accounts", "cache.json", "--client", "nobody"]).ends(1);
    tool.run(&["show", "cache.json", "ffffffff"]).ends(1);
    tool.run(&["sign-out", "cache.json", "bob"]).ends(1);
    tool.run(&["remove", "cache.json", "--client", "nobody"]).ends(1);
}

#[test]
fn wrong_usage_is_told_and_does_nothing() {
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
fn a_file_that_others_can_open_is_refused_looked_at_and_mended() {
    use std::os::unix::fs::PermissionsExt;
    let tool = Tool::with("python-aad.json");
    tool.run(&["copy", "cache.json", "sqlite:cache.db"]).ends(0);
    for name in ["cache.json", "cache.db"] {
        let mode = || fs::metadata(tool.path(name)).unwrap().permissions().mode() & 0o777;
        tool.chmod(name, 0o644);
        let run = tool.run(&["tokens", name]);
        assert_eq!((run.code, run.out.as_str()), (5, ""), "{name}");
        assert!(run.err.contains("mode 0644") && run.err.contains("chmod 600"), "{}", run.err);
        assert_eq!(tool.run(&["tokens", name, "--json"]).error()["kind"], "insecure");
        tool.run(&["tokens", name, "--insecure"]).ends(0);
        let checked = tool.run(&["check", name, "--json"]);
        assert_eq!(checked.code, 5);
        assert_eq!(checked.json()["troubles"][0]["kind"], "insecure");
        assert_eq!(checked.json()["entries"], 5, "{name}: it is looked into all the same");
        tool.run(&["repair", name, "--dry-run"]).ends(0);
        assert_eq!(mode(), 0o644, "{name}: a dry run and looking change nothing");
        tool.run(&["repair", name]).ends(0);
        assert_eq!(mode(), 0o600, "{name}");
        tool.run(&["check", name]).ends(0);
    }
}

#[test]
fn what_is_no_cache_is_set_aside_and_what_is_whole_saved() {
    let tool = Tool::with("python-aad.json");
    let whole = fs::read(tool.path("cache.json")).unwrap();
    for (broken, saved) in [(&b""[..], 0), (b"CANARY", 0), (&whole[..2000], 2)] {
        let tool = Tool::new();
        tool.write("cache.json", broken);
        for subcommand in ["accounts", "tokens", "stats", "export", "purge"] {
            let run = tool.run(&[subcommand, "cache.json", "--json"]);
            assert_eq!((run.code, run.out.as_str()), (4, ""), "{subcommand}");
            assert_eq!(run.error()["kind"], "corrupt");
        }
        tool.run(&["check", "cache.json"]).ends(4);
        // A write through the command doesn't set it aside by the way.
        let event = r#"{"client_id": "c", "response": {}}"#;
        assert_eq!(tool.feed(&["add", "cache.json"], event).code, 4);
        assert_eq!(fs::read(tool.path("cache.json")).unwrap(), broken);

        let repaired = tool.run(&["repair", "cache.json", "--json"]).json();
        assert_eq!(repaired["saved"], saved);
        assert_eq!(repaired["set_aside"], "cache.json.corrupt-1");
        assert_eq!(fs::read(tool.path("cache.json.corrupt-1")).unwrap(), broken);
        let stats = tool.run(&["stats", "cache.json", "--json"]).json();
        assert_eq!(stats["entries"], saved);
    }
    tool.write("cache.db", b"CANARY");
    assert_eq!(tool.run(&["tokens", "sqlite:cache.db"]).code, 4);
}

#[test]
fn a_locked_file_is_waited_for_and_told_of() {
    let tool = Tool::with("python-aad.json");
    tool.run(&["lock", "cache.json"]).ends(0);
    let me = std::process::id();
    fs::write(tool.path("cache.json.lockfile"), format!("{me} /usr/bin/az")).unwrap();
    let lock = tool.run(&["lock", "cache.json", "--json"]);
    assert_eq!(lock.code, 1);
    let lock = lock.json();
    assert_eq!(lock["process"], me);
    assert_eq!((&lock["program"], &lock["alive"]), (&"/usr/bin/az".into(), &true.into()));
    assert!(lock["since"].as_i64().unwrap() > 1_700_000_000);

    // Who reads needs no lock; who writes waits, and is told who is in the way.
    tool.run(&["accounts", "cache.json"]).ends(0);
    let purge = ["sign-out", "cache.json", "alice", "--lock-timeout", "0", "--json"];
    let run = tool.run(&purge);
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(run.error()["kind"], "locked");
    assert!(run.err.contains("/usr/bin/az"), "{}", run.err);
    fs::remove_file(tool.path("cache.json.lockfile")).unwrap();
    tool.run(&purge).ends(0);

    fs::write(tool.path("cache.json.lockfile"), "99999999 node").unwrap();
    let lock = tool.run(&["lock", "cache.json", "--json"]).json();
    if cfg!(unix) {
        assert_eq!(lock["alive"], false);
    }
}

#[test]
fn a_reader_who_goes_away_is_no_error() {
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
fn what_is_no_file_is_an_error_that_names_it() {
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
