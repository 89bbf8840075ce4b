use msal_cache_core::{AsyncCacheStore, CredentialType, Partition, Result};

use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;
use crate::model::{AccountInfo, ClientConfig};
use crate::plan::accounts::grouped;

impl<S: AsyncCacheStore, R: Runtime> Engine<S, R> {
    /// The users who are signed in to the cloud of a client.
    pub(crate) async fn accounts(&self, client: &ClientConfig) -> Result<Vec<AccountInfo>> {
        let authority = client.authority()?;
        let stored = self.section(&CredentialType::Account).await?;
        Ok(grouped(&stored.entries, &authority.hosts))
    }

    /// One user, by one look-up.
    pub(crate) async fn account(
        &self,
        client: &ClientConfig,
        home_account_id: &str,
    ) -> Result<Option<AccountInfo>> {
        let authority = client.authority()?;
        let stored = self.partition(&Partition::user(home_account_id)).await?;
        let mut accounts = grouped(&stored.entries, &authority.hosts);
        accounts.retain(|it| it.home_account_id() == home_account_id);
        Ok(accounts.pop())
    }
}
