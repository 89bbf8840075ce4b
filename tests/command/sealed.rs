//! The command on sealed stores.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use msal_cache::sealed::{KeyRing, Sealed};
use msal_cache::store::{
    Batch, Blob, BlobStore, CacheStore, CredentialType, Expect, Json, Partition, Record,
};
use msal_cache::{SqliteStore, TokenCache};
use serde_json::{Value, json};

use crate::help::subcommands;
use crate::tool::{Run, Tool, fixtures};

/// The keys and the name of the stores of these tests.
const KEYS: [&str; 4] = ["--key-file", "cache.keys", "--seal-name", "my-app"];

const STORES: [&str; 2] = ["cache.json", "cache.db"];

const CANARY: &str = "CANARY";

fn with_keys<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &KEYS].concat()
}

fn run(tool: &Tool, args: &[&str]) -> Run {
    tool.run(&with_keys(args))
}

/// A directory with keys.
fn tool() -> Tool {
    let tool = Tool::new();
    tool.run(&["keys", "--create", "--key-file", "cache.keys"]).expect_code(0);
    tool
}

/// A fixture with a canary in each secret.
fn document() -> String {
    let text = fs::read_to_string(fixtures().join("python-all.json")).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    for section in document.as_object_mut().unwrap().values_mut() {
        for record in section.as_object_mut().unwrap().values_mut() {
            if record["secret"].is_string() && record["credential_type"] != "IdToken" {
                record["secret"] = json!(format!("{CANARY}-secret"));
            }
        }
    }
    document.to_string()
}

/// Imports the document, which is no file of the directory then.
fn import(tool: &Tool, args: &[&str]) {
    tool.run_with_input(&[&["import"], args].concat(), &document()).expect_code(0);
}

/// The files in which a text is, in the clear.
fn files_with(tool: &Tool, text: &str) -> Vec<String> {
    let is_in = |bytes: &[u8]| bytes.windows(text.len()).any(|it| it == text.as_bytes());
    let files = fs::read_dir(tool.path("")).unwrap().map(|it| it.unwrap().path());
    let found = files.filter(|path| is_in(&fs::read(path).unwrap()));
    let mut found: Vec<_> =
        found.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    found.sort();
    found
}

/// An exported document, whose entries have no order.
fn contents(export: Run) -> Value {
    serde_json::from_str(&export.expect_code(0)).unwrap()
}

/// The runs of a subcommand whose result doesn't depend on how the store is kept.
fn runs(subcommand: &str, store: &str) -> Vec<Vec<String>> {
    let client = ["--client", "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE"];
    let request = [&client[..], &["--account", "alice@contoso", "--scope", "User.Read"]].concat();
    let args: &[&[&str]] = match subcommand {
        "accounts" | "lock" | "stats" => &[&[store]],
        "check" => &[&[store, "--all"]],
        "tokens" => &[&[store], &[store, "--type", "access"]],
        "show" => &[&[store, "e7452677"], &[store, "e7452677", "--show-secrets"]],
        "repair" | "purge" => &[&[store, "--dry-run"], &[store]],
        "why" | "get-token" => &[&[&[store][..], &request[..]].concat()],
        "add" => &[&[store, "event.json"]],
        "remove" => &[&[store, "e7452677", "--yes"], &[store, "--type", "id", "--dry-run"]],
        "sign-out" => &[&[store, "alice@contoso"]],
        "clear" => &[&[store, "--dry-run"], &[store, "--yes"]],
        "export" => &[&[store], &[store, "--show-secrets"]],
        "import" => &[&[store, "event.json"], &[store, "empty.json", "--replace", "--yes"]],
        "copy" => &[&[store, "copy.json"], &[store, "sqlite:copy.db"]],
        "watch" => &[&[store, "--count", "0"]],
        // They name no store, or change how it is kept. A sign-in stores what `add` stores.
        "places" | "completions" | "man" | "ddl" | "keys" | "seal" | "unseal" | "rekey"
        | "sign-in" => &[],
        other => panic!("no runs are defined for {other}"),
    };
    args.iter().map(|args| args.iter().map(|it| (*it).to_owned()).collect()).collect()
}

