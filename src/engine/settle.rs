//! What is stored of the response to a refresh, and of its failure.

use std::time::{Duration, Instant};

use msal_cache_core::internal::{Next, Retry};
use msal_cache_core::{AsyncCacheStore, Error, Partition, Result, event};

use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;
use crate::model::{Entry, Hosts, Profile};
use crate::plan::{Facts, ReadSet, accounts, records, refresh};

/// How long the commit of a new refresh token is repeated while the store can't be reached. A server
/// restarts in less time, and some fail over.
const LONGEST_OUTAGE: Duration = Duration::from_secs(20);

/// The longest pause between two attempts. Where the guard is lost in the outage, others wait for longer
/// before they take it.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How long the commit of what a server accepts once is repeated. If it were given up at the first failure,
/// the store would have a refresh token that was redeemed when it comes back, and the next request
/// with it would end the session.
#[derive(Debug)]
pub(crate) struct Outage {
    longest: Duration,
    began: Option<Instant>,
    pause: Duration,
}

impl Outage {
    /// `longest` is how long others wait for this caller.
    pub(crate) fn within(longest: Duration) -> Self {
        let pause = Duration::from_millis(10);
        Self { longest: longest.min(LONGEST_OUTAGE), began: None, pause }
    }

    /// The pause before another attempt, if there is one after this error.
    pub(crate) fn pause(&mut self, error: &Error) -> Option<Duration> {
        if !matches!(error, Error::Unavailable { .. }) {
            return None;
        }
        let began = *self.began.get_or_insert_with(|| {
            event!(
                warn,
                target: "msal_cache::client",
                %error,
                "a new refresh token can't be stored yet; its commit is repeated"
            );
            Instant::now()
        });
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        (began.elapsed() + pause < self.longest).then_some(pause)
    }
}

impl<S: AsyncCacheStore, R: Runtime> Engine<S, R> {
    /// Stores the response to a refresh in one commit, and returns the access token as it is
    /// stored; `None` where the user was signed out. `read` is what the refresh was based on.
    pub(crate) async fn settle(
        &self,
        used: &Entry,
        facts: &Facts<'_>,
        read: ReadSet,
        hosts: &Hosts,
        had_account: bool,
        mut outage: Outage,
    ) -> Result<Option<Entry>> {
        let mut partitions = facts.partitions();
        if !partitions.contains(used.partition()) {
            partitions.push(used.partition().clone());
        }
        if self.profile() == Profile::Family {
            partitions.push(Partition::unowned());
        }
        let before = read.clone();
        let (mut retry, mut known) = (Retry::new(), Some(read));
        loop {
            let attempt = async {
                let read = match known.take() {
                    Some(read) => self.known_or_read(read, &partitions).await?,
                    None => self.read_set(&partitions).await?,
                };
                let mut records = records::records(facts, &read, self.profile(), self.clouds())?;
                if let Some(user) = read.get(used.partition()) {
                    records.extend(accounts::renamed(user, facts, hosts));
                }
                let rules = self.rules(facts.now);
                let batch =
                    refresh::refreshed(&read, &before, used, &records, hosts, had_account, rules)?;
                let Some(batch) = batch else { return Ok(None) };
                self.commit(&batch, &records).await?;
                self.set_changed();
                Ok(records.into_iter().find(|it| it.access_token().is_some()))
            };
            let attempt = attempt.await;
            if let Err(error) = &attempt
                && let Some(pause) = outage.pause(error)
            {
                self.runtime.sleep(pause).await;
                continue;
            }
            match retry.after(attempt) {
                Next::Return(stored) => return stored,
                Next::Retry(pause) => self.runtime.sleep(pause).await,
            }
        }
    }

    /// Replaces the secret of a refresh token, if it is still the one that was redeemed.
    pub(crate) async fn rotate(
        &self,
        used: &Entry,
        secret: &str,
        mut outage: Outage,
    ) -> Result<()> {
        let now = self.now();
        loop {
            let change = self.change(used.partition(), |stored| {
                Ok((refresh::rotate(stored, used, secret, now)?, ()))
            });
            match change.await {
                Ok(()) => return Ok(()),
                Err(error) => match outage.pause(&error) {
                    Some(pause) => self.runtime.sleep(pause).await,
                    None => return Err(error),
                },
            }
        }
    }

    /// Removes a token, if it is still the one that failed: another process may have replaced it.
    /// Returns whether it was removed.
    pub(crate) async fn evict(&self, failed: &Entry) -> Result<bool> {
        let evict = |stored: &crate::model::Decoded| {
            let batch = refresh::evict(stored, failed, self.clouds());
            let evicted = batch.is_some();
            Ok((batch, evicted))
        };
        let evicted = self.change(failed.partition(), evict).await?;
        let (of, credential_type) = (failed.partition(), failed.credential_type().as_str());
        if evicted {
            event!(
                info,
                target: "msal_cache::client",
                of = of.digest(),
                credential_type,
                "removed a token that failed"
            );
        } else {
            event!(
                debug,
                target: "msal_cache::client",
                of = of.digest(),
                credential_type,
                "a token that failed was replaced already"
            );
        }
        Ok(evicted)
    }
}
