//! What is known of the store: when it was confirmed, and what is served of it in an outage.

use std::collections::HashSet;
use std::sync::Arc;

use msal_cache_core::{
    AsyncCacheStore, Batch, Change, CredentialType, Error, Op, Partition, Record, Result, Revision,
    event,
};

use crate::engine::decoded_cache::Seen;
use crate::engine::metrics;
use crate::engine::outages::Moment;
use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;
use crate::model::{AnsweredBy, Decoded, Entry};
use crate::plan::ReadSet;

impl<S: AsyncCacheStore, R: Runtime> Engine<S, R> {
    /// A partition for a look-up: as [`partition`](Self::partition), or what is known in an outage.
    #[inline]
    pub(crate) async fn look_up(&self, partition: &Partition) -> Result<Arc<Decoded>> {
        if self.state.outages.pauses()
            && let Some(known) = self.last_known(partition)
        {
            return Ok(known);
        }
        match self.partition(partition).await {
            Err(error) => self.known_after(partition, error),
            read => read,
        }
    }

    /// A section for a look-up.
    pub(crate) async fn look_up_section(&self, section: &CredentialType) -> Result<Arc<Decoded>> {
        if self.state.outages.pauses()
            && let Some(known) = self.last_known_section(section)
        {
            return Ok(known);
        }
        match self.section(section).await {
            Err(error) => {
                self.note_outage(&error);
                let known = is_outage(&error).then(|| self.last_known_section(section));
                known.flatten().ok_or(error)
            }
            read => read,
        }
    }

    /// Several partitions for a look-up in the first one. In an outage, of the others is served what
    /// is known.
    pub(crate) async fn look_up_set(
        &self,
        partitions: &[Partition],
    ) -> Result<(ReadSet, AnsweredBy)> {
        if self.state.outages.pauses()
            && let Some(known) = self.last_known_set(partitions)
        {
            return Ok((known, AnsweredBy::LastKnown));
        }
        match self.read_set(partitions).await {
            Ok(read) => Ok((read, AnsweredBy::Store)),
            Err(error) => {
                self.note_outage(&error);
                let known = is_outage(&error).then(|| self.last_known_set(partitions));
                known.flatten().map(|it| (it, AnsweredBy::LastKnown)).ok_or(error)
            }
        }
    }

    fn last_known_set(&self, partitions: &[Partition]) -> Option<ReadSet> {
        let mut read = ReadSet::default();
        read.may_be_stale = true;
        for (nth, partition) in partitions.iter().enumerate() {
            match self.last_known(partition) {
                Some(known) => read.insert(partition.clone(), known),
                None if nth == 0 => return None,
                None => {}
            }
        }
        Some(read)
    }

    /// What is served of a partition after the store has failed.
    #[cold]
    #[inline(never)]
    pub(crate) fn known_after(&self, partition: &Partition, error: Error) -> Result<Arc<Decoded>> {
        self.note_outage(&error);
        let known = is_outage(&error).then(|| self.last_known(partition));
        known.flatten().ok_or(error)
    }

    /// What may be served of a partition in an outage.
    #[inline(never)]
    pub(crate) fn last_known(&self, partition: &Partition) -> Option<Arc<Decoded>> {
        let now = self.moment();
        let may_be_served = |then| self.state.outages.may_serve(then, now);
        let known = self.state.decoded.confirmed(partition, may_be_served)?;
        metrics::read(AnsweredBy::LastKnown);
        event!(
            debug,
            of = partition.digest(),
            "the store can't be reached: returned what is known"
        );
        Some(known)
    }

    fn last_known_section(&self, section: &CredentialType) -> Option<Arc<Decoded>> {
        let now = self.moment();
        let may_be_served = |then| self.state.outages.may_serve(then, now);
        let known = self.state.decoded.confirmed_section(section, may_be_served)?;
        let section = section.as_str();
        event!(debug, section, "the store can't be reached: returned what is known");
        Some(known)
    }

    fn note_outage(&self, error: &Error) {
        if self.state.outages.are_bridged() && is_outage(error) {
            self.state.outages.failed(error);
        }
    }

    /// The store has answered now: with something new, or, where it is `unchanged` since a revision,
    /// with its confirmation.
    #[inline]
    pub(crate) fn confirmed(
        &self,
        partition: &Partition,
        unchanged: Option<Revision>,
        seen: Seen,
    ) -> Moment {
        if !self.state.outages.are_bridged() {
            return Moment::NEVER;
        }
        let now = self.moment();
        self.state.outages.ended();
        if let Some(known) = unchanged {
            self.state.decoded.confirm(partition, known, seen, now);
        }
        now
    }

    /// A listing of one section or of all has been read: what it lacks was removed.
    pub(crate) fn listed<'a>(
        &self,
        section: Option<&CredentialType>,
        records: impl Iterator<Item = &'a Record>,
    ) {
        if !self.state.outages.are_bridged() {
            return;
        }
        let listed: HashSet<_> = records.map(|it| (it.credential_type(), it.key())).collect();
        let is_removed = |it: &Entry| {
            section.is_none_or(|section| section == it.credential_type())
                && !listed.contains(&(it.credential_type(), it.key()))
        };
        self.state.decoded.forget_where(|known| known.entries.iter().any(is_removed));
    }

    /// A removal may have failed: what it was to remove is not served.
    pub(crate) fn unless_removed<T>(
        &self,
        removed: Result<T>,
        forget: impl FnOnce(&Self),
    ) -> Result<T> {
        if removed.is_err() && self.state.outages.are_bridged() {
            forget(self);
        }
        removed
    }

    /// What a commit has made of what is known. `written` are those of its records that are decoded.
    ///
    /// If it has failed, or its outcome is unknown, and the policy serves what is known: what it was
    /// to remove isn't served any more, and the token that it was to store is.
    pub(crate) fn committed(
        &self,
        batch: &Batch,
        written: &[Entry],
        committed: Result<Vec<Revision>>,
    ) -> Result<()> {
        let decoded = &self.state.decoded;
        if !self.state.outages.are_bridged() {
            decoded.committed(batch, written, &committed?, Moment::NEVER);
            return Ok(());
        }
        let all = written_by(batch, written);
        match committed {
            Ok(revisions) => {
                self.state.outages.ended();
                decoded.committed(batch, &all, &revisions, self.moment());
                Ok(())
            }
            Err(Error::Conflict) => Err(Error::Conflict),
            Err(error) => {
                self.note_outage(&error);
                decoded.committed(batch, &all, &[], self.moment());
                Err(error)
            }
        }
    }
}

/// All that a batch puts, so that what is known after it is complete.
fn written_by(batch: &Batch, written: &[Entry]) -> Vec<Entry> {
    let ops = batch.changes().iter().flat_map(Change::ops);
    let puts = ops.filter_map(|op| match op {
        Op::Put(record) => Some(record),
        Op::Delete { .. } => None,
    });
    let entry = |put: &Record| {
        let known = written.iter().find(|it| it.record() == put);
        known.cloned().unwrap_or_else(|| Entry::read(put.clone()))
    };
    puts.map(entry).collect()
}

fn is_outage(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. })
}
