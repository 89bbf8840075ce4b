//! What is known of the partitions of a store on a server without asking the server.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use hashbrown::DefaultHashBuilder;

use crate::watch::Watchers;
use crate::{Partition, Revision};

/// The revisions of the partitions that were loaded last, each until the server reports a change.
///
/// They count only while the server has confirmed lately that this process knows all changes: a
/// heartbeat was answered that was sent at most `limit` ago. Time is that of the wall clock, which
/// goes on while the machine sleeps.
///
/// Readers take no lock and write nothing. The table has a fixed size; a partition that is not in
/// it costs a round trip.
#[derive(Debug)]
pub struct LocalRevisions {
    sets: Box<[Set]>,
    hasher: DefaultHashBuilder,
    /// Writers of one set exclude each other.
    writers: [Mutex<()>; STRIPES],
    /// The number of the connection that reports all changes; 0 if there is none.
    connection: Mutex<u64>,
    /// When the last heartbeat that was answered was sent, in microseconds; 0 if there is none.
    confirmed: AtomicU64,
    limit: u64,
    /// Notified whenever something may have changed while local answers ended.
    pub watchers: Watchers,
}

/// Partitions with the same low bits of their hashes.
#[derive(Debug, Default)]
struct Set {
    /// Odd while the set is written. A change of any partition of the set increases it, also of
    /// one that isn't in it.
    version: AtomicU64,
    entries: [Entry; WAYS],
}

#[derive(Debug, Default)]
struct Entry {
    /// The hash of the partition; 0 if the entry is empty. A revision belongs to one partition, so
    /// only absent partitions are told apart by their hashes.
    name: AtomicU64,
    low: AtomicU64,
    high: AtomicU64,
    /// Until when the entry counts, in microseconds.
    until: AtomicU64,
}

const WAYS: usize = 4;
/// About a megabyte.
const SETS: usize = 8192;
const STRIPES: usize = 64;

/// What was known before a partition was loaded. What is loaded counts only if there was no change
/// meanwhile.
#[derive(Debug)]
pub struct LoadStamp {
    hash: u64,
    version: u64,
    connection: u64,
}

