//! Opening a path: the permissions of the file, and whose database it is.

mod support;

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use std::thread;

use msal_cache_core::{CacheStore, Error, Expect};
use msal_cache_sqlite::{Journal, Permissions, SqliteStore};
use rusqlite::Connection;
use support::{
    NOBODY, Place, account, give_away, is_root, job, keys, list, load, mode, number, put, raw, run,
    run_unprivileged, set_mode, text, with_umask,
};

fn insecure(path: &Path, permissions: Permissions) -> String {
    let opened = SqliteStore::builder(path).permissions(permissions).open();
    let error = opened.unwrap_err();
    assert!(matches!(error, Error::Insecure { .. }), "{error:?}");
    error.to_string()
}

/// Checks that opening fails with this reason and changes no file.
fn assert_corrupt(place: &Place, reason: &str) {
    let before = place.contents();
    let error = SqliteStore::open(place.database()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(reason) && text.contains("cache.db"), "{text}");
    assert!(place.contents() == before, "files were changed: {:?}", place.names());
}

#[test]
fn all_files_are_private_under_any_umask() {
    for umask in ["000", "777", "022"] {
        let place = Place::new();
        run(with_umask(umask, "job_that_looks_at_modes", "modes", place.folder()));
    }
}

#[test]
fn job_that_looks_at_modes() {
    let Some((_, folder)) = job() else { return };
    for (journal, beside) in
        [(Journal::Wal, ["-wal", "-shm"].as_slice()), (Journal::Rollback, &["-journal"])]
    {
        let path = folder.join(format!("{journal:?}/deep/cache.db"));
        let store = SqliteStore::builder(&path).journal(journal).open().unwrap();
        put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
        // A transaction of another connection, so that the journal exists.
        let other = raw(&path);
        other.execute_batch("BEGIN IMMEDIATE; UPDATE store_2 SET revision = zeroblob(16)").unwrap();
        assert_eq!(mode(&path), 0o600);
        for suffix in beside {
            assert_eq!(mode(&folder.join(format!("{journal:?}/deep/cache.db{suffix}"))), 0o600);
        }
        for folder in [path.parent().unwrap(), path.parent().unwrap().parent().unwrap()] {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
    }
}

#[test]
fn a_file_that_others_can_open_is_refused_repaired_or_ignored() {
    let place = Place::new();
    let path = place.database();
    // It stays open, so that the files beside the database exist.
    let holder = SqliteStore::open(&path).unwrap();
    put(&holder, Expect::Any, &[account("u", "k", "1")]).unwrap();
    for file in ["cache.db", "cache.db-wal", "cache.db-shm"] {
        set_mode(&place.at(file), 0o644);
        let error = insecure(&path, Permissions::Refuse);
        assert!(
            error.contains("0644") && error.contains(&format!("{file} is not safe")),
            "{error}"
        );
        let store = SqliteStore::builder(&path).permissions(Permissions::Ignore).open().unwrap();
        assert_eq!(keys(load(&store, "u").records()), ["k"]);
        assert_eq!(mode(&place.at(file)), 0o644);
        SqliteStore::builder(&path).permissions(Permissions::Repair).open().unwrap();
        assert_eq!(mode(&place.at(file)), 0o600);
        SqliteStore::open(&path).unwrap();
    }
}

#[test]
fn a_database_of_another_user_is_refused_and_not_repaired() {
    let place = Place::new();
    let path = if is_root() {
        drop(SqliteStore::open(place.database()).unwrap());
        chown(place.database(), Some(NOBODY), None).unwrap();
        place.database()
    } else {
        "/etc/hostname".into()
    };
    let link = place.at("link.db");
    symlink(&path, &link).unwrap();
    for path in [path, link] {
        for permissions in [Permissions::Refuse, Permissions::Repair] {
            assert!(insecure(&path, permissions).contains("belongs to user"));
        }
    }
}

#[test]
fn anything_but_a_regular_file_is_refused() {
    let place = Place::new();
    let pipe = place.at("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [&pipe, Path::new("/dev/null"), place.folder()] {
        assert!(insecure(path, Permissions::Ignore).contains("not a regular file"));
    }
    let under_a_file = place.at("file");
    fs::write(&under_a_file, "").unwrap();
    let error = SqliteStore::open(under_a_file.join("cache.db")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    symlink("loop", place.at("loop")).unwrap();
    assert!(matches!(SqliteStore::open(place.at("loop")), Err(Error::Io { .. })));
}

#[test]
fn links_are_followed_to_existing_and_to_new_databases() {
    let place = Place::new();
    fs::create_dir(place.at("far")).unwrap();
    let link = place.at("link.db");
    symlink("far/real.db", &link).unwrap();
    let store = SqliteStore::open(&link).unwrap();
    put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    for file in ["far/real.db", "far/real.db-wal"] {
        assert_eq!(mode(&place.at(file)), 0o600);
    }
    let other = SqliteStore::open(place.at("far/real.db")).unwrap();
    assert_eq!(keys(load(&other, "u").records()), ["k"]);
    set_mode(&place.at("far/real.db"), 0o640);
    assert!(insecure(&link, Permissions::Refuse).contains("0640"));
}

#[test]
fn an_empty_file_is_a_new_database() {
    let place = Place::new();
    fs::write(place.database(), "").unwrap();
    set_mode(&place.database(), 0o600);
    let store = SqliteStore::open(place.database()).unwrap();
    put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    let raw = raw(&place.database());
    assert_eq!(number(&raw, "PRAGMA application_id"), 0x4D53_4C63);
    assert_eq!(number(&raw, "PRAGMA user_version"), 2);
    assert_eq!(text(&raw, "PRAGMA journal_mode"), "wal");
    assert_eq!(text(&raw, "PRAGMA integrity_check"), "ok");
}

#[test]
fn a_file_that_is_not_a_database_is_not_changed() {
    for bytes in [b"{}".to_vec(), vec![0; 100], b"SQLite format 3\0".to_vec(), vec![7; 20_000]] {
        let place = Place::new();
        fs::write(place.database(), &bytes).unwrap();
        set_mode(&place.database(), 0o600);
        assert_corrupt(&place, "is not a SQLite database");
    }
}

#[test]
fn a_truncated_database_is_not_changed() {
    let place = Place::new();
    drop(SqliteStore::open(place.database()).unwrap());
    let whole = fs::read(place.database()).unwrap();
    assert!(whole.len() > 3 * 4096);
    for len in [4096, 3 * 4096, whole.len() - 4096] {
        fs::write(place.database(), &whole[..len]).unwrap();
        assert_corrupt(&place, "the database is damaged");
    }
}

#[test]
fn a_newer_or_foreign_database_is_not_changed() {
    type Change = fn(&Connection);
    let cases: [(&str, Change); 5] = [
        ("newer version", |it| it.execute_batch("PRAGMA user_version = 3").unwrap()),
        ("version is 0", |it| it.execute_batch("PRAGMA user_version = 0").unwrap()),
        ("version is -1", |it| it.execute_batch("PRAGMA user_version = -1").unwrap()),
        ("application_id 7", |it| it.execute_batch("PRAGMA application_id = 7").unwrap()),
        ("another application", |it| it.execute_batch("PRAGMA application_id = 0").unwrap()),
    ];
    for (reason, change) in cases {
        let place = Place::new();
        drop(SqliteStore::open(place.database()).unwrap());
        let other = raw(&place.database());
        change(&other);
        drop(other);
        assert_corrupt(&place, reason);
    }
}

#[test]
fn a_foreign_database_with_commits_in_its_log_is_not_changed() {
    let place = Place::new();
    let theirs = raw(&place.database());
    theirs.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE theirs (x)").unwrap();
    for file in place.names() {
        set_mode(&place.at(&file), 0o600);
    }
    // The files as a crash leaves them.
    let crashed = Place::new();
    for (name, bytes) in place.contents() {
        if name != "cache.db-shm" {
            fs::write(crashed.at(&name), bytes).unwrap();
            set_mode(&crashed.at(&name), 0o600);
        }
    }
    let before = crashed.contents();
    let error = SqliteStore::open(crashed.database()).unwrap_err();
    assert!(error.to_string().contains("another application"), "{error}");
    for (name, bytes) in before {
        assert!(fs::read(crashed.at(&name)).unwrap() == bytes, "{name} was changed");
    }
}

#[test]
fn the_journal_is_kept_or_changed_by_the_option() {
    let place = Place::new();
    let mode = |journal| {
        drop(SqliteStore::builder(place.database()).journal(journal).open().unwrap());
        text(&raw(&place.database()), "PRAGMA journal_mode")
    };
    assert_eq!(mode(Journal::Auto), "wal");
    assert_eq!(mode(Journal::Rollback), "delete");
    assert_eq!(mode(Journal::Auto), "delete", "an existing local database keeps its journal");
    assert_eq!(mode(Journal::Wal), "wal");
}

/// A closed database in a folder of the user that `run_unprivileged` runs as.
fn closed_database(journal: Journal) -> Place {
    let place = Place::new();
    let store = SqliteStore::builder(place.database()).journal(journal).open().unwrap();
    put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    drop(store);
    give_away(&place.database());
    give_away(place.folder());
    place
}

#[test]
fn a_database_that_cannot_be_written_can_be_read() {
    for journal in [Journal::Wal, Journal::Rollback] {
        for (file, folder) in [(0o600, 0o500), (0o400, 0o500), (0o400, 0o700)] {
            let place = closed_database(journal);
            set_mode(&place.database(), file);
            set_mode(place.folder(), folder);
            run_unprivileged(
                "job_that_reads_a_database_that_it_cannot_write",
                "read",
                place.folder(),
            );
            set_mode(place.folder(), 0o700);
            let names = place.names();
            assert_eq!(names[0], "cache.db");
        }
    }
}

#[test]
fn job_that_reads_a_database_that_it_cannot_write() {
    let Some((_, folder)) = job() else { return };
    let store = SqliteStore::open(folder.join("cache.db")).unwrap();
    for _ in 0..3 {
        assert_eq!(keys(load(&store, "u").records()), ["k"]);
        let written = put(&store, Expect::Any, &[account("u", "k", "2")]);
        assert!(matches!(written, Err(Error::ReadOnly { .. })), "{written:?}");
        assert_eq!(store.purge(i64::MAX).unwrap(), 0);
    }
    assert_eq!(store.commit(&msal_cache_core::Batch::new()).unwrap(), []);
}

#[test]
fn a_database_in_a_read_only_folder_is_a_read_only_error() {
    let place = Place::new();
    give_away(place.folder());
    set_mode(place.folder(), 0o500);
    run_unprivileged("job_in_a_read_only_folder", "create", place.folder());
    set_mode(place.folder(), 0o700);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn job_in_a_read_only_folder() {
    let Some((_, folder)) = job() else { return };
    for path in ["cache.db", "deep/cache.db"] {
        let error = SqliteStore::open(folder.join(path)).unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }), "{error:?}");
    }
}

