//! The lock of a cache file, with all of its lock files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use msal_cache_core::Result;

use super::process::{LockFileGuard, LockHold, ProcessLock};
use super::system::LockFile;
use super::target::JAVA;
use super::timeouts::LockTimeouts;
use crate::error::io;
use crate::{disk, folder};

/// The lock of one file, for one handle.
pub(crate) struct FileLock {
    path: PathBuf,
    /// The lock file beside `path`.
    first: Arc<ProcessLock>,
    timeouts: LockTimeouts,
    java: bool,
}

impl FileLock {
    /// The lock of the cache at `path`, which is absolute.
    pub(crate) fn of(path: &Path, timeouts: LockTimeouts, java: bool) -> Self {
        let first = ProcessLock::of(&folder::beside(path, ".lockfile"));
        Self { path: path.to_owned(), first, timeouts, java }
    }

    /// Takes the lock, or joins the hold of this thread.
    pub(crate) fn enter(&self) -> Result<HeldLock> {
        let started = Instant::now();
        let first = self.first.enter(started, self.timeouts)?;
        let mut held = HeldLock { guards: vec![first], file: PathBuf::new() };
        let names = disk::link_chain(&self.path).map_err(io("resolve", &self.path))?;
        for name in &names[1..] {
            let lock = ProcessLock::of(&folder::beside(name, ".lockfile"));
            held.guards.push(lock.enter(started, self.timeouts)?);
        }
        // The lock file beside the cache itself is on the same file system.
        let beside = held.guards[names.len() - 1].state.borrow();
        let clock = beside.file.as_ref().and_then(LockFile::clock);
        drop(beside);
        held.file = names.into_iter().next_back().unwrap_or_default();
        if self.java {
            let lock = ProcessLock::of(&folder::of(&self.path).join(JAVA));
            held.guards.push(lock.enter(started, self.timeouts)?);
        }
        let number = held.number();
        let mut first = held.guards[0].state.borrow_mut();
        first.hold = LockHold { number, clock };
        first.others = held.guards[1..].iter().map(|guard| guard.lock.clone()).collect();
        drop(first);
        Ok(held)
    }

    /// The hold of the calling thread, if it has the lock.
    pub(crate) fn current_hold(&self) -> Option<LockHold> {
        self.first.current_hold()
    }
}

impl fmt::Debug for FileLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileLock").field(&self.first.target.path).finish()
    }
}

/// Holds the lock of a file until it is dropped.
pub(crate) struct HeldLock {
    /// In the order in which they were taken.
    guards: Vec<LockFileGuard>,
    file: PathBuf,
}

impl HeldLock {
    /// The file to which the path led when the lock was taken.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The lock files that are held.
    pub(crate) fn lock_files(&self) -> impl Iterator<Item = &Path> {
        self.guards.iter().map(|guard| &*guard.lock.target.path)
    }

    /// Whether a lock file was taken for this, so that it didn't only join a hold.
    pub(crate) fn is_new(&self) -> bool {
        self.guards.iter().any(|guard| !guard.joined)
    }

    /// Whether all lock files are still those of this process.
    pub(crate) fn is_ours(&self) -> bool {
        let is_ours = |guard: &LockFileGuard| {
            guard.state.borrow().file.as_ref().is_some_and(LockFile::is_ours)
        };
        self.guards.iter().all(is_ours)
    }

    /// The number of this hold; a new one whenever a lock file is taken.
    pub(crate) fn number(&self) -> u64 {
        let numbers = self.guards.iter().map(|guard| guard.state.borrow().hold.number);
        numbers.max().unwrap_or_default()
    }
}

impl Drop for HeldLock {
    /// Releases the lock files in reverse order.
    fn drop(&mut self) {
        while self.guards.pop().is_some() {}
    }
}
