//! From the name of a store to the store.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use msal_cache::{
    CacheStore, Clock, FileStore, ManualClock, OnCorrupt, Permissions, SqliteStore, SystemClock,
    TokenCache,
};

use crate::args::Common;
use crate::failure::Failure;
use crate::places;

/// A cache in any store.
pub(crate) type Cache = TokenCache<Box<dyn CacheStore>>;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    Sqlite(PathBuf),
}

/// What is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It has to be there.
    Existing,
    /// It is created if it is missing.
    Create,
}

impl Place {
    /// The place of this name.
    pub(crate) fn named(name: &str) -> Result<Self, Failure> {
        if let Some(path) = name.strip_prefix("file:") {
            return Ok(Self::File(expand(path)));
        }
        if let Some(path) = name.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(expand(path)));
        }
        if let Some(path) = places::find(name)? {
            return Ok(Self::of_path(path));
        }
        Ok(Self::of_path(expand(name)))
    }

    /// What stands at a path tells what it is; of what is missing, its name does.
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
    pub(crate) fn open(&self, common: &Common, access: Access) -> Result<Cache, Failure> {
        let permissions = if common.insecure { Permissions::Ignore } else { Permissions::Refuse };
        self.open_with(common, access, permissions, OnCorrupt::Error)
    }

    pub(crate) fn open_with(
        &self,
        common: &Common,
        access: Access,
        permissions: Permissions,
        on_corrupt: OnCorrupt,
    ) -> Result<Cache, Failure> {
        // A dangling link is a file that a write would create.
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

/// The clock that the run goes by.
pub(crate) fn clock(common: &Common) -> Arc<dyn Clock> {
    match common.now {
        Some(now) => Arc::new(ManualClock::new(now)),
        None => Arc::new(SystemClock),
    }
}

/// The path, with the home folder in place of `~/`, which a shell leaves alone behind `sqlite:`.
fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}
