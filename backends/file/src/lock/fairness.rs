use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Gives programs of other libraries a chance to take the lock.
///
/// MSAL Python tries to take the lock every 250 ms and gives up after 5 s; MSAL Node tries every
/// 100 ms. Processes that take the lock in a loop, or in turn with each other, would starve them.
/// So all processes of this crate share a quiet period, determined by the wall clock, in which a
/// process doesn't try to take the lock if it has just released it or has found it taken. A process
/// that takes the lock occasionally never waits for that.
#[derive(Debug, Default)]
pub(super) struct Fairness {
    taken: Option<Instant>,
    released: Option<Instant>,
}

/// The quiet period recurs after this many milliseconds. A program that tries every 250 ms tries
/// 30 ms earlier in each cycle, and so within the quiet period after at most ten tries.
const PERIOD: u64 = 280;

/// The length of the quiet period, in milliseconds, at the end of each cycle.
const QUIET: u64 = 40;

/// How long after the quiet period a process that has waited this long tries again: the longer it
/// has waited, the earlier. A process that has just released the lock tries last.
pub(super) fn turn(waited: Duration) -> Duration {
    let left = Duration::from_secs(1).saturating_sub(waited);
    left / 100 + Duration::from_micros(fastrand::u64(0..1000))
}

/// How long after the quiet period a process tries again that has just released the lock.
const LAST_TURN: Duration = Duration::from_millis(12);

/// The rest of the quiet period, during one.
pub(super) fn quiet() -> Option<Duration> {
    // A clock before the epoch isn't synchronized with others.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    rest(u64::try_from(now.as_millis()).ok()?)
}

fn rest(now: u64) -> Option<Duration> {
    let left = PERIOD - now % PERIOD;
    (left <= QUIET).then_some(Duration::from_millis(left))
}

impl Fairness {
    /// Waits until the end of the quiet period if this process has just released the lock.
    pub(super) fn be_fair(&self) {
        if self.is_back_to_back(Instant::now())
            && let Some(rest) = quiet()
        {
            thread::sleep(rest + LAST_TURN);
        }
    }

    /// The lock was taken.
    pub(super) fn taken(&mut self, now: Instant) {
        self.taken = Some(now);
    }

    /// The lock was released.
    pub(super) fn released(&mut self, now: Instant) {
        self.released = Some(now);
    }

    /// Whether the lock has been free for less time than it was held.
    fn is_back_to_back(&self, now: Instant) -> bool {
        let (Some(taken), Some(released)) = (self.taken, self.released) else { return false };
        now.saturating_duration_since(released) < released.saturating_duration_since(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_poll_try_in_the_quiet_period_before_they_give_up() {
        // A hold that began just before the quiet period has ended in the middle of it.
        let is_free = |now| rest(now).is_some_and(|left| left <= Duration::from_millis(QUIET - 10));
        for (every, tries) in [(250, 11), (100, 20)] {
            for start in 0..PERIOD {
                let met = (0..tries).any(|attempt| is_free(start + every * attempt));
                assert!(met, "every {every} from {start}");
            }
        }
    }

    #[test]
    fn the_longest_waiter_is_first_and_the_last_holder_is_last() {
        let after = |waited| turn(Duration::from_millis(waited));
        for waited in [0, 280, 560, 2000] {
            assert!(after(waited) < LAST_TURN);
            assert!(after(waited + 280) < after(waited) || waited >= 1000);
        }
    }

    #[test]
    fn the_quiet_period_is_one_seventh_of_the_time() {
        let quiet = (0..PERIOD).filter(|now| rest(*now).is_some()).count();
        assert_eq!(quiet, 40);
        assert_eq!(rest(PERIOD - 1), Some(Duration::from_millis(1)));
        assert_eq!(rest(PERIOD), None);
    }

    #[test]
    fn only_a_process_that_takes_the_lock_back_to_back_waits() {
        let start = Instant::now();
        let at = |time| start + Duration::from_millis(time);
        let mut fairness = Fairness::default();
        assert!(!fairness.is_back_to_back(at(0)));
        fairness.taken(at(0));
        fairness.released(at(10));
        assert!(fairness.is_back_to_back(at(19)));
        assert!(!fairness.is_back_to_back(at(20)));
    }
}
