//! Writing: token responses, changes of records, deletion of expired tokens.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use msal_cache_core::internal::{Next, Retry};
use msal_cache_core::{AsyncCacheStore, Batch, CredentialType, Error, Partition, Result, event};

use crate::engine::runtime::Runtime;
use crate::engine::state::{CacheOptions, Engine, MayChange};
use crate::model::{Added, Decoded, Entry, Event, Fields, Profile};
use crate::plan::{Facts, ReadSet, Rules, batch, records};

impl<S: AsyncCacheStore, R: Runtime> Engine<S, R> {
    /// Stores a token response.
    pub(crate) async fn add(&self, event: &Event) -> Result<Added> {
        let now = self.now();
        let facts = Facts::of(event, now, self.profile())?;
        let stored = self.store_response(&facts, ReadSet::default(), false).await;
        let entries = self.unless_removed(stored, |it| {
            // The user has new tokens, which are not stored, and the caller has not been given any.
            facts.partitions().iter().for_each(|partition| it.state.decoded.forget_one(partition));
        })?;
        event!(debug, records = entries.len(), "stored a token response");
        // The response is stored, so the call has succeeded. What can't be deleted now is deleted
        // by the next call.
        if let Err(error) = self.keep_to_limit(now).await {
            event!(warn, %error, "the cache is over its limit; the next sign-in tries again");
        }
        let known = facts.user().and_then(|user| self.state.decoded.partition(user));
        let stored = known.as_deref().map(Decoded::accounts);
        let stored = stored.unwrap_or_else(|| entries.iter().cloned().collect());
        Ok(Added::new(&facts, &stored, entries, self.clouds()))
    }

    /// Stores the records of a response, and returns them. `read` is what the caller has read. Where
    /// the response `yields`, an access token is not stored that is overtaken by what another writer
    /// has stored since.
    pub(crate) async fn store_response(
        &self,
        facts: &Facts<'_>,
        read: ReadSet,
        yields: bool,
    ) -> Result<Vec<Entry>> {
        let mut partitions = facts.partitions();
        if self.profile() == Profile::Family {
            partitions.push(Partition::unowned());
        }
        let before = yields.then(|| read.clone());
        let (mut retry, mut known) = (Retry::new(), Some(read));
        loop {
            let attempt = async {
                // What is known needn't be read: the commit finds out whether it is still true.
                // That may fail once; the second attempt is right whatever is stored.
                let read = match known.take() {
                    Some(read) => self.known_or_read(read, &partitions).await,
                    None => self.read_set(&partitions).await,
                };
                let read = readable(read, &partitions)?;
                let records = records::records(facts, &read, self.profile(), self.clouds())?;
                let rules = self.rules(facts.now);
                let (batch, swept) = match &before {
                    Some(before) => batch::add_unless_overtaken(&read, before, &records, rules),
                    None => batch::add(&read, &records, rules),
                };
                self.commit(&batch, &records).await?;
                event!(trace, swept, "deleted expired or replaced records");
                Ok(records)
            };
            match retry.after(attempt.await) {
                Next::Return(stored) => {
                    if stored.is_ok() {
                        self.set_changed();
                    }
                    return stored;
                }
                Next::Retry(pause) => self.runtime.sleep(pause).await,
            }
        }
    }

