//! The events of this crate, so that no other file asks whether the feature is on. Paths,
//! versions and durations only.

use std::path::Path;
use std::time::Duration;

#[cfg(feature = "tracing")]
mod events {
    use super::{Duration, Path};

    pub(crate) fn waited(path: &Path, waited: Duration) {
        if waited > super::WORTH_TELLING {
            tracing::debug!(path = %path.display(), ?waited, "waited for the database");
        }
    }

    pub(crate) fn migrated(path: &Path, from: usize, to: usize) {
        tracing::info!(path = %path.display(), from, to, "brought the tables to this version");
    }

    pub(crate) fn rollback(path: &Path) {
        tracing::debug!(
            path = %path.display(),
            "not a local file system: using a rollback journal"
        );
    }

    pub(crate) fn frozen(path: &Path) {
        tracing::warn!(
            path = %path.display(),
            "SQLite can't create its files beside the database: reading without locks"
        );
    }

    pub(crate) fn repaired(path: &Path, mode: u32) {
        tracing::warn!(
            path = %path.display(),
            mode = format_args!("{mode:04o}"),
            "took the access of others away"
        );
    }
}

/// Shorter waits are what a busy database is like.
#[cfg(feature = "tracing")]
const WORTH_TELLING: Duration = Duration::from_millis(10);

#[cfg(not(feature = "tracing"))]
mod events {
    use super::{Duration, Path};

    pub(crate) fn waited(_: &Path, _: Duration) {}
    pub(crate) fn migrated(_: &Path, _: usize, _: usize) {}
    pub(crate) fn rollback(_: &Path) {}
    pub(crate) fn frozen(_: &Path) {}
    pub(crate) fn repaired(_: &Path, _: u32) {}
}

pub(crate) use events::*;