/// A result without what differs.
fn comparable(run: &Run) -> (i32, String) {
    let Ok(mut value) = serde_json::from_str::<Value>(&run.out) else {
        return (run.code, run.out.clone());
    };
    if let Some(members) = value.as_object_mut() {
        for name in ["store_bytes", "sealed", "readers"] {
            members.remove(name);
        }
    }
    (run.code, value.to_string())
}

#[test]
fn every_subcommand_does_on_a_sealed_store_what_it_does_on_a_plain_one_and_leaves_no_plain_text() {
    let event = json!({
        "client_id": "client", "scope": ["c"],
        "token_endpoint": "https://login.example/t/oauth2/v2.0/token",
        "response": {"access_token": "new", "expires_in": 3600,
            "client_info": "eyJ1aWQiOiJhbGljZSIsInV0aWQiOiJob21lIn0"},
    });
    let mut compared = 0;
    for store in STORES {
        for subcommand in subcommands() {
            let runs = runs(&subcommand, store);
            if runs.is_empty() {
                continue;
            }
            let [plain, sealed] = [Tool::new(), tool()];
            for tool in [&plain, &sealed] {
                tool.write("event.json", event.to_string());
                tool.write("empty.json", r#"{"AccessToken": {}}"#);
            }
            import(&plain, &[store]);
            import(&sealed, &with_keys(&[store]));
            for args in runs {
                let mut words = vec![subcommand.as_str(), "--json"];
                words.extend(args.iter().map(String::as_str));
                let (expected, found) = (plain.run(&words), run(&sealed, &words));
                assert_eq!(comparable(&found), comparable(&expected), "{words:?}: {}", found.err);
                compared += 1;
            }
            let names = files_with(&sealed, CANARY);
            assert!(names.is_empty(), "{subcommand} {store}: {names:?}");
            assert!(
                !files_with(&plain, CANARY).is_empty(),
                "the canaries are where they should be"
            );
            let backups = |tool: &Tool| {
                let names = fs::read_dir(tool.path("")).unwrap().map(|it| it.unwrap().file_name());
                names.filter(|it| it.to_string_lossy().contains(".backup-")).count()
            };
            assert_eq!(backups(&sealed), backups(&plain), "{subcommand} {store}");
        }
    }
    assert!(compared > 40);
}

#[test]
fn without_its_keys_or_with_wrong_ones_a_store_is_refused_with_the_number_of_the_key_and_unchanged()
{
    for store in STORES {
        let tool = tool();
        import(&tool, &with_keys(&[store]));
        tool.run(&["keys", "--create", "--key-file", "other.keys"]).expect_code(0);
        for _ in 0..2 {
            tool.run(&["keys", "--add", "--key-file", "other.keys"]).expect_code(0);
        }
        // A ring without key 1.
        let text = fs::read_to_string(tool.path("other.keys")).unwrap();
        let lines = text.lines().filter(|it| !it.starts_with("1 ")).map(|it| format!("{it}\n"));
        tool.write("later.keys", lines.collect::<String>());
        let before = run(&tool, &["export", store, "--show-secrets"]).expect_code(0);
        let bytes = fs::read(tool.path(store)).unwrap();

        let wrong: [(&[&str], &str); 4] = [
            (&[], "sealed by key 1, and no keys are given"),
            (&["--key-file", "other.keys", "--seal-name", "my-app"], "by key 1"),
            (
                &["--key-file", "later.keys", "--seal-name", "my-app"],
                "key 1, which the key ring lacks (it has 2, 3)",
            ),
            (&["--key-file", "cache.keys", "--seal-name", "other"], "by key 1"),
        ];
        let runs: [&[&str]; 12] = [
            &["tokens", store],
            &["accounts", store],
            &["stats", store],
            &["export", store, "--show-secrets"],
            &["clear", store, "--yes"],
            &["repair", store, "--force"],
            &["remove", store, "--type", "access", "--yes"],
            &["sign-out", store, "alice"],
            &["import", store, "--replace", "--yes"],
            &["copy", store, "copy.json"],
            &["unseal", store],
            &["rekey", store],
        ];
        for (keys, names) in wrong {
            for args in runs {
                if keys.is_empty() && ["unseal", "rekey"].contains(&args[0]) {
                    continue;
                }
                let words = [args, keys, &["--json"]].concat();
                let refused = tool.run_with_input(&words, &document());
                assert_eq!((refused.code, refused.out.as_str()), (9, ""), "{words:?}: {refused:?}");
                let error = refused.error();
                assert_eq!(error["kind"], "sealed", "{words:?}");
                assert!(error["message"].as_str().unwrap().contains(names), "{words:?}: {error}");
                assert!(error["hint"].is_string(), "{words:?}");
            }
            let check = tool.run(&[&["check", store, "--json"], keys].concat());
            assert_eq!(check.code, 9, "{check:?}");
            let found = check.json();
            let keys_of_store = found["sealed"]["keys"].as_object().unwrap();
            assert_eq!(keys_of_store.keys().collect::<Vec<_>>(), ["1"]);
            let names = if store == "cache.json" { "hidden" } else { "legible" };
            assert_eq!(found["sealed"]["names"], names);
            assert_eq!(found["sealed"]["needed"], json!([1]));
            assert_eq!(found["troubles"][0]["kind"], "sealed");
        }
        assert!(!tool.path("copy.json").exists());
        assert!(files_with(&tool, CANARY).is_empty());
        if store == "cache.json" {
            assert_eq!(fs::read(tool.path(store)).unwrap(), bytes);
        }
        let after = run(&tool, &["export", store, "--show-secrets"]).expect_code(0);
        assert_eq!(after, before);
    }
}

#[test]
fn a_plain_store_with_keys_is_refused_with_a_hint_to_seal_it() {
    for store in STORES {
        let tool = tool();
        import(&tool, &[store]);
        let refused = run(&tool, &["tokens", store, "--json"]);
        assert_eq!((refused.code, &refused.error()["kind"]), (9, &json!("not-sealed")));
        assert!(refused.error()["hint"].as_str().unwrap().contains("msal-cache seal STORE"));
        let check = run(&tool, &["check", store, "--json"]);
        assert_eq!((check.code, &check.json()["troubles"][0]["kind"]), (9, &json!("not-sealed")));
        tool.run(&["tokens", store]).expect_code(0);
        tool.run(&["seal", store]).expect_code(2);
        tool.run(&["tokens", store, "--hide-names"]).expect_code(2);
    }
}

#[test]
fn a_plain_store_is_sealed_with_its_backups_and_nothing_plain_is_left_and_the_reverse() {
    for (store, hide) in [("cache.json", false), ("cache.db", false), ("cache.db", true)] {
        let tool = tool();
        import(&tool, &[store]);
        // A backup, a file that was set aside, deleted records.
        tool.run(&["remove", store, "--type", "access", "--yes"]).expect_code(0);
        tool.write(&format!("{store}.corrupt-1"), format!("{{\"AccessToken\": {{\"{CANARY}"));
        let before = contents(tool.run(&["export", store, "--show-secrets"]));
        let plain = files_with(&tool, CANARY);
        assert!(plain.len() >= 3, "{plain:?}");

        let args = [&["seal", store, "--json"][..], if hide { &["--hide-names"] } else { &[] }];
        let sealed = run(&tool, &args.concat());
        assert_eq!(sealed.code, 0, "{sealed:?}");
        let sealed = sealed.json();
        assert_eq!(sealed["key"], 1);
        assert_eq!(sealed["files"].as_array().unwrap().len(), 2);
        assert!(sealed["sealed"].as_u64().unwrap() > 0);
        let left = files_with(&tool, CANARY);
        assert!(left.is_empty(), "{store}: {left:?}");
        if hide || store == "cache.json" {
            assert!(files_with(&tool, "alice@contoso").is_empty());
            assert!(files_with(&tool, "AAAAAAAA-BBBB-CCCC").is_empty());
        }
        assert_eq!(contents(run(&tool, &["export", store, "--show-secrets"])), before);
        // Once more is no change, and with other keys an error.
        let again = run(&tool, &["seal", store, "--json"]);
        assert_eq!((again.code, &again.json()["sealed"]), (0, &json!(0)));
        tool.run(&["keys", "--create", "--key-file", "other.keys"]).expect_code(0);
        tool.run(&["seal", store, "--key-file", "other.keys"]).expect_code(9);
        assert_eq!(contents(run(&tool, &["export", store, "--show-secrets"])), before);

        let back = run(&tool, &["unseal", store, "--json"]);
        assert_eq!(back.json()["unsealed"], sealed["sealed"], "{back:?}");
        assert_eq!(contents(tool.run(&["export", store, "--show-secrets"])), before);
        assert_eq!(files_with(&tool, CANARY), plain);
    }
}

/// The files of the directory and what is in them, without those that SQLite keeps while it is open.
fn files(tool: &Tool) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(tool.path("")).unwrap().map(|it| it.unwrap().path());
    let named = files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path));
    let kept = named.filter(|(name, _)| !name.ends_with("-wal") && !name.ends_with("-shm"));
    kept.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

