use std::time::Duration;

/// The metadata of a file: if it differs, the content or the permissions have changed.
///
/// Equal fingerprints mean equal contents only once the clock of the file system has moved on since
/// the last write, because a file can be written twice within one tick; see
/// [`settles_after`](Self::settles_after). The times are compared with other times of the same file
/// system only, whose clock may be that of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// The device, and the number of the file on it.
    pub(crate) identity: (u64, u64),
    /// In bytes.
    pub(crate) size: u64,
    /// The last change of the content, in nanoseconds since the epoch.
    pub(crate) modified: i128,
    /// The last change of the content or the metadata, in nanoseconds since the epoch.
    pub(crate) changed: i128,
    /// Permission bits and owner, so that a `chmod` is noticed like a write.
    pub(crate) access: (u32, u32),
}

/// Longer than a tick of any kernel whose time stamps have nanoseconds: there are at least 100
/// ticks a second.
const FINE: Duration = Duration::from_millis(20);

/// The coarsest resolution of a file system in use, that of FAT.
const COARSE: Duration = Duration::from_secs(2);

impl Fingerprint {
    /// Whether an open file wasn't written between two looks. The time of change is ignored: it
    /// also changes when another file is renamed over this one, which leaves its content alone.
    pub(crate) fn is_same_content(&self, later: &Self) -> bool {
        (self.size, self.modified) == (later.size, later.modified)
    }

    /// The fingerprint without the time of change, which each change of the file's name sets.
    pub(crate) fn without_change(self) -> Self {
        Self { changed: 0, ..self }
    }

    /// The time after a write from which on another write changes the fingerprint.
    ///
    /// A time stamp with a fraction of a millisecond shows a fine clock. Both times are examined,
    /// because this crate and others set the time of the content to whole milliseconds.
    pub(crate) fn settles_after(&self) -> Duration {
        let fine = |time: i128| time % 1_000_000 != 0;
        if fine(self.modified) || fine(self.changed) { FINE } else { COARSE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_clock_needs_two_seconds() {
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
