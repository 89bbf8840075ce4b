//! Arguments, outputs, stores and numbers of any kind: no panic, no hang, and an error that names
//! the reason.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::tool::{NOW, Tool};

/// Runs a command that must end soon. Returns its exit code and standard error.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{command:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let done = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!err.contains("panicked"), "{command:?}: {err}");
    (done.status.code(), err)
}

#[cfg(unix)]
#[test]
fn arguments_in_any_encoding_are_read() {
    use std::os::unix::ffi::OsStrExt;
    let odd = OsStr::from_bytes(b"caf\xe9.json");
    let tool = Tool::with("python-aad.json");
    for args in [
        &[odd][..],
        &[odd, OsStr::new("--json")],
        &[OsStr::new("tokens"), OsStr::new("cache.json"), OsStr::new("--client"), odd],
        &[OsStr::new("tokens"), OsStr::new("--json"), odd, odd],
        &[OsStr::new("sign-out"), OsStr::new("cache.json"), odd],
    ] {
        let (code, err) = run(tool.command().args(args));
        assert_eq!(code, Some(2), "{args:?}: {err}");
        assert!(!err.is_empty());
    }
    // The name of a store may be in any encoding.
    fs::rename(tool.path("cache.json"), tool.path("").join(odd)).unwrap();
    for subcommand in ["accounts", "stats", "check", "purge", "lock", "repair"] {
        for json in [&[][..], &[OsStr::new("--json")], &[OsStr::new("-otsv")]] {
            let (code, err) = run(tool.command().arg(subcommand).arg(odd).args(json));
            assert_eq!(code, Some(0), "{subcommand}: {err}");
        }
    }
    let removed = ["--type", "account", "--yes", "--json"].map(OsStr::new);
    let (code, err) = run(tool.command().arg("remove").arg(odd).args(removed));
    assert_eq!(code, Some(0), "{err}");
    let missing = OsStr::from_bytes(b"missing\xff");
    let (code, err) = run(tool.command().args([OsStr::new("accounts"), missing]));
    assert_eq!(code, Some(6), "{err}");
}