#[test]
fn a_dry_run_of_seal_rekey_and_unseal_counts_what_they_change_and_changes_nothing() {
    for (store, hide) in [("cache.json", false), ("cache.db", false), ("cache.db", true)] {
        let tool = tool();
        import(&tool, &[store]);
        tool.run(&["remove", store, "--type", "access", "--yes"]).expect_code(0);
        tool.write(&format!("{store}.corrupt-1"), format!("{{\"AccessToken\": {{\"{CANARY}"));
        let hide: &[&str] = if hide { &["--hide-names"] } else { &[] };
        tool.run(&["keys", "--create", "--key-file", "other.keys"]).expect_code(0);
        for (args, member, what) in [
            (["seal", store].as_slice(), "sealed", "would be sealed by key 1"),
            (&["rekey", store, "--new-key"], "sealed", "would be sealed by key 2"),
            (&["unseal", store], "unsealed", "would be plain"),
        ] {
            let args = [args, hide].concat();
            let dry = [&args[..], &["--dry-run"]].concat();
            let before = files(&tool);
            let counted = run(&tool, &[&dry[..], &["--json"]].concat());
            assert_eq!(counted.code, 0, "{counted:?}");
            let text = run(&tool, &dry).expect_code(0);
            assert!(text.contains(what) && !text.contains('✓'), "{text}");
            if args[0] != "seal" {
                // What fails without it fails with it.
                let keys = ["--key-file", "other.keys", "--seal-name", "my-app"];
                tool.run(&[&dry[..], &keys].concat()).expect_code(9);
            }
            assert_eq!(files(&tool), before, "{dry:?}");
            let counted = counted.json();
            assert_eq!(counted["dry_run"], true);
            let done = run(&tool, &[&args[..], &["--json"]].concat()).json();
            assert_eq!(done["dry_run"], false);
            for member in [member, "files", "key"] {
                assert_eq!(counted[member], done[member], "{dry:?}: {member}");
            }
            assert!(done[member].as_u64().unwrap() > 0, "{done}");
            assert_eq!(done["files"].as_array().unwrap().len(), 2);
            assert_ne!(files(&tool), before);
        }
    }
}

