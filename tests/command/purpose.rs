//! What deletes does so on purpose only: after a confirmation, and with a backup.

use std::fs;

use serde_json::Value;

use crate::tool::{Tool, fixtures};

fn entries(tool: &Tool, store: &str) -> Value {
    tool.run(&["stats", store, "--json"]).json()["entries"].clone()
}

#[test]
fn an_empty_input_is_an_error_that_names_it() {
    let tool = Tool::with("python-all.json");
    let before = fs::read(tool.path("cache.json")).unwrap();
    tool.write("empty.json", "");
    for replace in [&[][..], &["--replace"], &["--replace", "--yes"]] {
        for input in ["", " \n"] {
            let run = tool.run_with_input(&[&["import", "cache.json"], replace].concat(), input);
            assert_eq!(run.code, 2, "{run:?}");
            assert!(run.err.contains("standard input is empty"), "{}", run.err);
        }
        let run = tool.run(&[&["import", "cache.json", "empty.json"], replace].concat());
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.err.contains("empty.json is empty"), "{}", run.err);
    }
    assert_eq!(tool.run_with_input(&["add", "cache.json"], "").code, 2);
    assert_eq!(tool.run_with_input(&["accounts", "-"], "").code, 2);
    assert_eq!(fs::read(tool.path("cache.json")).unwrap(), before);
}

#[test]
fn an_empty_selector_is_wrong_usage() {
    let tool = Tool::with("python-aad.json");
    let before = fs::read(tool.path("cache.json")).unwrap();
    let request = ["--client", "c", "--account", "alice", "--scope", "s"];
    let with = |at: usize, text: &'static str| {
        let mut request = request;
        request[at] = text;
        [&["get-token", "cache.json"], &request[..]].concat()
    };
    for empty in ["", " ", "\t"] {
        for args in [
            vec!["remove", "cache.json", "--client", empty, "--yes"],
            vec!["remove", "cache.json", "--scope", empty, "--yes"],
            vec!["remove", "cache.json", "--tenant", empty, "--yes"],
            vec!["remove", "cache.json", "--environment", empty, "--yes"],
            vec!["remove", "cache.json", empty, "--yes"],
            vec!["sign-out", "cache.json", empty],
            vec!["tokens", "cache.json", "--client", empty],
            vec!["accounts", "cache.json", "--tenant", empty],
            vec!["export", "cache.json", "--account", empty],
            vec!["copy", "cache.json", "other.json", "--account", empty],
            vec!["show", "cache.json", empty],
            vec!["accounts", ""],
            with(1, empty),
            with(3, empty),
            with(5, empty),
        ] {
            let run = tool.run(&args);
            assert_eq!(run.code, 2, "{args:?}: {run:?}");
            assert!(run.out.is_empty(), "{args:?}: {run:?}");
        }
    }
    // Documented: entries without a user.
    tool.run(&["tokens", "cache.json", "--account", "", "--type", "app"]).expect_code(0);
    assert_eq!(fs::read(tool.path("cache.json")).unwrap(), before);
    assert!(!tool.path("other.json").exists());
}

#[test]
fn what_deletes_needs_a_confirmation_and_keeps_a_backup() {
    let other = r#"{"Account": {"k": {"home_account_id": "u.t", "environment": "e"}}}"#;
    for store in ["cache.json", "sqlite:cache.db"] {
        for (args, input) in [
            (&["remove", store, "--type", "access"][..], ""),
            (&["clear", store], ""),
            (&["import", store, "--replace"], other),
        ] {
            let tool = Tool::with("python-all.json");
            tool.write("event.json", "{}");
            if store != "cache.json" {
                tool.run(&["copy", "cache.json", store]).expect_code(0);
            }
            let before = tool.run(&["export", store, "--show-secrets"]).out;
            let run = tool.run_with_input(args, input);
            assert_eq!(run.code, 2, "{args:?}: {run:?}");
            assert!(run.err.contains("--yes"), "{}", run.err);
            assert_eq!(tool.run(&["export", store, "--show-secrets"]).out, before);

            let done = tool.run_with_input(&[args, &["--yes", "--json"]].concat(), input).json();
            let backup = done["backup"].as_str().unwrap();
            assert_ne!(tool.run(&["export", store, "--show-secrets"]).out, before);
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = fs::metadata(tool.path(backup)).unwrap().permissions().mode();
                assert_eq!(mode & 0o7777, 0o600, "{args:?}");
            }
            assert_eq!(tool.run(&["export", backup, "--show-secrets"]).out, before);
            tool.run(&["import", store, backup, "--replace", "--yes", "--no-backup"])
                .expect_code(0);
            assert_eq!(tool.run(&["export", store, "--show-secrets"]).out, before);
            let again =
                tool.run_with_input(&[args, &["--yes", "--json", "--no-backup"]].concat(), input);
            assert_eq!(again.json()["backup"], Value::Null);
        }
    }
}

