//! From what is stored and what is requested to the batch that does it. Nothing here reads or
//! writes, so a plan can be made again after a conflict.

use hashbrown::HashSet;
use msal_cache_core::{Batch, CredentialType, Error, Expect, Partition, Record, Result};

use crate::model::{Clouds, Decoded, Entry, Fields, Nulls, Profile, merge};
use crate::plan::read_set::ReadSet;
use crate::plan::{evidence, family};

/// The options of a cache, at the time of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) now: i64,
    pub(crate) profile: Profile,
    pub(crate) clouds: &'a Clouds,
    /// The most access tokens of one owner.
    pub(crate) most: Option<usize>,
    /// Whether the other libraries share the store.
    pub(crate) is_shared: bool,
}

impl Rules<'_> {
    /// The stored entries that are deleted when these records are stored.
    fn swept<'a>(&self, stored: &'a Decoded, records: &[Entry]) -> Vec<&'a Entry> {
        let new = records.iter().find(|it| evidence::is_access_token(it));
        let is_deleted = |old: &Entry| {
            old.has_expired(self.now) || new.is_some_and(|new| self.displaces(new, old))
        };
        let mut swept = evidence::with_superseded(&stored.entries, is_deleted, self.clouds);
        swept.retain(|it| !new.is_some_and(|new| new.has_key_of(it)));
        if self.profile == Profile::Family {
            swept.extend(stored.entries.iter().filter(|old| {
                family::is_nothing(old)
                    || records.iter().any(|new| family::replaces(new, old, self.clouds))
            }));
        }
        swept
    }

    /// Whether a new access token can only count if a stored one is deleted. [`Profile::Family`]
    /// deletes all that it supersedes. [`Profile::Python`] keeps those that readers rank behind it,
    /// as MSAL Python does; but of a store that no other library shares, it deletes those that would
    /// be left when the new one has expired.
    fn displaces(&self, new: &Entry, old: &Entry) -> bool {
        new.key() != old.key()
            && (self.profile == Profile::Family
                || old.stored_at() > new.stored_at()
                || !self.is_shared && old.outlives(new))
            && evidence::supersedes(new, old, self.clouds)
    }

    /// Whether a new access token would keep a position before one of the same second that it
    /// supersedes, and so would be ranked behind it.
    fn is_ranked_behind(&self, new: &Entry, stored: &Decoded) -> bool {
        let Some(at) = stored.entries.iter().position(|it| it.has_key_of(new)) else {
            return false;
        };
        self.profile == Profile::Python
            && stored.entries[at + 1..].iter().any(|it| {
                it.stored_at() == new.stored_at() && evidence::supersedes(new, it, self.clouds)
            })
    }

    /// The access tokens that are deleted too, so that their owner has no more than the limit when
    /// these records are stored: those that were used longest ago.
    fn surplus<'a>(
        &self,
        partition: &Partition,
        stored: &'a Decoded,
        records: &[Entry],
        swept: &[&Entry],
    ) -> Vec<&'a Entry> {
        let Some(most) = self.most else { return Vec::new() };
        let is_token = |it: &Entry| *it.credential_type() == CredentialType::AccessToken;
        let new = records.iter().filter(|it| is_token(it) && it.partition() == partition).count();
        let stays = |it: &&Entry| {
            is_token(it)
                && !swept.iter().any(|swept| swept.has_key_of(it))
                && !records.iter().any(|new| new.has_key_of(it))
        };
        let mut old: Vec<_> = stored.entries.iter().filter(stays).collect();
        let surplus = (old.len() + new).saturating_sub(most).min(old.len());
        old.sort_by_key(|it| it.used_at());
        old.truncate(surplus);
        let keys: HashSet<_> = old.iter().map(|it| it.key()).collect();
        let is_surplus = |it: &Entry| keys.contains(it.key());
        let mut deleted = evidence::with_superseded(&stored.entries, is_surplus, self.clouds);
        deleted.retain(stays);
        deleted
    }
}

/// Stores the records of a token response, and deletes the access tokens of the same partitions
/// that have expired, or that would be ranked before the new one although it supersedes them; for
/// [`Profile::Family`], also all others that it supersedes, and what the new records replace. Also
/// returns the number of deleted records.
pub(crate) fn add(read: &ReadSet, records: &[Entry], rules: Rules<'_>) -> (Batch, usize) {
    let mut batch = Batch::new();
    let mut swept = 0;
    for (partition, stored) in read.iter() {
        // Writing records is right whatever is stored by now. Deleting is not: another writer may
        // have stored a valid token under the same key.
        let mut deleted = rules.swept(stored, records);
        deleted.extend(rules.surplus(partition, stored, records, &deleted));
        for old in deleted {
            batch.change(partition, Expect::Revision(stored.revision)).delete_record(old.record());
            swept += 1;
        }
    }
    for new in records {
        let Some(stored) = read.get(new.partition()) else { continue };
        let old = stored.at_key_of(new);
        let expect = match (new.credential_type(), old) {
            // It is the same in each response to a client. Without it, a sign-in changes one
            // partition.
            (CredentialType::AppMetadata, Some(old)) if same_fields(old, new) => continue,
            // It was merged with the stored one.
            (CredentialType::Account, Some(_)) if rules.profile == Profile::Family => {
                Expect::Revision(stored.revision)
            }
            (CredentialType::AccessToken, Some(_)) if rules.is_ranked_behind(new, stored) => {
                // A record that is put again comes last.
                let expect = Expect::Revision(stored.revision);
                batch.change(new.partition(), expect).delete_record(new.record());
                expect
            }
            _ => Expect::Any,
        };
        batch.change(new.partition(), expect).put(new.record().clone());
    }
    if read.may_be_stale {
        // Also of the partitions that don't change: the plan omits what they have already.
        for (partition, stored) in read.iter() {
            batch.change(partition, Expect::Revision(stored.revision));
        }
    }
    (batch, swept)
}

