use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::evidence::Sighting;

/// A lock file that this process wants to have, now or later.
pub(super) struct LockTarget {
    pub(super) path: PathBuf,
    /// The lock file of another process that was seen last. Later waiters use what an earlier one
    /// has learned about its age.
    #[cfg_attr(windows, expect(dead_code, reason = "no lock file of a dead process remains"))]
    pub(super) sighting: Mutex<Option<Sighting>>,
    /// Java locks the file with `fcntl`, which is independent of `flock`.
    #[cfg_attr(windows, expect(dead_code, reason = "an open file is the lock there"))]
    pub(super) is_of_java: bool,
}

/// The name of Java's lock file, one for all caches in a folder.
pub(super) const JAVA: &str = ".lockfile";

impl LockTarget {
    pub(super) fn new(path: &Path) -> Self {
        let is_of_java = path.file_name().is_some_and(|name| name == JAVA);
        Self { path: path.to_owned(), sighting: Mutex::default(), is_of_java }
    }
}
