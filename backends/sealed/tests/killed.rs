//! What a process leaves that is killed while it writes: files, databases, logs, journals, locks and
//! temporary files, in which no token is legible.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use msal_cache_core::{BlobStore, CacheStore, Document, Revision};
use msal_cache_file::FileStore;
use msal_cache_sealed::{SealFailure, Sealed, SealedBlob};
use msal_cache_sqlite::{Journal, SqliteStore, Synchronous};
use support::{CANARY, keys, list, load, put, refusal, token, user};

/// The variable with the folder of the process that is killed.
const FOLDER: &str = "MSAL_CACHE_TEST_FOLDER";

const JOURNALS: [(Journal, &str); 2] =
    [(Journal::Wal, "wal.db"), (Journal::Rollback, "rollback.db")];

fn database(folder: &Path, journal: Journal, name: &str) -> SqliteStore {
    let builder = SqliteStore::builder(folder.join(name));
    builder.journal(journal).synchronous(Synchronous::Normal).open().unwrap()
}

fn blob(folder: &Path, name: &str) -> SealedBlob<msal_cache_file::FileBlob> {
    let file = FileStore::builder(folder.join(name)).open_blob().unwrap();
    SealedBlob::new(file, "test", keys(&[1]))
}

/// All sealed stores in a folder.
fn sealed(folder: &Path) -> Vec<Box<dyn CacheStore>> {
    let mut stores: Vec<Box<dyn CacheStore>> =
        vec![Box::new(Document::new(blob(folder, "cache.sealed")))];
    for (journal, name) in JOURNALS {
        let rows = database(folder, journal, name);
        stores.push(Box::new(Sealed::new(rows, "test", keys(&[1])).hide_names()));
    }
    stores
}

/// The same ones, without encryption.
fn plain(folder: &Path) -> Vec<Box<dyn CacheStore>> {
    let file = FileStore::builder(folder.join("cache.json")).open().unwrap();
    let mut stores: Vec<Box<dyn CacheStore>> = vec![Box::new(file)];
    for (journal, name) in JOURNALS {
        stores.push(Box::new(database(folder, journal, name)));
    }
    stores
}

/// Writes until it is killed.
fn write(stores: &[Box<dyn CacheStore>]) {
    for round in 0.. {
        for store in stores {
            put(store, &(0..20).map(|nth| token(round + nth)).collect::<Vec<_>>());
        }
        if round % 16 == 15 {
            for store in stores {
                store.purge(i64::MAX).unwrap();
            }
        }
        println!("written");
    }
}

/// The files below a folder that have a token, or the name of a key.
fn with_canary(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(with_canary(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            let has = |text: &str| bytes.windows(text.len()).any(|it| it == text.as_bytes());
            if has(CANARY) || has(".t-key") {
                found.push(path);
            }
        }
    }
    found
}

fn kill_while_it_writes(folder: &Path, kind: &str, after: Duration) {
    use std::io::BufRead;
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "p17_no_token_is_legible_in_what_a_killed_process_leaves"])
        .env(FOLDER, folder)
        .env("MSAL_CACHE_TEST_KIND", kind)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    // It has written something by then.
    let mut written = lines.filter(|it| it.as_ref().unwrap().ends_with("written"));
    written.next().expect("it writes").unwrap();
    thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn p17_no_token_is_legible_in_what_a_killed_process_leaves() {
    if let Some(folder) = env::var_os(FOLDER) {
        let is_sealed = env::var("MSAL_CACHE_TEST_KIND").unwrap() == "sealed";
        let open = if is_sealed { sealed } else { plain };
        return write(&open(Path::new(&folder)));
    }
    let folder = tempfile::tempdir().unwrap();
    for round in 0..12 {
        kill_while_it_writes(folder.path(), "sealed", Duration::from_millis(3 * round));
        assert_eq!(with_canary(folder.path()), [] as [PathBuf; 0], "round {round}");
    }
    // What it has left can be opened.
    for store in sealed(folder.path()) {
        list(&store).unwrap();
        put(&store, &[token(3)]);
        assert_eq!(load(&store, &user(3)).unwrap(), [token(3)]);
    }
    assert_eq!(with_canary(folder.path()), [] as [PathBuf; 0]);
    // The search finds what plain stores leave.
    let folder = tempfile::tempdir().unwrap();
    kill_while_it_writes(folder.path(), "plain", Duration::ZERO);
    assert!(with_canary(folder.path()).len() >= 3);
}

#[test]
fn p17_no_token_is_legible_in_a_document_that_was_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let broken = format!(r#"{{"AccessToken": {{"{CANARY}"#);
    blob(folder.path(), "cache.sealed").swap(Revision::ABSENT, broken.as_bytes()).unwrap();
    let store = Document::new(blob(folder.path(), "cache.sealed"));
    put(&store, &[token(3)]);
    let names = || fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name());
    let before: Vec<_> = names().collect();
    assert!(before.iter().any(|it| it.to_string_lossy().contains("corrupt")), "{before:?}");
    assert_eq!(with_canary(folder.path()), [] as [PathBuf; 0]);
    // Another text there is neither opened nor set aside.
    fs::write(folder.path().join("cache.sealed"), &broken).unwrap();
    let store = Document::new(blob(folder.path(), "cache.sealed"));
    assert!(matches!(refusal(load(&store, &user(3))), SealFailure::NotSealed { .. }));
    assert_eq!(names().count(), before.len());
}
