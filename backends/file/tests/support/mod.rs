//! Shared by the tests of this folder: a temporary folder, records, and child processes.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use msal_cache_core::{
    Batch, Blob, BlobStore, CacheStore, CredentialType, Expect, Json, Load, Record, Result,
    Revision,
};
use msal_cache_file::{FileBlob, FileStore};

pub const NOBODY: u32 = 65534;

/// A temporary folder of a test.
pub struct TestDir(tempfile::TempDir);

impl TestDir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub fn cache(&self) -> PathBuf {
        self.at("cache.json")
    }

    /// A cache file with this text, mode 0600.
    pub fn cache_with(&self, text: &str) -> PathBuf {
        fs::write(self.cache(), text).unwrap();
        set_mode(&self.cache(), 0o600);
        self.cache()
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let names: BTreeSet<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.into_iter().collect()
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

/// Adds an account of this name.
pub fn add(store: &FileStore, name: &str) -> Result<()> {
    let value = Json::new(format!(r#"{{"home_account_id": "{name}"}}"#))?;
    let record = Record::new(CredentialType::Account, name, value);
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Any).put(record);
    store.commit(&batch).map(|_| ())
}

/// The names of all accounts.
pub fn accounts(store: &FileStore) -> Result<Vec<String>> {
    match store.list(Some(&CredentialType::Account), None)? {
        Load::Snapshot(found) => {
            Ok(found.records().iter().map(|record| record.key().to_owned()).collect())
        }
        Load::Unchanged => panic!("nothing was known"),
    }
}

/// What an app does at its start.
pub fn verify(store: &FileStore) -> Result<()> {
    msal_cache_core::internal::now(msal_cache_core::internal::verify(
        &msal_cache_core::Ready(store),
        1_700_000_000,
    ))
}

pub fn blob(path: &Path) -> FileBlob {
    FileStore::builder(path).open_blob().unwrap()
}

/// The current content.
pub fn present(blob: &FileBlob) -> (Revision, Vec<u8>) {
    match blob.read(None).unwrap() {
        Blob::Present(revision, bytes) => (revision, bytes.expose().to_vec()),
        other => panic!("{other:?}"),
    }
}

const JOB: &str = "MSAL_CACHE_TEST_JOB";
const FOLDER: &str = "MSAL_CACHE_TEST_FOLDER";

/// In a child process of a test: its job and its folder.
pub fn job() -> Option<(String, PathBuf)> {
    Some((std::env::var(JOB).ok()?, std::env::var_os(FOLDER)?.into()))
}

/// A command that runs the test in a child process, with a job to do instead.
pub fn command(test: &str, job: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(JOB, job).env(FOLDER, folder);
    command.stdin(Stdio::null());
    command
}

/// Starts the job.
pub fn spawn(test: &str, job: &str, folder: &Path) -> Spawned {
    Spawned(command(test, job, folder).stdout(Stdio::null()).spawn().unwrap())
}

/// Runs the job, which must succeed. Returns its output.
pub fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("1 passed"), "the test was not found: {text}");
    text
}

/// Runs the job as a user without privileges: this user, or `nobody` if this is root.
pub fn run_unprivileged(test: &str, job: &str, folder: &Path) -> String {
    let mut plain = command(test, job, folder);
    if !is_root() {
        return run(plain);
    }
    // The user `nobody` may have no access to the build folder.
    let tools = tempfile::tempdir().unwrap();
    set_mode(tools.path(), 0o755);
    let copy = tools.path().join("test");
    // Another process copies it: a file that is open for writing can't be run, and a process that
    // another thread starts at this moment would inherit the open file.
    let mut cp = Command::new("cp");
    cp.arg(std::env::current_exe().unwrap()).arg(&copy);
    assert!(cp.status().unwrap().success());
    set_mode(&copy, 0o755);
    let mut command = Command::new(&copy);
    command.args(plain.get_args()).env(JOB, job).env(FOLDER, folder).current_dir("/");
    command.uid(NOBODY).gid(NOBODY);
    plain = command;
    run(plain)
}

/// Gives a file to the user of `run_unprivileged`.
pub fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// A process that is killed when it is dropped.
pub struct Spawned(pub Child);

impl Drop for Spawned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a file exists, with which another process reports its progress.
pub fn wait_for(path: &Path) {
    let started = Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "{} was not created", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The id of a process that has ended.
pub fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    pid
}

/// Sets a flag when it is dropped, also in a test that fails, so that threads that wait for it end.
pub struct Done<'a>(pub &'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
