//! Whether the store can be reached, and what may be served while it can't.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use msal_cache_core::{Error, event};

use crate::model::{Clock, OutagePolicy};

/// How long look-ups don't ask a store that can't be reached, in milliseconds: a server that doesn't
/// answer holds each of them up until the time-out of the store.
const PAUSE: u64 = 1000;

/// The state of the policy.
#[derive(Debug)]
pub(crate) struct Outages {
    longest: Option<Duration>,
    started: Instant,
    /// By the clock of the cache.
    started_at: i64,
    is_out: AtomicBool,
    /// When the store is asked again, in milliseconds since the start.
    next: AtomicU64,
}

/// A time by the clock of the cache, in seconds, and by one that can't be set but stops while the
/// machine sleeps, in tenths of a second; both since the cache was made. It takes 8 bytes, since each
/// partition has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Before any time that may be served.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// A clock that was set by decades leads to [`NEVER`](Self::NEVER).
    fn new(clock: i64, running: Duration) -> Self {
        let (clock, running) = (i32::try_from(clock), u32::try_from(running.as_millis() / 100));
        let (Ok(clock), Ok(running)) = (clock, running) else { return Self::NEVER };
        Self(u64::from(clock.cast_unsigned()) << 32 | u64::from(running))
    }

    fn clock(self) -> i64 {
        let [.., a, b, c, d] = (self.0 >> 32).to_be_bytes();
        i64::from(i32::from_be_bytes([a, b, c, d]))
    }

    fn running(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }
}

#[derive(Debug)]
pub(crate) struct AtomicMoment(AtomicU64);

impl AtomicMoment {
    pub(crate) fn new(moment: Moment) -> Self {
        Self(moment.0.into())
    }

    pub(crate) fn get(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, moment: Moment) {
        // Look-ups share the memory, and rarely write.
        if self.get() != moment {
            self.0.store(moment.0, Ordering::Relaxed);
        }
    }
}

impl Outages {
    pub(crate) fn new(policy: OutagePolicy, clock: &dyn Clock) -> Self {
        let longest = match policy {
            OutagePolicy::Error => None,
            OutagePolicy::ServeKnown(longest) => Some(longest),
        };
        let started_at = longest.map_or(0, |_| clock.now());
        let (is_out, next) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { longest, started: Instant::now(), started_at, is_out, next }
    }

    /// Whether anything is served in an outage.
    #[inline]
    pub(crate) fn are_bridged(&self) -> bool {
        self.longest.is_some()
    }

    /// Now; never where nothing is served, so that no clock is read.
    #[inline]
    pub(crate) fn moment(&self, clock: &dyn Clock) -> Moment {
        if !self.are_bridged() {
            return Moment::NEVER;
        }
        Moment::new(clock.now().saturating_sub(self.started_at), self.started.elapsed())
    }

    /// Whether what was confirmed `then` may be served `now`.
    pub(crate) fn may_serve(&self, then: Moment, now: Moment) -> bool {
        let Some(longest) = self.longest else { return false };
        if then == Moment::NEVER || now == Moment::NEVER {
            return false;
        }
        let running = Duration::from_millis(now.running().saturating_sub(then.running()) * 100);
        // Nothing is known of the time since a clock was set back.
        let by_clock = u64::try_from(now.clock() - then.clock()).map(Duration::from_secs);
        running <= longest && by_clock.is_ok_and(|it| it <= longest)
    }

    /// Whether a look-up shouldn't ask the store now. Of those after a pause, one does.
    #[inline]
    pub(crate) fn pauses(&self) -> bool {
        self.is_out.load(Ordering::Relaxed) && !self.is_turn()
    }

    #[inline(never)]
    fn is_turn(&self) -> bool {
        let (now, next) = (self.running(), self.next.load(Ordering::Relaxed));
        let (order, after) = (Ordering::Relaxed, now + PAUSE);
        now >= next && self.next.compare_exchange(next, after, order, order).is_ok()
    }

    /// The store can't be reached.
    pub(crate) fn failed(&self, error: &Error) {
        self.next.store(self.running() + PAUSE, Ordering::Relaxed);
        if !self.is_out.swap(true, Ordering::Relaxed) {
            event!(warn, %error, "the store can't be reached; look-ups get what is known");
        }
    }

    /// The store has answered.
    #[inline]
    pub(crate) fn ended(&self) {
        if self.is_out.load(Ordering::Relaxed) && self.is_out.swap(false, Ordering::Relaxed) {
            event!(info, "the store can be reached again");
        }
    }

    fn running(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemClock;

    fn bridged() -> Outages {
        Outages::new(OutagePolicy::ServeKnown(Duration::from_secs(10)), &SystemClock)
    }

    #[test]
    fn what_is_served_is_not_older_than_the_policy_says_by_any_clock() {
        let outages = bridged();
        let at = |clock, millis| Moment::new(clock, Duration::from_millis(millis));
        let then = at(1000, 50_000);
        for (now, serves) in [
            (then, true),
            (at(1010, 60_000), true),
            (at(1011, 60_000), false),
            (at(1010, 60_100), false),
            // The machine slept, or the clock was set.
            (at(5000, 50_000), false),
            (at(999, 50_000), false),
            (at(i64::MAX, 50_000), false),
            (at(i64::MIN, 50_000), false),
            (at(-1000, 50_000), false),
        ] {
            assert_eq!(outages.may_serve(then, now), serves, "{now:?}");
        }
        assert!(outages.may_serve(at(-5, 0), at(5, 0)), "a clock that is set while it runs");
        assert!(!outages.may_serve(at(i64::MIN, 0), at(i64::MIN, 0)));
        assert!(!outages.may_serve(Moment::NEVER, at(0, 0)));
        assert!(!Outages::new(OutagePolicy::Error, &SystemClock).may_serve(then, then));
    }

    #[test]
    fn one_look_up_of_many_asks_again_after_a_pause() {
        let outages = bridged();
        assert!(!outages.pauses());
        outages.failed(&Error::backend("test", "down"));
        assert!(outages.pauses());
        outages.next.store(0, Ordering::Relaxed);
        assert!(!outages.pauses(), "it asks");
        assert!(outages.pauses(), "others don't");
        outages.ended();
        assert!(!outages.pauses());
    }
}