#[test]
fn replacing_by_what_includes_everything_needs_no_confirmation() {
    let tool = Tool::with("python-aad.json");
    let document = fs::read_to_string(fixtures().join("python-aad.json")).unwrap();
    let done = tool.run_with_input(&["import", "cache.json", "--replace", "--json"], &document);
    assert_eq!((done.code, &done.json()["backup"]), (0, &Value::Null));
}

#[cfg(unix)]
#[test]
fn a_backup_is_not_written_where_others_could_replace_it() {
    let tool = Tool::with("python-aad.json");
    fs::create_dir(tool.path("open")).unwrap();
    fs::rename(tool.path("cache.json"), tool.path("open/cache.json")).unwrap();
    tool.chmod("open", 0o777);
    let run = tool.run(&["export", "open/cache.json", "--insecure", "--output", "new.json"]);
    assert_eq!(run.code, 0, "{run:?}");
    tool.run(&["export", "new.json", "--output", "open/new.json"]).expect_code(5);
    assert!(!tool.path("open/new.json").exists());
}

#[test]
fn an_empty_store_is_of_the_kind_that_its_name_says() {
    let event = r#"{"client_id": "c", "scope": ["s"], "grant_type": "client_credentials",
        "token_endpoint": "https://login.example/t/oauth2/v2.0/token",
        "response": {"access_token": "s3cret", "expires_in": 3600}}"#;
    for (name, kind) in [
        ("cache.db", "sqlite"),
        ("cache.SQLite3", "sqlite"),
        ("cache.json", "file"),
        ("cache", "file"),
    ] {
        let tool = Tool::new();
        tool.write(name, "");
        let run = tool.run_with_input(&["add", name], event);
        assert_eq!(run.code, 0, "{name}: {run:?}");
        assert_eq!(tool.run(&["stats", name, "--json"]).json()["kind"], kind, "{name}");
        assert_eq!(entries(&tool, name), 2, "{name}");
        // Clearing makes an empty file an empty cache, too.
        tool.write(name, "");
        assert_eq!(tool.run(&["clear", name, "--yes"]).code, 1, "nothing to delete");
        assert_eq!(tool.run(&["stats", name, "--json"]).json()["kind"], kind, "{name}");
    }
    // The content decides where it is clear.
    let tool = Tool::with("python-aad.json");
    tool.run(&["copy", "cache.json", "sqlite:database.json"]).expect_code(0);
    tool.run(&["copy", "cache.json", "file:document.db"]).expect_code(0);
    for (name, kind) in [("database.json", "sqlite"), ("document.db", "file")] {
        assert_eq!(tool.run(&["stats", name, "--json"]).json()["kind"], kind, "{name}");
    }
}

#[test]
fn many_processes_create_one_database() {
    let event = r#"{"client_id": "c", "scope": ["s"], "grant_type": "client_credentials",
        "token_endpoint": "https://login.example/t/oauth2/v2.0/token",
        "response": {"access_token": "s3cret", "expires_in": 3600}}"#;
    for _ in 0..3 {
        let tool = Tool::new();
        tool.write("event.json", event);
        let add = || tool.command().args(["add", "cache.db", "event.json"]).spawn().unwrap();
        let children: Vec<_> = (0..12).map(|_| add()).collect();
        for child in children {
            let done = child.wait_with_output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        assert_eq!(entries(&tool, "cache.db"), 2);
    }
}

