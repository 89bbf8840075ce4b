//! What the tests of this folder share: a place, records, and processes of their own.
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

/// A folder of its own for each test.
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

    /// Every file that is there, byte for byte.
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
        Load::Unchanged => panic!("unchanged since when?"),
    }
}

pub fn list(store: &dyn CacheStore, section: Option<&str>) -> Vec<Record> {
    match store.list(section.map(CredentialType::from).as_ref(), None).unwrap() {
        Load::Snapshot(snapshot) => snapshot.into_records(),
        Load::Unchanged => panic!("unchanged since when?"),
    }
}

pub fn keys(records: &[Record]) -> Vec<&str> {
    records.iter().map(Record::key).collect()
}

/// The database as somebody else sees it.
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

/// In a process that a test has started: the job that it was given, and the place for it.
pub fn job() -> Option<(String, PathBuf)> {
    Some((std::env::var(JOB).ok()?, std::env::var_os(FOLDER)?.into()))
}

/// This test, in a process of its own, with a job to do instead.
pub fn command(test: &str, job: &str, folder: &Path) -> Command {
    with_umask("077", test, job, folder)
}

/// The same, under a umask.
pub fn with_umask(umask: &str, test: &str, job: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(JOB, job).env(FOLDER, folder);
    command.stdin(Stdio::null());
    command
}

/// Runs the job to its end, which must be a good one. Returns what it has printed.
pub fn run(mut command: Command) -> String {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    checked(&output)
}

/// Waits for the end of a job that was started with its output piped.
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

/// Runs the job as a user whom permissions bind: this one, or nobody if this is root.
pub fn run_unprivileged(test: &str, job: &str, folder: &Path) -> String {
    if !is_root() {
        return run(command(test, job, folder));
    }
    // The folder of the build may be closed to nobody.
    let tools = tempfile::tempdir().unwrap();
    set_mode(tools.path(), 0o755);
    let copy = tools.path().join("test");
    // By another process: a file that is open for writing can't be run, and a thread that starts
    // a process at this moment would hand the open file on.
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

/// Gives a file to whoever `run_unprivileged` runs as.
pub fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}