#[test]
fn a_dry_run_of_seal_leaves_an_empty_file_empty() {
    let tool = tool();
    tool.write("cache.json", "");
    for dry in [&["--dry-run"][..], &[]] {
        let done = run(&tool, &[&["seal", "cache.json", "--json"], dry].concat());
        assert_eq!((done.code, &done.json()["sealed"]), (0, &json!(0)), "{done:?}");
        assert_eq!(fs::read(tool.path("cache.json")).unwrap().is_empty(), !dry.is_empty());
    }
}

#[test]
fn a_dry_run_with_a_new_key_is_refused_where_no_key_can_be_added() {
    let tool = tool();
    import(&tool, &with_keys(&["cache.json"]));
    let keys = fs::read_to_string(tool.path("cache.keys")).unwrap();
    for dry in [&[][..], &["--dry-run"]] {
        let mut command = tool.command();
        command.args(["rekey", "cache.json", "--new-key", "--key-env", "CACHE_KEYS"]);
        let done = command.args(["--seal-name", "my-app"]).args(dry).env("CACHE_KEYS", &keys);
        assert_eq!(done.output().unwrap().status.code(), Some(9));
    }
}

#[test]
fn an_export_of_a_sealed_store_has_secrets_only_where_they_are_asked_for() {
    for store in STORES {
        // The arguments, whether the secrets are printed, and whether they are in a file.
        let exports: [(&[&str], bool, bool); 8] = [
            (&["export", store], false, false),
            (&["export", store, "--output", "new"], false, false),
            (&["export", store, "--output", "new", "--plain"], false, false),
            (&["export", store, "--show-secrets"], true, false),
            (&["export", store, "--show-secrets", "--output", "new"], false, false),
            (&["export", store, "--show-secrets", "--output", "new", "--plain"], false, true),
            (&["copy", store, "new.json"], false, false),
            (&["copy", store, "new.json", "--plain"], false, true),
        ];
        for (args, printed, written) in exports {
            let tool = tool();
            import(&tool, &with_keys(&[store]));
            let done = run(&tool, args);
            assert_eq!(done.code, 0, "{args:?}: {done:?}");
            assert_eq!(done.out.contains(CANARY), printed, "{args:?}");
            assert!(!done.err.contains(CANARY), "{args:?}");
            assert_eq!(!files_with(&tool, CANARY).is_empty(), written, "{args:?}");
        }
    }
}

