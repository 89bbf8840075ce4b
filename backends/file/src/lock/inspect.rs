//! Looking at a lock without taking part in it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use msal_cache_core::Result;
use msal_cache_disk::{absolute, error, folder};

use super::holder::Holder;
use super::system;
use crate::FileStore;

/// Longer than what any library writes into its lock file.
const LONGEST: u64 = 4096;

/// Who holds the lock of a cache file, as far as the lock file tells; see
/// [`FileStore::lock_holder`].
#[derive(Clone, Debug)]
pub struct LockHolder {
    path: PathBuf,
    holder: Holder,
    since: Option<SystemTime>,
}

impl LockHolder {
    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The process id that stands in the lock file; none where it was left empty, or holds
    /// something else.
    pub fn process(&self) -> Option<u32> {
        self.holder.pid
    }

    /// The program that stands there, without control characters; MSAL Node writes none.
    pub fn program(&self) -> Option<&str> {
        Some(&*self.holder.program).filter(|program| !program.is_empty())
    }

    /// When the lock file was written.
    pub fn since(&self) -> Option<SystemTime> {
        self.since
    }

    /// Whether the process is there. `None` where it can't be told: there is no process id, or
    /// the system doesn't say. A process in another container isn't seen from here, and so is
    /// `Some(false)` though it may live.
    pub fn is_alive(&self) -> Option<bool> {
        system::is_alive(self.holder.pid?)
    }
}

impl FileStore {
    /// Who holds the lock of the cache at `path` now. It is looked at and not touched, whatever
    /// becomes of it.
    ///
    /// ```
    /// use msal_cache_file::FileStore;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("cache.json");
    /// assert!(FileStore::lock_holder(&path)?.is_none());
    /// std::fs::write(folder.path().join("cache.json.lockfile"), "1 init")?;
    /// let holder = FileStore::lock_holder(&path)?.expect("there is a lock file");
    /// assert_eq!((holder.process(), holder.program()), (Some(1), Some("init")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`](msal_cache_core::Error::Io) where the lock file can't be read.
    pub fn lock_holder(path: impl AsRef<Path>) -> Result<Option<LockHolder>> {
        let path = folder::beside(&absolute(path.as_ref())?, ".lockfile");
        let Some(found) =
            error::absent(path.symlink_metadata()).map_err(error::io("read", &path))?
        else {
            return Ok(None);
        };
        let mut content = Vec::new();
        if found.is_file() {
            let read =
                File::open(&path).and_then(|file| file.take(LONGEST).read_to_end(&mut content));
            if error::absent(read).map_err(error::io("read", &path))?.is_none() {
                return Ok(None);
            }
        }
        let holder = Holder::parse(&content);
        Ok(Some(LockHolder { path, holder, since: found.modified().ok() }))
    }
}
