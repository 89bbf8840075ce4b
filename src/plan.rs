//! From what stands in the cache and what is asked for, to the batch that does it. Nothing here
//! reads or writes, so a plan can be made again after a conflict.

use std::sync::Arc;

use hashbrown::HashSet;
use msal_cache_core::{Batch, CredentialType, Error, Expect, Partition, Record, Result};
use smallvec::SmallVec;

use crate::decoded::Decoded;
use crate::object::{self, Nulls};
use crate::{Clouds, Entry, Fields, Profile, family};

/// Partitions as they were read for the plan: two or three.
#[derive(Debug)]
pub(crate) struct Standing {
    partitions: SmallVec<[(Partition, Arc<Decoded>); 3]>,
    /// Whether the commit has to check that those which it changes still stand like this.
    is_checked: bool,
}

impl Standing {
    pub(crate) fn new(is_checked: bool) -> Self {
        Self { partitions: SmallVec::new(), is_checked }
    }

    pub(crate) fn insert(&mut self, partition: Partition, stands: Arc<Decoded>) {
        self.partitions.push((partition, stands));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Partition, &Decoded)> {
        self.partitions.iter().map(|(partition, stands)| (partition, &**stands))
    }

    pub(crate) fn get(&self, partition: &Partition) -> Option<&Decoded> {
        self.partitions.iter().find(|(it, _)| it == partition).map(|(_, stands)| &**stands)
    }
}

/// What a plan has to know about the cache that it is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) now: i64,
    pub(crate) profile: Profile,
    pub(crate) clouds: &'a Clouds,
    /// Access tokens of one owner, at most.
    pub(crate) most: Option<usize>,
}

impl Rules<'_> {
    /// Whether what stands there goes when these records come.
    fn sweep(&self, old: &Entry, records: &[Entry]) -> bool {
        old.has_expired(self.now)
            || self.profile == Profile::Family
                && (family::is_nothing(old)
                    || records.iter().any(|new| family::replaces(new, old, self.clouds)))
    }

    /// The access tokens that have to go too, so that their owner has no more than may be when
    /// these records are stored: those that were used longest ago.
    fn surplus<'a>(
        &self,
        partition: &Partition,
        stands: &'a Decoded,
        records: &[Entry],
    ) -> Vec<&'a Entry> {
        let Some(most) = self.most else { return Vec::new() };
        let is_token = |it: &Entry| *it.credential_type() == CredentialType::AccessToken;
        let new = records.iter().filter(|it| is_token(it) && it.partition() == partition).count();
        let stays = |it: &&Entry| {
            is_token(it)
                && !self.sweep(it, records)
                && !records.iter().any(|new| new.is_at_place_of(it))
        };
        let mut old: Vec<_> = stands.entries.iter().filter(stays).collect();
        let surplus = (old.len() + new).saturating_sub(most).min(old.len());
        old.sort_by_key(|it| it.used_at());
        old.truncate(surplus);
        old
    }
}

/// Stores the records of a token response, and sweeps the access tokens of the same partitions
/// that have expired; for [`Profile::Family`], also what the new records replace. Also returns
/// the number of the swept.
pub(crate) fn add(standing: &Standing, records: &[Entry], rules: Rules<'_>) -> (Batch, usize) {
    let mut batch = Batch::new();
    let mut swept = 0;
    for (partition, stands) in standing.iter() {
        // Writing records is right whatever stands there by now. Deleting is not: somebody may
        // have stored a good token under the same key.
        let swept_anyway = stands.entries.iter().filter(|it| rules.sweep(it, records));
        for old in swept_anyway.chain(rules.surplus(partition, stands, records)) {
            let change = batch.change(partition.clone(), Expect::Revision(stands.revision));
            change.delete(old.credential_type().clone(), old.record().key.clone());
            swept += 1;
        }
    }
    for new in records {
        let Some(stands) = standing.get(new.partition()) else { continue };
        let old = stands.entries.iter().find(|it| it.is_at_place_of(new));
        let expect = match (new.credential_type(), old) {
            // The same in each response to a client. Left out where it says nothing new, a
            // sign-in changes one partition.
            (CredentialType::AppMetadata, Some(old)) if same_fields(old, new) => continue,
            // It was merged with what stands there.
            (CredentialType::Account, Some(_)) if rules.profile == Profile::Family => {
                Expect::Revision(stands.revision)
            }
            _ => Expect::Any,
        };
        batch.change(new.partition().clone(), expect).put(new.record().clone());
    }
    if standing.is_checked {
        for (partition, stands) in standing.iter() {
            if batch.changes().iter().any(|it| it.partition() == partition) {
                batch.change(partition.clone(), Expect::Revision(stands.revision));
            }
        }
    }
    (batch, swept)
}