#[test]
fn the_document_of_a_sealed_cache_is_plain_and_what_is_read_from_it_is_sealed() {
    let inner = std::sync::Arc::new(msal_cache::Memory::new());
    let keys = KeyRing::generate().unwrap();
    let cache = TokenCache::new(Sealed::new(inner.clone(), "my-app", keys).hide_names());
    cache.deserialize(&document()).unwrap();
    let stored = TokenCache::new(inner).serialize().unwrap();
    assert!(!stored.contains(CANARY) && !stored.contains("alice"), "{stored}");
    assert!(cache.serialize().unwrap().contains(CANARY));
}

#[test]
fn a_database_that_can_not_be_emptied_is_reported_and_emptied_later() {
    let tool = tool();
    import(&tool, &["cache.db"]);
    let reader = rusqlite::Connection::open(tool.path("cache.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").unwrap();
    let rows: i64 =
        reader.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert!(rows > 0);
    let sealed = run(&tool, &["seal", "cache.db", "--json", "--lock-timeout", "0.2"]);
    assert_eq!((sealed.code, &sealed.json()["emptied"]), (1, &json!(false)), "{sealed:?}");
    drop(reader);
    let again = run(&tool, &["seal", "cache.db", "--json"]);
    assert_eq!((again.code, &again.json()["emptied"]), (0, &json!(true)), "{again:?}");
    assert!(files_with(&tool, CANARY).is_empty());
}

fn token(number: usize) -> (Partition, Record) {
    let user = Partition::user(&format!("user-{number}"));
    let value = json!({"home_account_id": format!("user-{number}"), "secret": "s"});
    let value = Json::new(value.to_string()).unwrap();
    (user, Record::new(CredentialType::RefreshToken, format!("key-{number}"), value))
}

fn put(store: &impl CacheStore, number: usize) {
    let (user, record) = token(number);
    let mut batch = Batch::new();
    batch.change(&user, Expect::Any).put(record);
    msal_cache::store::retry(|| store.commit(&batch)).unwrap();
}

/// The store as an app opens it.
fn app(tool: &Tool) -> Sealed<SqliteStore> {
    let keys = KeyRing::from_file(tool.path("cache.keys")).unwrap();
    Sealed::new(SqliteStore::open(tool.path("cache.db")).unwrap(), "my-app", keys)
}

#[test]
fn keys_are_changed_while_an_app_goes_on_and_an_interrupted_run_is_finished_by_the_next_one() {
    let tool = tool();
    let store = app(&tool);
    for number in 0..300 {
        put(&store, number);
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 300;
            while !stop.load(Ordering::Relaxed) {
                put(&store, number % 400);
                number += 1;
            }
        });
        run(&tool, &["keys", "--add"]).expect_code(0);
        // Interrupted anywhere.
        for pause in [0, 5, 20, 50, 100] {
            let mut child = tool.command().args(with_keys(&["rekey", "cache.db"])).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(pause));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // The app seals by the key that it has read, until it reads its keys again.
        let during = run(&tool, &["rekey", "cache.db", "--json"]);
        assert!([0, 1].contains(&during.code), "{during:?}");
        store.keys().reload().unwrap();
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
    let done = run(&tool, &["rekey", "cache.db", "--json"]);
    assert_eq!((done.code, &done.json()["needed"]), (0, &json!([2])), "{done:?}");
    put(&store, 0);
    let check = run(&tool, &["check", "cache.db", "--json"]).json();
    assert_eq!((&check["sealed"]["missing"], &check["sealed"]["newest"]), (&json!([]), &json!(2)));
    assert_eq!(check["sealed"]["keys"].as_object().unwrap().len(), 1);
    run(&tool, &["keys", "cache.db", "--remove", "1"]).expect_code(0);
    let entries = TokenCache::new(app(&tool)).entries(None).unwrap();
    assert!(entries.len() >= 300, "{}", entries.len());
}

