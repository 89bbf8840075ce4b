use std::time::Duration;

/// What a `stat` tells of a file: two that differ are two contents, or two permissions.
///
/// Two that are equal are one content only once the clock of the file system has moved on, since
/// a file may be written twice within one tick of it; see [`settles_after`](Self::settles_after).
/// The times in here are compared with each other and never with a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// The device, and the file's number on it.
    pub(crate) identity: (u64, u64),
    /// In bytes.
    pub(crate) size: u64,
    /// Last change of the content, in nanoseconds since the epoch.
    pub(crate) modified: i128,
    /// Last change of the content or of what a `stat` tells, in the same unit.
    pub(crate) changed: i128,
    /// Permission bits and owner, so that a `chmod` is noticed like a write.
    pub(crate) access: (u32, u32),
}

/// Longer than a tick of any kernel that keeps times in nanoseconds: those tick at least 100
/// times a second.
const FINE: Duration = Duration::from_millis(20);

/// The coarsest clock of a file system still in use, FAT's.
const COARSE: Duration = Duration::from_secs(2);

impl Fingerprint {
    /// Whether nobody wrote between two looks at one open file. The time of change is left out:
    /// it also moves when the file is renamed over, which leaves the open one whole.
    pub(crate) fn is_same_content(&self, later: &Self) -> bool {
        (self.size, self.modified) == (later.size, later.modified)
    }

    /// The same without the time of change, which moves with each change of a name.
    pub(crate) fn without_change(self) -> Self {
        Self { changed: 0, ..self }
    }

    /// How long after this was first seen the file can no longer change without it changing.
    ///
    /// A part below a millisecond shows a fine clock. Both times are looked at, because this
    /// crate and others set the time of the content to whole milliseconds.
    pub(crate) fn settles_after(&self) -> Duration {
        let fine = |time: i128| time % 1_000_000 != 0;
        if fine(self.modified) || fine(self.changed) { FINE } else { COARSE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_clock_is_given_two_seconds() {
        let of = |modified, changed| Fingerprint {
            identity: (1, 2),
            size: 3,
            modified,
            changed,
            access: (0o600, 0),
        };
        assert_eq!(
            of(1_700_000_000_000_000_000, 1_700_000_000_000_000_000).settles_after(),
            COARSE
        );
        assert_eq!(
            of(1_700_000_000_123_000_000, 1_700_000_000_123_000_000).settles_after(),
            COARSE
        );
        assert_eq!(of(1_700_000_000_123_000_000, 1_700_000_000_123_400_000).settles_after(), FINE);
        assert_eq!(of(1_700_000_000_123_456_789, 1_700_000_000_123_456_789).settles_after(), FINE);
    }
}
