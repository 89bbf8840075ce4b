//! Reading: partitions, sections, searches.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{
    AsyncCacheStore, CredentialType, Error, Load, Partition, Record, Result, Snapshot, event,
};
use smallvec::SmallVec;

use crate::engine::decoded_cache::Seen;
use crate::engine::meter::timed;
use crate::engine::metrics;
use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;
use crate::model::{AnsweredBy, Decoded, Entry, Query};
use crate::plan::ReadSet;

/// The result of a search, mostly so small that it needs no allocation.
pub(crate) type Found = SmallVec<[Entry; 4]>;

/// A list as long as a read set.
type Few<T> = SmallVec<[T; 3]>;

impl<S: AsyncCacheStore, R: Runtime> Engine<S, R> {
    /// The entries of a partition or a section that match a query.
    #[inline]
    pub(crate) fn matches(
        &self,
        read: &Decoded,
        credential_type: &CredentialType,
        query: &Query,
    ) -> Found {
        // Nothing else expires. Reading the clock takes a tenth of the time of a hit.
        let is_token = *credential_type == CredentialType::AccessToken;
        let now = if is_token { self.now() } else { 0 };
        let matches = |it: &&Entry| {
            it.credential_type() == credential_type
                && it.problem().is_none()
                && !it.has_expired(now)
                && query.matches(it)
        };
        let mut found: Found = read.entries.iter().filter(matches).cloned().collect();
        if is_token && self.state.options.limits.need_recency() {
            found.iter().for_each(|it| it.use_at(now));
        }
        if found.len() > 1 {
            if is_token && query.has_scopes() {
                // Of one second, the last in position is the last that was stored.
                found.reverse();
            }
            found.sort_by_key(|it| Reverse(it.stored_at()));
        }
        metrics::lookup(!found.is_empty());
        let section = credential_type.as_str();
        event!(
            trace,
            credential_type = section,
            among = read.entries.len(),
            found = found.len(),
            "searched"
        );
        found
    }

    /// All entries of one section or of all, whether they can be used or not.
    pub(crate) async fn entries(
        &self,
        credential_type: Option<&CredentialType>,
    ) -> Result<Vec<Entry>> {
        let records = self.list(credential_type).await?;
        // For the store, an empty section is a record.
        let is_empty_section =
            |it: &Record| it.credential_type().as_str().is_empty() && it.value().expose() == "{}";
        Ok(records.into_iter().filter(|it| !is_empty_section(it)).map(Entry::read).collect())
    }

    pub(crate) async fn list(
        &self,
        credential_type: Option<&CredentialType>,
    ) -> Result<Vec<Record>> {
        match self.call("list", self.store.list(credential_type, None)).await? {
            Load::Snapshot(snapshot) => {
                self.listed(credential_type, snapshot.records().iter());
                Ok(snapshot.into_records())
            }
            Load::Unchanged => Err(unchanged_unasked()),
        }
    }

    /// A partition that is known, and unchanged as far as the store knows without waiting. A hit in
    /// memory needs no future, which takes longer to copy than an entry takes to find.
    #[inline]
    pub(crate) fn current(&self, partition: &Partition) -> Option<Arc<Decoded>> {
        let (known, seen) = self.state.decoded.ask(partition);
        let known = known?;
        if !self.store.is_unchanged(partition, known.revision) {
            return None;
        }
        metrics::read(AnsweredBy::DecodedCache);
        self.confirmed(partition, Some(known.revision), seen);
        Some(known)
    }

    #[inline]
    pub(crate) async fn partition(&self, partition: &Partition) -> Result<Arc<Decoded>> {
        let (known, seen) = self.state.decoded.ask(partition);
        let revision = known.as_ref().map(|known| known.revision);
        let load = self.call("load", self.store.load(partition, revision)).await?;
        self.decoded(partition, known, seen, load)
    }

    /// Looks a partition up; also returns which level had it, and the time in the store.
    #[inline]
    pub(crate) async fn timed_partition(
        &self,
        partition: &Partition,
    ) -> Result<(Arc<Decoded>, AnsweredBy, Duration)> {
        if let Some(current) = self.current(partition) {
            return Ok((current, AnsweredBy::DecodedCache, Duration::ZERO));
        }
        if self.state.outages.pauses()
            && let Some(known) = self.last_known(partition)
        {
            return Ok((known, AnsweredBy::LastKnown, Duration::ZERO));
        }
        let (known, seen) = self.state.decoded.ask(partition);
        let revision = known.as_ref().map(|known| known.revision);
        let (load, took) = timed(self.state.blocks, self.store.load(partition, revision)).await;
        metrics::store("load", took, &load);
        let took = took.unwrap_or_default();
        let load = match load {
            Ok(load) => load,
            Err(error) => {
                let known = self.known_after(partition, error)?;
                return Ok((known, AnsweredBy::LastKnown, took));
            }
        };
        let level = match load {
            Load::Unchanged => AnsweredBy::DecodedCache,
            Load::Snapshot(_) => AnsweredBy::Store,
        };
        Ok((self.decoded(partition, known, seen, load)?, level, took))
    }

