use msal_cache_core::internal::{Next, Retry};
use msal_cache_core::{AsyncCacheStore, CredentialType, Error, Expect, Partition, Result, event};

use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;
use crate::model::{AccountInfo, ClientConfig, Decoded};
use crate::plan::{ReadSet, sign_out, silent};

impl<S: AsyncCacheStore, R: Runtime> Engine<S, R> {
    /// Signs a user out of a client. Returns the number of removed records.
    pub(crate) async fn remove_account(
        &self,
        client: &ClientConfig,
        account: &AccountInfo,
    ) -> Result<usize> {
        let authority = client.authority()?;
        let home = account.home_account_id();
        client.check_id()?;
        sign_out::check_user(home)?;
        let partitions = [Partition::user(home), Partition::app_metadata()];
        let (mut retry, mut is_first) = (Retry::new(), true);
        let removed = loop {
            let attempt = async {
                // As in `store_response`: the commit finds out whether what is known is still true.
                let read = if is_first {
                    self.known_or_read(ReadSet::default(), &partitions).await?
                } else {
                    self.read_set(&partitions).await?
                };
                let (nothing, hosts) = (Decoded::default(), &authority.hosts);
                let [user, metadata] =
                    partitions.each_ref().map(|it| read.get(it).unwrap_or(&nothing));
                let family = silent::family(&client.id, hosts, &metadata.entries);
                let (mut batch, removed) = sign_out::removal(&partitions[0], user, |it| {
                    sign_out::belongs_to(it, home)
                        && sign_out::is_removed(it, &client.id, hosts, &family)
                });
                if read.may_be_stale {
                    if removed == 0 {
                        // Nothing is known to remove, and no commit finds out whether that is true.
                        return Err(Error::Conflict);
                    }
                    batch.change(&partitions[1], Expect::Revision(metadata.revision));
                }
                self.commit_change(&batch).await?;
                Ok(removed)
            };
            match retry.after(attempt.await) {
                Next::Return(done) => break done?,
                Next::Retry(pause) => self.runtime.sleep(pause).await,
            }
            is_first = false;
        };
        event!(
            info,
            target: "msal_cache::client",
            of = partitions[0].digest(),
            client_id = client.id,
            records = removed,
            "signed a user out"
        );
        Ok(removed)
    }

    /// Removes everything of a user. Returns the number of removed records.
    pub(crate) async fn remove_user(&self, home_account_id: &str) -> Result<usize> {
        sign_out::check_user(home_account_id)?;
        let partition = Partition::user(home_account_id);
        let remove = |stored: &Decoded| {
            let (batch, removed) = sign_out::removal(&partition, stored, |it| {
                sign_out::belongs_to(it, home_account_id)
            });
            Ok((Some(batch), removed))
        };
        self.change(&partition, remove).await
    }

    /// Removes the tokens that a client has for itself. Returns their number.
    pub(crate) async fn remove_tokens_for_client(&self, client: &ClientConfig) -> Result<usize> {
        let authority = client.authority()?;
        client.check_id()?;
        let tokens = self.section(&CredentialType::AccessToken).await?;
        let (batch, removed) = sign_out::own_tokens(&tokens.entries, &client.id, &authority.hosts);
        self.commit_change(&batch).await?;
        Ok(removed)
    }
}
