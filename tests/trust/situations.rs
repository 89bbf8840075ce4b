//! Creates the situations of the [table](crate::table), and asks both stores about them.
#![allow(dead_code, reason = "each of the two tests uses a part of it")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use msal_cache::file::Permissions;
use msal_cache::store::{Batch, CacheStore, Expect, Json, Record};
use msal_cache::{CredentialType, Error, FileStore, Result, SqliteStore};

use crate::table::{Row, TABLE};

const ME: u32 = 2001;
const OTHER: u32 = 2002;
const TEAM: u32 = 2003;

const JOB: &str = "MSAL_CACHE_TEST_JOB";
const FOLDER: &str = "MSAL_CACHE_TEST_FOLDER";

/// The stores, by the name of the folder of their situations.
const STORES: [&str; 2] = ["file", "sqlite"];

/// Tries the situations in which this user is the only one. Returns their number.
pub(crate) fn of_this_user() -> usize {
    let this = rustix::process::geteuid().as_raw();
    let rows = TABLE.iter().enumerate().filter(|(_, row)| {
        row.0 == "me"
            && !row.3.contains("200")
            && !["other", "root", "team", " a "].iter().any(|it| row.2.contains(it))
    });
    let place = Place::new(this);
    let mut tried = 0;
    for (number, row) in rows {
        place.create(number, row);
        place.compare(number, row, STORES.map(|store| ask(place.folder(), number, row, store)));
        tried += 1;
    }
    tried
}