#[test]
fn files_of_other_programs_are_never_replaced() {
    let contents: [(&str, &[u8], &str); 6] = [
        ("jwe", b"eyJhbGciOiJkaXIifQ..AAAA.BBBB.CCCC", "JWE"),
        ("dpapi", b"\x01\0\0\0\xd0\x8c\x9d\xdf\x01\x15\xd1\x11\x8c\x7a\x00\xc0", "DPAPI"),
        ("random", &[0x9c, 0x11, 0xfe, 0x80, 0x07, 0xd1, 0x22, 0xaa, 0x00, 0x41], "encrypted"),
        ("utf16", b"\xff\xfe{\0\"\0A\0\"\0:\0{\0}\0}\0", "UTF-16"),
        ("notes.txt", b"remember the milk", "another program"),
        ("settings.json", b"[1, 2, 3]", "another program"),
    ];
    for (name, bytes, what) in contents {
        let tool = Tool::new();
        tool.write(name, bytes);
        let checked = tool.run(&["check", name]);
        assert_eq!(checked.code, 4, "{name}");
        assert!(checked.out.contains(what), "{name}: {}", checked.out);
        assert!(checked.out.contains("not fixable"), "{name}: {}", checked.out);
        let read = tool.run(&["accounts", name]);
        assert!(!read.err.contains("repair"), "{name}: {}", read.err);
        for dry_run in [&[][..], &["--dry-run"]] {
            let run = tool.run(&[&["repair", name], dry_run].concat());
            assert_eq!(run.code, 4, "{name}: {run:?}");
            assert!(run.err.contains("is left as it is") && run.err.contains("--force"), "{run:?}");
        }
        assert_eq!(fs::read(tool.path(name)).unwrap(), bytes, "{name}");
        assert_eq!(fs::read_dir(tool.path("")).unwrap().count(), 1, "{name}");
    }
    // Clearing keeps a broken cache under another name, and refuses what is no cache.
    let tool = Tool::new();
    tool.write("broken.json", "{\"AccessToken\": {");
    assert_eq!(tool.run(&["clear", "broken.json"]).code, 2);
    let cleared = tool.run(&["clear", "broken.json", "--yes", "--json"]).json();
    assert_eq!(cleared["backup"], "broken.json.corrupt-1");
    assert_eq!(entries(&tool, "broken.json"), 0);
    tool.write("jwe", contents[0].1);
    tool.run(&["clear", "jwe", "--yes"]).expect_code(4);
    assert_eq!(fs::read(tool.path("jwe")).unwrap(), contents[0].1);
}

#[test]
fn a_damaged_database_is_reported_and_not_repaired() {
    let tool = Tool::with("python-all.json");
    tool.run(&["copy", "cache.json", "sqlite:cache.db"]).expect_code(0);
    let mut bytes = fs::read(tool.path("cache.db")).unwrap();
    // The pages after the first two, which hold the schema.
    let end = bytes.len() - 4096;
    bytes[8192..end].iter_mut().step_by(7).for_each(|byte| *byte ^= 0x5a);
    tool.write("cache.db", &bytes);
    let checked = tool.run(&["check", "cache.db"]);
    assert_eq!(checked.code, 4, "{checked:?}");
    assert!(checked.out.contains("damaged"), "{}", checked.out);
    assert!(checked.out.contains("restore a backup"), "{}", checked.out);
    assert!(checked.out.contains("not fixable"), "{}", checked.out);
    let repaired = tool.run(&["repair", "cache.db"]);
    assert_eq!(repaired.code, 4, "{repaired:?}");
    assert!(!repaired.err.contains("msal-cache repair"), "{}", repaired.err);
    // A database of another program.
    let other = rusqlite::Connection::open(tool.path("other.db")).unwrap();
    other.execute_batch("CREATE TABLE credentials (value TEXT)").unwrap();
    drop(other);
    tool.chmod("other.db", 0o600);
    let before = fs::read(tool.path("other.db")).unwrap();
    for subcommand in ["check", "repair", "tokens"] {
        let run = tool.run(&[subcommand, "other.db"]);
        assert_eq!(run.code, 4, "{run:?}");
        assert!(format!("{}{}", run.out, run.err).to_lowercase().contains("belongs to another"));
        assert!(!run.err.contains("delete it"), "{}", run.err);
    }
    assert_eq!(fs::read(tool.path("other.db")).unwrap(), before);
}

