//! The lock that all MSAL libraries but Java's take: a file named `<path>.lockfile`.
//!
//! Python and Node look only at whether the file exists, Go and .NET only at whether somebody has
//! it `flock`ed. So a lock counts here when it is both: the file was created by this process, it
//! is flocked, and it still stands under its name. No protocol can exclude those two camps at
//! once, since neither heeds the other; a writer therefore asks again ([`Held::is_ours`]) around
//! the moment of its rename.

mod fairness;
mod holder;
#[cfg(unix)]
mod unix;
mod wait;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use msal_cache_core::{Error, Result};
use parking_lot::{Mutex, ReentrantMutex, ReentrantMutexGuard};

use self::fairness::Fairness;
use self::holder::Holder;
use self::system::LockFile;
pub(crate) use self::system::is_abandoned;
use crate::{folder, trace};

/// How long a lock file of another library must have stood there before it may be found dead:
/// longer than those libraries hold it, and than they wait for it.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// The lock of one file, as one handle sees it.
pub(crate) struct Lock {
    shared: Arc<Shared>,
    timeout: Duration,
    grace: Duration,
}

/// What all handles of this process on one file share. Its threads queue here first, so that the
/// process is one contender for the lock file.
struct Shared {
    path: PathBuf,
    slot: ReentrantMutex<RefCell<Slot>>,
}

#[derive(Default)]
struct Slot {
    /// How many guards of the thread that owns the mutex are alive.
    depth: usize,
    file: Option<LockFile>,
    /// Counts the times that the lock file was taken.
    holds: u64,
    fairness: Fairness,
}

impl Lock {
    /// The lock of the cache at `path`, which is absolute. Symbolic links aren't resolved: the
    /// name of the lock follows from the path that the user gave, in every library.
    pub(crate) fn of(path: &Path, timeout: Duration, grace: Duration) -> Self {
        static LOCKS: OnceLock<Mutex<HashMap<PathBuf, Weak<Shared>>>> = OnceLock::new();
        let path = folder::beside(path, ".lockfile");
        let mut locks = LOCKS.get_or_init(Mutex::default).lock();
        let shared = locks.get(&path).and_then(Weak::upgrade).unwrap_or_else(|| {
            locks.retain(|_, shared| shared.strong_count() > 0);
            let shared = Arc::new(Shared { path: path.clone(), slot: ReentrantMutex::default() });
            locks.insert(path, Arc::downgrade(&shared));
            shared
        });
        Self { shared, timeout, grace }
    }

    /// Takes the lock, or joins the hold that this thread already has.
    pub(crate) fn enter(&self) -> Result<Held<'_>> {
        let shared = &*self.shared;
        let started = Instant::now();
        let Some(slot) = shared.slot.try_lock_for(self.timeout) else {
            return Err(Error::Locked {
                path: shared.path.clone(),
                holder: Some("another thread of this process".into()),
                waited: started.elapsed(),
            });
        };
        let mut it = slot.borrow_mut();
        let joined = it.file.as_ref().is_some_and(LockFile::is_ours);
        if !joined {
            if it.file.take().is_some() {
                trace::lock_lost(&shared.path);
            } else {
                it.fairness.be_fair();
            }
            let file = wait::take(&shared.path, started, self.timeout, self.grace)?;
            trace::lock_waited(&shared.path, started.elapsed());
            it.file = Some(file);
            it.holds += 1;
            it.fairness.taken(Instant::now());
        }
        it.depth += 1;
        drop(it);
        Ok(Held { slot, joined })
    }

    /// Which hold the calling thread is in, if it is in one.
    pub(crate) fn current_hold(&self) -> Option<u64> {
        if !self.shared.slot.is_owned_by_current_thread() {
            return None;
        }
        let slot = self.shared.slot.try_lock()?;
        let it = slot.borrow();
        it.file.is_some().then_some(it.holds)
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lock").field(&self.shared.path).finish()
    }
}

/// The lock is held while this lives.
pub(crate) struct Held<'a> {
    slot: ReentrantMutexGuard<'a, RefCell<Slot>>,
    joined: bool,
}

impl Held<'_> {
    /// Whether the lock file was taken for this guard, and not for one around it.
    pub(crate) fn is_new(&self) -> bool {
        !self.joined
    }

    /// Whether nobody has taken the lock away.
    pub(crate) fn is_ours(&self) -> bool {
        self.slot.borrow().file.as_ref().is_some_and(LockFile::is_ours)
    }

    /// Which hold this is; a new one each time that the lock file is taken.
    pub(crate) fn hold(&self) -> u64 {
        self.slot.borrow().holds
    }
}

impl Drop for Held<'_> {
    /// The lock file goes first; only then is the mutex free for the next thread.
    fn drop(&mut self) {
        let mut it = self.slot.borrow_mut();
        it.depth -= 1;
        if it.depth == 0 {
            it.file = None;
            it.fairness.released(Instant::now());
        }
    }
}
