//! Events that a store of your own reports: `tracing` events where the feature `tracing` of this
//! crate is on, and nothing otherwise. A store that uses these functions needs no feature of its
//! own.
//!
//! Report what the store did on its own and what it waited for: paths, versions, durations. Never
//! report a key, a value or any other part of a record.

use std::fmt::Arguments;
use std::path::Path;

use crate::event;

/// Reports something that an operator should know, such as permissions that were repaired.
pub fn warn(place: &Path, what: Arguments<'_>) {
    event!(warn, place = %place.display(), "{}", what);
}

/// Reports an expected event that is rare, such as a migration.
pub fn info(place: &Path, what: Arguments<'_>) {
    event!(info, place = %place.display(), "{}", what);
}

/// Reports something that helps to explain other observations, such as a wait.
pub fn debug(place: &Path, what: Arguments<'_>) {
    event!(debug, place = %place.display(), "{}", what);
}
