use std::path::Path;
use std::time::{Duration, Instant};

use msal_cache_core::event;
use msal_cache_core::internal::lock_waited;

/// The first pause, and how often it doubles: from half a millisecond to eight.
const FIRST: Duration = Duration::from_micros(500);
const DOUBLINGS: u32 = 4;

/// Waits up to this are not reported.
const UNREPORTED: Duration = Duration::from_millis(10);

/// The time that one call has spent waiting for the database, and its limit.
///
/// This replaces the busy handler of SQLite. That isn't called in every case, such as a change of
/// the journal mode; its pauses grow to a tenth of a second, which is unfair among many processes;
/// and it doesn't count the time that a call waits for other threads. So SQLite reports at once
/// that it is busy, and the attempt is repeated here.
pub(crate) struct BusyWait {
    limit: Duration,
    /// The start of the first pause. A call that doesn't wait never reads the clock.
    since: Option<Instant>,
    tries: u32,
}

impl BusyWait {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, since: None, tries: 0 }
    }

    /// Starts the clock, and returns the time that is left.
    pub(crate) fn start(&mut self) -> Duration {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.limit.saturating_sub(since.elapsed())
    }

    /// Waits a little. Returns false if no time is left. The pauses are random, so that callers
    /// that wait together don't try again together.
    pub(crate) fn pause(&mut self) -> bool {
        let left = self.start();
        if left.is_zero() {
            return false;
        }
        let longest = FIRST * (1 << self.tries.min(DOUBLINGS));
        self.tries += 1;
        std::thread::sleep(longest.mul_f32(0.25 + 0.75 * fastrand::f32()).min(left));
        true
    }

    pub(crate) fn waited(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Reports a wait that has ended.
    pub(crate) fn report(&self, path: &Path) {
        let waited = self.waited();
        if self.since.is_some() {
            lock_waited(waited);
        }
        if waited > UNREPORTED {
            event!(debug, path = %path.display(), ?waited, "waited for the database");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_end_at_the_limit() {
        let limit = Duration::from_millis(20);
        let mut busy_wait = BusyWait::new(limit);
        assert_eq!(busy_wait.waited(), Duration::ZERO);
        while busy_wait.pause() {}
        assert!(busy_wait.waited() >= limit);
        assert!(!BusyWait::new(Duration::ZERO).pause());
    }

    #[test]
    fn the_longest_limit_does_not_overflow() {
        assert!(BusyWait::new(Duration::MAX).pause());
    }
}