#[test]
fn keys_are_created_added_and_removed_and_never_printed() {
    let tool = tool();
    let text = || fs::read_to_string(tool.path("cache.keys")).unwrap();
    let mut printed = String::new();
    let mut run = |args: &[&str], code| {
        let run = tool.run(&[args, &["--key-file", "cache.keys"]].concat());
        assert_eq!(run.code, code, "{args:?}: {run:?}");
        printed.push_str(&run.out);
        printed.push_str(&run.err);
        run.out
    };
    // An existing file stays.
    let before = text();
    run(&["keys", "--create"], 6);
    assert_eq!(text(), before);
    let listed: Value = serde_json::from_str(&run(&["keys", "--json"], 0)).unwrap();
    assert_eq!(
        listed["keys"],
        json!([{"number": 1, "newest": true, "records": null, "files": null}])
    );
    tool.write("old.json", document());
    run(&["copy", "old.json", "cache.json"], 0);
    run(&["export", "cache.json", "--show-secrets", "--output", "cache.json.backup-1.json"], 0);
    run(&["keys", "--add"], 0);
    // The newest key seals; the other one is needed, at last for the backup.
    run(&["keys", "cache.json", "--remove", "2"], 9);
    run(&["keys", "cache.json", "--remove", "1"], 2);
    fs::rename(tool.path("cache.json.backup-1.json"), tool.path("kept")).unwrap();
    run(&["rekey", "cache.json"], 0);
    fs::rename(tool.path("kept"), tool.path("cache.json.backup-1.json")).unwrap();
    run(&["keys", "cache.json", "--remove", "1"], 2);
    let listed: Value = serde_json::from_str(&run(&["keys", "cache.json", "--json"], 0)).unwrap();
    assert_eq!(listed["keys"][0], json!({"number": 1, "newest": false, "records": 0, "files": 1}));
    run(&["rekey", "cache.json"], 0);
    // Nor where the store is another one.
    run(&["keys", "old.json", "--remove", "1"], 2);
    run(&["keys", "--remove", "1"], 2);
    run(&["keys", "cache.json", "--remove", "1"], 0);
    run(&["keys", "cache.json", "--remove", "1"], 9);
    run(&["import", "cache.json", "cache.json.backup-1.json"], 0);
    run(&["rekey", "cache.json", "--new-key"], 0);
    assert_eq!(text().lines().filter(|it| it.starts_with("3 ")).count(), 1);
    for key in [before, text()] {
        for line in key.lines().filter(|it| !it.starts_with('#')) {
            let key = line.split_once(' ').unwrap().1;
            assert!(!printed.contains(key) && key.len() == 44);
        }
    }
    tool.run(&["keys"]).expect_code(2);
    tool.run(&["keys", "--key-file", "nosuch"]).expect_code(6);
    tool.run(&["keys", "--key-file", "old.json"]).expect_code(9);
    #[cfg(unix)]
    {
        tool.chmod("cache.keys", 0o644);
        tool.run(&["tokens", "cache.json", "--key-file", "cache.keys"]).expect_code(5);
    }
}