    /// The rules of a plan at this time.
    pub(crate) fn rules(&self, now: i64) -> Rules<'_> {
        let CacheOptions { profile, limits, .. } = &self.state.options;
        let clouds = self.clouds();
        let most = limits.access_tokens_of_one_owner;
        Rules { now, profile: *profile, clouds, most, is_shared: self.store.is_shared() }
    }

    /// Deletes access tokens if there are more than the limit.
    async fn keep_to_limit(&self, now: i64) -> Result<()> {
        let Some(most) = self.state.options.limits.access_tokens else { return Ok(()) };
        if self.state.stored.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(());
        }
        let tokens = self.list(Some(&CredentialType::AccessToken)).await?;
        let tokens: Vec<_> = tokens.into_iter().map(Entry::read).collect();
        let mut left = tokens.len();
        if left > most {
            let down_to = most / 4 * 3;
            // The entries that searches have found record when.
            let used_at = |it: &Entry| {
                let read = self.state.decoded.partition(it.partition());
                let read = read.iter().flat_map(|read| &read.entries);
                let known = read.filter(|known| known.has_key_of(it)).map(Entry::used_at);
                known.max().unwrap_or_default().max(it.used_at())
            };
            let (batch, kept) = batch::evict(&tokens, down_to, now, used_at, self.clouds());
            self.commit(&batch, &[]).await?;
            left = kept;
        }
        self.state.stored.store(left, Ordering::Relaxed);
        Ok(())
    }

    /// Changes fields of a record of this type; removes it where there are none.
    pub(crate) async fn modify(
        &self,
        credential_type: &CredentialType,
        old: &Entry,
        fields: Option<&Fields>,
    ) -> Result<()> {
        if old.credential_type() != credential_type {
            let found = old.credential_type();
            let reason = format!("it is {found} instead of {credential_type}");
            return Err(Error::invalid("entry", reason));
        }
        let Some(fields) = fields.filter(|fields| !fields.is_empty()) else {
            self.commit(&batch::remove(old), &[]).await?;
            self.set_changed();
            return Ok(());
        };
        let change = |stored: &Decoded| {
            batch::change(stored, old, fields, self.profile()).map(|batch| (Some(batch), ()))
        };
        self.change(old.partition(), change).await
    }

    /// Replaces the secret of a refresh token.
    pub(crate) async fn update_rt(&self, old: &Entry, secret: &str) -> Result<()> {
        let fields = Fields::new()
            .set("secret", secret)
            .set("last_modification_time", self.now().to_string());
        self.modify(&CredentialType::RefreshToken, old, Some(&fields)).await
    }

    /// Reads a partition, plans and commits, again after a conflict. `plan` returns no batch where
    /// there is nothing to do.
    pub(crate) async fn change<T>(
        &self,
        partition: &Partition,
        plan: impl Fn(&Decoded) -> Result<(Option<Batch>, T)>,
    ) -> Result<T> {
        let mut retry = Retry::new();
        loop {
            let attempt = async {
                let stored = self.partition(partition).await?;
                let (batch, planned) = plan(&stored)?;
                if let Some(batch) = batch {
                    self.commit_change(&batch).await?;
                }
                Ok(planned)
            };
            match retry.after(attempt.await) {
                Next::Return(done) => {
                    let forget = |it: &Self| it.state.decoded.forget_one(partition);
                    return self.unless_removed(done, forget);
                }
                Next::Retry(pause) => self.runtime.sleep(pause).await,
            }
        }
    }

    /// Deletes all expired access tokens, and the earlier ones for the same API.
    pub(crate) async fn purge_expired(&self) -> Result<u64> {
        let now = self.now();
        // First, since the expired ones are the evidence. In other stores there are no such tokens.
        let superseded = if self.store.is_shared() { self.purge_superseded(now).await? } else { 0 };
        Ok(superseded + self.purge(now).await?)
    }

    /// Deletes the tokens that a later one superseded which has expired, in one commit with the
    /// expired ones of their partitions.
    async fn purge_superseded(&self, now: i64) -> Result<u64> {
        let mut retry = Retry::new();
        loop {
            let attempt = async {
                let partitions = self.partly_expired(now).await?;
                let read = self.read_set(&partitions).await?;
                let (batch, deleted) = batch::purge(&read, now, self.clouds());
                self.commit_change(&batch).await?;
                Ok(deleted)
            };
            match retry.after(attempt.await) {
                Next::Return(deleted) => return deleted,
                Next::Retry(pause) => self.runtime.sleep(pause).await,
            }
        }
    }

    /// The partitions that have both an access token that has expired and one that has not.
    async fn partly_expired(&self, now: i64) -> Result<Vec<Partition>> {
        let tokens = self.list(Some(&CredentialType::AccessToken)).await?;
        let mut partitions: HashMap<&Partition, [bool; 2]> = HashMap::new();
        for token in &tokens {
            let has_expired = token.expires_on().is_some_and(|at| at < now);
            partitions.entry(token.partition()).or_default()[usize::from(has_expired)] = true;
        }
        partitions.retain(|_, has| *has == [true; 2]);
        Ok(partitions.into_keys().cloned().collect())
    }

    async fn purge(&self, now: i64) -> Result<u64> {
        let pending = self.pending(MayChange::Everything);
        let purged = self.call("purge", self.store.purge(now)).await;
        pending.ended();
        let purged = purged?;
        if purged > 0 {
            self.state.decoded.forget_all();
            self.state.signal.notify();
            self.set_changed();
        }
        Ok(purged)
    }

    /// Commits a batch, and remembers that the cache was changed.
    pub(crate) async fn commit_change(&self, batch: &Batch) -> Result<()> {
        if !batch.is_empty() {
            self.commit(batch, &[]).await?;
            self.set_changed();
        }
        Ok(())
    }

    /// Commits a batch that puts these entries, among others.
    pub(crate) async fn commit(&self, batch: &Batch, written: &[Entry]) -> Result<()> {
        if !batch.is_empty() {
            let pending = self.pending(MayChange::Partitions(batch));
            let committed = self.call("commit", self.store.commit(batch)).await;
            pending.ended();
            self.committed(batch, written, committed)?;
            self.state.signal.notify();
        }
        Ok(())
    }
}

/// What is stored, as far as it can be read. A broken cache must not prevent a sign-in: the commit
/// decides whether it can be repaired.
fn readable(read: Result<ReadSet>, partitions: &[Partition]) -> Result<ReadSet> {
    match read {
        Err(Error::Corrupt { .. }) => {
            let mut nothing = ReadSet::default();
            for partition in partitions {
                nothing.insert(partition.clone(), std::sync::Arc::default());
            }
            Ok(nothing)
        }
        read => read,
    }
}
