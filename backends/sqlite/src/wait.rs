use std::time::{Duration, Instant};

use msal_cache_core::notice;

/// The first pause, and how often it doubles: from half a millisecond to eight.
const FIRST: Duration = Duration::from_micros(500);
const DOUBLINGS: u32 = 4;

/// Shorter waits are what a busy database is like.
const WORTH_TELLING: Duration = Duration::from_millis(10);

/// How long one call may still wait for others, and how long it has.
///
/// SQLite could wait by itself. But it doesn't in every case, such as a change of the journal;
/// its pauses grow to a tenth of a second, and among many processes somebody always has bad
/// luck; and what a call waits for other threads of this process has to count as well. So SQLite
/// says at once that it is busy, and every attempt is repeated here.
pub(crate) struct Patience {
    limit: Duration,
    /// Since the first pause: a call that doesn't wait never asks for the time.
    since: Option<Instant>,
    tries: u32,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, since: None, tries: 0 }
    }

    /// Starts to count, and returns what is left.
    pub(crate) fn start(&mut self) -> Duration {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.limit.saturating_sub(since.elapsed())
    }

    /// Waits a little, or says that the deadline has passed. The pauses are random, so that
    /// those who wait together don't try together.
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

    /// The call got through.
    pub(crate) fn done(&self, path: &std::path::Path) {
        if self.since.is_some() && self.waited() > WORTH_TELLING {
            notice::debug(path, format_args!("waited {:?} for the database", self.waited()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_at_the_limit() {
        let limit = Duration::from_millis(20);
        let mut patience = Patience::new(limit);
        assert_eq!(patience.waited(), Duration::ZERO);
        while patience.pause() {}
        assert!(patience.waited() >= limit);
        assert!(!Patience::new(Duration::ZERO).pause());
    }

    #[test]
    fn it_may_be_endless() {
        assert!(Patience::new(Duration::MAX).pause());
    }
}
