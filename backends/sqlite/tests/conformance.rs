//! The conformance suite on a database with either journal, on a database in memory, and through a
//! box.

mod support;

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use msal_cache_core::conformance::{Faults, Guarding, Harness, Persistent, Processes};
use msal_cache_core::{CacheStore, conformance};
use msal_cache_sqlite::{Journal, SqliteStore, Synchronous};
use support::{Place, raw};

fn open(path: &OsStr, journal: Journal) -> SqliteStore {
    // The power doesn't fail here, and there are many commits.
    let builder = SqliteStore::builder(path).synchronous(Synchronous::Normal);
    builder.journal(journal).open().unwrap()
}

/// Triggers that make a commit fail: three at its last record, and one at its last statement. Only
/// a commit that has to fail puts a record with this key.
const FAULTS: [&str; 4] = [
    "CREATE TRIGGER t BEFORE INSERT ON records_2 WHEN new.key = 'kw' \
     BEGIN SELECT RAISE(ABORT, 'no'); END",
    "CREATE TRIGGER t BEFORE INSERT ON records_2 WHEN new.key = 'kw' \
     BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    "CREATE TRIGGER t BEFORE INSERT ON records_2 WHEN new.key = 'kw' \
     BEGIN SELECT RAISE(FAIL, 'no'); END",
    "CREATE TRIGGER t BEFORE UPDATE ON store_2 \
     WHEN EXISTS (SELECT 1 FROM records_2 WHERE key = 'kw') \
     BEGIN SELECT RAISE(ABORT, 'no'); END",
];

/// A database in a file. `FAULT` is one of [`FAULTS`].
struct InFile<const WAL: bool, const FAULT: usize>(Place);

impl<const WAL: bool, const FAULT: usize> InFile<WAL, FAULT> {
    const JOURNAL: Journal = if WAL { Journal::Wal } else { Journal::Rollback };
}

impl<const WAL: bool, const FAULT: usize> Harness for InFile<WAL, FAULT> {
    type Store = SqliteStore;

    fn new() -> Self {
        Self(Place::new())
    }

    fn open(&self) -> Self::Store {
        open(self.0.database().as_os_str(), Self::JOURNAL)
    }
}

impl<const WAL: bool, const FAULT: usize> Guarding for InFile<WAL, FAULT> {}

impl<const WAL: bool, const FAULT: usize> Persistent for InFile<WAL, FAULT> {}

impl<const WAL: bool, const FAULT: usize> Processes for InFile<WAL, FAULT> {
    fn address(&self) -> OsString {
        self.0.database().into()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        open(address, Self::JOURNAL)
    }
}

impl<const WAL: bool, const FAULT: usize> Faults for InFile<WAL, FAULT> {
    fn open_failing(&self) -> Vec<Box<dyn CacheStore>> {
        let failing = Box::new(self.open());
        raw(&self.0.database()).execute_batch(FAULTS[FAULT]).unwrap();
        vec![failing]
    }
}

/// A database in memory has one handle, which is shared.
struct InMemory(Arc<SqliteStore>);

impl Harness for InMemory {
    type Store = Arc<SqliteStore>;

    fn new() -> Self {
        Self(Arc::new(SqliteStore::in_memory().unwrap()))
    }

    fn open(&self) -> Self::Store {
        self.0.clone()
    }
}

/// A database behind `Box<dyn CacheStore>`.
struct Boxed(InFile<true, 0>);

impl Harness for Boxed {
    type Store = Box<dyn CacheStore>;

    fn new() -> Self {
        Self(InFile::new())
    }

    fn open(&self) -> Self::Store {
        Box::new(self.0.open())
    }
}

mod write_ahead_log {
    msal_cache_core::conformance!(super::InFile<true, 0>: Guarding, Persistent, Processes, Faults);
}

mod rollback_journal {
    msal_cache_core::conformance!(super::InFile<false, 1>: Guarding, Persistent, Processes, Faults);
}

mod in_memory {
    msal_cache_core::conformance!(super::InMemory);
}

mod boxed {
    msal_cache_core::conformance!(super::Boxed);
}

/// The cases of faults, with the faults that the modules above don't use.
#[test]
fn a_commit_that_fails_in_another_way_changes_nothing() {
    let log = conformance::fault_cases::<InFile<true, 2>>();
    let journal = conformance::fault_cases::<InFile<false, 3>>();
    for (_, case) in log.into_iter().chain(journal) {
        case();
    }
}
