//! The events of this crate, so that no other file asks whether the feature is on. Paths,
//! process ids and durations only.

use std::path::Path;
use std::time::Duration;

#[cfg(feature = "tracing")]
mod events {
    use super::{Duration, Path};

    pub(crate) fn lock_waited(path: &Path, waited: Duration) {
        if waited > super::WORTH_TELLING {
            tracing::debug!(path = %path.display(), ?waited, "waited for the lock");
        }
    }

    #[cfg_attr(windows, expect(dead_code, reason = "a dead holder leaves nothing there"))]
    pub(crate) fn took_over(path: &Path, holder: Option<u32>) {
        tracing::warn!(path = %path.display(), ?holder, "took the lock over from a dead process");
    }

    pub(crate) fn lock_lost(path: &Path) {
        tracing::warn!(path = %path.display(), "the lock was taken away: starting over");
    }

    pub(crate) fn quarantined(path: &Path, to: &Path) {
        tracing::warn!(
            path = %path.display(),
            to = %to.display(),
            "set aside a file that is not a cache"
        );
    }

    pub(crate) fn in_place(path: &Path) {
        tracing::debug!(path = %path.display(), "the file can't be renamed over: writing into it");
    }

    pub(crate) fn recovered(path: &Path) {
        tracing::warn!(path = %path.display(), "finished the write of a dead process");
    }
}

/// Shorter waits are what a busy lock is like.
#[cfg(feature = "tracing")]
const WORTH_TELLING: Duration = Duration::from_millis(10);

#[cfg(not(feature = "tracing"))]
mod events {
    use super::{Duration, Path};

    pub(crate) fn lock_waited(_: &Path, _: Duration) {}
    #[cfg_attr(windows, expect(dead_code, reason = "a dead holder leaves nothing there"))]
    pub(crate) fn took_over(_: &Path, _: Option<u32>) {}
    pub(crate) fn lock_lost(_: &Path) {}
    pub(crate) fn quarantined(_: &Path, _: &Path) {}
    pub(crate) fn in_place(_: &Path) {}
    pub(crate) fn recovered(_: &Path) {}
}

pub(crate) use events::*;
