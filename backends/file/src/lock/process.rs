//! One lock file among the threads of this process.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use msal_cache_core::internal::lock_waited;
use msal_cache_core::{Error, Result, event};
use parking_lot::{ArcReentrantMutexGuard, Mutex, RawMutex, RawThreadId, ReentrantMutex};

use super::attempt::{self, LockAttempt};
use super::fairness::Fairness;
use super::system::LockFile;
use super::target::LockTarget;
use super::timeouts::LockTimeouts;
use crate::clock::ClockReading;

/// What all handles of this process on one lock file share. The threads queue here first, so that
/// the process competes for the lock file once.
pub(super) struct ProcessLock {
    pub(super) target: Arc<LockTarget>,
    state: Arc<ReentrantMutex<RefCell<LockState>>>,
}

#[derive(Default)]
pub(super) struct LockState {
    /// The number of guards of the thread that owns the mutex.
    depth: usize,
    pub(super) file: Option<LockFile>,
    /// The current hold of this lock file, and of all others that were taken with it.
    pub(super) hold: LockHold,
    fairness: Fairness,
    /// The other locks that were taken with this one, kept for their state.
    pub(super) others: Vec<Arc<ProcessLock>>,
    /// An attempt to which the file system hasn't responded yet.
    pending: Option<Arc<LockAttempt>>,
}

/// A period in which a thread has the lock of a file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LockHold {
    /// Unique among all holds of this process.
    pub(crate) number: u64,
    /// The clock of the file system of the cache, if the lock file beside the cache shows it.
    pub(crate) clock: Option<ClockReading>,
}

/// Numbers each taking of a lock file. The number of a hold of several lock files is the highest
/// of theirs, and so unique, too.
static HOLDS: AtomicU64 = AtomicU64::new(1);

/// Shorter waits are usual for a lock that is in use.
const LONG_WAIT: Duration = Duration::from_millis(10);

impl ProcessLock {
    /// The lock of the lock file at `path`, shared with all other users of that path.
    pub(super) fn of(path: &Path) -> Arc<Self> {
        static ALL: OnceLock<Mutex<HashMap<PathBuf, Weak<ProcessLock>>>> = OnceLock::new();
        let mut all = ALL.get_or_init(Mutex::default).lock();
        if let Some(known) = all.get(path).and_then(Weak::upgrade) {
            return known;
        }
        all.retain(|_, lock| lock.strong_count() > 0);
        let target = Arc::new(LockTarget::new(path));
        let lock = Arc::new(Self { target, state: Arc::default() });
        all.insert(path.to_owned(), Arc::downgrade(&lock));
        lock
    }

    /// Takes the lock file, or joins the hold of this thread.
    pub(super) fn enter(
        self: &Arc<Self>,
        started: Instant,
        timeouts: LockTimeouts,
    ) -> Result<LockFileGuard> {
        let left = timeouts.timeout.saturating_sub(started.elapsed());
        let path = &self.target.path;
        let Some(state) = self.state.try_lock_arc_for(left) else {
            return Err(Error::Locked {
                path: path.clone(),
                holder: Some("another thread of this process".into()),
                waited: started.elapsed(),
            });
        };
        let mut it = state.borrow_mut();
        let joined = it.file.as_ref().is_some_and(LockFile::is_ours);
        if !joined {
            if it.file.take().is_some() {
                let path = path.display();
                event!(warn, %path, "another process took the lock away: taking it again");
            } else {
                it.fairness.be_fair();
            }
            let file = attempt::take(&self.target, &mut it.pending, started, timeouts)?;
            let waited = started.elapsed();
            lock_waited(waited);
            if waited > LONG_WAIT {
                event!(debug, path = %path.display(), ?waited, "waited for the lock");
            }
            it.file = Some(file);
            it.hold.number = HOLDS.fetch_add(1, Ordering::Relaxed);
            it.fairness.taken(Instant::now());
        }
        it.depth += 1;
        drop(it);
        Ok(LockFileGuard { lock: self.clone(), state, joined })
    }

    /// The hold of the calling thread, if it has the lock file.
    pub(super) fn current_hold(&self) -> Option<LockHold> {
        if !self.state.is_owned_by_current_thread() {
            return None;
        }
        let state = self.state.try_lock()?;
        let it = state.borrow();
        it.file.is_some().then_some(it.hold)
    }
}

/// Holds one lock file until it is dropped.
pub(super) struct LockFileGuard {
    /// Keeps the shared state alive, so that other threads that want this lock find it.
    pub(super) lock: Arc<ProcessLock>,
    pub(super) state: ArcReentrantMutexGuard<RawMutex, RawThreadId, RefCell<LockState>>,
    /// Whether this thread had the lock file already.
    pub(super) joined: bool,
}

impl Drop for LockFileGuard {
    /// Removes the lock file before the next thread gets the mutex.
    fn drop(&mut self) {
        let mut it = self.state.borrow_mut();
        it.depth -= 1;
        if it.depth == 0 {
            it.file = None;
            it.fairness.released(Instant::now());
        }
    }
}
