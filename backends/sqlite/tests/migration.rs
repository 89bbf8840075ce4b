//! The migration of databases of version 1, in which several partitions could hold one key, and in
//! which names of partitions could differ by case alone.

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{CacheStore, Error, Expect, Json, Load, Partition, Record, Revision};
use msal_cache_sqlite::SqliteStore;
use rusqlite::{Connection, params};
use support::{
    Place, account, command, finish, give_away, job, keys, list, load, number, put, raw, run,
    run_unprivileged, set_mode, text, token,
};

/// The tables as version 1 created them.
const VERSION_1: &str = include_str!("support/version_1.sql");

/// The revision of each partition and of the store.
const OLD: u128 = 7;

const JOURNALS: [&str; 2] = ["WAL", "DELETE"];

/// Creates a database of version 1 with these records, each with the name of its partition.
fn create_old(place: &Place, journal: &str, records: &[(&str, Record)]) -> Connection {
    let mut old = raw(&place.database());
    set_mode(&place.database(), 0o600);
    old.execute_batch(&format!("PRAGMA journal_mode = {journal}")).unwrap();
    let transaction = old.transaction().unwrap();
    transaction.execute_batch(VERSION_1).unwrap();
    let ours = "PRAGMA application_id = 0x4D534C63; PRAGMA user_version = 1";
    transaction.execute_batch(ours).unwrap();
    let revision = OLD.to_be_bytes();
    transaction.execute("UPDATE store SET revision = ?1", [revision]).unwrap();
    for (partition, record) in records {
        let create = "INSERT OR IGNORE INTO partitions (name, revision) VALUES (?1, ?2)";
        let insert = "INSERT INTO records (partition, credential_type, key, value, expires_on) \
                      SELECT id, ?2, ?3, ?4, ?5 FROM partitions WHERE name = ?1";
        let mut create = transaction.prepare_cached(create).unwrap();
        let mut insert = transaction.prepare_cached(insert).unwrap();
        create.execute(params![partition, revision]).unwrap();
        let (section, value) = (record.credential_type().as_str(), record.value().expose());
        let row = params![partition, section, record.key(), value, record.expires_on()];
        assert_eq!(insert.execute(row).unwrap(), 1);
    }
    transaction.commit().unwrap();
    old
}

