//! The clock of a file system, which may be that of a server.

use std::time::{Duration, Instant, SystemTime};

use crate::fingerprint::Fingerprint;

/// A moment, by two clocks of this system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// An upper bound of the time from this moment to `later`; zero where `later` is earlier.
    ///
    /// The monotonic clock stops while the system sleeps, and the wall clock may be set back, so
    /// the longer time counts. The rate of another clock may differ by one in a thousand.
    fn until(self, later: Self) -> Duration {
        let monotonic = later.monotonic.saturating_duration_since(self.monotonic);
        let wall = later.wall.duration_since(self.wall).unwrap_or_default();
        let longer = monotonic.max(wall);
        longer + longer / 1000
    }
}

/// The time of a file system at a moment: the time stamp of a file that this process has just
/// written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockReading {
    device: u64,
    /// In nanoseconds since the epoch.
    time: i128,
    /// A moment at which the clock had reached `time`.
    at: Moment,
}

impl ClockReading {
    /// `written` is the fingerprint of a file that this process has written, taken after the
    /// write.
    pub(crate) fn of(written: Fingerprint) -> Self {
        Self { device: written.identity.0, time: written.modified, at: Moment::now() }
    }

    /// The time since the content of a file on the same file system was changed; `None` where that
    /// is later than this reading.
    pub(crate) fn age(&self, file: Fingerprint) -> Option<Duration> {
        let before = u64::try_from(self.time - file.modified).ok()?;
        Some(Duration::from_nanos(before) + self.at.monotonic.elapsed())
    }

    /// Whether each write to a file that begins at `since` or later changes its fingerprint
    /// `file`.
    ///
    /// A write stamps the file with the current time. The stamp differs from those in the
    /// fingerprint if the clock of the file system had passed them by more than a tick at `since`.
    pub(crate) fn reveals_writes_since(&self, since: Moment, file: Fingerprint) -> bool {
        let nanoseconds = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        let time_at_since = self.time - nanoseconds(since.until(self.at));
        let last_change = file.modified.max(file.changed);
        file.identity.0 == self.device
            && time_at_since - last_change > nanoseconds(file.settles_after())
    }
}

#[cfg(test)]
impl Moment {
    pub(crate) fn plus(self, time: Duration) -> Self {
        Self { monotonic: self.monotonic + time, wall: self.wall + time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// A file whose last change is `age` milliseconds older than the reading.
    fn aged(age: i128) -> (Moment, ClockReading, Fingerprint) {
        let at = Moment::now();
        let time = 1_700_000_000_123_456_789;
        let reading = ClockReading { device: 1, time, at };
        let file = Fingerprint {
            identity: (1, 2),
            size: 3,
            modified: time - age * 1_000_000,
            changed: time - age * 1_000_000,
            access: (0o600, 0),
        };
        (at, reading, file)
    }

    #[test]
    fn a_write_after_the_clock_has_moved_on_is_revealed() {
        let (at, reading, file) = aged(21);
        assert!(reading.reveals_writes_since(at, file));
        assert!(reading.reveals_writes_since(at.plus(MILLISECOND), file));
        let (at, reading, file) = aged(20);
        assert!(!reading.reveals_writes_since(at, file), "within a tick");
        assert!(!reading.reveals_writes_since(at.plus(1000 * MILLISECOND), file));
        let (at, reading, file) = aged(-1);
        assert!(!reading.reveals_writes_since(at, file), "a file from the future");
    }

    #[test]
    fn the_time_from_the_read_to_the_reading_is_subtracted() {
        let (read, mut reading, file) = aged(1021);
        reading.at = read.plus(999 * MILLISECOND);
        assert!(reading.reveals_writes_since(read, file));
        reading.at = read.plus(1001 * MILLISECOND);
        assert!(!reading.reveals_writes_since(read, file));
    }

    #[test]
    fn the_longer_of_two_clocks_counts() {
        let (read, mut reading, file) = aged(1021);
        let second = 1000 * MILLISECOND;
        // The system slept, so the monotonic clock stopped.
        reading.at = Moment { monotonic: read.monotonic, wall: read.wall + 2 * second };
        assert!(!reading.reveals_writes_since(read, file));
        // The wall clock was set back.
        reading.at =
            Moment { monotonic: read.monotonic + 2 * second, wall: read.wall - 2 * second };
        assert!(!reading.reveals_writes_since(read, file));
    }

    #[test]
    fn the_latest_time_stamp_of_the_file_counts() {
        let (at, reading, file) = aged(1000);
        assert!(!reading.reveals_writes_since(at, Fingerprint { changed: reading.time, ..file }));
        assert!(!reading.reveals_writes_since(at, Fingerprint { modified: reading.time, ..file }));
    }

    #[test]
    fn the_clock_of_another_file_system_reveals_nothing() {
        let (at, reading, file) = aged(1000);
        assert!(!reading.reveals_writes_since(at, Fingerprint { identity: (7, 2), ..file }));
    }

    #[test]
    fn a_coarse_clock_needs_two_seconds() {
        let whole = |age| {
            let (at, reading, file) = aged(age);
            let (modified, changed) = (
                file.modified / 1_000_000_000 * 1_000_000_000,
                file.changed / 1_000_000_000 * 1_000_000_000,
            );
            (at, reading, Fingerprint { modified, changed, ..file })
        };
        let (at, reading, file) = whole(1000);
        assert!(!reading.reveals_writes_since(at, file));
        let (at, reading, file) = whole(3000);
        assert!(reading.reveals_writes_since(at, file));
    }
}