/// Waits until a reader looks at the path again.
fn wait_for_readers() {
    std::thread::sleep(std::time::Duration::from_millis(15));
}

#[test]
fn a_database_that_was_moved_or_replaced_is_not_written() {
    let place = Place::new();
    let builder = SqliteStore::builder(place.database()).journal(Journal::Rollback);
    let store = builder.open().unwrap();
    put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    fs::rename(place.database(), place.at("elsewhere.db")).unwrap();
    // A write goes to a new database under the path of the store.
    put(&store, Expect::Any, &[account("u", "k", "2")]).unwrap();
    assert_eq!(list(&store, None), [account("u", "k", "2")]);
    let new = SqliteStore::open(place.database()).unwrap();
    assert_eq!(list(&new, None), [account("u", "k", "2")]);
    drop(new);

    // What replaces it is not trusted more than what is opened.
    fs::rename(place.database(), place.at("elsewhere_too.db")).unwrap();
    fs::write(place.database(), "").unwrap();
    set_mode(place.database().as_path(), 0o644);
    let replaced = put(&store, Expect::Any, &[account("u", "k", "3")]);
    assert!(matches!(replaced, Err(Error::Insecure { .. })), "{replaced:?}");
    assert!(matches!(store.purge(i64::MAX), Err(Error::Insecure { .. })));
    assert_eq!(fs::read(place.database()).unwrap(), b"");
    drop(store);
    assert_eq!(number(&raw(&place.at("elsewhere.db")), "SELECT count(*) FROM records_2"), 1);
    assert_eq!(number(&raw(&place.at("elsewhere_too.db")), "SELECT count(*) FROM records_2"), 1);
}