    /// Reads several partitions at one moment.
    pub(crate) async fn read_set(&self, partitions: &[Partition]) -> Result<ReadSet> {
        self.completed(ReadSet::default(), partitions).await
    }

    /// Reads as many partitions as a list has, at one moment.
    pub(crate) async fn read<const N: usize>(
        &self,
        partitions: &[Partition; N],
    ) -> Result<[Arc<Decoded>; N]> {
        let read = self.read_set(partitions).await?;
        Ok(partitions.each_ref().map(|it| read.shared(it)))
    }

    /// These partitions, if all are known exactly. What is known may be stale.
    pub(crate) fn known<const N: usize>(
        &self,
        partitions: &[Partition; N],
    ) -> Option<[Arc<Decoded>; N]> {
        let known = partitions.each_ref().map(|it| self.state.decoded.exact(it));
        known.iter().all(Option::is_some).then(|| known.map(Option::unwrap_or_default))
    }

    /// Adds the partitions that a read set lacks, as they are known, and reads those that aren't.
    /// What is known may be stale.
    pub(crate) async fn known_or_read(
        &self,
        mut read: ReadSet,
        partitions: &[Partition],
    ) -> Result<ReadSet> {
        read.may_be_stale = true;
        for partition in partitions {
            if read.get(partition).is_none()
                && let Some(known) = self.state.decoded.exact(partition)
            {
                read.insert(partition.clone(), known);
            }
        }
        self.completed(read, partitions).await
    }

    /// Reads the partitions that a read set lacks, at one moment.
    async fn completed(&self, mut read: ReadSet, partitions: &[Partition]) -> Result<ReadSet> {
        let missing: Few<&Partition> =
            partitions.iter().filter(|it| read.get(it).is_none()).collect();
        if missing.is_empty() {
            return Ok(read);
        }
        let known: Few<_> = missing.iter().map(|it| self.state.decoded.ask(it)).collect();
        let revisions = known.iter().map(|(it, _)| it.as_ref().map(|known| known.revision));
        let wanted: Few<_> = missing.iter().copied().zip(revisions).collect();
        let loads: Few<Load> = match &wanted[..] {
            [(partition, revision)] => {
                let load = self.store.load(partition, *revision);
                Few::from_iter([self.call("load", load).await?])
            }
            wanted => {
                let loads = self.store.load_many(wanted);
                self.call("load_many", loads).await?.into()
            }
        };
        if loads.len() != missing.len() {
            return Err(Error::backend("cache", "it returned another number of partitions"));
        }
        for ((partition, (known, seen)), load) in missing.into_iter().zip(known).zip(loads) {
            let decoded = self.decoded(partition, known, seen, load)?;
            read.insert(partition.clone(), decoded);
        }
        Ok(read)
    }

    /// Decodes what was loaded of a partition, and remembers it.
    #[inline]
    fn decoded(
        &self,
        partition: &Partition,
        known: Option<Arc<Decoded>>,
        seen: Seen,
        load: Load,
    ) -> Result<Arc<Decoded>> {
        let snapshot = match load {
            Load::Unchanged => {
                metrics::read(AnsweredBy::DecodedCache);
                let known = known.ok_or_else(unchanged_unasked)?;
                self.confirmed(partition, Some(known.revision), seen);
                return Ok(known);
            }
            Load::Snapshot(snapshot) => snapshot,
        };
        metrics::read(AnsweredBy::Store);
        self.remember(partition, known.as_deref(), seen, snapshot)
    }

    fn remember(
        &self,
        partition: &Partition,
        known: Option<&Decoded>,
        seen: Seen,
        snapshot: Snapshot,
    ) -> Result<Arc<Decoded>> {
        let read = Arc::new(Decoded::of(snapshot, known));
        if read.entries.iter().any(|entry| entry.partition() != partition) {
            // The store confuses partitions. No token is better than another user's.
            return Err(Error::Corrupt {
                place: "the store".into(),
                reason: "it returned a record of another partition than the requested one".into(),
                position: None,
            });
        }
        let now = self.confirmed(partition, None, seen);
        self.state.decoded.put_partition(partition, read.clone(), seen, now);
        Ok(read)
    }

    pub(crate) async fn section(&self, credential_type: &CredentialType) -> Result<Arc<Decoded>> {
        let (known, seen) = self.state.decoded.ask_section(credential_type);
        let revision = known.as_ref().map(|known| known.revision);
        let listed = self.store.list(Some(credential_type), revision);
        let load = self.call("list", listed).await?;
        self.state.outages.ended();
        let (now, decoded) = (self.moment(), &self.state.decoded);
        let snapshot = match load {
            Load::Unchanged => {
                let known = known.ok_or_else(unchanged_unasked)?;
                decoded.confirm_section(credential_type, known.revision, seen, now);
                return Ok(known);
            }
            Load::Snapshot(snapshot) => snapshot,
        };
        self.listed(Some(credential_type), snapshot.records().iter());
        let read = Arc::new(Decoded::of(snapshot, known.as_deref()));
        decoded.put_section(credential_type, read.clone(), seen, now);
        Ok(read)
    }
}

fn unchanged_unasked() -> Error {
    Error::backend("cache", "it reported `Unchanged` to a caller that knows no revision")
}