#[test]
fn a_purged_database_shrinks() {
    let tool = Tool::with("python-all.json");
    let token = |nth: usize| {
        format!(
            r#""k{nth}": {{"credential_type": "AccessToken", "secret": "{}", "environment": "e",
            "home_account_id": "u.t", "client_id": "c", "realm": "t", "target": "s{nth}",
            "cached_at": "1600000000", "expires_on": "1600003600"}}"#,
            "s".repeat(2000)
        )
    };
    let tokens: Vec<_> = (0..300).map(token).collect();
    let document = format!("{{\"AccessToken\": {{{}}}}}", tokens.join(","));
    assert_eq!(tool.run_with_input(&["import", "cache.db"], &document).code, 0);
    let before = fs::metadata(tool.path("cache.db")).unwrap().len();
    let stats = tool.run(&["stats", "cache.db", "--json"]).json();
    tool.run(&["purge", "cache.db"]).expect_code(0);
    let after = fs::metadata(tool.path("cache.db")).unwrap().len();
    let promised = stats["expired_bytes"].as_u64().unwrap();
    assert!(before - after >= promised, "{before} - {after} < {promised}");
}

#[test]
fn a_byte_order_mark_is_reported_and_removed() {
    let tool = Tool::with("python-aad.json");
    let text = fs::read(tool.path("cache.json")).unwrap();
    let marked = [b"\xef\xbb\xbf", &*text].concat();
    tool.write("cache.json", &marked);
    assert_eq!(entries(&tool, "cache.json"), 5, "this library skips it");
    let checked = tool.run(&["check", "cache.json"]);
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(checked.out.contains("it begins with a byte order mark"), "{}", checked.out);
    assert!(checked.out.contains("MSAL Python and MSAL Node can't read it."), "{}", checked.out);
    let json = tool.run(&["check", "cache.json", "--json"]).json();
    assert_eq!(json["readers"], serde_json::json!({"python": false, "node": false}));
    tool.run(&["repair", "cache.json", "--dry-run"]).expect_code(0);
    assert_eq!(fs::read(tool.path("cache.json")).unwrap(), marked);
    assert_eq!(tool.run(&["repair", "cache.json", "--json"]).json()["unmarked"], true);
    assert_eq!(fs::read(tool.path("cache.json")).unwrap(), text);
    tool.run(&["check", "cache.json"]).expect_code(0);
}

#[test]
fn check_says_which_library_reads_a_broken_file() {
    for (text, said) in [
        ("", "MSAL Python and MSAL Node begin with an empty cache."),
        ("{\"a\": NaN}", "MSAL Node can't read it. MSAL Python can."),
        ("{\"a\": \"\u{80}\"}", "MSAL Python can't read it."),
        ("{\"Account\": ", "MSAL Python and MSAL Node can't read it."),
    ] {
        let tool = Tool::new();
        // The third one is in Latin-1.
        let bytes: Vec<_> = text.chars().filter_map(|char| u8::try_from(char).ok()).collect();
        tool.write("cache.json", bytes);
        let mut command = tool.command();
        let done = command.args(["check", "cache.json"]).env("COLUMNS", "200").output().unwrap();
        let out = String::from_utf8(done.stdout).unwrap();
        assert_eq!(done.status.code(), Some(4), "{text}: {out}");
        assert!(out.contains(said), "{text}: {out}");
    }
}
