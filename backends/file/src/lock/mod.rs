//! The lock of all MSAL libraries except Java's: a file named `<path>.lockfile`.
//!
//! Python and Node check only whether the file exists; Go and .NET check only whether it has a
//! `flock`. So this crate holds the lock only while both are true: this process created the file
//! and has its `flock`, and the file still has its name. No protocol can exclude both groups at
//! once, since neither respects the other; therefore a writer checks the lock again
//! ([`HeldLock::is_ours`]) when it renames its file.
//!
//! In every library, the path that the user gives determines the name of the lock. Where that path
//! is a symbolic link, another program may have opened the target by its own name. So the locks of
//! all names in the chain of links are taken, from the given path to the file. All processes take
//! them in this order, and all waits time out, so there is no deadlock.

mod attempt;
#[cfg_attr(windows, expect(dead_code, reason = "no lock file of a dead process remains"))]
mod evidence;
mod fairness;
mod file_lock;
mod holder;
mod inspect;
mod process;
mod target;
mod timeouts;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

pub(crate) use self::file_lock::{FileLock, HeldLock};
pub use self::inspect::LockHolder;
pub(crate) use self::process::LockHold;
pub(crate) use self::system::is_abandoned;
pub(crate) use self::timeouts::{GRACE_PERIOD, LockTimeouts};
