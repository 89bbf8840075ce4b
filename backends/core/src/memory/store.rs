use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use smallvec::SmallVec;

use crate::memory::commit::Commit;
use crate::memory::contents::{Contents, Shard};
use crate::memory::shard::{SHARDS, shard_of, shards_of};
use crate::watch::Watchers;
use crate::{
    Batch, CacheStore, ChangeSignal, CredentialType, Guards, Load, Partition, RefreshGuard, Result,
    Revision, Snapshot, Watch,
};

/// Records in memory, which end with the process.
///
/// For tests, for a service whose users sign in again after a restart, and as a fallback where no
/// other store can be used. Its partitions are spread over many locks, so that users don't wait for
/// each other.
pub struct Memory {
    contents: Contents,
    /// Makes the revisions of the whole store different from those of other stores.
    born: Revision,
    guards: Guards,
    watchers: Watchers,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks and applies a batch.
    fn apply(&self, batch: &Batch) -> Result<Vec<Revision>> {
        let hashes: SmallVec<[_; 4]> =
            batch.changes().iter().map(|change| self.contents.hash(change.partition())).collect();
        let needed = shards_of(&hashes);
        let mut commit = Commit::lock(&self.contents, batch, &hashes, needed.iter().copied());
        commit.check()?;
        if commit.claim_keys() {
            return Ok(commit.apply(false));
        }
        // A key moves from another partition, which may not be locked.
        drop(commit);
        let mut commit = Commit::lock(&self.contents, batch, &hashes, 0..SHARDS);
        commit.check()?;
        Ok(commit.apply(true))
    }

    /// The revision of the whole store.
    fn revision(&self) -> Revision {
        let commits = self.contents.commits.load(Ordering::SeqCst);
        Revision::from_u128(self.born.as_u128().wrapping_add(u128::from(commits) << 64))
    }
}

impl Default for Memory {
    fn default() -> Self {
        let contents = Contents::default();
        Self {
            contents,
            born: Revision::unique(),
            guards: Guards::new(),
            watchers: Watchers::default(),
        }
    }
}

#[inline]
fn revision_in(shard: &Shard, hash: u64, partition: &Partition) -> Revision {
    let stored = shard.find(hash, |(it, _)| it == partition);
    stored.map_or(Revision::ABSENT, |(_, stored)| stored.revision)
}

#[inline]
fn load_from(shard: &Shard, hash: u64, partition: &Partition, known: Option<Revision>) -> Load {
    let stored = shard.find(hash, |(it, _)| it == partition).map(|(_, stored)| stored);
    let revision = stored.map_or(Revision::ABSENT, |stored| stored.revision);
    if known == Some(revision) {
        return Load::Unchanged;
    }
    let records = stored.into_iter().flat_map(|stored| stored.records.values());
    Load::Snapshot(Snapshot::new(revision, records.cloned().collect()))
}

