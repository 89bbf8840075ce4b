use msal_cache_core::{AsyncCacheStore, CredentialType, Partition, Result};

use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;
use crate::model::{AccountInfo, ClientConfig};
use crate::plan::accounts::{grouped, one};

impl<S: AsyncCacheStore, R: Runtime> Engine<S, R> {
    /// The users who are signed in to the cloud of a client.
    pub(crate) async fn accounts(&self, client: &ClientConfig) -> Result<Vec<AccountInfo>> {
        let authority = client.authority()?;
        let stored = self.look_up_section(&CredentialType::Account).await?;
        Ok(grouped(&stored.entries, &authority.hosts))
    }

    /// One user, by one look-up.
    pub(crate) async fn account(
        &self,
        client: &ClientConfig,
        home_account_id: &str,
    ) -> Result<Option<AccountInfo>> {
        let authority = client.authority()?;
        let stored = self.look_up(&Partition::user(home_account_id)).await?;
        Ok(one(&stored.entries, &authority.hosts, home_account_id))
    }
}
