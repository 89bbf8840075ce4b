//! Entries that no other test uses, and raw access to the service.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Error, Expect, Json, Load, Record, Result,
};
use msal_cache_secret_service::{SecretEntry, SecretServiceFailure, SecretServiceStore};

/// An attribute that no other test has, in this process or another.
pub(crate) fn unused_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An entry with its signal file in this folder.
pub(crate) fn entry(folder: &Path, name: &str) -> SecretEntry {
    SecretEntry::new("msal-cache.test", folder.join("signal")).unwrap().attribute("name", name)
}

pub(crate) fn account(name: &str, secret: &str) -> Record {
    let value = format!(r#"{{"home_account_id":"{name}","secret":"{secret}"}}"#);
    Record::new(CredentialType::Account, name, Json::new(value).unwrap())
}

pub(crate) fn put(store: &SecretServiceStore, record: &Record) -> Result<()> {
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Any).put(record.clone());
    store.commit(&batch).map(drop)
}

pub(crate) fn keys(store: &SecretServiceStore) -> Result<Vec<String>> {
    match store.list(None, None)? {
        Load::Snapshot(read) => Ok(read.records().iter().map(|it| it.key().to_owned()).collect()),
        Load::Unchanged => panic!("unchanged, although no revision is known"),
    }
}

pub(crate) fn failure(error: &Error) -> &SecretServiceFailure {
    let source = std::error::Error::source(error);
    source.and_then(|it| it.downcast_ref()).unwrap_or_else(|| panic!("{error:?}"))
}

/// The error with its cause, as an app prints it.
pub(crate) fn printed(error: &Error) -> String {
    let source = std::error::Error::source(error);
    format!("{error}: {}", source.map(ToString::to_string).unwrap_or_default())
}

/// Runs a tool of the system, with this on its standard input.
pub(crate) fn tool(command: &mut Command, input: &[u8]) -> Output {
    use std::io::Write;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Runs a test of this program as a job in another environment. The job prints nothing but panics.
pub(crate) fn run_job(command: &mut Command, test: &str, folder: &Path) {
    let output = command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("MSAL_CACHE_JOB", folder)
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

/// The folder of the job that this process runs.
pub(crate) fn job() -> Option<std::path::PathBuf> {
    std::env::var_os("MSAL_CACHE_JOB").map(Into::into)
}
