//! Formatting of times.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The current time of a run, and the time zone for output.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    pub(crate) now: i64,
    zone: TimeZone,
}

impl Calendar {
    /// Uses the time zone of the system, or of `TZ`.
    pub(crate) fn new(now: i64) -> Self {
        Self { now, zone: TimeZone::system() }
    }

    /// The seconds until a time, which a file may set to any number: the nearest that can be held.
    pub(crate) fn until(&self, at: i64) -> i64 {
        at.saturating_sub(self.now)
    }

    /// A time relative to now, in one unit: `in 42 min`, `2 h ago`.
    pub(crate) fn relative(&self, at: i64) -> String {
        let away = self.until(at);
        if away == 0 {
            return "now".into();
        }
        let length = length(away.unsigned_abs());
        if away > 0 { format!("in {length}") } else { format!("{length} ago") }
    }

    /// Date and time to the minute: `2026-11-25 19:02`. Out of range, the number of seconds.
    pub(crate) fn date(&self, at: i64) -> String {
        self.formatted(at, "%Y-%m-%d %H:%M")
    }

    /// Short form: the time if it is today, the day if it is this year, else the month.
    pub(crate) fn short(&self, at: i64) -> String {
        let is_same = |format| self.formatted(at, format) == self.formatted(self.now, format);
        if is_same("%F") {
            self.formatted(at, "%H:%M")
        } else if is_same("%Y") {
            self.formatted(at, "%d %b")
        } else {
            self.formatted(at, "%b %Y")
        }
    }

    /// Time of day to the second.
    pub(crate) fn clock(&self, at: i64) -> String {
        self.formatted(at, "%H:%M:%S")
    }

    /// Timestamp for a file name.
    pub(crate) fn stamp(&self, at: i64) -> String {
        self.formatted(at, "%Y%m%d-%H%M%S")
    }

    /// Relative time and date: `in 42 min (2026-11-25 19:02)`.
    pub(crate) fn both(&self, at: i64) -> String {
        format!("{} ({})", self.relative(at), self.date(at))
    }

    fn formatted(&self, at: i64, format: &str) -> String {
        match Timestamp::from_second(at) {
            Ok(time) => time.to_zoned_datetime(self.zone.clone()).strftime(format).to_string(),
            Err(_) => at.to_string(),
        }
    }
}

/// Seconds in the largest unit that gives at least two, rounded down.
pub(crate) fn length(seconds: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (365 * 86_400, "years"),
        (30 * 86_400, "months"),
        (86_400, "days"),
        (3600, "h"),
        (60, "min"),
        (1, "s"),
    ];
    let fits = UNITS.iter().find(|(unit, _)| seconds >= 2 * unit).unwrap_or(&UNITS[5]);
    format!("{} {}", seconds / fits.0, fits.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_time_has_one_unit() {
        let calendar = Calendar { now: 1_000_000, zone: TimeZone::UTC };
        for (away, expected) in [
            (0, "now"),
            (1, "in 1 s"),
            (-90, "90 s ago"),
            (42 * 60 + 59, "in 42 min"),
            (119 * 60, "in 119 min"),
            (-2 * 3600, "2 h ago"),
            (47 * 3600, "in 47 h"),
            (3 * 86_400, "in 3 days"),
            (-90 * 86_400, "3 months ago"),
            (800 * 86_400, "in 2 years"),
        ] {
            assert_eq!(calendar.relative(1_000_000 + away), expected);
        }
        assert_eq!(calendar.date(0), "1970-01-01 00:00");
        for extreme in [i64::MIN, i64::MAX] {
            assert_eq!(calendar.date(extreme), extreme.to_string());
            assert!(calendar.both(extreme).contains("292471208677 years"));
        }
    }
}
