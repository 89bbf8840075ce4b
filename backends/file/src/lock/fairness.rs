use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Lets others have their turn.
///
/// MSAL Python asks for the lock every 250 ms and gives up after 5 s, and MSAL Node every 100 ms;
/// processes that take it again at once each time, or from each other, would starve them. So
/// there is a quiet time that all processes of this crate keep together, by the clock: whoever
/// wants the lock again at once, or has found it taken, doesn't ask for it then. Who asks once
/// in a while is never held up.
#[derive(Debug, Default)]
pub(super) struct Fairness {
    taken: Option<Instant>,
    released: Option<Instant>,
}

/// The quiet time comes once in so many milliseconds. Those who ask every 250 ms come 30 ms earlier
/// in it each time, and so within ten attempts into the quiet time.
const PERIOD: u64 = 280;

/// The last milliseconds of it.
const QUIET: u64 = 40;

/// When whoever has waited so long may ask, after the quiet time: who has waited longest comes
/// first, and who has just had the lock comes last. So it goes around.
pub(super) fn turn(waited: Duration) -> Duration {
    let left = Duration::from_secs(1).saturating_sub(waited);
    left / 100 + Duration::from_micros(fastrand::u64(0..1000))
}

/// The turn of whoever has just had the lock.
const LAST: Duration = Duration::from_millis(12);

/// The rest of the quiet time, while there is one.
pub(super) fn quiet() -> Option<Duration> {
    // A clock before the epoch keeps no time with others.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    rest(u64::try_from(now.as_millis()).ok()?)
}

fn rest(now: u64) -> Option<Duration> {
    let left = PERIOD - now % PERIOD;
    (left <= QUIET).then_some(Duration::from_millis(left))
}

impl Fairness {
    /// Waits a moment if this process has just had the lock and it is time for others.
    pub(super) fn be_fair(&self) {
        if self.is_back_to_back(Instant::now())
            && let Some(rest) = quiet()
        {
            thread::sleep(rest + LAST);
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
    fn those_who_poll_meet_the_quiet_time_long_before_they_give_up() {
        // A hold that began just before it has ended by the middle of it.
        let is_free = |now| rest(now).is_some_and(|left| left <= Duration::from_millis(QUIET - 10));
        for (every, timeouts) in [(250, 11), (100, 20)] {
            for start in 0..PERIOD {
                let met = (0..timeouts).any(|attempt| is_free(start + every * attempt));
                assert!(met, "every {every} from {start}");
            }
        }
    }

    #[test]
    fn after_it_who_has_waited_longest_comes_first_and_who_just_had_the_lock_comes_last() {
        let after = |waited| turn(Duration::from_millis(waited));
        for waited in [0, 280, 560, 2000] {
            assert!(after(waited) < LAST);
            assert!(after(waited + 280) < after(waited) || waited >= 1000);
        }
    }

    #[test]
    fn it_is_one_seventh_of_the_time() {
        let quiet = (0..PERIOD).filter(|now| rest(*now).is_some()).count();
        assert_eq!(quiet, 40);
        assert_eq!(rest(PERIOD - 1), Some(Duration::from_millis(1)));
        assert_eq!(rest(PERIOD), None);
    }

    #[test]
    fn only_who_takes_it_again_at_once_is_held_up() {
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
