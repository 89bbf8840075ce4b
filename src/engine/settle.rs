use msal_cache_core::internal::{Next, Retry};
use msal_cache_core::{AsyncCacheStore, Partition, Result, event};

use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;
use crate::model::{Entry, Hosts, Profile};
use crate::plan::{Facts, ReadSet, accounts, records, refresh};

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
            match retry.after(attempt.await) {
                Next::Return(stored) => return stored,
                Next::Retry(pause) => self.runtime.sleep(pause).await,
            }
        }
    }

    /// Replaces the secret of a refresh token, if it is still the one that was redeemed.
    pub(crate) async fn rotate(&self, used: &Entry, secret: &str) -> Result<()> {
        let now = self.now();
        self.change(used.partition(), |stored| {
            Ok((refresh::rotate(stored, used, secret, now)?, ()))
        })
        .await
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
