//! P9: a call to the file system that fails leaves the old file.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use msal_cache_core::{
    Batch, CacheStore, CredentialType, Error, Expect, Json, Load, Partition, Record, Result,
};
use rustix::io::Errno;

use crate::FileStore;
use crate::call::Call;
use crate::fault_plan::{InjectedFault, clear, fail_always, fail_nth, record};

const FAULTS: [InjectedFault; 7] = [
    InjectedFault::Errno(Errno::NOSPC),
    InjectedFault::Errno(Errno::IO),
    InjectedFault::Errno(Errno::INTR),
    InjectedFault::Errno(Errno::ROFS),
    InjectedFault::Errno(Errno::BUSY),
    InjectedFault::Errno(Errno::XDEV),
    InjectedFault::ShortWrite,
];

const OLD: &str = r#"{"Account": {"old": {"home_account_id": "old", "x": [1.50]}}}"#;

const BROKEN: &str = "{broken";

fn add(store: &FileStore, name: &str) -> Result<()> {
    let value = Json::new(format!(r#"{{"home_account_id": "{name}"}}"#))?;
    let record = Record::new(CredentialType::Account, name, value);
    let mut batch = Batch::new();
    batch.change(record.partition(), Expect::Any).put(record);
    store.commit(&batch).map(|_| ())
}

fn accounts(path: &Path) -> Vec<String> {
    let store = FileStore::open(path).unwrap();
    let Load::Snapshot(found) = store.list(Some(&CredentialType::Account), None).unwrap() else {
        panic!("nothing was known");
    };
    found.records().iter().map(|record| record.key().to_owned()).collect()
}

/// A way to write, and the file before it.
struct FaultCase {
    name: &'static str,
    /// The text of the file; `None` where both file and folder are missing.
    old: Option<&'static str>,
    link: bool,
    /// Whether each call fails in one way instead of in all. For writes that are slow, because they
    /// wait for a broken file to become whole.
    in_one_way: bool,
    /// A call that the system doesn't support.
    lacks: Option<(Call, Errno)>,
}

impl FaultCase {
    const fn new(name: &'static str) -> Self {
        Self { name, old: Some(OLD), link: false, in_one_way: false, lacks: None }
    }

    fn set_up(&self) -> (tempfile::TempDir, FileStore, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        let file = folder.join("cache.json");
        if let Some(old) = self.old {
            crate::folder::create(&folder).unwrap();
            crate::platform::create_new(&file).unwrap();
            fs::write(&file, old).unwrap();
        }
        if self.old == Some(BROKEN) {
            // It is read several times. It is older than a tick of the file system's clock, so that
            // each write makes the same calls.
            thread::sleep(Duration::from_millis(50));
        }
        let given = if self.link { folder.join("link.json") } else { file.clone() };
        if self.link {
            symlink("cache.json", &given).unwrap();
        }
        let store = FileStore::open(&given).unwrap();
        (dir, store, file)
    }

    fn lack(&self, file: &Path) {
        if let Some((call, errno)) = self.lacks {
            fail_always(file, call, errno);
        }
    }

    /// The calls of a write that succeeds.
    fn calls(&self) -> Vec<Call> {
        let (_dir, store, file) = self.set_up();
        record(&file);
        self.lack(&file);
        add(&store, "new").unwrap();
        clear(&file)
    }
}

const CASES: [FaultCase; 6] = [
    FaultCase::new("replacing a file"),
    FaultCase { old: None, ..FaultCase::new("creating file and folder") },
    FaultCase { link: true, ..FaultCase::new("through a link") },
    FaultCase {
        lacks: Some((Call::Exchange, Errno::NOSYS)),
        ..FaultCase::new("without exchanging")
    },
    FaultCase {
        lacks: Some((Call::Exchange, Errno::BUSY)),
        ..FaultCase::new("into a mounted file")
    },
    FaultCase {
        old: Some("{broken"),
        in_one_way: true,
        ..FaultCase::new("setting a broken file aside")
    },
];

#[test]
fn p9_after_any_failed_call_the_old_file_is_unchanged_and_the_next_write_succeeds() {
    let tallies: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = CASES.iter().map(|case| scope.spawn(|| case.try_all())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut failed: BTreeSet<Call> = BTreeSet::new();
    for (case, tally) in CASES.iter().zip(&tallies) {
        println!("P9: {}: {} faults, {} errors", case.name, tally.points, tally.refused);
        println!("    written in spite of failed calls: {:?}", tally.harmless);
        failed.extend(&tally.failed);
    }
    let points: usize = tallies.iter().map(|tally| tally.points).sum();
    let refused: usize = tallies.iter().map(|tally| tally.refused).sum();
    println!(
        "P9: {points} faults at {} kinds of calls: {refused} errors, each with the old file \
         unchanged; the next write succeeded {points} times",
        failed.len()
    );
    assert_eq!(failed.len(), 15, "{failed:?}");
}

#[derive(Default)]
struct Tally {
    points: usize,
    refused: usize,
    failed: BTreeSet<Call>,
    harmless: BTreeSet<Call>,
}

impl FaultCase {
    /// Makes each call of a write fail, in each way.
    fn try_all(&self) -> Tally {
        let mut tally = Tally::default();
        for (nth, call) in self.calls().into_iter().enumerate() {
            if self.lacks.is_some_and(|(lacking, _)| lacking == call) {
                continue;
            }
            for (at, fault) in FAULTS.into_iter().enumerate() {
                let skipped = self.in_one_way && at != nth % (FAULTS.len() - 1);
                if !skipped && (fault != InjectedFault::ShortWrite || call == Call::Write) {
                    self.try_one(nth, fault, &mut tally);
                }
            }
        }
        tally
    }

    fn try_one(&self, nth: usize, fault: InjectedFault, tally: &mut Tally) {
        let (_dir, store, file) = self.set_up();
        fail_nth(&file, nth, fault);
        self.lack(&file);
        let outcome = add(&store, "new");
        // On a busy machine, a write can make more or fewer calls than the recorded one. What counts
        // is the call that failed.
        let Some(call) = self.failed(clear(&file).get(nth), fault) else {
            return outcome.unwrap_or_else(|error| panic!("{}, no fault: {error:?}", self.name));
        };
        let what = format!("{}: call {nth}, {call:?}: {fault:?}", self.name);
        tally.failed.insert(call);
        tally.points += 1;
        if let Err(error) = outcome {
            tally.refused += 1;
            assert!(!matches!(error, Error::Conflict), "{what}");
            assert_unchanged(self, &file, &what);
        } else {
            assert!(self.is_harmless(call, fault), "{what} was ignored");
            assert!(accounts(&file).contains(&"new".into()), "{what}");
            tally.harmless.insert(call);
        }
        self.lack(&file);
        add(&store, "next").unwrap_or_else(|error| panic!("{what}, next: {error:?}"));
        clear(&file);
        let found = accounts(&file);
        assert!(found.contains(&"next".into()), "{what}");
        assert_eq!(found.contains(&"old".into()), self.old == Some(OLD), "{what}");
        assert_nothing_left(&file, &what);
    }

    /// The call, if the fault made it fail.
    fn failed(&self, call: Option<&Call>, fault: InjectedFault) -> Option<Call> {
        let is_short = |call| fault != InjectedFault::ShortWrite || call == Call::Write;
        let is_lacking = |call| self.lacks.is_some_and(|(lacking, _)| lacking == call);
        call.copied().filter(|call| is_short(*call) && !is_lacking(*call))
    }

    /// Whether a write succeeds although this call fails. An interrupted read is repeated, and a
    /// file that can't be exchanged is written in another way. The other calls aren't essential.
    fn is_harmless(&self, call: Call, fault: InjectedFault) -> bool {
        let is = |errno| fault == InjectedFault::Errno(errno);
        match call {
            Call::Read => is(Errno::INTR),
            Call::Exchange => is(Errno::BUSY) || is(Errno::XDEV),
            Call::Rename => self.lacks.is_some() && (is(Errno::BUSY) || is(Errno::XDEV)),
            Call::Link => self.lacks.is_some(),
            Call::SetTime | Call::Remove | Call::Look | Call::SyncFolder => true,
            _ => false,
        }
    }
}

fn assert_unchanged(case: &FaultCase, file: &Path, what: &str) {
    let text = fs::read_to_string(file).ok();
    let aside = fs::read_to_string(file.with_file_name("cache.json.corrupt-1")).ok();
    match case.old {
        // A broken file may have been set aside already.
        Some(old) if text.is_none() => assert_eq!(aside.as_deref(), Some(old), "{what}"),
        old => assert_eq!(text.as_deref(), old, "{what}"),
    }
}

fn assert_nothing_left(file: &Path, what: &str) {
    let entries = fs::read_dir(file.parent().unwrap()).unwrap();
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let expected = ["cache.json", "link.json", "cache.json.corrupt-1", "cache.json.corrupt-2"];
        assert!(expected.contains(&&*name), "{what}: {name} was left");
    }
}

#[test]
fn p4_a_commit_takes_one_lock_and_writes_once_and_a_read_writes_nothing() {
    let case = &CASES[0];
    let count = |calls: &[Call], call| calls.iter().filter(|it| **it == call).count();
    let writes = [
        Call::Create,
        Call::CreateFolder,
        Call::Lock,
        Call::Write,
        Call::SetLen,
        Call::SetTime,
        Call::Link,
        Call::Rename,
        Call::Exchange,
        Call::Remove,
    ];
    let (_dir, store, file) = case.set_up();
    record(&file);
    // The records of a sign-in.
    let mut batch = Batch::new();
    for credential_type in CredentialType::KNOWN {
        let value = Json::new(r#"{"home_account_id": "new"}"#).unwrap();
        let record = Record::new(credential_type, "new", value);
        batch.change(record.partition(), Expect::Any).put(record);
    }
    store.commit(&batch).unwrap();
    let calls = clear(&file);
    assert_eq!(count(&calls, Call::Link), 1, "the lock was taken once: {calls:?}");
    assert_eq!(count(&calls, Call::Exchange), 1, "the file was replaced once: {calls:?}");
    assert_eq!(count(&calls, Call::Write), 2, "the lock file and the file: {calls:?}");

    record(&file);
    for _ in 0..100 {
        store.list(None, None).unwrap();
        store.load(&Partition::user("old"), None).unwrap();
    }
    let reads = clear(&file);
    assert_eq!(reads.iter().filter(|call| writes.contains(call)).count(), 0, "{reads:?}");
    println!("P4: a sign-in: 1 lock, 1 write; 200 reads: 0 locks, 0 writes");
}
