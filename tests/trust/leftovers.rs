//! What root leaves in the folder of a user, as `sudo` does.

use std::fs::{self, FileTimes};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use msal_cache::file::Permissions;
use msal_cache::{Error, FileStore};

use crate::situations::use_it;

const ME: u32 = 2001;
const JOB: &str = "MSAL_CACHE_TEST_LEFT_BY_ROOT";

/// A folder of the user.
fn folder() -> tempfile::TempDir {
    assert!(rustix::process::geteuid().is_root(), "this test acts as other users: run it as root");
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(ME), Some(ME)).unwrap();
    folder
}

/// Runs a test again as the user, and returns what it prints.
fn as_the_user(test: &str, folder: &Path) -> String {
    let tools = tempfile::tempdir().unwrap();
    fs::set_permissions(tools.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // The user may have no access to the build folder.
    let copy = tools.path().join("test");
    let exe = std::env::current_exe().unwrap();
    assert!(Command::new("cp").arg(exe).arg(&copy).status().unwrap().success());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let mut job = Command::new(&copy);
    job.args(["--exact", test, "--nocapture", "--test-threads=1"]).stdin(Stdio::null());
    job.env(JOB, folder).current_dir("/").uid(ME).gid(ME);
    let output = job.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// The lock file of a dead process of root, written an hour ago.
fn leave_lock(folder: &Path, mode: u32) {
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let lock = folder.join("cache.json.lockfile");
    fs::write(&lock, format!("{} az", ended.id())).unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(mode)).unwrap();
    let open = fs::OpenOptions::new().write(true).open(&lock).unwrap();
    let then = SystemTime::now() - Duration::from_secs(3600);
    open.set_times(FileTimes::new().set_modified(then)).unwrap();
}

#[test]
fn a_dead_lock_file_of_root_is_replaced_and_an_unreadable_one_is_explained() {
    let test = "leftovers::a_dead_lock_file_of_root_is_replaced_and_an_unreadable_one_is_explained";
    if let Some(folder) = std::env::var_os(JOB).map(PathBuf::from) {
        let store = FileStore::builder(folder.join("cache.json"));
        let store = store.lock_timeout(Duration::from_millis(700)).open().unwrap();
        match use_it(&store) {
            Ok(()) => println!("written"),
            Err(error @ Error::Locked { .. }) => println!("{error}"),
            Err(error) => panic!("{error:?}"),
        }
        return;
    }
    let folder = folder();
    leave_lock(folder.path(), 0o644);
    assert!(as_the_user(test, folder.path()).contains("written"));
    assert!(!folder.path().join("cache.json.lockfile").exists());
    leave_lock(folder.path(), 0o600);
    let printed = as_the_user(test, folder.path());
    assert!(printed.contains("a process of user 0, whose lock file can't be read"), "{printed}");
    assert!(printed.contains("remove ") && printed.contains("cache.json.lockfile"), "{printed}");
}

#[test]
fn a_file_keeps_its_owner_when_root_replaces_it() {
    let folder = folder();
    let path = folder.path().join("cache.json");
    fs::write(&path, "{}").unwrap();
    chown(&path, Some(ME), Some(ME)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    use_it(&FileStore::builder(&path).permissions(Permissions::Ignore).open().unwrap()).unwrap();
    let found = path.metadata().unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (ME, ME, 0o600));
}