/// Tries all situations. Returns their number. `test` is the name of the calling test, which runs
/// again as another user.
pub(crate) fn of_all_users(test: &str) -> usize {
    let place = Place::new(ME);
    fs::set_permissions(place.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    for (number, row) in TABLE.iter().enumerate() {
        place.create(number, row);
    }
    // The user may have no access to the build folder.
    let copy = place.folder().join("test");
    let exe = std::env::current_exe().unwrap();
    assert!(Command::new("cp").arg(exe).arg(&copy).status().unwrap().success());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let mut job = Command::new(&copy);
    job.args(["--exact", test, "--nocapture", "--test-threads=1"]).stdin(Stdio::null());
    job.env(JOB, "1").env(FOLDER, place.folder()).current_dir("/").uid(ME).gid(ME);
    let output = job.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let answer_of = |number: usize, store: &str| {
        let start = format!("answer {number} {store} ");
        let answer = printed.lines().find_map(|line| line.split_once(&start));
        answer.unwrap_or_else(|| panic!("no answer to {number} {store}: {printed}")).1.to_owned()
    };
    for (number, row) in TABLE.iter().enumerate() {
        let answers = STORES.map(|store| match row.0 {
            "me" => answer_of(number, store),
            _ => ask(place.folder(), number, row, store),
        });
        place.compare(number, row, answers);
    }
    TABLE.len()
}

/// In the process of the other user: asks the stores, prints the answers, and returns true.
pub(crate) fn is_job() -> bool {
    if std::env::var_os(JOB).is_none() {
        return false;
    }
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    for (number, row) in TABLE.iter().enumerate().filter(|(_, row)| row.0 == "me") {
        for store in STORES {
            println!("answer {number} {store} {}", ask(&folder, number, row, store));
        }
    }
    true
}

/// Opens the cache of a situation, reads it and writes it. `ok`, or the error of the first of these.
fn ask(folder: &Path, number: usize, row: &Row, store: &str) -> String {
    let situation = folder.join(store).join(number.to_string());
    let target = row.2.rsplit_once("@ ").unwrap().1;
    let path = situation.join(target);
    let permissions = match row.1 {
        "repair" => Permissions::Repair,
        "ignore" => Permissions::Ignore,
        _ => Permissions::Refuse,
    };
    let used = match store {
        "file" => {
            FileStore::builder(path).permissions(permissions).open().and_then(|it| use_it(&it))
        }
        _ => SqliteStore::builder(path).permissions(permissions).open().and_then(|it| use_it(&it)),
    };
    match used {
        // A folder of root can be safe, and closed to this user.
        Ok(()) | Err(Error::ReadOnly { .. }) => "ok".into(),
        Err(Error::Io { .. }) => "io".into(),
        Err(error) => error.to_string().replace(situation.to_str().unwrap(), ""),
    }
}

pub(crate) fn use_it(store: &dyn CacheStore) -> Result<()> {
    store.list(None, None)?;
    let value = Json::new(r#"{"home_account_id": "new"}"#)?;
    let record = Record::new(CredentialType::Account, "new", value);
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Any).put(record);
    store.commit(&batch).map(drop)
}

/// The folder of all situations.
struct Place {
    folder: tempfile::TempDir,
    /// The number of the user `me`.
    me: u32,
    /// An empty SQLite database.
    database: Vec<u8>,
}

impl Place {
    fn new(me: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("empty.db");
        drop(SqliteStore::open(&database).unwrap());
        let database = fs::read(database).unwrap();
        Self { folder, me, database }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Creates a situation for each store.
    fn create(&self, number: usize, row: &Row) {
        for store in STORES {
            let situation = self.folder().join(store).join(number.to_string());
            fs::create_dir_all(&situation).unwrap();
            let cache = if store == "file" { b"{}" } else { &*self.database };
            let steps = row.2.split(';').map(|step| step.split_whitespace().collect::<Vec<_>>());
            for step in steps {
                self.create_one(&situation, &step, cache);
            }
        }
    }

    fn create_one(&self, situation: &Path, step: &[&str], cache: &[u8]) {
        let at = |name: &str| situation.join(name);
        let mode = |mode: &str| fs::Permissions::from_mode(u32::from_str_radix(mode, 8).unwrap());
        match *step {
            ["@", _] => {}
            ["d", bits, owner, path] => {
                fs::create_dir(at(path)).unwrap();
                self.give(&at(path), owner);
                fs::set_permissions(at(path), mode(bits)).unwrap();
            }
            [kind @ ("f" | "n"), bits, owner, path] => {
                fs::write(at(path), if kind == "f" { cache } else { b"notes" }).unwrap();
                self.give(&at(path), owner);
                fs::set_permissions(at(path), mode(bits)).unwrap();
            }
            ["l", owner, path, target] => {
                symlink(target, at(path)).unwrap();
                self.give(&at(path), owner);
            }
            ["p", owner, path] => {
                assert!(Command::new("mkfifo").arg(at(path)).status().unwrap().success());
                self.give(&at(path), owner);
            }
            ["a", path, kind, number, rights] => {
                add_entry(&at(path), kind, number.parse().unwrap(), rights.parse().unwrap());
            }
            _ => panic!("unknown step: {step:?}"),
        }
    }

    /// Gives a file to a user, if that is not this process.
    fn give(&self, path: &Path, owner: &str) {
        let number = |name: &str| match name {
            "me" => self.me,
            "other" => OTHER,
            "team" => TEAM,
            _ => 0,
        };
        let (user, group) = owner.split_once(':').unwrap_or((owner, owner));
        if rustix::process::geteuid().as_raw() == number(user) && self.me != ME {
            return;
        }
        lchown(path, Some(number(user)), Some(number(group))).unwrap();
        if !path.is_symlink() {
            chown(path, Some(number(user)), Some(number(group))).unwrap();
        }
    }

    /// Checks that the answers are the expected one, and what is there afterwards.
    fn compare(&self, number: usize, row: &Row, answers: [String; 2]) {
        let (user, permissions, steps, expected, afterwards) = *row;
        let what = format!("{number}: {user}, {permissions}: {steps}");
        let [file, sqlite] = answers;
        assert_eq!(file, sqlite, "{what}");
        match expected {
            "ok" | "io" => assert_eq!(file, expected, "{what}"),
            part => assert!(file.contains(part), "{what}: {file}"),
        }
        let Some((mode, path)) = afterwards.split_once(' ') else { return };
        for store in STORES {
            let path = self.folder().join(store).join(number.to_string()).join(path);
            let found = path.metadata().unwrap().mode() & 0o7777;
            assert_eq!(found, u32::from_str_radix(mode, 8).unwrap(), "{what}, {store}");
        }
    }
}

/// Gives a file an access control list, with the format of `linux/posix_acl_xattr.h`: its mode, and
/// one entry more.
fn add_entry(path: &Path, kind: &str, number: u32, rights: u16) {
    let mode = u16::try_from(path.metadata().unwrap().mode() & 0o777).unwrap();
    let entry = |tag: u16, rights: u16, number: u32| {
        let mut entry = Vec::from(tag.to_le_bytes());
        entry.extend(rights.to_le_bytes());
        entry.extend(number.to_le_bytes());
        entry
    };
    let mut list = Vec::from(2_u32.to_le_bytes());
    list.extend(entry(0x01, mode >> 6, u32::MAX));
    if kind == "u" {
        list.extend(entry(0x02, rights, number));
    }
    list.extend(entry(0x04, mode >> 3 & 7, u32::MAX));
    if kind == "g" {
        list.extend(entry(0x08, rights, number));
    }
    list.extend(entry(0x10, rights | (mode >> 3 & 7), u32::MAX));
    list.extend(entry(0x20, mode & 7, u32::MAX));
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(path, c"system.posix_acl_access", &list, flags).unwrap();
}
