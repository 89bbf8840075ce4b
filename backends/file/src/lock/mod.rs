//! The lock that all MSAL libraries but Java's take: a file named `<path>.lockfile`.
//!
//! Python and Node look only at whether the file exists, Go and .NET only at whether somebody has
//! it `flock`ed. So a lock counts here when it is both: the file was created by this process, it
//! is flocked, and it still stands under its name. No protocol can exclude those two camps at
//! once, since neither heeds the other; a writer therefore asks again ([`HeldLock::is_ours`]) around
//! the moment of its rename.
//!
//! The name of the lock follows from the path that the user gave, in every library. Where that
//! path is a symbolic link, others may have the file open under its own name, so the locks of all
//! names that the path leads through are taken, the given one first. A link comes before what it
//! names for everybody, and nobody waits for ever, so nobody is caught in a circle.

mod attempt;
#[cfg_attr(windows, expect(dead_code, reason = "a dead holder leaves nothing there"))]
mod evidence;
mod fairness;
mod holder;
mod inspect;
#[cfg(unix)]
mod unix;
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
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use msal_cache_core::{Error, Result, event};
use parking_lot::{ArcReentrantMutexGuard, Mutex, RawMutex, RawThreadId, ReentrantMutex};

use self::attempt::LockAttempt;
use self::evidence::Sighting;
use self::fairness::Fairness;
use self::holder::Holder;
pub use self::inspect::LockHolder;
use self::system::LockFile;
pub(crate) use self::system::is_abandoned;
use crate::clock::ClockReading;
use crate::error::io;
use crate::{disk, folder};

/// How long a lock file of another library must have stood there before it may be found dead:
/// longer than those libraries hold it, and than they wait for it.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// The lock of one file, as one handle sees it.
pub(crate) struct FileLock {
    path: PathBuf,
    shared: Arc<ProcessLock>,
    timeouts: LockTimeouts,
    java: bool,
}

/// How long is waited, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockTimeouts {
    pub(crate) timeout: Duration,
    /// See [`GRACE`].
    pub(crate) grace: Duration,
}

/// What all handles of this process on one lock file share. Its threads queue here first, so that
/// the process is one contender for the lock file.
struct ProcessLock {
    path: PathBuf,
    slot: Arc<ReentrantMutex<RefCell<LockState>>>,
    /// The lock file of somebody else that was met last. What one waiter has seen of its age
    /// counts for the next.
    #[cfg_attr(windows, expect(dead_code, reason = "a dead holder leaves nothing there"))]
    met: Mutex<Option<Sighting>>,
    /// Java locks with `fcntl`, which `flock` knows nothing of.
    #[cfg_attr(windows, expect(dead_code, reason = "to have the file open is the lock there"))]
    is_of_java: bool,
}

#[derive(Default)]
struct LockState {
    /// How many guards of the thread that owns the mutex are alive.
    depth: usize,
    file: Option<LockFile>,
    /// The hold of this lock file and of those of all names that the path leads through.
    hold: LockHold,
    fairness: Fairness,
    /// The other locks that were taken with this one, which are kept for what they remember.
    others: Vec<Arc<ProcessLock>>,
    /// One that the file system has not answered yet.
    pending: Option<Arc<LockAttempt>>,
}

/// A period in which a thread has the lock of a file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LockHold {
    /// A new one each time that a lock file is taken.
    pub(crate) number: u64,
    /// The time of the file system of the cache, read after the lock file beside it was written.
    pub(crate) clock: Option<ClockReading>,
}

/// Numbers the times that any lock file was taken, so that a hold of several has a number of its
/// own too: the highest of theirs.
static HOLDS: AtomicU64 = AtomicU64::new(1);

impl ProcessLock {
    fn of(path: &Path) -> Arc<Self> {
        static ALL: OnceLock<Mutex<HashMap<PathBuf, Weak<ProcessLock>>>> = OnceLock::new();
        let mut all = ALL.get_or_init(Mutex::default).lock();
        if let Some(shared) = all.get(path).and_then(Weak::upgrade) {
            return shared;
        }
        all.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::new(Self {
            path: path.to_owned(),
            slot: Arc::default(),
            met: Mutex::default(),
            is_of_java: path.file_name().is_some_and(|name| name == JAVA),
        });
        all.insert(path.to_owned(), Arc::downgrade(&shared));
        shared
    }

