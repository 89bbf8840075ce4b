//! Reading a lock file without taking the lock.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use msal_cache_core::Result;
use msal_cache_disk::{absolute, error, folder, platform};

use super::holder::{Holder, LONGEST_LOCK_FILE};
use super::system;

/// The holder of the lock of a cache file, according to the lock file; see
/// [`FileStore::lock_holder`](crate::FileStore::lock_holder).
#[derive(Clone, Debug)]
pub struct LockHolder {
    path: PathBuf,
    holder: Holder,
    since: Option<SystemTime>,
}

impl LockHolder {
    pub(crate) fn of(path: &Path) -> Result<Option<Self>> {
        let path = folder::beside(&absolute(path)?, ".lockfile");
        let Some(found) =
            error::absent(path.symlink_metadata()).map_err(error::io("read", &path))?
        else {
            return Ok(None);
        };
        let mut content = Vec::new();
        if found.is_file() {
            let read = platform::open_own(&path, false)
                .and_then(|file| file.take(LONGEST_LOCK_FILE).read_to_end(&mut content));
            if error::absent(read).map_err(error::io("read", &path))?.is_none() {
                return Ok(None);
            }
        }
        let holder = Holder::parse(&content);
        Ok(Some(Self { path, holder, since: found.modified().ok() }))
    }

    /// The path of the lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The process id in the lock file; `None` where the file is empty or contains something else.
    pub fn process(&self) -> Option<u32> {
        self.holder.pid
    }

    /// The program in the lock file, without control characters. MSAL Node writes none.
    pub fn program(&self) -> Option<&str> {
        Some(&*self.holder.program).filter(|program| !program.is_empty())
    }

    /// When the lock file was written.
    pub fn since(&self) -> Option<SystemTime> {
        self.since
    }

    /// Whether the process is running. `None` where that is unknown: there is no process id, or the
    /// system doesn't tell. A process in another container isn't visible, so the result may be
    /// `Some(false)` although it is running.
    pub fn is_alive(&self) -> Option<bool> {
        system::is_alive(self.holder.pid?)
    }
}
