use std::collections::VecDeque;
use std::time::Instant;

use msal_cache_core::Revision;

use crate::clock::Moment;
use crate::fingerprint::Fingerprint;
use crate::lock::LockHold;

/// The contents of the file that this handle has read or written recently, with the fingerprint
/// that the file had then.
///
/// An unchanged fingerprint means an unchanged content only if the content is *settled*: if the
/// clock of the file system had moved on since the last write when the content was read, so that a
/// later write shows in its time stamps.
///
/// Several are kept because threads read at the same time: a writer's content must still be known
/// if another thread reads the file before the writer swaps.
#[derive(Debug, Default)]
pub(crate) struct KnownContents {
    contents: VecDeque<KnownContent>,
    /// The latest fingerprint, and when it was first seen.
    first: Option<(Fingerprint, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct KnownContent {
    revision: Revision,
    fingerprint: Fingerprint,
    settled: bool,
    /// The hold of the lock in which it was read, written or confirmed, if any.
    hold: Option<u64>,
    /// When reading it began; `None` for a content that was written.
    since: Option<Moment>,
}

/// The number of contents that are kept: about as many as threads that read one file at a time.
const KEPT: usize = 8;

impl KnownContents {
    /// Notes the current fingerprint of the file. `now` is a moment after the look.
    pub(crate) fn looked(&mut self, fingerprint: Fingerprint, now: Instant) {
        if self.first.is_none_or(|(first, _)| first != fingerprint) {
            self.first = Some((fingerprint, now));
        }
    }

    /// Notes a content that was read, beginning at `since`.
    pub(crate) fn read(
        &mut self,
        fingerprint: Fingerprint,
        since: Moment,
        hold: Option<LockHold>,
    ) -> Revision {
        self.looked(fingerprint, Instant::now());
        let first = self.first.map_or(since.monotonic, |(_, first)| first);
        let seen_for = since.monotonic.saturating_duration_since(first);
        let clock = hold.and_then(|hold| hold.clock);
        let settled = seen_for >= fingerprint.settles_after()
            || clock.is_some_and(|clock| clock.reveals_writes_since(since, fingerprint));
        self.keep(KnownContent {
            revision: Revision::unique(),
            fingerprint,
            settled,
            hold: hold.map(|hold| hold.number),
            since: Some(since),
        })
    }

    /// Notes a content that was written. `marked` means that the file has a time stamp that no
    /// other writer gives it, so the content is settled.
    pub(crate) fn wrote(&mut self, fingerprint: Fingerprint, marked: bool, hold: u64) -> Revision {
        self.looked(fingerprint, Instant::now());
        self.keep(KnownContent {
            revision: Revision::unique(),
            fingerprint,
            settled: marked,
            hold: Some(hold),
            since: None,
        })
    }

    /// Whether a file with this fingerprint certainly has the content of `revision`.
    pub(crate) fn is_still(&self, revision: Revision, fingerprint: Fingerprint) -> bool {
        self.find(revision).is_some_and(|it| it.settled && it.fingerprint == fingerprint)
    }

    /// Whether a file with this fingerprint certainly has the content of `revision`, which may have
    /// been read before the lock was taken. If so, the content counts as read in this hold.
    ///
    /// The clock of the file system, which the lock file shows, tells whether a content was settled
    /// when it was read.
    pub(crate) fn confirm(
        &mut self,
        revision: Revision,
        fingerprint: Fingerprint,
        hold: LockHold,
    ) -> bool {
        let known = self.contents.iter_mut().find(|content| content.revision == revision);
        let Some(known) = known.filter(|known| known.fingerprint == fingerprint) else {
            return false;
        };
        let was_settled = hold
            .clock
            .zip(known.since)
            .is_some_and(|(clock, since)| clock.reveals_writes_since(since, fingerprint));
        if !known.settled && !was_settled {
            return false;
        }
        known.settled = true;
        known.hold = Some(hold.number);
        true
    }

    /// Whether a writer that has read `revision` may replace a file with this fingerprint.
    ///
    /// A content that was read in this hold of the lock need not be settled: programs that take the
    /// lock haven't written since.
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

    fn find(&self, revision: Revision) -> Option<&KnownContent> {
        self.contents.iter().find(|content| content.revision == revision)
    }

    fn keep(&mut self, content: KnownContent) -> Revision {
        self.contents.truncate(KEPT - 1);
        self.contents.push_front(content);
        content.revision
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ClockReading;

    const FILE: Fingerprint = Fingerprint {
        identity: (1, 2),
        size: 3,
        modified: 1_700_000_000_123_456_789,
        changed: 1_700_000_000_123_456_789,
        access: (0o600, 0),
    };

    /// A hold in which the clock of the file system isn't known.
    const HOLD: LockHold = LockHold { number: 1, clock: None };

    /// A hold whose lock file was written this long after the file.
    fn hold(number: u64, after: Duration) -> LockHold {
        let time = FILE.modified + i128::try_from(after.as_nanos()).unwrap();
        let clock = ClockReading::of(Fingerprint { modified: time, changed: time, ..FILE });
        LockHold { number, clock: Some(clock) }
    }

    #[test]
    fn a_content_that_is_read_at_the_first_look_is_not_settled() {
        let mut contents = KnownContents::default();
        let start = Moment::now();
        contents.looked(FILE, start.monotonic);
        let early = contents.read(FILE, start.plus(Duration::from_millis(19)), None);
        let late = contents.read(FILE, start.plus(Duration::from_millis(20)), None);
        assert!(!contents.is_still(early, FILE));
        assert!(contents.is_still(late, FILE));
        assert!(!contents.is_still(late, Fingerprint { size: 4, ..FILE }));
        assert!(!contents.may_replace(early, FILE, 1));
        assert!(contents.may_replace(late, FILE, 1));
    }

    #[test]
    fn an_unsettled_content_can_be_replaced_only_in_the_hold_in_which_it_was_read() {
        let mut contents = KnownContents::default();
        let read = contents.read(FILE, Moment::now(), Some(HOLD));
        assert!(contents.may_replace(read, FILE, 1));
        assert!(!contents.may_replace(read, FILE, 2));
        assert!(!contents.is_still(read, FILE));
    }

    #[test]
    fn a_content_that_was_read_before_the_lock_is_confirmed_if_it_was_settled() {
        let mut contents = KnownContents::default();
        let read = contents.read(FILE, Moment::now(), None);
        let changed = Fingerprint { size: 4, ..FILE };
        let (soon, late) = (Duration::from_millis(10), Duration::from_secs(10));
        assert!(!contents.confirm(read, FILE, hold(1, soon)), "within a tick of its last change");
        assert!(!contents.confirm(read, FILE, HOLD), "the clock is not known");
        assert!(!contents.confirm(read, changed, hold(1, late)));
        assert!(!contents.confirm(Revision::unique(), FILE, hold(1, late)));
        assert!(!contents.may_replace(read, FILE, 1) && !contents.is_still(read, FILE));
        assert!(contents.confirm(read, FILE, hold(2, late)));
        assert!(contents.may_replace(read, FILE, 2) && contents.is_still(read, FILE));
    }

    #[test]
    fn the_clock_tells_whether_a_content_read_with_the_lock_is_settled() {
        let mut contents = KnownContents::default();
        let read = contents.read(FILE, Moment::now(), Some(hold(1, Duration::from_millis(10))));
        assert!(!contents.is_still(read, FILE));
        let read = contents.read(FILE, Moment::now(), Some(hold(1, Duration::from_secs(10))));
        assert!(contents.is_still(read, FILE));
    }

    #[test]
    fn a_content_that_was_written_without_a_mark_is_never_confirmed() {
        let mut contents = KnownContents::default();
        let written = contents.wrote(FILE, false, 1);
        assert!(!contents.confirm(written, FILE, hold(2, Duration::from_secs(10))));
        let written = contents.wrote(FILE, true, 1);
        assert!(contents.confirm(written, FILE, HOLD));
    }

    #[test]
    fn the_content_of_a_writer_is_kept_while_other_threads_read() {
        let mut contents = KnownContents::default();
        let read = contents.read(FILE, Moment::now(), Some(HOLD));
        for _ in 1..KEPT {
            contents.read(FILE, Moment::now(), None);
        }
        assert!(contents.may_replace(read, FILE, 1));
        contents.read(FILE, Moment::now(), None);
        assert!(!contents.may_replace(read, FILE, 1));
    }
}
