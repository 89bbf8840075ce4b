//! What a store tells whoever runs the app, as `tracing` events, where the feature `tracing` of this
//! crate is on; otherwise nobody is told. A store of your own may use it too, and needs no
//! feature of its own for it.
//!
//! Tell what the store did by itself and what it waited for: paths, versions, durations. Never a
//! key, a value or anything else of a record.

use std::fmt::Arguments;
use std::path::Path;

/// Something that whoever runs the app should know of, such as permissions that were repaired.
pub fn warn(place: &Path, what: Arguments<'_>) {
    inner::warn(place, what);
}

/// Something that happens once in a while and is as it should be, such as a migration.
pub fn info(place: &Path, what: Arguments<'_>) {
    inner::info(place, what);
}

/// Something that explains what is seen elsewhere, such as a wait.
pub fn debug(place: &Path, what: Arguments<'_>) {
    inner::debug(place, what);
}

#[cfg(feature = "tracing")]
mod inner {
    use super::{Arguments, Path};

    pub(super) fn warn(place: &Path, what: Arguments<'_>) {
        tracing::warn!(place = %place.display(), "{what}");
    }

    pub(super) fn info(place: &Path, what: Arguments<'_>) {
        tracing::info!(place = %place.display(), "{what}");
    }

    pub(super) fn debug(place: &Path, what: Arguments<'_>) {
        tracing::debug!(place = %place.display(), "{what}");
    }
}

#[cfg(not(feature = "tracing"))]
mod inner {
    use super::{Arguments, Path};

    pub(super) fn warn(_: &Path, _: Arguments<'_>) {}
    pub(super) fn info(_: &Path, _: Arguments<'_>) {}
    pub(super) fn debug(_: &Path, _: Arguments<'_>) {}
}