#[test]
fn keys_come_from_a_credential_and_from_the_environment() {
    let tool = tool();
    import(&tool, &with_keys(&["cache.json"]));
    let text = fs::read_to_string(tool.path("cache.keys")).unwrap();
    let run = |args: &[&str]| {
        let mut command = tool.command();
        command.env("CACHE_KEYS", &text).env("CREDENTIALS_DIRECTORY", tool.path(""));
        let done = command.args(args).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap())
    };
    let expected = run(&with_keys(&["accounts", "cache.json"]));
    assert_eq!(expected.0, 0);
    for keys in [["--key-env", "CACHE_KEYS"], ["--key-credential", "cache.keys"]] {
        let name = ["--seal-name", "my-app"];
        assert_eq!(run(&[&["accounts", "cache.json"], &keys[..], &name].concat()), expected);
        assert_eq!(run(&[&["keys", "--add"], &keys[..]].concat()).0, 9);
        assert_eq!(run(&[&["keys", "--create"], &keys[..]].concat()).0, 2);
    }
    assert_eq!(run(&["accounts", "cache.json", "--key-env", "NONE"]).0, 9);
    assert_eq!(run(&["accounts", "cache.json", "--key-credential", "none"]).0, 6);
    assert_eq!(run(&["accounts", "cache.json", "--key-env", "A", "--key-file", "b"]).0, 2);
}

#[test]
fn what_leaves_a_sealed_store_is_sealed_unless_plain_text_is_asked_for() {
    for store in STORES {
        let tool = tool();
        import(&tool, &with_keys(&[store]));
        run(&tool, &["export", store, "--show-secrets", "--output", "copy.sealed"]).expect_code(0);
        run(&tool, &["copy", store, "copy.json"]).expect_code(0);
        run(&tool, &["copy", store, "copy.db"]).expect_code(0);
        assert!(files_with(&tool, CANARY).is_empty());
        // Without keys, another store doesn't take it.
        let refused = tool.run(&["import", "new.json", "copy.sealed", "--json"]);
        assert_eq!((refused.code, &refused.error()["kind"]), (9, &json!("sealed")));
        assert!(!tool.path("new.json").exists());
        run(&tool, &["import", "new.db", "copy.sealed"]).expect_code(0);
        let expected = run(&tool, &["export", store, "--show-secrets"]).expect_code(0);
        for copy in ["copy.json", "copy.db", "new.db"] {
            assert_eq!(run(&tool, &["export", copy, "--show-secrets"]).expect_code(0), expected);
        }
        let plain = ["export", store, "--show-secrets", "--output", "plain.json", "--plain"];
        run(&tool, &plain).expect_code(0);
        run(&tool, &["copy", store, "plain.db", "--plain"]).expect_code(0);
        run(&tool, &["copy", store, "plain.db", "--plain", "--dry-run"]).expect_code(0);
        tool.run(&["tokens", "plain.json"]).expect_code(0);
        tool.run(&["tokens", "plain.db"]).expect_code(0);
        // A plain source and a sealed destination.
        run(&tool, &["copy", "plain.json", "again.json"]).expect_code(0);
        assert_eq!(
            run(&tool, &["export", "again.json", "--show-secrets"]).expect_code(0),
            expected
        );
    }
}

#[test]
fn a_sealed_file_whose_text_is_damaged_is_repaired_and_stays_sealed() {
    let tool = tool();
    import(&tool, &with_keys(&["cache.json"]));
    // A document whose end is missing, sealed by an app with an error.
    let blob = msal_cache::FileStore::builder(tool.path("cache.json")).open_blob().unwrap();
    let keys = KeyRing::from_file(tool.path("cache.keys")).unwrap();
    let sealed = msal_cache::sealed::SealedBlob::new(blob, "my-app", keys);
    let hold = sealed.hold().unwrap();
    let Blob::Present(revision, text) = sealed.read(None).unwrap() else { panic!("it is missing") };
    sealed.swap(revision, &text.expose()[..text.expose().len() - 20]).unwrap();
    drop(hold);

    assert_eq!(run(&tool, &["tokens", "cache.json"]).code, 4);
    let check = run(&tool, &["check", "cache.json", "--json"]);
    assert_eq!((check.code, &check.json()["troubles"][0]["repairable"]), (4, &json!(true)));
    let repaired = run(&tool, &["repair", "cache.json", "--json"]);
    assert!(repaired.json()["saved"].as_u64().unwrap() > 30, "{repaired:?}");
    run(&tool, &["tokens", "cache.json"]).expect_code(0);
    assert!(tool.path("cache.json.corrupt-1").exists());
    assert!(files_with(&tool, CANARY).is_empty());
    // An empty file becomes a sealed cache, and not a plain one.
    tool.write("new.json", "");
    run(&tool, &["copy", "cache.json", "new.json"]).expect_code(0);
    assert!(files_with(&tool, CANARY).is_empty());
}
