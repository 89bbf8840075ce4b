use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A source of the time, in whole seconds since the epoch.
///
/// A cache reads the time from its clock only, so a test can set it.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Now, in seconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> i64;
}

/// The clock of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        // The clock of a machine without a battery starts before 1970; every token is valid then.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

/// A clock that changes only when it is set.
///
/// ```
/// use std::sync::Arc;
/// use msal_cache::clock::{Clock, ManualClock};
/// use msal_cache::{Memory, TokenCache};
///
/// let clock = Arc::new(ManualClock::new(1_700_000_000));
/// let cache = TokenCache::with_clock(Memory::new(), clock.clone());
/// clock.advance(3600);
/// assert_eq!(clock.now(), 1_700_003_600);
/// # let _ = cache;
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock set to `now`, in seconds since the epoch.
    pub const fn new(now: i64) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, now: i64) {
        self.0.store(now, Ordering::SeqCst);
    }

    /// Moves the clock by `seconds`, back if that is negative.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
