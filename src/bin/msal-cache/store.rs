//! Names, opens and writes stores.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use msal_cache::clock::{Clock, ManualClock, SystemClock};
use msal_cache::file::{OnCorrupt, Permissions};
use msal_cache::store::{Batch, CacheStore, Expect, Record};
use msal_cache::{Entry, FileStore, SqliteStore, TokenCache};

use crate::failure::Failure;
use crate::flags::GlobalArgs;
use crate::well_known;

/// A cache in any store.
pub(crate) type Cache = TokenCache<Box<dyn CacheStore>>;

/// A store, as named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreRef {
    File(PathBuf),
    Sqlite(PathBuf),
}

/// How to open a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The store must exist.
    Existing,
    /// A missing store is created.
    Create,
}

impl StoreRef {
    /// Parses a path, `file:PATH`, `sqlite:PATH` or the name of a well-known location.
    pub(crate) fn parse(name: &str) -> Result<Self, Failure> {
        if let Some(path) = name.strip_prefix("file:") {
            return Ok(Self::File(expand(path)));
        }
        if let Some(path) = name.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(expand(path)));
        }
        if let Some(path) = well_known::find(name)? {
            return Ok(Self::of_path(path));
        }
        Ok(Self::of_path(expand(name)))
    }

    /// The content decides between file and database; of a missing store, the extension does.
    fn of_path(path: PathBuf) -> Self {
        let mut begins = [0; 16];
        let read = File::open(&path).and_then(|mut file| file.read_exact(&mut begins));
        let named = path.extension().is_some_and(|it| it == "db" || it == "sqlite");
        match read {
            Ok(()) if begins == *b"SQLite format 3\0" => Self::Sqlite(path),
            _ if named && !path.exists() => Self::Sqlite(path),
            _ => Self::File(path),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Sqlite(path) => path,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// Opens the store.
    pub(crate) fn open(&self, common: &GlobalArgs, access: Access) -> Result<Cache, Failure> {
        let permissions = if common.insecure { Permissions::Ignore } else { Permissions::Refuse };
        self.open_with(common, access, permissions, OnCorrupt::Error)
    }

    pub(crate) fn open_with(
        &self,
        common: &GlobalArgs,
        access: Access,
        permissions: Permissions,
        on_corrupt: OnCorrupt,
    ) -> Result<Cache, Failure> {
        // A dangling link counts as existing: a write creates its target.
        if access == Access::Existing && self.path().symlink_metadata().is_err() {
            return Err(Failure::Missing(self.path().to_owned()));
        }
        let timeout = Duration::from_secs(common.lock_timeout);
        let store: Box<dyn CacheStore> = match self {
            Self::File(path) => Box::new(
                FileStore::builder(path)
                    .permissions(permissions)
                    .on_corrupt(on_corrupt)
                    .lock_timeout(timeout)
                    .open()?,
            ),
            Self::Sqlite(path) => Box::new(
                SqliteStore::builder(path).permissions(permissions).busy_timeout(timeout).open()?,
            ),
        };
        Ok(TokenCache::with_clock(store, clock(common)))
    }
}

/// Stores entries unchanged and deletes those of `deleted`, in one commit.
pub(crate) fn write<S: CacheStore>(
    cache: &TokenCache<S>,
    entries: &[Entry],
    deleted: &[&Entry],
) -> Result<(), Failure> {
    let mut batch = Batch::new();
    for record in deleted.iter().map(|it| Record::from(*it)) {
        let change = batch.change(record.partition(), Expect::Any);
        change.delete_record(&record);
    }
    for record in entries.iter().map(Record::from) {
        batch.change(record.partition(), Expect::Any).put(record);
    }
    msal_cache::store::retry(|| cache.store().commit(&batch))?;
    Ok(())
}

/// The system clock, or the time given by `--now`.
pub(crate) fn clock(common: &GlobalArgs) -> Arc<dyn Clock> {
    match common.now {
        Some(now) => Arc::new(ManualClock::new(now)),
        None => Arc::new(SystemClock),
    }
}

/// Expands a leading `~/`, which a shell doesn't expand after `sqlite:`.
fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}
