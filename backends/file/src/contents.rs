use std::collections::VecDeque;
use std::time::Instant;

use msal_cache_core::Revision;

use crate::clock::Moment;
use crate::fingerprint::Fingerprint;
use crate::lock::LockHold;

/// The contents that this process has read or written lately, and how the file looked then.
///
/// More than one is kept because threads read at the same time: a writer's content must still be
/// known when another thread has read the file once more before the writer swaps.
#[derive(Debug, Default)]
pub(crate) struct KnownContents {
    contents: VecDeque<KnownContent>,
    /// When the file was first seen to look as it does.
    first: Option<(Fingerprint, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct KnownContent {
    revision: Revision,
    fingerprint: Fingerprint,
    /// The clock of the file system has moved on between the last write and the reading, so
    /// another content would look different.
    settled: bool,
    /// The hold of the lock under which it was read, written or confirmed, if any.
    hold: Option<u64>,
    /// When reading it began; unknown for a content that was written.
    since: Option<Moment>,
}

/// As many as threads can be expected to read one file at one time.
const KEPT: usize = 8;

impl KnownContents {
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
        since: Moment,
        hold: Option<LockHold>,
    ) -> Revision {
        self.look(fingerprint, Instant::now());
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

    /// Whether a file that looks like this, under the lock, certainly holds the content of
    /// `revision`, which may have been read before the lock was taken. Then it counts as read in
    /// this hold.
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
        let is_revealed = || {
            let (clock, since) = hold.clock.zip(known.since)?;
            Some(clock.reveals_writes_since(since, fingerprint))
        };
        if !known.settled && !is_revealed().unwrap_or_default() {
            return false;
        }
        known.settled = true;
        known.hold = Some(hold.number);
        true
    }

    /// A content was written. `marked` tells that the file carries a time that no other writer
    /// gives it, so that another content looks different from the start.
    pub(crate) fn wrote(&mut self, fingerprint: Fingerprint, marked: bool, hold: u64) -> Revision {
        self.look(fingerprint, Instant::now());
        let revision = Revision::unique();
        self.keep(KnownContent {
            revision,
            fingerprint,
            settled: marked,
            hold: Some(hold),
            since: None,
        })
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

    /// The clock of the file system isn't known.
    const HOLD: LockHold = LockHold { number: 1, clock: None };

    #[test]
    fn a_content_that_was_read_at_once_may_have_changed_since() {
        let mut seen = KnownContents::default();
        let start = Moment::now();
        seen.look(FILE, start.monotonic);
        let early = seen.read(FILE, start.plus(Duration::from_millis(19)), None);
        let late = seen.read(FILE, start.plus(Duration::from_millis(20)), None);
        assert!(!seen.is_still(early, FILE));
        assert!(seen.is_still(late, FILE));
        assert!(!seen.is_still(late, Fingerprint { size: 4, ..FILE }));
        assert!(!seen.may_replace(early, FILE, 1));
        assert!(seen.may_replace(late, FILE, 1));
    }

    #[test]
    fn what_was_read_under_the_lock_may_be_replaced_in_that_hold_alone() {
        let mut seen = KnownContents::default();
        let read = seen.read(FILE, Moment::now(), Some(HOLD));
        assert!(seen.may_replace(read, FILE, 1));
        assert!(!seen.may_replace(read, FILE, 2));
        assert!(!seen.is_still(read, FILE));
    }

    /// A hold whose lock file was written this long after the file.
    fn hold(number: u64, after: Duration) -> LockHold {
        let time = FILE.modified + i128::try_from(after.as_nanos()).unwrap();
        let clock = ClockReading::of(Fingerprint { modified: time, changed: time, ..FILE });
        LockHold { number, clock: Some(clock) }
    }

    #[test]
    fn what_was_read_before_the_lock_is_confirmed_where_a_write_since_would_show() {
        let mut seen = KnownContents::default();
        let read = seen.read(FILE, Moment::now(), None);
        let elsewhere = Fingerprint { size: 4, ..FILE };
        let (soon, late) = (Duration::from_millis(10), Duration::from_secs(10));
        assert!(!seen.confirm(read, FILE, hold(1, soon)), "within a tick of its last change");
        assert!(!seen.confirm(read, FILE, HOLD), "the clock is not known");
        assert!(!seen.confirm(read, elsewhere, hold(1, late)));
        assert!(!seen.confirm(Revision::unique(), FILE, hold(1, late)));
        assert!(!seen.may_replace(read, FILE, 1) && !seen.is_still(read, FILE));
        assert!(seen.confirm(read, FILE, hold(2, late)));
        assert!(seen.may_replace(read, FILE, 2) && seen.is_still(read, FILE));
    }

    #[test]
    fn what_was_read_with_the_lock_is_settled_where_a_write_since_would_show() {
        let mut seen = KnownContents::default();
        let read = seen.read(FILE, Moment::now(), Some(hold(1, Duration::from_millis(10))));
        assert!(!seen.is_still(read, FILE));
        let read = seen.read(FILE, Moment::now(), Some(hold(1, Duration::from_secs(10))));
        assert!(seen.is_still(read, FILE));
    }

    #[test]
    fn what_was_written_without_a_mark_is_not_confirmed_by_the_clock() {
        let mut seen = KnownContents::default();
        let written = seen.wrote(FILE, false, 1);
        assert!(!seen.confirm(written, FILE, hold(2, Duration::from_secs(10))));
        let written = seen.wrote(FILE, true, 1);
        assert!(seen.confirm(written, FILE, HOLD));
    }

    #[test]
    fn readers_beside_a_writer_don_t_make_it_forget() {
        let mut seen = KnownContents::default();
        let read = seen.read(FILE, Moment::now(), Some(HOLD));
        for _ in 1..KEPT {
            seen.read(FILE, Moment::now(), None);
        }
        assert!(seen.may_replace(read, FILE, 1));
        seen.read(FILE, Moment::now(), None);
        assert!(!seen.may_replace(read, FILE, 1));
    }
}