#[test]
fn readers_follow_a_database_that_was_replaced_or_removed() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    put(&store, Expect::Any, &[account("u", "k", "deleted")]).unwrap();
    let revision = load(&store, "u").revision();
    for file in place.names() {
        fs::remove_file(place.at(&file)).unwrap();
    }
    let other = SqliteStore::open(place.database()).unwrap();
    put(&other, Expect::Any, &[account("v", "k2", "new")]).unwrap();
    wait_for_readers();
    assert_eq!(keys(&list(&store, None)), ["k2"]);
    let known = store.load(&msal_cache_core::Partition::user("u"), Some(revision)).unwrap();
    assert!(matches!(known, msal_cache_core::Load::Snapshot(it) if it.records().is_empty()));
    put(&store, Expect::Any, &[account("w", "k3", "new")]).unwrap();
    assert_eq!(keys(&list(&other, None)), ["k2", "k3"]);

    drop(other);
    for file in place.names() {
        fs::remove_file(place.at(&file)).unwrap();
    }
    wait_for_readers();
    assert!(list(&store, None).is_empty());
    put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    assert_eq!(keys(&list(&SqliteStore::open(place.database()).unwrap(), None)), ["k"]);
}

#[test]
fn a_database_with_two_names_is_refused_under_both() {
    let place = Place::new();
    drop(SqliteStore::open(place.database()).unwrap());
    fs::hard_link(place.database(), place.at("other.db")).unwrap();
    for name in ["cache.db", "other.db"] {
        for permissions in [Permissions::Refuse, Permissions::Ignore] {
            let text = insecure(&place.at(name), permissions);
            assert!(text.contains("2 names (hard links)"), "{text}");
        }
    }
    fs::remove_file(place.at("other.db")).unwrap();
    SqliteStore::open(place.database()).unwrap();
}