    /// Takes the lock file, or joins the hold that this thread already has.
    fn enter(self: &Arc<Self>, started: Instant, timeouts: LockTimeouts) -> Result<LockFileGuard> {
        let left = timeouts.timeout.saturating_sub(started.elapsed());
        let Some(slot) = self.slot.try_lock_arc_for(left) else {
            return Err(Error::Locked {
                path: self.path.clone(),
                holder: Some("another thread of this process".into()),
                waited: started.elapsed(),
            });
        };
        let mut it = slot.borrow_mut();
        let joined = it.file.as_ref().is_some_and(LockFile::is_ours);
        if !joined {
            if it.file.take().is_some() {
                let path = self.path.display();
                event!(warn, %path, "another process took the lock away: taking it again");
            } else {
                it.fairness.be_fair();
            }
            let file = attempt::take(self, &mut it.pending, started, timeouts)?;
            report_wait(&self.path, started.elapsed());
            it.file = Some(file);
            it.hold.number = HOLDS.fetch_add(1, Ordering::Relaxed);
            it.fairness.taken(Instant::now());
        }
        it.depth += 1;
        drop(it);
        Ok(LockFileGuard { shared: self.clone(), slot, joined })
    }
}

/// Shorter waits are usual for a lock in use.
const LONG_WAIT: Duration = Duration::from_millis(10);

fn report_wait(path: &Path, waited: Duration) {
    if waited > LONG_WAIT {
        event!(debug, path = %path.display(), ?waited, "waited for the lock");
    }
}

impl FileLock {
    /// The lock of the cache at `path`, which is absolute.
    pub(crate) fn of(path: &Path, timeouts: LockTimeouts, java: bool) -> Self {
        let shared = ProcessLock::of(&folder::beside(path, ".lockfile"));
        Self { path: path.to_owned(), shared, timeouts, java }
    }

    /// Takes the lock, or joins the hold that this thread already has.
    pub(crate) fn enter(&self) -> Result<HeldLock> {
        let started = Instant::now();
        let mut held = HeldLock {
            guards: vec![self.shared.enter(started, self.timeouts)?],
            file: PathBuf::new(),
        };
        let names = disk::names(&self.path).map_err(io("resolve", &self.path))?;
        for name in &names[1..] {
            let shared = ProcessLock::of(&folder::beside(name, ".lockfile"));
            held.guards.push(shared.enter(started, self.timeouts)?);
        }
        let names_count = names.len();
        held.file = names.into_iter().next_back().unwrap_or_default();
        if self.java {
            let shared = ProcessLock::of(&folder::of(&self.path).join(JAVA));
            held.guards.push(shared.enter(started, self.timeouts)?);
        }
        let number = held.hold();
        // The lock file of the last name is in the folder of the cache itself.
        let beside = held.guards[names_count - 1].slot.borrow();
        let clock = beside.file.as_ref().and_then(LockFile::clock);
        drop(beside);
        let mut given = held.guards[0].slot.borrow_mut();
        given.hold = LockHold { number, clock };
        given.others = held.guards[1..].iter().map(|guard| guard.shared.clone()).collect();
        drop(given);
        Ok(held)
    }

    /// The hold of the calling thread, if it has the lock.
    pub(crate) fn current_hold(&self) -> Option<LockHold> {
        let slot = &self.shared.slot;
        if !slot.is_owned_by_current_thread() {
            return None;
        }
        let slot = slot.try_lock()?;
        let it = slot.borrow();
        it.file.is_some().then_some(it.hold)
    }
}

/// The name of Java's lock, one for all caches in a folder.
const JAVA: &str = ".lockfile";

impl fmt::Debug for FileLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileLock").field(&self.shared.path).finish()
    }
}

/// The lock is held while this lives.
pub(crate) struct HeldLock {
    /// In the order in which they were taken.
    guards: Vec<LockFileGuard>,
    file: PathBuf,
}

impl HeldLock {
    /// The file that the path named when the lock was taken.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The lock files that are held.
    pub(crate) fn lock_files(&self) -> impl Iterator<Item = &Path> {
        self.guards.iter().map(|guard| &*guard.shared.path)
    }

    /// Whether a lock file was taken for this guard, and not for one around it.
    pub(crate) fn is_new(&self) -> bool {
        self.guards.iter().any(|guard| !guard.joined)
    }

    /// Whether nobody has taken the lock away.
    pub(crate) fn is_ours(&self) -> bool {
        let is_ours = |guard: &LockFileGuard| {
            guard.slot.borrow().file.as_ref().is_some_and(LockFile::is_ours)
        };
        self.guards.iter().all(is_ours)
    }

    /// Which hold this is; a new one each time that a lock file is taken.
    pub(crate) fn hold(&self) -> u64 {
        self.guards.iter().map(|guard| guard.slot.borrow().hold.number).max().unwrap_or_default()
    }
}

impl Drop for HeldLock {
    /// The last one first.
    fn drop(&mut self) {
        while self.guards.pop().is_some() {}
    }
}

/// One lock file is held while this lives.
struct LockFileGuard {
    /// Whoever asks for the same lock meanwhile has to find this one.
    shared: Arc<ProcessLock>,
    slot: ArcReentrantMutexGuard<RawMutex, RawThreadId, RefCell<LockState>>,
    joined: bool,
}

impl Drop for LockFileGuard {
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
