use std::ops::RangeInclusive;
use std::thread;
use std::time::{Duration, Instant};

/// Lets others have their turn.
///
/// MSAL Python asks for the lock every 250 ms and gives up after 5 s; a process that takes it
/// again at once each time would starve it.
#[derive(Debug, Default)]
pub(super) struct Fairness {
    /// When the present run of holds began.
    since: Option<Instant>,
    taken: Option<Instant>,
    released: Option<Instant>,
}

/// How long a run of holds may go on, longer gaps apart.
const RUN: Duration = Duration::from_millis(250);

/// How long others are let in after that, in milliseconds; at random, so as not to keep step
/// with somebody's polling.
const PAUSE: RangeInclusive<u64> = 40..=80;

impl Fairness {
    /// Waits a moment if this process has had the lock for long enough.
    pub(super) fn be_fair(&mut self) {
        if let Some(pause) = self.due(Instant::now()) {
            thread::sleep(pause);
        }
    }

    /// The pause that is due before taking the lock at `now`.
    fn due(&mut self, now: Instant) -> Option<Duration> {
        let since = self.since?;
        if !self.is_back_to_back(now) {
            self.since = None;
            return None;
        }
        if now.saturating_duration_since(since) < RUN {
            return None;
        }
        self.since = None;
        Some(Duration::from_millis(fastrand::u64(PAUSE)))
    }

    /// The lock was taken.
    pub(super) fn taken(&mut self, now: Instant) {
        self.since.get_or_insert(now);
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

    /// Takes the lock for `hold` and leaves it for `gap`, in milliseconds, again and again.
    /// Returns the moments, in milliseconds, at which a pause was due.
    fn pauses(hold: u64, gap: u64, until: u64) -> Vec<u64> {
        let start = Instant::now();
        let at = |time| start + Duration::from_millis(time);
        let (mut fairness, mut time, mut pauses) = (Fairness::default(), 0, Vec::new());
        while time < until {
            if let Some(pause) = fairness.due(at(time)) {
                assert!((40..=80).contains(&pause.as_millis()), "{pause:?}");
                pauses.push(time);
                time += 60;
            }
            fairness.taken(at(time));
            time += hold;
            fairness.released(at(time));
            time += gap;
        }
        pauses
    }

    #[test]
    fn holding_again_and_again_is_interrupted() {
        assert_eq!(pauses(9, 1, 1000), [250, 560, 870]);
    }

    #[test]
    fn who_leaves_it_free_half_of_the_time_is_not_interrupted() {
        assert_eq!(pauses(5, 5, 1000), [0; 0]);
    }

    #[test]
    fn one_long_hold_is_followed_by_a_pause() {
        assert_eq!(pauses(300, 1, 400), [301]);
    }
}
