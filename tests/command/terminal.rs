//! Behavior on a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::tool::{NOW, Tool};

/// Runs the command with a terminal as standard output; returns the exit code and the output.
fn on_terminal(tool: &Tool, args: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    typing(tool, args, variables, None)
}

/// As above, with the terminal as standard input, too, on which this is typed.
fn typing(
    tool: &Tool,
    args: &[&str],
    variables: &[(&str, &str)],
    typed: Option<&str>,
) -> (i32, String) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap().into_bytes();
    let terminal =
        OpenOptions::new().read(true).write(true).open(std::ffi::OsString::from_vec(name)).unwrap();
    let mut command = tool.command();
    command.args(args).args(["--now", &NOW.to_string()]).env("TERM", "xterm");
    let mut screen = File::from(screen);
    if let Some(typed) = typed {
        command.stdin(terminal.try_clone().unwrap());
        screen.write_all(typed.as_bytes()).unwrap();
    }
    command.envs(variables.iter().copied()).stdout(terminal);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    // Reading fails once the child has closed the terminal.
    while let Ok(read @ 1..) = screen.read(&mut part) {
        seen.extend(&part[..read]);
    }
    (child.wait().unwrap().code().unwrap(), String::from_utf8(seen).unwrap())
}

#[test]
fn colors_are_printed_on_terminals_only() {
    let tool = Tool::with("python-aad.json");
    let args = ["tokens", "cache.json"];
    assert!(!tool.run(&args).out.contains('\u{1b}'));
    let (code, screen) = on_terminal(&tool, &args, &[]);
    assert_eq!(code, 0);
    assert!(screen.contains("\u{1b}["), "{screen}");
    let (_, screen) = on_terminal(&tool, &args, &[("NO_COLOR", "1")]);
    assert!(!screen.contains('\u{1b}'), "{screen}");
    let (_, screen) = on_terminal(&tool, &["tokens", "cache.json", "--color", "never"], &[]);
    assert!(!screen.contains('\u{1b}'), "{screen}");
    assert!(tool.run(&["tokens", "cache.json", "--color", "always"]).out.contains('\u{1b}'));
}

#[test]
fn what_deletes_asks_on_a_terminal() {
    let other = Tool::with("node-foci.json");
    let other = other.path("cache.json").display().to_string();
    for args in [
        &["clear", "cache.json"][..],
        &["remove", "cache.json", "--type", "access"],
        &["import", "cache.json", &other, "--replace"],
    ] {
        let tool = Tool::with("python-aad.json");
        let before = tool.read("cache.json");
        for no in ["n\n", "\n", "never\n"] {
            let (code, screen) = typing(&tool, args, &[], Some(no));
            assert_eq!(code, 1, "{args:?}: {screen}");
            assert!(screen.contains("cache.json? [y/N]"), "{args:?}: {screen}");
            assert_eq!(tool.read("cache.json"), before, "{args:?}");
        }
        let (code, screen) = typing(&tool, args, &[], Some("y\n"));
        assert_eq!(code, 0, "{args:?}: {screen}");
        assert_ne!(tool.read("cache.json"), before, "{args:?}");
        assert!(screen.contains("Backup: cache.json.backup-"), "{args:?}: {screen}");
    }
}

#[test]
fn get_token_requires_a_flag_on_a_terminal() {
    let tool = Tool::with("python-aad.json");
    let client = "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE";
    let args = [
        "get-token",
        "cache.json",
        "--client",
        client,
        "--account",
        "alice",
        "--scope",
        "User.Read",
    ];
    let (code, screen) = on_terminal(&tool, &args, &[]);
    assert_eq!((code, screen.as_str()), (2, ""));
    let (code, screen) = on_terminal(&tool, &[&args[..], &["--show-secrets"]].concat(), &[]);
    assert_eq!((code, screen.trim()), (0, "FAKE-AT-aad-user"));
    assert_eq!(tool.run(&args).out, "FAKE-AT-aad-user\n");
}

#[test]
fn control_characters_in_a_cache_are_not_printed() {
    let tool = Tool::new();
    tool.write(
        "cache.json",
        r#"{"Account": {"k\u001b[2J": {"home_account_id": "u.t\u001b[31m", "environment": "e",
            "username": "alice\u001b]0;title\u0007\r\nbob"}}}"#,
    );
    for args in [
        &["accounts", "cache.json"][..],
        &["check", "cache.json"],
        &["stats", "cache.json"],
        &["tokens", "cache.json", "--type", "account", "--wide"],
        &["show", "cache.json", "k\u{1b}[2J"],
        &["show", "cache.json", "\u{1b}[2J"],
        &["sign-out", "cache.json", "alice", "--dry-run"],
        &["repair", "cache.json", "--dry-run"],
    ] {
        let run = tool.run(args);
        let printed = format!("{}{}", run.out, run.err);
        let odd = printed.chars().find(|char| char.is_control() && *char != '\n');
        assert_eq!(odd, None, "{args:?}: {printed:?}");
    }
}
