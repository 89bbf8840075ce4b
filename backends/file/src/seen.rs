use std::collections::VecDeque;
use std::time::Instant;

use msal_cache_core::Revision;

use crate::fingerprint::Fingerprint;

/// The contents that this process has read or written lately, and how the file looked then.
///
/// More than one is kept because threads read at the same time: a writer's content must still be
/// known when another thread has read the file once more before the writer swaps.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    contents: VecDeque<Content>,
    /// When the file was first seen to look as it does.
    first: Option<(Fingerprint, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Content {
    revision: Revision,
    fingerprint: Fingerprint,
    /// The clock of the file system has moved on between the last write and the reading, so
    /// another content would look different.
    settled: bool,
    /// The hold of the lock under which it was read, if it was.
    hold: Option<u64>,
}

/// As many as threads can be expected to read one file at one time.
const KEPT: usize = 8;

impl Seen {
    /// The file looks like this.
    ///
    /// `now` must have been taken after the look.
    pub(crate) fn look(&mut self, fingerprint: Fingerprint, now: Instant) {
        if self.first.is_none_or(|(first, _)| first != fingerprint) {
            self.first = Some((fingerprint, now));
        }
    }

    /// A content was read, beginning at `since`.
    pub(crate) fn read(
        &mut self,
        fingerprint: Fingerprint,
        since: Instant,
        hold: Option<u64>,
    ) -> Revision {
        self.look(fingerprint, Instant::now());
        let first = self.first.map_or(since, |(_, first)| first);
        let settled = since.saturating_duration_since(first) >= fingerprint.settles_after();
        self.keep(Content { revision: Revision::unique(), fingerprint, settled, hold })
    }

    /// A content was written. `marked` tells that the file carries a time that no other writer
    /// gives it, so that another content looks different from the start.
    pub(crate) fn wrote(&mut self, fingerprint: Fingerprint, marked: bool, hold: u64) -> Revision {
        self.look(fingerprint, Instant::now());
        let revision = Revision::unique();
        self.keep(Content { revision, fingerprint, settled: marked, hold: Some(hold) })
    }

    /// Whether a file that looks like this certainly holds the content of `revision`.
    pub(crate) fn is_still(&self, revision: Revision, fingerprint: Fingerprint) -> bool {
        self.find(revision).is_some_and(|it| it.settled && it.fingerprint == fingerprint)
    }

    /// Whether a file that looks like this may be replaced by a writer who has read `revision`.
    ///
    /// What was read in this hold of the lock may be, settled or not: whoever heeds the lock
    /// hasn't written since.
    pub(crate) fn may_replace(
        &self,
        revision: Revision,
        fingerprint: Fingerprint,
        hold: u64,
    ) -> bool {
        self.find(revision).is_some_and(|it| {
            it.fingerprint == fingerprint && (it.settled || it.hold == Some(hold))
        })
    }

    fn find(&self, revision: Revision) -> Option<&Content> {
        self.contents.iter().find(|content| content.revision == revision)
    }

    fn keep(&mut self, content: Content) -> Revision {
        self.contents.truncate(KEPT - 1);
        self.contents.push_front(content);
        content.revision
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FILE: Fingerprint = Fingerprint {
        identity: (1, 2),
        size: 3,
        modified: 1_700_000_000_123_456_789,
        changed: 1_700_000_000_123_456_789,
        access: (0o600, 0),
    };

    #[test]
    fn a_content_that_was_read_at_once_may_have_changed_since() {
        let mut seen = Seen::default();
        let start = Instant::now();
        seen.look(FILE, start);
        let early = seen.read(FILE, start + Duration::from_millis(19), None);
        let late = seen.read(FILE, start + Duration::from_millis(20), None);
        assert!(!seen.is_still(early, FILE));
        assert!(seen.is_still(late, FILE));
        assert!(!seen.is_still(late, Fingerprint { size: 4, ..FILE }));
        assert!(!seen.may_replace(early, FILE, 1));
        assert!(seen.may_replace(late, FILE, 1));
    }

    #[test]
    fn what_was_read_under_the_lock_may_be_replaced_in_that_hold_alone() {
        let mut seen = Seen::default();
        let read = seen.read(FILE, Instant::now(), Some(1));
        assert!(seen.may_replace(read, FILE, 1));
        assert!(!seen.may_replace(read, FILE, 2));
        assert!(!seen.is_still(read, FILE));
    }

    #[test]
    fn readers_beside_a_writer_don_t_make_it_forget() {
        let mut seen = Seen::default();
        let read = seen.read(FILE, Instant::now(), Some(1));
        for _ in 1..KEPT {
            seen.read(FILE, Instant::now(), None);
        }
        assert!(seen.may_replace(read, FILE, 1));
        seen.read(FILE, Instant::now(), None);
        assert!(!seen.may_replace(read, FILE, 1));
    }
}