/// Stores records as [`add`] does, but not an access token that is overtaken by what was stored
/// since `before`.
pub(crate) fn add_unless_overtaken(
    read: &ReadSet,
    before: &ReadSet,
    records: &[Entry],
    rules: Rules<'_>,
) -> (Batch, usize) {
    let overtaken = read.iter().find_map(|(partition, stored)| {
        evidence::overtaken(records, stored, before.get(partition), rules.clouds)
    });
    match overtaken {
        None => add(read, records, rules),
        Some(new) => {
            let others: Vec<_> = records.iter().filter(|it| *it != new).cloned().collect();
            add(read, &others, rules)
        }
    }
}

/// Deletes access tokens until at most `down_to` are left: those that have expired, then those that
/// were used longest ago, by `used_at`, each with the earlier ones for the same API. Deletes nothing of
/// another type. Also returns how many are left.
pub(crate) fn evict(
    tokens: &[Entry],
    down_to: usize,
    now: i64,
    used_at: impl Fn(&Entry) -> i64,
    clouds: &Clouds,
) -> (Batch, usize) {
    let mut by_use: Vec<_> = tokens.iter().filter(|it| evidence::is_access_token(it)).collect();
    let surplus = by_use.len().saturating_sub(down_to);
    by_use.sort_by_cached_key(|it| (!it.has_expired(now), used_at(it)));
    let keys: HashSet<_> = by_use[..surplus].iter().map(|it| it.key()).collect();
    let is_surplus = |it: &Entry| keys.contains(it.key());
    let mut batch = Batch::new();
    let deleted = evidence::with_superseded(tokens, is_surplus, clouds);
    for it in &deleted {
        // Whatever is stored by now: an access token can be requested again.
        batch.change(it.partition(), Expect::Any).delete_record(it.record());
    }
    (batch, by_use.len() - deleted.len())
}

/// Deletes the access tokens that a later one for the same API superseded which has expired: without
/// that one, they would be returned again. Deletes the expired ones of their partitions, too. Also
/// returns the number of deleted tokens.
pub(crate) fn purge(read: &ReadSet, now: i64, clouds: &Clouds) -> (Batch, u64) {
    let has_expired = |it: &Entry| it.has_expired(now);
    let mut batch = Batch::new();
    let mut number = 0;
    for (partition, stored) in read.iter() {
        let deleted = evidence::with_superseded(&stored.entries, has_expired, clouds);
        if deleted.iter().all(|it| has_expired(it)) {
            continue;
        }
        let change = batch.change(partition, Expect::Revision(stored.revision));
        for it in deleted {
            change.delete_record(it.record());
            number += 1;
        }
    }
    (batch, number)
}

/// Changes fields of the record that is stored under the key of `old`; of `old` itself, if there
/// is none any more, or if it is another owner's by now.
pub(crate) fn change(
    stored: &Decoded,
    old: &Entry,
    fields: &Fields,
    profile: Profile,
) -> Result<Batch> {
    let nulls = match profile {
        Profile::Python => Nulls::Written,
        Profile::Family => Nulls::LeftOut,
    };
    let base = stored.at_key_of(old).filter(|it| it.has_owner_of(old)).unwrap_or(old);
    let json = merge(base.json(), fields, nulls)
        .map_err(|_| Error::invalid(format!("record {:?}", old.key()), "it is not an object"))?;
    let new = old.record().with_value(json);
    let mut batch = Batch::new();
    let change = batch.change(old.partition(), Expect::Revision(stored.revision));
    if new.partition() == old.partition() {
        change.put(new);
    } else {
        // The change gives it another owner.
        change.delete_record(&new);
        batch.change(new.partition(), Expect::Any).put(new.clone());
    }
    Ok(batch)
}

/// Removes the record that is stored under the key of an entry.
pub(crate) fn remove(old: &Entry) -> Batch {
    let mut batch = Batch::new();
    batch.change(old.partition(), Expect::Any).delete_record(old.record());
    batch
}

/// Puts records, whatever is stored.
pub(crate) fn put_all(records: &[Record]) -> Batch {
    put_into(Batch::new(), records)
}

fn put_into(mut batch: Batch, records: &[Record]) -> Batch {
    for record in records {
        batch.change(record.partition(), Expect::Any).put(record.clone());
    }
    batch
}

/// Replaces everything that is stored by other records.
pub(crate) fn replace(stored: &[Record], new: &[Record]) -> Batch {
    let mut batch = Batch::new();
    if !stored.is_empty() {
        let kept: HashSet<_> = new.iter().map(|it| (it.credential_type(), it.key())).collect();
        for old in stored.iter().filter(|it| !kept.contains(&(it.credential_type(), it.key()))) {
            batch.change(old.partition(), Expect::Any).delete_record(old);
        }
    }
    put_into(batch, new)
}

/// Whether two records have the same fields, however they are written.
fn same_fields(one: &Entry, other: &Entry) -> bool {
    one.json() == other.json()
        || match (one.fields(), other.fields()) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}