#[deny(clippy::missing_trait_methods)]
impl CacheStore for Memory {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        let hash = self.contents.hash(partition);
        Ok(load_from(&self.contents.read(shard_of(hash)), hash, partition, known))
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        let hashes: SmallVec<[_; 4]> =
            wanted.iter().map(|(it, _)| self.contents.hash(it)).collect();
        let needed = shards_of(&hashes);
        let shards: SmallVec<[_; 4]> =
            needed.iter().map(|shard| (*shard, self.contents.read(*shard))).collect();
        let loads = wanted.iter().zip(&hashes).map(|((partition, known), hash)| {
            let at = needed.partition_point(|shard| *shard < shard_of(*hash));
            load_from(&shards[at].1, *hash, partition, *known)
        });
        Ok(loads.collect())
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        let revisions = self.apply(batch)?;
        self.watchers.notify();
        Ok(revisions)
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        if known == Some(self.revision()) {
            return Ok(Load::Unchanged);
        }
        let shards: Vec<_> = (0..SHARDS).map(|shard| self.contents.read(shard)).collect();
        // Commits are excluded now.
        let revision = self.revision();
        let stored = shards.iter().flat_map(|shard| shard.iter());
        let mut records: Vec<_> = stored
            .flat_map(|(_, stored)| &stored.records)
            .filter(|(_, it)| credential_type.is_none_or(|of| of == it.credential_type()))
            .collect();
        records.sort_unstable_by_key(|(number, _)| **number);
        let records = records.into_iter().map(|(_, record)| record.clone()).collect();
        Ok(Load::Snapshot(Snapshot::new(revision, records)))
    }

    fn purge(&self, now: i64) -> Result<u64> {
        let mut shards: Vec<_> = (0..SHARDS).map(|shard| self.contents.write(shard)).collect();
        let mut owners = self.contents.owners.access();
        let mut purged = 0;
        for shard in &mut shards {
            shard.retain(|(partition, stored)| {
                purged += stored.purge(now, |record| {
                    let target = (record.credential_type(), record.key());
                    let hash = self.contents.hash(partition);
                    if let Some(owner) = self.contents.owner(target, partition, hash) {
                        owners.remove(owner);
                    }
                });
                !stored.records.is_empty()
            });
        }
        if purged > 0 {
            self.contents.commits.fetch_add(1, Ordering::SeqCst);
        }
        drop((shards, owners));
        if purged > 0 {
            self.watchers.notify();
        }
        Ok(purged)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.guards.enter(partition, wait)
    }

    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        Ok(self.watchers.watch(signal))
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        let hash = self.contents.hash(partition);
        revision_in(&self.contents.read(shard_of(hash)), hash, partition) == known
    }

    /// True: it is written to and read from documents of the other libraries as a whole.
    fn is_shared(&self) -> bool {
        true
    }

    fn is_immediate(&self) -> bool {
        true
    }

    fn detached(self: Arc<Self>) -> Option<Arc<dyn CacheStore>> {
        Some(self)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::partition::SMALL;
    use crate::{Change, Expect, Json, Record};

    #[test]
    fn a_large_partition_keeps_its_order_like_a_small_one() {
        let memory = Memory::new();
        let record = |n: usize, value: &str| {
            let value = Json::from_stored(format!(r#"{{"home_account_id":"u","v":"{value}"}}"#));
            Record::new(CredentialType::Account, format!("k{n}"), value)
        };
        let commit = |ops: &dyn Fn(&mut Change)| {
            let mut batch = Batch::new();
            ops(batch.change(Partition::user("u"), Expect::Any));
            memory.commit(&batch).unwrap();
        };
        commit(&|change| {
            for n in 0..SMALL * 3 {
                change.put(record(n, "old"));
            }
        });
        commit(&|change| {
            for n in 0..SMALL * 3 {
                match n % 3 {
                    0 => change.delete(CredentialType::Account, format!("k{n}").into()),
                    1 => change.put(record(n, "new")),
                    _ => change.delete(CredentialType::IdToken, format!("k{n}").into()),
                };
            }
        });
        // It is large now; below, it becomes small.
        let mut expected: Vec<_> = (0..SMALL * 3)
            .filter(|n| n % 3 != 0)
            .map(|n| record(n, if n % 3 == 1 { "new" } else { "old" }))
            .collect();
        let load = || match memory.load(&Partition::user("u"), None).unwrap() {
            Load::Snapshot(snapshot) => snapshot.into_records(),
            Load::Unchanged => Vec::new(),
        };
        assert_eq!(load(), expected);
        let deleted = expected.split_off(5);
        commit(&|change| {
            for it in &deleted {
                change.delete(CredentialType::Account, it.shared_key().clone());
            }
            change.put(record(0, "again")).put(record(1, "newer"));
        });
        expected[0] = record(1, "newer");
        expected.push(record(0, "again"));
        assert_eq!(load(), expected);
    }

    #[test]
    fn the_owners_of_keys_are_forgotten_with_their_records() {
        let memory = Memory::new();
        let token = |user: &str, key: &str| {
            let json = format!(r#"{{"home_account_id":"{user}","expires_on":"1"}}"#);
            Record::new(CredentialType::AccessToken, key, Json::from_stored(json))
        };
        let owners = || memory.contents.owners.len();
        let commit = |records: &[Record], delete: bool| {
            let mut batch = Batch::new();
            for record in records {
                let change = batch.change(record.partition(), Expect::Any);
                if delete {
                    change.delete_record(record)
                } else {
                    change.put(record.clone())
                };
            }
            memory.commit(&batch).unwrap()
        };
        let of_u: Vec<_> = (0..50).map(|n| token("u", &n.to_string())).collect();
        let of_v: Vec<_> = (0..50).map(|n| token("v", &n.to_string())).collect();
        commit(&of_u, false);
        commit(&of_u, false);
        assert_eq!(owners(), 50);
        // A known key is deleted and put again, and a new one is put twice.
        let mut batch = Batch::new();
        let change = batch.change(Partition::user("u"), Expect::Any);
        change.delete_record(&of_u[49]).put(of_u[49].clone());
        change.put(token("u", "new")).put(token("u", "new")).delete_record(&token("u", "new"));
        memory.commit(&batch).unwrap();
        assert_eq!(owners(), 50);
        assert_eq!(commit(&of_v[..10], false).len(), 1);
        assert_eq!(owners(), 50);
        let Load::Snapshot(left) = memory.load(&Partition::user("u"), None).unwrap() else {
            panic!("no revision was given")
        };
        assert_eq!(left.records(), &of_u[10..]);
        commit(&of_v, true);
        assert_eq!(owners(), 40);
        commit(&of_v[40..], false);
        assert_eq!(memory.purge(2).unwrap(), 40);
        assert_eq!(owners(), 0);
    }

    #[test]
    fn a_key_that_tells_its_user_needs_no_entry_among_the_owners() {
        let memory = Memory::new();
        let user = format!("{0}.{0}", "0a1b2c3d-1111-4222-8333-0123456789ab");
        let key = format!("{user}-login.microsoftonline.com-accesstoken-c-t-s");
        let owners = || memory.contents.owners.len();
        let partition = Partition::user;
        let put = |home: &str| {
            let json = Json::from_stored(format!(r#"{{"home_account_id":"{home}"}}"#));
            let record = Record::new(CredentialType::AccessToken, key.as_str(), json);
            let mut batch = Batch::new();
            batch.change(record.partition(), Expect::Any).put(record.clone());
            memory.commit(&batch).unwrap();
        };
        let held = |home: &str| match memory.load(&partition(home), None).unwrap() {
            Load::Snapshot(snapshot) => snapshot.records().len(),
            Load::Unchanged => panic!("no revision was given"),
        };
        put(&user);
        assert_eq!((held(&user), owners()), (1, 0));
        // A record of another user takes the key, and the other way round.
        put("other");
        assert_eq!((held(&user), held("other"), owners()), (0, 1, 1));
        put("third");
        assert_eq!((held("other"), held("third"), owners()), (0, 1, 1));
        put(&user.to_uppercase());
        assert_eq!((held(&user), held("third"), owners()), (1, 0, 0));
        assert!(memory.contents.owners.none_is_displaced());
        put("other");
        let mut batch = Batch::new();
        batch
            .change(partition("other"), Expect::Any)
            .delete(CredentialType::AccessToken, key.as_str().into());
        memory.commit(&batch).unwrap();
        assert_eq!((held("other"), owners()), (0, 0));
        assert!(memory.contents.owners.none_is_displaced());
    }
}