/// The name of the partition and the key of each record, in order.
fn stored(path: &Path) -> Vec<(String, String)> {
    let connection = raw(path);
    let sql = "SELECT p.name, r.key FROM records_2 r JOIN partitions_2 p ON p.id = r.partition \
               ORDER BY r.position";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// Checks that a database has version 2 and is consistent.
fn assert_migrated(path: &Path) {
    let connection = raw(path);
    assert_eq!(number(&connection, "PRAGMA user_version"), 2);
    assert_eq!(text(&connection, "PRAGMA integrity_check"), "ok");
    for nothing in [
        "pragma_foreign_key_check",
        "sqlite_master WHERE tbl_name IN ('records', 'partitions', 'store')",
        "partitions_2 WHERE id NOT IN (SELECT partition FROM records_2)",
    ] {
        assert_eq!(number(&connection, &format!("SELECT count(*) FROM {nothing}")), 0, "{nothing}");
    }
    let mut statement = connection
        .prepare("SELECT revision FROM partitions_2 UNION ALL SELECT revision FROM store_2")
        .unwrap();
    let revisions = statement.query_map([], |row| row.get::<_, [u8; 16]>(0)).unwrap();
    let mut seen = HashSet::from([0, OLD]);
    for revision in revisions {
        assert!(seen.insert(u128::from_be_bytes(revision.unwrap())), "a revision isn't new");
    }
}

fn record(section: &str, key: &str, json: &str) -> Record {
    Record::new(section.into(), key, Json::from_stored(json))
}

/// An access token of a client in a tenant. `more` are members of its JSON.
fn app(client: &str, realm: &str, key: &str, more: &str) -> Record {
    let json = format!(r#"{{{more}"client_id":"{client}","realm":"{realm}"}}"#);
    record("AccessToken", key, &json)
}

/// The secrets of all records.
fn secrets(store: &SqliteStore) -> Vec<String> {
    let secret = |record: &Record| {
        let (_, rest) = record.value().expose().split_once(r#""secret":""#).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    list(store, None).iter().map(secret).collect()
}

#[test]
fn partitions_whose_names_differ_by_case_become_one() {
    for journal in JOURNALS {
        let place = Place::new();
        let records = [
            ("app/C/Contoso", app("C", "Contoso", "k", r#""cached_at":"1","#)),
            ("app/C/Contoso", app("C", "Contoso", "first", "")),
            ("app/C/CONTOSO", app("C", "CONTOSO", "k", r#""cached_at":"3","#)),
            ("app/C/contoso", app("C", "contoso", "k", r#""cached_at":"2","#)),
            ("app/C/contoso", app("C", "contoso", "last", "")),
            ("user/U.T", account("U.T", "a", "1")),
            ("user/u.t", account("u.t", "b", "1")),
            ("app/c/contoso", app("c", "contoso", "lower", "")),
        ];
        drop(create_old(&place, journal, &records));
        let store = SqliteStore::open(place.database()).unwrap();
        assert_migrated(&place.database());
        let expected = [
            ("app/c/contoso", "first"),
            ("app/c/contoso", "k"),
            ("app/c/contoso", "last"),
            ("user/u.t", "a"),
            ("user/u.t", "b"),
            ("app/c/contoso", "lower"),
        ];
        let expected = expected.map(|(name, key)| (name.to_owned(), key.to_owned()));
        assert_eq!(stored(&place.database()), expected);
        assert_eq!(list(&store, None), [1, 2, 4, 5, 6, 7].map(|at: usize| records[at].1.clone()));
        assert_eq!(keys(load(&store, "U.t").records()), ["a", "b"]);
        let contoso = Partition::app("c", "conTOSO", None);
        let Load::Snapshot(found) = store.load(&contoso, None).unwrap() else {
            panic!("no revision was given")
        };
        assert_eq!(keys(found.records()), ["first", "k", "last", "lower"]);
    }
}

#[test]
fn of_the_records_under_one_key_the_newest_stays() {
    let token = |client: &str, realm: &str, secret: &str, more: &str| {
        let name = format!("app/{client}/{realm}");
        (name, app(client, realm, "c-e-t", &format!(r#""secret":"{secret}",{more}"#)))
    };
    let time = |name: &str, time: &str| format!(r#""{name}":{time},"#);
    let [one, two, three] =
        ["1700000001", r#""1700000002""#, "1700000003.5"].map(|at| time("cached_at", at));
    let modified = time("last_modification_time", r#""1700000002""#);
    let unreadable = time("cached_at", r#""yesterday""#);
    for (times, newest) in [
        (["", "", ""], "3"),
        ([&*one, &two, &three], "3"),
        ([&*three, &two, &one], "1"),
        ([&*one, &three, &two], "2"),
        ([&*two, &two, &one], "2"),
        ([&*one, "", ""], "1"),
        (["", &*one, ""], "2"),
        ([&*unreadable, "", &unreadable], "3"),
        ([&*one, &modified, &unreadable], "2"),
        ([&*three, &modified, ""], "1"),
    ] {
        let place = Place::new();
        // The tokens of these three clients have one key.
        let records = [("c-e", "t", "1"), ("c", "e-t", "2"), ("C-E", "T", "3")];
        let mut at = 0;
        let records = records.map(|(client, realm, secret)| {
            at += 1;
            token(client, realm, secret, times[at - 1])
        });
        let records = records.each_ref().map(|(name, record)| (&**name, record.clone()));
        drop(create_old(&place, "WAL", &records));
        let store = SqliteStore::open(place.database()).unwrap();
        assert_migrated(&place.database());
        assert_eq!(secrets(&store), [newest], "{times:?}");
        let [(name, _)] = &stored(&place.database())[..] else { panic!("one record stays") };
        assert_eq!(name, if newest == "2" { "app/c/e-t" } else { "app/c-e/t" });
    }
}

#[test]
fn nothing_else_is_lost() {
    for journal in JOURNALS {
        let place = Place::new();
        let mut records = vec![
            ("metadata", record("AppMetadata", "m", r#"{"client_id":"C"}"#)),
            ("unowned", record("AccessToken", "x", r#"{"home_account_id":null}"#)),
            ("unowned", record("AccessToken", "y", "7")),
            ("unowned", record("IdToken", "z", "{broken")),
            ("unowned", record("", "telemetry", r#"{"home_account_id":"U"}"#)),
            ("user/U", record("Invented", "k", r#"{ "home_account_id" : "U", "x": [1e400] }"#)),
            ("user/U", record("IdToken", "k", r#"{"home_account_id":"U"}"#)),
            ("user/U", record("RefreshToken", "k", r#"{"home_account_id":"U"}"#)),
            ("user/\u{c9}%2f", account("\u{c9}/", "\u{c9} 'k'\u{1f600}", "\u{c9}")),
            ("user/U", token("U", "old", "\"50\"")),
            ("user/U", token("U", "new", "500")),
        ];
        let users: Vec<_> = (0..500).map(|n| (format!("user/U{n}"), format!("U{n}"))).collect();
        for (name, user) in &users {
            records.push((name, account(user, &format!("{user}-account"), "x")));
            records.push((name, token(user, &format!("{user}-token"), "\"50\"")));
        }
        drop(create_old(&place, journal, &records));
        let store = SqliteStore::open(place.database()).unwrap();
        assert_migrated(&place.database());
        let records: Vec<_> = records.into_iter().map(|(_, record)| record).collect();
        assert_eq!(list(&store, None), records);
        for record in &records {
            let Load::Snapshot(found) = store.load(record.partition(), None).unwrap() else {
                panic!("no revision was given")
            };
            assert!(found.records().contains(record));
        }
        // A new record is last, and the expiries have been kept.
        put(&store, Expect::Any, &[account("u", "now", "1")]).unwrap();
        assert_eq!(list(&store, None).last(), Some(&account("u", "now", "1")));
        assert_eq!(store.purge(100).unwrap(), 501);
        assert_eq!(list(&store, Some("AccessToken")).len(), 3);
        drop(store);
        let store = SqliteStore::open(place.database()).unwrap();
        assert_eq!(list(&store, None).len(), records.len() - 500);
    }
}

#[test]
fn an_older_version_that_has_the_database_open_can_neither_write_nor_misread() {
    for journal in JOURNALS {
        let place = Place::new();
        let records = [("user/U", account("U", "k", "1"))];
        let old = create_old(&place, journal, &records);
        // The statements of version 1, as its connections keep them.
        let mut statements = [
            "INSERT INTO partitions (name, revision) VALUES ('user/V', zeroblob(16))",
            "UPDATE partitions SET revision = zeroblob(16)",
            "UPDATE store SET revision = zeroblob(16)",
            "DELETE FROM records",
            "DELETE FROM partitions",
            "INSERT INTO records (partition, credential_type, key, value) VALUES (1, 'A', 'k', '')",
        ]
        .map(|sql| old.prepare(sql).unwrap());
        let mut queries = [
            "SELECT revision FROM partitions WHERE name = 'user/absent'",
            "SELECT revision FROM store",
            "SELECT EXISTS (SELECT 1 FROM records WHERE expires_on < 1)",
        ]
        .map(|sql| old.prepare(sql).unwrap());
        for query in &mut queries {
            query.exists([]).unwrap();
        }
        let store = SqliteStore::open(place.database()).unwrap();
        for statement in &mut statements {
            let error = statement.execute([]).unwrap_err();
            assert!(error.to_string().contains("no such table"), "{error}");
        }
        for query in &mut queries {
            let error = query.exists([]).unwrap_err();
            assert!(error.to_string().contains("no such table"), "{error}");
        }
        assert_eq!(list(&store, None), [records[0].1.clone()]);
        assert_migrated(&place.database());
    }
}

#[test]
fn many_processes_migrate_a_database_once() {
    for journal in JOURNALS {
        let place = Place::new();
        let records = [
            ("user/U", account("U", "k", "1")),
            ("user/u", account("u", "k", "2")),
            ("user/V", account("V", "v", "1")),
        ];
        drop(create_old(&place, journal, &records));
        let children: Vec<_> = (0..16)
            .map(|n| {
                let mut command = command("job_that_opens", &n.to_string(), place.folder());
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in children {
            finish(child);
        }
        assert_migrated(&place.database());
        let store = SqliteStore::open(place.database()).unwrap();
        assert_eq!(keys(load(&store, "u").records())[0], "k");
        assert_eq!(list(&store, None).len(), 2 + 16);
    }
}

#[test]
fn job_that_opens() {
    let Some((n, folder)) = job() else { return };
    let store = SqliteStore::open(folder.join("cache.db")).unwrap();
    let loaded = load(&store, "U");
    assert_eq!(loaded.records()[0], account("u", "k", "2"));
    assert_eq!(keys(load(&store, "V").records()), ["v"]);
    put(&store, Expect::Any, &[account("u", &n, "1")]).unwrap();
}

#[test]
fn threads_that_open_an_old_database_at_the_same_time_migrate_it_once() {
    for round in 0..50 {
        let place = Place::new();
        drop(create_old(&place, JOURNALS[round % 2], &[("user/U", account("U", "k", "1"))]));
        let begin = std::sync::Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    begin.wait();
                    let store = SqliteStore::open(place.database()).unwrap();
                    assert_eq!(keys(load(&store, "u").records()), ["k"]);
                });
            }
        });
        assert_migrated(&place.database());
    }
}

/// An old database whose migration takes a while: half of its records are superseded.
fn create_large(place: &Place, journal: &str) {
    let names: Vec<_> = (0..4000).map(|n| format!("user/{}{}", ["U", "u"][n % 2], n / 2)).collect();
    let record = |(n, name): (usize, &String)| account(&name[5..], &format!("k{}", n / 2), "x");
    let records = names.iter().map(|name| &**name).zip(names.iter().enumerate().map(record));
    let records: Vec<_> = records.collect();
    drop(create_old(place, journal, &records));
}

#[test]
fn a_migration_that_is_killed_changes_nothing() {
    for journal in JOURNALS {
        let place = Place::new();
        create_large(&place, journal);
        let (mut interrupted, mut wait) = (0, Duration::from_millis(1));
        loop {
            let mut child = command("job_that_opens_once", "open", place.folder());
            child.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = child.spawn().unwrap();
            let started = Instant::now();
            while started.elapsed() < wait && child.try_wait().unwrap().is_none() {
                thread::sleep(Duration::from_micros(200));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            // This connection rolls back an unfinished transaction.
            let connection = raw(&place.database());
            if number(&connection, "PRAGMA user_version") == 2 {
                break;
            }
            assert_eq!(number(&connection, "SELECT count(*) FROM records"), 4000);
            assert_eq!(text(&connection, "PRAGMA integrity_check"), "ok");
            interrupted += 1;
            wait += Duration::from_millis(2);
        }
        println!("{journal}: killed {interrupted} times before the migration was done");
        assert!(interrupted > 0);
        let store = SqliteStore::open(place.database()).unwrap();
        assert_migrated(&place.database());
        assert_eq!(list(&store, None).len(), 2000);
    }
}

#[test]
fn job_that_opens_once() {
    let Some((_, folder)) = job() else { return };
    SqliteStore::open(folder.join("cache.db")).unwrap();
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    for journal in JOURNALS {
        let place = Place::new();
        create_large(&place, journal);
        let damaged = raw(&place.database());
        let damage = "UPDATE records SET value = x'FF' WHERE position = 3999";
        assert_eq!(damaged.execute(damage, []).unwrap(), 1);
        drop(damaged);
        let before = std::fs::read(place.database()).unwrap();
        let error = SqliteStore::open(place.database()).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        assert!(std::fs::read(place.database()).unwrap() == before, "the database was changed");
        let repaired = raw(&place.database());
        repaired.execute("UPDATE records SET value = '{}' WHERE position = 3999", []).unwrap();
        drop(repaired);

        // A limit for the size of files. Without the trap, a signal would end the process.
        let size = std::fs::metadata(place.database()).unwrap().len() / 512 + 16;
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", &format!("trap '' XFSZ; ulimit -f {size}; exec \"$0\" \"$@\"")]);
        let job = command("job_that_meets_a_full_disk", "open", place.folder());
        sh.arg(job.get_program()).args(job.get_args());
        sh.envs(job.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(sh);
        let connection = raw(&place.database());
        assert_eq!(number(&connection, "PRAGMA user_version"), 1);
        assert_eq!(number(&connection, "SELECT count(*) FROM records"), 4000);
        drop(connection);
        SqliteStore::open(place.database()).unwrap();
        assert_migrated(&place.database());
    }
}

#[test]
fn job_that_meets_a_full_disk() {
    let Some((_, folder)) = job() else { return };
    let error = SqliteStore::open(folder.join("cache.db")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}

#[test]
fn an_old_database_that_cannot_be_written_is_a_read_only_error() {
    for journal in JOURNALS {
        for (file, folder) in [(0o600, 0o500), (0o400, 0o500), (0o400, 0o700)] {
            let place = Place::new();
            drop(create_old(&place, journal, &[("user/U", account("U", "k", "1"))]));
            give_away(&place.database());
            give_away(place.folder());
            let before = std::fs::read(place.database()).unwrap();
            set_mode(&place.database(), file);
            set_mode(place.folder(), folder);
            run_unprivileged("job_that_cannot_migrate", "open", place.folder());
            set_mode(place.folder(), 0o700);
            assert!(std::fs::read(place.database()).unwrap() == before, "the database was changed");
        }
    }
}

#[test]
fn job_that_cannot_migrate() {
    let Some((_, folder)) = job() else { return };
    let error = SqliteStore::open(folder.join("cache.db")).unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error:?}");
}

#[test]
fn a_known_revision_of_the_old_database_is_never_unchanged() {
    let place = Place::new();
    drop(create_old(&place, "WAL", &[("user/u", account("u", "k", "1"))]));
    let store = SqliteStore::open(place.database()).unwrap();
    let known = Some(Revision::from_u128(OLD));
    let user = Partition::user("u");
    assert!(matches!(store.load(&user, known).unwrap(), Load::Snapshot(_)));
    assert!(matches!(store.list(None, known).unwrap(), Load::Snapshot(_)));
}
