use crate::model::{AccountInfo, Entry};

/// What [`TokenCache::add`](crate::TokenCache::add) has stored, and who signed in.
///
/// ```
/// use msal_cache::{Event, Fields, TokenCache};
///
/// # fn run(client: &msal_cache::Client, event: &Event) -> Result<(), Box<dyn std::error::Error>> {
/// let added = client.cache().add(event)?;
/// let account = added.account().ok_or("the response names no user")?;
/// println!("{} is signed in", account.username().unwrap_or("a user without a name"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Added {
    /// The user whom the response names.
    pub(crate) user: Option<AccountInfo>,
    /// The accounts of that user in the cloud.
    pub(crate) accounts: Vec<Entry>,
    pub(crate) entries: Vec<Entry>,
}

impl Added {
    /// The records of the response, as they are stored.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The access token, if the response has one.
    pub fn access_token(&self) -> Option<&Entry> {
        self.entries.iter().find(|it| it.access_token().is_some())
    }
}