/// The wall clock in microseconds.
#[must_use]
pub fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(1, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

impl LocalRevisions {
    /// Nothing is known. An answer counts for `limit` after the last heartbeat.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            sets: (0..SETS).map(|_| Set::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            writers: [const { Mutex::new(()) }; STRIPES],
            connection: Mutex::new(0),
            confirmed: AtomicU64::new(0),
            limit: u64::try_from(limit.as_micros()).unwrap_or(u64::MAX),
            watchers: Watchers::default(),
        }
    }

    /// Whether the partition is still at `known`, as far as that is certain.
    #[inline]
    #[must_use]
    pub fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        let confirmed = self.confirmed.load(Ordering::SeqCst);
        if confirmed == 0 {
            return false;
        }
        let hash = self.key(partition.as_str());
        let now = wall_clock();
        // Before `confirmed`, if the clock was set back: a difference that exceeds each limit.
        now.wrapping_sub(confirmed) <= self.limit && self.set(hash).holds(hash, known, now)
    }

    /// Whether a connection reports all changes.
    #[must_use]
    pub fn is_tracking(&self) -> bool {
        *self.lock() != 0
    }

    /// To be called before a partition is loaded on a connection.
    #[must_use]
    pub fn stamp(&self, partition: &Partition, connection: u64) -> LoadStamp {
        let hash = self.key(partition.as_str());
        LoadStamp { hash, version: self.set(hash).version.load(Ordering::SeqCst), connection }
    }

    /// Remembers what was loaded, for `kept` at most, unless something has changed since.
    pub fn learn(&self, stamp: &LoadStamp, revision: Revision, kept: Option<Duration>) {
        let until = kept.map_or(u64::MAX, |kept| {
            wall_clock().saturating_add(u64::try_from(kept.as_micros()).unwrap_or(u64::MAX))
        });
        // Held, so that the connection doesn't end meanwhile.
        let connection = self.lock();
        if *connection != stamp.connection || *connection == 0 {
            return;
        }
        self.write(stamp.hash, |set, version| {
            if version == stamp.version {
                set.put(stamp.hash, revision, until, version);
            }
        });
    }

    /// A partition has changed.
    pub fn forget(&self, partition: &str) {
        self.forget_key(self.key(partition));
    }

    /// The partition with this [`key`](Self::key) has changed.
    pub fn forget_key(&self, key: u64) {
        self.write(key, |set, _| set.remove(key));
    }

    /// What a partition is known by in this process, for reports that don't have its name. Never 0, which
    /// is an empty entry.
    #[must_use]
    pub fn key(&self, partition: &str) -> u64 {
        self.hasher.hash_one(partition) | 1 << 63
    }

    /// All partitions may have changed.
    pub fn forget_all(&self) {
        for (at, set) in self.sets.iter().enumerate() {
            self.write(at as u64, |_, _| set.clear());
        }
    }

    /// A connection reports all changes from now on.
    pub fn begin(&self, connection: u64) {
        let mut current = self.lock();
        self.confirmed.store(0, Ordering::SeqCst);
        self.forget_all();
        *current = connection;
    }

    /// The server has answered a heartbeat that was sent at this time, and all changes before it are
    /// known.
    pub fn confirm(&self, connection: u64, sent: u64) {
        if *self.lock() == connection {
            self.confirmed.store(sent, Ordering::SeqCst);
        }
    }

    /// A connection doesn't report changes any more.
    pub fn end(&self, connection: u64) {
        let mut current = self.lock();
        if *current == connection && connection != 0 {
            *current = 0;
            self.confirmed.store(0, Ordering::SeqCst);
            self.forget_all();
            drop(current);
            self.watchers.notify();
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[allow(clippy::cast_possible_truncation)] // The low bits are what is needed.
    fn set(&self, hash: u64) -> &Set {
        &self.sets[hash as usize % SETS]
    }

    /// Writes a set; `change` is passed its version.
    #[allow(clippy::cast_possible_truncation)]
    fn write(&self, hash: u64, change: impl FnOnce(&Set, u64)) {
        let stripe = &self.writers[hash as usize % STRIPES];
        let _writer = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        let set = self.set(hash);
        let version = set.version.load(Ordering::SeqCst);
        set.version.store(version + 1, Ordering::SeqCst);
        change(set, version);
        set.version.store(version + 2, Ordering::SeqCst);
    }
}

impl Set {
    #[inline]
    fn holds(&self, hash: u64, known: Revision, now: u64) -> bool {
        let version = self.version.load(Ordering::SeqCst);
        let (low, high) = halves(known);
        let found = self.entries.iter().any(|it| {
            it.name.load(Ordering::SeqCst) == hash
                && it.low.load(Ordering::SeqCst) == low
                && it.high.load(Ordering::SeqCst) == high
                && now < it.until.load(Ordering::SeqCst)
        });
        found && version.is_multiple_of(2) && self.version.load(Ordering::SeqCst) == version
    }

    #[allow(clippy::cast_possible_truncation)]
    fn put(&self, hash: u64, revision: Revision, until: u64, version: u64) {
        let holding = |name| self.entries.iter().find(|it| it.name.load(Ordering::SeqCst) == name);
        // Otherwise any; the version is as good as a random number.
        let entry = holding(hash).or_else(|| holding(0));
        let entry = entry.unwrap_or(&self.entries[version as usize / 2 % WAYS]);
        let (low, high) = halves(revision);
        entry.name.store(hash, Ordering::SeqCst);
        entry.low.store(low, Ordering::SeqCst);
        entry.high.store(high, Ordering::SeqCst);
        entry.until.store(until, Ordering::SeqCst);
    }

    fn remove(&self, hash: u64) {
        for entry in &self.entries {
            if entry.name.load(Ordering::SeqCst) == hash {
                entry.name.store(0, Ordering::SeqCst);
            }
        }
    }

    fn clear(&self) {
        self.entries.iter().for_each(|it| it.name.store(0, Ordering::SeqCst));
    }
}

#[allow(clippy::cast_possible_truncation)]
fn halves(revision: Revision) -> (u64, u64) {
    let bits = revision.as_u128();
    (bits as u64, (bits >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracking() -> LocalRevisions {
        let local = LocalRevisions::new(Duration::from_secs(60));
        local.begin(1);
        local.confirm(1, wall_clock());
        local
    }

    #[test]
    fn a_revision_counts_until_its_partition_changes() {
        let (local, user, revision) = (tracking(), Partition::user("u"), Revision::unique());
        assert!(!local.is_unchanged(&user, revision));
        for known in [revision, Revision::ABSENT] {
            local.learn(&local.stamp(&user, 1), known, None);
            assert!(local.is_unchanged(&user, known));
            assert!(!local.is_unchanged(&user, Revision::unique()));
            assert!(!local.is_unchanged(&Partition::user("v"), known));
            local.forget(user.as_str());
            assert!(!local.is_unchanged(&user, known));
        }
    }

    #[test]
    fn a_load_that_a_change_overtakes_is_not_remembered() {
        let (local, user, revision) = (tracking(), Partition::user("u"), Revision::unique());
        let changes: [&dyn Fn(); 4] =
            [&|| local.forget(user.as_str()), &|| local.forget_all(), &|| local.end(1), &|| {
                local.begin(2);
            }];
        for change in changes {
            let stamp = local.stamp(&user, 1);
            change();
            local.learn(&stamp, revision, None);
            local.confirm(2, wall_clock());
            assert!(!local.is_unchanged(&user, revision));
        }
        // A load on a connection that is not the one which reports the changes.
        local.learn(&local.stamp(&user, 1), revision, None);
        assert!(!local.is_unchanged(&user, revision));
    }

    #[test]
    fn without_a_heartbeat_nothing_counts() {
        let local = LocalRevisions::new(Duration::from_millis(20));
        let (user, revision) = (Partition::user("u"), Revision::unique());
        local.begin(1);
        local.learn(&local.stamp(&user, 1), revision, None);
        assert!(!local.is_unchanged(&user, revision));
        local.confirm(1, wall_clock());
        assert!(local.is_unchanged(&user, revision));
        std::thread::sleep(Duration::from_millis(30));
        assert!(!local.is_unchanged(&user, revision));
        // The clock was set back.
        local.confirm(1, wall_clock() + 5_000_000);
        assert!(!local.is_unchanged(&user, revision));
        // A heartbeat of an earlier connection.
        local.confirm(1, wall_clock());
        assert!(local.is_unchanged(&user, revision));
        local.begin(2);
        local.confirm(1, wall_clock());
        local.learn(&local.stamp(&user, 2), revision, None);
        assert!(!local.is_unchanged(&user, revision));
    }

    #[test]
    fn an_entry_counts_for_the_time_that_it_is_kept() {
        let (local, user, revision) = (tracking(), Partition::user("u"), Revision::unique());
        local.learn(&local.stamp(&user, 1), revision, Some(Duration::from_millis(20)));
        assert!(local.is_unchanged(&user, revision));
        std::thread::sleep(Duration::from_millis(30));
        assert!(!local.is_unchanged(&user, revision));
    }

    #[test]
    fn ten_thousand_partitions_are_remembered() {
        let local = tracking();
        let users: Vec<_> =
            (0..10_000).map(|n| (Partition::user(&format!("u{n}")), Revision::unique())).collect();
        for (user, revision) in &users {
            local.learn(&local.stamp(user, 1), *revision, None);
        }
        let known = users.iter().filter(|(user, revision)| local.is_unchanged(user, *revision));
        let known = known.count();
        assert!(known > 9_500, "{known}");
    }
}
