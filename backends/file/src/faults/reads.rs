//! The number of reads of a sign-in, and P3: no write of another program is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Expect, Json, Load, Partition, Record, Revision,
};
use rustix::io::Errno;

use crate::FileStore;
use crate::call::Call;
use crate::fault_plan::{clear, fail_always, interfere_before, record};

const OLD: &str = r#"{"Account": {"old": {"home_account_id": "old", "note": "0"}}}"#;

/// Much longer than a tick, for busy machines.
const AGE: Duration = Duration::from_millis(300);

struct TestFile {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl TestFile {
    fn absent() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.json");
        Self { _folder: folder, path }
    }

    /// A file that was written just now.
    fn fresh() -> Self {
        let file = Self::absent();
        crate::platform::create_new(&file.path).unwrap();
        fs::write(&file.path, OLD).unwrap();
        file
    }

    /// A file that was written longer ago than a tick of the file system's clock.
    fn aged() -> Self {
        let file = Self::fresh();
        thread::sleep(AGE);
        file
    }

    fn open(&self) -> FileStore {
        FileStore::open(&self.path).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    /// How often `action` reads the whole file. It is small, so each time is one call.
    fn reads(&self, action: impl FnOnce()) -> usize {
        self.calls(action).into_iter().filter(|call| *call == Call::Read).count()
    }

    fn calls(&self, action: impl FnOnce()) -> Vec<Call> {
        record(&self.path);
        action();
        clear(&self.path)
    }
}

/// Does what a sign-in does: reads the partitions of the user and of the clients at one moment, and
/// commits to both, expecting what was read.
fn sign_in(store: &FileStore, user: &str) {
    let value = Json::new(format!(r#"{{"home_account_id": "{user}"}}"#)).unwrap();
    let account = Record::new(CredentialType::Account, user, value);
    let value = Json::new(r#"{"client_id": "client", "environment": "host"}"#).unwrap();
    let metadata = Record::new(CredentialType::AppMetadata, format!("metadata-{user}"), value);
    let partitions = [account.partition().clone(), metadata.partition().clone()];
    assert_ne!(partitions[0], partitions[1]);
    let wanted: Vec<(&Partition, Option<Revision>)> =
        partitions.iter().map(|partition| (partition, None)).collect();
    let mut batch = Batch::new();
    for (load, record) in store.load_many(&wanted).unwrap().into_iter().zip([account, metadata]) {
        let Load::Snapshot(read) = load else { panic!("no revision was known") };
        batch.change(record.partition(), Expect::Revision(read.revision())).put(record);
    }
    store.commit(&batch).unwrap();
}

#[test]
fn the_first_sign_in_into_a_new_file_reads_nothing() {
    let file = TestFile::absent();
    let store = file.open();
    assert_eq!(file.reads(|| sign_in(&store, "new")), 0);
    assert!(file.text().contains("new"));
}

#[test]
fn a_sign_in_by_a_new_handle_reads_the_file_once() {
    let file = TestFile::aged();
    let store = file.open();
    assert_eq!(file.reads(|| sign_in(&store, "new")), 1);
    assert!(file.text().contains("old") && file.text().contains("new"));
}

#[test]
fn a_sign_in_by_a_handle_that_knows_the_file_reads_nothing() {
    let file = TestFile::aged();
    let store = file.open();
    sign_in(&store, "a");
    assert_eq!(file.reads(|| sign_in(&store, "b")), 0, "it wrote the file");

    let reader = file.open();
    thread::sleep(AGE);
    assert_eq!(file.reads(|| drop(reader.list(None, None).unwrap())), 1);
    assert_eq!(file.reads(|| sign_in(&reader, "c")), 1, "it isn't known for longer than a tick");
    assert_eq!(file.reads(|| sign_in(&reader, "d")), 0);
}

#[test]
fn a_sign_in_after_another_handle_has_written_reads_the_file_once() {
    let file = TestFile::aged();
    let (one, other) = (file.open(), file.open());
    sign_in(&one, "a");
    sign_in(&other, "b");
    thread::sleep(AGE);
    assert_eq!(file.reads(|| sign_in(&one, "c")), 1);
}

/// Another program may have written once more within the same tick of the file system's clock.
#[test]
fn a_file_that_was_written_just_now_is_read_again_with_the_lock() {
    let read_again = || {
        let file = TestFile::fresh();
        let store = file.open();
        let reads = file.reads(|| sign_in(&store, "new"));
        assert!(reads == 1 || reads == 2, "{reads}");
        reads == 2
    };
    assert!((0..20).any(|_| read_again()), "each time, a tick has passed");
}

#[test]
fn a_file_whose_time_is_in_the_future_is_read_again_with_the_lock() {
    let file = TestFile::aged();
    let tomorrow = SystemTime::now() + Duration::from_secs(24 * 3600);
    let opened = fs::OpenOptions::new().write(true).open(&file.path).unwrap();
    opened.set_times(fs::FileTimes::new().set_modified(tomorrow)).unwrap();
    let store = file.open();
    assert_eq!(file.reads(|| sign_in(&store, "new")), 2);
}

#[test]
fn without_hard_links_the_file_is_read_again_with_the_lock() {
    let file = TestFile::aged();
    let store = file.open();
    fail_always(&file.path, Call::Link, Errno::PERM);
    sign_in(&store, "new");
    let calls = clear(&file.path);
    assert_eq!(calls.iter().filter(|call| **call == Call::Read).count(), 2, "{calls:?}");
}

/// Changes the note in the file, without the lock.
fn change_in_place(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let changed = text.replace(r#""note": "0""#, r#""note": "1""#);
    assert!(changed != text && changed.len() == text.len());
    // Not truncated, so that readers don't see an empty file.
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, changed.as_bytes()).unwrap();
}

#[test]
fn p3_a_change_by_another_program_at_any_time_during_a_sign_in_is_kept() {
    for exchanges in [true, false] {
        let lack = |path: &Path| {
            if !exchanges {
                fail_always(path, Call::Exchange, Errno::NOSYS);
            }
        };
        let file = TestFile::aged();
        let store = file.open();
        let calls = file.calls(|| {
            lack(&file.path);
            sign_in(&store, "new");
        });
        for (nth, call) in calls.iter().enumerate() {
            let file = TestFile::fresh();
            thread::sleep(AGE / 10);
            let store = file.open();
            let path = file.path.clone();
            interfere_before(&file.path, nth, move || {
                change_in_place(&path);
            });
            lack(&file.path);
            sign_in(&store, "new");
            clear(&file.path);
            let text = file.text();
            assert!(text.contains(r#""note": "1""#), "before call {nth}, {call:?}: {text}");
            assert!(text.contains("new"), "before call {nth}, {call:?}: {text}");
        }
        println!(
            "P3: a program that ignores the lock changed the file before each of {} calls of a \
             sign-in (files are exchanged: {exchanges}); no change was lost",
            calls.len()
        );
    }
}

#[test]
fn p3_a_change_within_one_tick_of_the_clock_is_kept() {
    const ROUNDS: usize = 200;
    let mut within = 0;
    for _ in 0..ROUNDS {
        let file = TestFile::fresh();
        let store = file.open();
        let fingerprint = || crate::platform::fingerprint(&file.path.metadata().unwrap());
        let before = fingerprint();
        store.list(None, None).unwrap();
        change_in_place(&file.path);
        within += usize::from(fingerprint() == before);
        sign_in(&store, "new");
        let text = file.text();
        assert!(text.contains(r#""note": "1""#) && text.contains("new"), "{text}");
    }
    println!("P3: {within} of {ROUNDS} changes within a tick of the clock; none was lost");
}
