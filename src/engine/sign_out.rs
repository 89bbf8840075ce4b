use msal_cache_core::internal::{Next, Retry};
use msal_cache_core::{AsyncCacheStore, CredentialType, Error, Expect, Partition, Result, event};

use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;
use crate::model::{AccountInfo, ClientConfig, Decoded};
use crate::plan::{sign_out, silent};

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
        // As in `store_response`: what is known needn't be read, and the commit finds out whether it
        // is still true.
        let mut known = self.known(&partitions);
        let mut retry = Retry::new();
        let removed = loop {
            let attempt = async {
                let may_be_stale = known.is_some();
                let [user, metadata] = match known.take() {
                    Some(known) => known,
                    // In a box, since a large future takes longer to move than a small removal.
                    None => Box::pin(self.read(&partitions)).await?,
                };
                let (hosts, metadata_at) = (&authority.hosts, metadata.revision);
                let family = silent::family(&client.id, hosts, &metadata.entries);
                let (mut batch, removed) = sign_out::removal(&partitions[0], &user, |it| {
                    sign_out::belongs_to(it, home)
                        && sign_out::is_removed(it, &client.id, hosts, &family)
                });
                if may_be_stale {
                    if removed == 0 {
                        // Nothing is known to remove, and no commit finds out whether that is true.
                        return Err(Error::Conflict);
                    }
                    batch.change(&partitions[1], Expect::Revision(metadata_at));
                }
                self.commit_change(&batch).await?;
                Ok(removed)
            };
            match retry.after(attempt.await) {
                Next::Return(done) => {
                    let forget = |it: &Self| it.state.decoded.forget_one(&partitions[0]);
                    break self.unless_removed(done, forget)?;
                }
                Next::Retry(pause) => self.runtime.sleep(pause).await,
            }
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
        let remove = async {
            let tokens = self.section(&CredentialType::AccessToken).await?;
            let (batch, removed) =
                sign_out::own_tokens(&tokens.entries, &client.id, &authority.hosts);
            self.commit_change(&batch).await?;
            Ok(removed)
        };
        self.unless_removed(remove.await, |it| {
            let is_removed = |known: &Decoded| {
                sign_out::own_tokens(&known.entries, &client.id, &authority.hosts).1 > 0
            };
            it.state.decoded.forget_where(is_removed);
            it.state.decoded.forget_sections();
        })
    }
}
