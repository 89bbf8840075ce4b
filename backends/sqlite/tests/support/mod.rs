//! Shared by the tests: temporary folders, records, and child processes.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Expect, Json, Load, Partition, Record, Result, Revision,
    Snapshot,
};
use rusqlite::Connection;

pub const NOBODY: u32 = 65534;

/// A temporary folder with a database.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub fn database(&self) -> PathBuf {
        self.at("cache.db")
    }

    /// The contents of all files.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap());
        let file = |entry: fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        };
        entries.map(file).collect()
    }

    pub fn names(&self) -> Vec<String> {
        self.contents().into_keys().collect()
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub fn account(user: &str, key: &str, name: &str) -> Record {
    let json = format!(r#"{{"home_account_id":"{user}","username":"{name}"}}"#);
    Record::new(CredentialType::Account, key, Json::new(json).unwrap())
}

pub fn token(user: &str, key: &str, expires_on: &str) -> Record {
    let json = format!(r#"{{"home_account_id":"{user}","expires_on":{expires_on}}}"#);
    Record::new(CredentialType::AccessToken, key, Json::new(json).unwrap())
}

pub fn put(store: &dyn CacheStore, expect: Expect, records: &[Record]) -> Result<Vec<Revision>> {
    let mut batch = Batch::new();
    for record in records {
        batch.change(record.partition(), expect).put(record.clone());
    }
    store.commit(&batch)
}

pub fn delete(store: &dyn CacheStore, user: &str, key: &str) -> Result<Vec<Revision>> {
    let mut batch = Batch::new();
    let change = batch.change(Partition::user(user), Expect::Any);
    change.delete(CredentialType::Account, key.into());
    store.commit(&batch)
}

pub fn load(store: &dyn CacheStore, user: &str) -> Snapshot {
    match store.load(&Partition::user(user), None).unwrap() {
        Load::Snapshot(snapshot) => snapshot,
        Load::Unchanged => panic!("no revision was given"),
    }
}

pub fn list(store: &dyn CacheStore, section: Option<&str>) -> Vec<Record> {
    match store.list(section.map(CredentialType::from).as_ref(), None).unwrap() {
        Load::Snapshot(snapshot) => snapshot.into_records(),
        Load::Unchanged => panic!("no revision was given"),
    }
}

pub fn keys(records: &[Record]) -> Vec<&str> {
    records.iter().map(Record::key).collect()
}

/// A connection that doesn't belong to the store.
pub fn raw(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

pub fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

pub fn text(connection: &Connection, sql: &str) -> String {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

const JOB: &str = "MSAL_CACHE_TEST_JOB";
const FOLDER: &str = "MSAL_CACHE_TEST_FOLDER";

/// In a child process of a test: its job, and its folder.
pub fn job() -> Option<(String, PathBuf)> {
    Some((std::env::var(JOB).ok()?, std::env::var_os(FOLDER)?.into()))
}

/// A child process that runs a test with a job.
pub fn command(test: &str, job: &str, folder: &Path) -> Command {
    with_umask("077", test, job, folder)
}

/// A child process that runs a test with a job, under a umask.
pub fn with_umask(umask: &str, test: &str, job: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(JOB, job).env(FOLDER, folder);
    command.stdin(Stdio::null());
    command
}

/// Runs a job, which must succeed, and returns its output.
pub fn run(mut command: Command) -> String {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    checked(&output)
}

/// Waits for a job that was started with its output piped, which must succeed, and returns its
/// output.
pub fn finish(child: Child) -> String {
    checked(&child.wait_with_output().unwrap())
}

fn checked(output: &std::process::Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("1 passed"), "the test was not found: {text}");
    text
}

/// Runs a job as a user whose access is checked: as the user `nobody` if this one is root.
pub fn run_unprivileged(test: &str, job: &str, folder: &Path) -> String {
    if !is_root() {
        return run(command(test, job, folder));
    }
    // The user `nobody` may have no access to the build folder.
    let tools = tempfile::tempdir().unwrap();
    set_mode(tools.path(), 0o755);
    let copy = tools.path().join("test");
    // Copied by another process. A file that is open for writing can't be executed, and a thread
    // that starts a process at this moment would pass the open file on to it.
    let mut cp = Command::new("cp");
    cp.arg(std::env::current_exe().unwrap()).arg(&copy);
    assert!(cp.status().unwrap().success());
    set_mode(&copy, 0o755);
    let mut command = Command::new(&copy);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(JOB, job).env(FOLDER, folder).current_dir("/").stdin(Stdio::null());
    command.uid(NOBODY).gid(NOBODY);
    run(command)
}

/// Changes the owner of a file to the user that `run_unprivileged` runs as.
pub fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}