#[test]
fn triggers_are_dropped_and_foreign_tables_and_views_are_refused() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    let other = raw(&place.database());
    other
        .execute_batch(
            "CREATE TRIGGER \"a \"\" b\" AFTER INSERT ON records_2 BEGIN \
             UPDATE store_2 SET revision = zeroblob(16); END",
        )
        .unwrap();
    drop(SqliteStore::open(place.database()).unwrap());
    assert_eq!(number(&other, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"), 0);
    for sql in [
        "CREATE VIEW v AS SELECT * FROM records_2",
        "DROP VIEW v; CREATE TABLE copies AS SELECT * FROM records_2",
    ] {
        other.execute_batch(sql).unwrap();
        let error = SqliteStore::open(place.database()).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("can hold copies of tokens"), "{error}");
    }
    other.execute_batch("DROP TABLE copies; ANALYZE").unwrap();
    SqliteStore::open(place.database()).unwrap();
}

#[test]
fn a_file_beside_the_database_that_is_a_link_is_refused() {
    let place = Place::new();
    drop(SqliteStore::open(place.database()).unwrap());
    fs::write(place.at("mine"), "").unwrap();
    set_mode(&place.at("mine"), 0o644);
    for suffix in ["-wal", "-shm", "-journal"] {
        let link = place.at(&format!("cache.db{suffix}"));
        symlink("mine", &link).unwrap();
        for permissions in [Permissions::Refuse, Permissions::Repair] {
            let text = insecure(&place.database(), permissions);
            assert!(text.contains("not a regular file"), "{text}");
        }
        assert_eq!(mode(&place.at("mine")), 0o644, "a repair doesn't follow the link");
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn a_folder_that_is_opened_to_others_while_the_store_is_open_is_refused() {
    let place = Place::new();
    let store = SqliteStore::open(place.database()).unwrap();
    put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    set_mode(place.folder(), 0o777);
    let refused = put(&store, Expect::Any, &[account("u", "k", "2")]);
    assert!(matches!(refused, Err(Error::Insecure { .. })), "{refused:?}");
    wait_for_readers();
    let refused = store.list(None, None);
    assert!(matches!(refused, Err(Error::Insecure { .. })), "{refused:?}");
    assert!(insecure(&place.database(), Permissions::Refuse).contains("replace the files in it"));
    set_mode(place.folder(), 0o700);
    put(&store, Expect::Any, &[account("u", "k", "2")]).unwrap();
    set_mode(&place.database(), 0o644);
    let refused = put(&store, Expect::Any, &[account("u", "k", "3")]);
    assert!(matches!(refused, Err(Error::Insecure { .. })), "{refused:?}");
}

#[test]
fn a_database_in_a_folder_like_tmp_has_a_journal_of_its_own() {
    let place = Place::new();
    set_mode(place.folder(), 0o1777);
    let store = SqliteStore::builder(place.database()).journal(Journal::Wal).open().unwrap();
    put(&store, Expect::Any, &[account("u", "k", "1")]).unwrap();
    assert_eq!(text(&raw(&place.database()), "PRAGMA journal_mode"), "delete");
    assert_eq!(place.names(), ["cache.db"]);
    // Instead of another user, this one takes the name.
    fs::write(place.at("theirs"), "").unwrap();
    set_mode(&place.at("theirs"), 0o666);
    symlink("theirs", place.at("cache.db-journal")).unwrap();
    let refused = put(&store, Expect::Any, &[account("u", "k", "2")]);
    assert!(matches!(refused, Err(Error::Insecure { .. })), "{refused:?}");
    assert_eq!(fs::read(place.at("theirs")).unwrap(), b"");
    fs::remove_file(place.at("cache.db-journal")).unwrap();
    put(&store, Expect::Any, &[account("u", "k", "2")]).unwrap();
}

#[test]
fn a_dropped_store_is_closed_while_other_threads_open_others() {
    let place = Place::new();
    let is_closed = |_: &i32| {
        drop(SqliteStore::open(place.database()));
        !place.folder().join("cache.db-wal").exists()
    };
    thread::scope(|scope| {
        let closed = scope.spawn(|| (0..1000).take_while(is_closed).count());
        while !closed.is_finished() {
            // Refused at once, so that this thread opens as often as possible.
            let _ = SqliteStore::open(place.folder());
        }
        assert_eq!(closed.join().unwrap(), 1000);
    });
}