/// Deletes access tokens down to a number: those that have expired, then those that were used
/// longest ago, as `used_at` tells. Nothing of another type.
pub(crate) fn evict(
    tokens: &[Entry],
    down_to: usize,
    now: i64,
    used_at: impl Fn(&Entry) -> i64,
) -> Batch {
    let is_token = |it: &&Entry| *it.credential_type() == CredentialType::AccessToken;
    let mut tokens: Vec<_> = tokens.iter().filter(is_token).collect();
    let surplus = tokens.len().saturating_sub(down_to);
    tokens.sort_by_cached_key(|it| (!it.has_expired(now), used_at(it)));
    let mut batch = Batch::new();
    for it in &tokens[..surplus] {
        // Whatever stands there by now: an access token can be had again.
        let change = batch.change(it.partition().clone(), Expect::Any);
        change.delete(it.credential_type().clone(), it.record().key.clone());
    }
    batch
}

/// Changes fields of the record that stands under the key of `old`; of `old` itself, if none
/// does any more.
pub(crate) fn change(
    stands: &Decoded,
    old: &Entry,
    fields: &Fields,
    profile: Profile,
) -> Result<Batch> {
    let nulls = match profile {
        Profile::Python => Nulls::Written,
        Profile::Family => Nulls::LeftOut,
    };
    let base = stands.entries.iter().find(|it| it.is_at_place_of(old)).unwrap_or(old);
    let json = object::merge(base.json(), fields, nulls)
        .map_err(|_| Error::invalid(format!("record {:?}", old.key()), "it is not an object"))?;
    let (credential_type, key) = (old.credential_type(), &old.record().key);
    let new = Entry::read(Record::new(credential_type.clone(), key.clone(), json));
    let mut batch = Batch::new();
    let change = batch.change(old.partition().clone(), Expect::Revision(stands.revision));
    if new.partition() == old.partition() {
        change.put(new.record().clone());
    } else {
        // The change gives it to another user or client.
        change.delete(credential_type.clone(), key.clone());
        batch.change(new.partition().clone(), Expect::Any).put(new.record().clone());
    }
    Ok(batch)
}

/// Removes the record that stands under the key of an entry.
pub(crate) fn remove(old: &Entry) -> Batch {
    let mut batch = Batch::new();
    let change = batch.change(old.partition().clone(), Expect::Any);
    change.delete(old.credential_type().clone(), old.record().key.clone());
    batch
}

/// Puts records, whatever stands there.
pub(crate) fn put_all(records: impl IntoIterator<Item = (Partition, Record)>) -> Batch {
    put_into(Batch::new(), records)
}

fn put_into(mut batch: Batch, records: impl IntoIterator<Item = (Partition, Record)>) -> Batch {
    for (partition, record) in records {
        batch.change(partition, Expect::Any).put(record);
    }
    batch
}

/// Replaces everything that stands by other records.
pub(crate) fn replace(standing: Vec<Record>, new: Vec<(Partition, Record)>) -> Batch {
    let mut batch = Batch::new();
    if !standing.is_empty() {
        let kept: HashSet<_> =
            new.iter().map(|(partition, it)| (partition, &it.credential_type, &it.key)).collect();
        for old in standing {
            let partition = old.partition();
            if !kept.contains(&(&partition, &old.credential_type, &old.key)) {
                batch.change(partition, Expect::Any).delete(old.credential_type, old.key);
            }
        }
    }
    put_into(batch, new)
}

/// Whether two records say the same, however they are written.
fn same_fields(one: &Entry, other: &Entry) -> bool {
    one.json() == other.json()
        || match (one.fields(), other.fields()) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}