#[cfg(target_os = "linux")]
#[test]
fn outputs_that_are_full_or_closed_are_reported_where_possible() {
    let tool = Tool::with("python-aad.json");
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for args in [
        &["accounts", "cache.json"][..],
        &["accounts", "cache.json", "--json"],
        &["export", "cache.json"],
        &["places"],
        &["man"],
        &["completions", "zsh"],
        &["--help"],
        &["tokens", "--help"],
        &["--version"],
    ] {
        let (code, err) = run(tool.command().args(args).stdout(full()));
        assert_eq!(code, Some(6), "{args:?}: {err}");
        assert!(err.contains("could not write to standard output"), "{args:?}: {err}");
        // Neither can be written.
        let (code, _) = run(tool.command().args(args).stdout(full()).stderr(full()));
        assert_eq!(code, Some(6), "{args:?}");
    }
    for (args, expected) in [
        (&["accounts", "missing.json"][..], 6),
        (&["accounts", "missing.json", "--json"], 6),
        (&["invented"], 2),
        (&["list"], 2),
        (&["tokens", "--json"], 2),
        (&[], 2),
    ] {
        let (code, _) = run(tool.command().args(args).stderr(full()));
        assert_eq!(code, Some(expected), "{args:?}");
        // A shell closes an output with `>&-`.
        for closed in [">&-", "2>&-", ">&- 2>&-", "<&-"] {
            let script = format!("\"$0\" \"$@\" {closed}");
            let program = tool.command().get_program().to_owned();
            let mut shell = Command::new("sh");
            shell.current_dir(tool.path("")).args(["-c", &script]).arg(program).args(args);
            let (code, _) =
                run(shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()));
            assert_eq!(code, Some(expected), "{args:?} {closed}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_a_folder_or_a_device_is_not_a_store() {
    let tool = Tool::with("python-aad.json");
    let pipe = Command::new("mkfifo").arg(tool.path("pipe")).status().unwrap();
    assert!(pipe.success());
    tool.chmod("pipe", 0o600);
    std::os::unix::fs::symlink("pipe", tool.path("pipe.db")).unwrap();
    fs::create_dir(tool.path("folder.db")).unwrap();
    for (store, what) in [
        ("pipe", "a pipe"),
        ("pipe.db", "a pipe"),
        ("sqlite:pipe", "a pipe"),
        ("file:pipe.db", "a pipe"),
        ("folder.db", "a folder"),
        ("sqlite:folder.db", "a folder"),
        (".", "a folder"),
        ("/dev/null", "a device"),
    ] {
        for args in [
            &["accounts", store][..],
            &["check", store],
            &["repair", store],
            &["purge", store],
            &["watch", store, "--count", "1"],
            &["copy", "cache.json", store],
            &["copy", store, "cache.json"],
            &["import", store, "cache.json"],
        ] {
            let (code, err) = run(tool.command().args(args));
            assert_eq!(code, Some(6), "{args:?}: {err}");
            assert!(err.contains(&format!("is {what}")), "{args:?}: {err}");
        }
    }
}

#[test]
fn an_error_names_the_real_reason() {
    let tool = Tool::with("python-aad.json");
    let reason = |store: &str| {
        let run = tool.run(&["accounts", store]);
        assert_eq!(run.code, 6, "{run:?}");
        run.err
    };
    assert!(reason("missing.json").contains("could not find missing.json"));
    assert!(reason("cache.json/deeper").contains("Not a directory"));
    assert!(reason(&format!("{}.json", "n".repeat(300))).contains("File name too long"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("nowhere.json", tool.path("dangling.json")).unwrap();
        assert!(reason("dangling.json").contains("is a link to nowhere.json, which is missing"));
        symlink("loop.json", tool.path("loop.json")).unwrap();
        let text = reason("loop.json");
        assert!(text.contains("Too many levels of symbolic links"), "{text}");
    }
}

#[test]
fn bad_input_is_named_as_what_it_is() {
    let tool = Tool::new();
    let what = "standard input is not";
    for (input, expected) in [
        ("[]", "a token response or an event"),
        ("7", "a token response or an event"),
        ("null", "a token response or an event"),
        ("{\"response\": ", "a token response or an event"),
        ("{\"response\": {}, \"client_id\": 7}", "an event"),
        ("{\"response\": 7, \"client_id\": \"c\"}", "an event"),
    ] {
        let run = tool.run_with_input(&["add", "cache.json"], input);
        assert!([2, 4].contains(&run.code), "{input}: {run:?}");
        assert!(run.err.contains(&format!("{what} {expected}: ")), "{input}: {}", run.err);
        assert!(!run.err.contains("token cache"), "{input}: {}", run.err);
    }
    tool.write("latin.json", b"{\"a\": \"\xe9\"}");
    for subcommand in ["add", "import"] {
        let run = tool.run(&[subcommand, "cache.json", "latin.json"]);
        assert_eq!(run.code, 4, "{run:?}");
        assert!(run.err.contains("it is not UTF-8"), "{}", run.err);
    }
}

#[test]
fn times_and_durations_of_any_size_are_handled() {
    let token = |at: &str| {
        format!(
            r#"{{"AccessToken": {{"k": {{"credential_type": "AccessToken", "secret": "s",
            "home_account_id": "u.t", "environment": "login.example", "client_id": "c",
            "realm": "t", "target": "s", "cached_at": {at}, "expires_on": {at},
            "refresh_on": {at}, "extended_expires_on": {at}}}}},
            "Account": {{"a": {{"home_account_id": "u.t", "environment": "login.example",
            "realm": "t", "username": "alice", "authority_type": "MSSTS"}}}},
            "RefreshToken": {{"r": {{"home_account_id": "u.t", "environment": "login.example",
            "client_id": "c", "secret": "s", "last_modification_time": {at}}}}}}}"#
        )
    };
    let request = ["--client", "c", "--account", "u.t", "--scope", "s"];
    let (least, most) = (i64::MIN.to_string(), i64::MAX.to_string());
    let almost = (i64::MIN + 1).to_string();
    for at in [&least, &almost, &most, "\"1e15\"", "-1", "0", "1e400", "99999999999999999999"] {
        let tool = Tool::new();
        tool.write("cache.json", token(at));
        for now in [NOW, i64::MIN, i64::MAX, 0, -1] {
            for store in ["cache.json", "sqlite:cache.db"] {
                for args in [
                    &["tokens", store][..],
                    &["tokens", store, "--sort", "expires", "--wide"],
                    &["stats", store],
                    &["stats", store, "--json"],
                    &["accounts", store],
                    &["check", store],
                    &["show", store, "k"],
                    &["purge", store, "--dry-run"],
                    &[&["why", store][..], &request].concat(),
                    &[&["get-token", store][..], &request].concat(),
                    &["repair", store, "--dry-run"],
                ] {
                    if store != "cache.json" && !tool.path("cache.db").exists() {
                        tool.run(&["copy", "cache.json", store]).expect_code(0);
                    }
                    let run = tool.run_at(now, args);
                    assert!([0, 1].contains(&run.code), "{at} {now} {args:?}: {run:?}");
                }
            }
        }
    }
    let tool = Tool::with("python-aad.json");
    for seconds in ["0", "0.25", "1e30", "18446744073709551615", "1e-300"] {
        for store in ["cache.json", "sqlite:cache.db"] {
            tool.run(&["copy", "cache.json", "other.json", "--lock-timeout", seconds])
                .expect_code(0);
            let purged = tool.run(&["import", store, "other.json", "--lock-timeout", seconds]);
            assert_eq!(purged.code, 0, "{seconds} {store}: {purged:?}");
        }
    }
    for seconds in ["-1", "nan", "soon", ""] {
        let run = tool.run(&["purge", "cache.json", &format!("--lock-timeout={seconds}")]);
        assert_eq!(run.code, 2, "{seconds}: {run:?}");
    }
    let interval = u64::MAX.to_string();
    tool.run(&["watch", "cache.json", "--count", "0", "--interval", &interval]).expect_code(0);
}
