//! Which user a credential is for.

use std::sync::{Mutex, PoisonError};

use msal_cache_core::AsyncCacheStore;

use super::error::CredentialError;
use crate::AsyncClient;
use crate::model::AccountInfo;

/// What the app has said of the user.
#[derive(Default)]
pub(super) enum Choice {
    /// Nothing: the only account of the cache, or who signs in.
    #[default]
    Any,
    /// The account with this name, or who signs in with it filled in.
    Named(String),
    /// This account.
    Account(AccountInfo),
}

/// The user, as far as known. Once a token was returned, the user is the same for all others.
#[derive(Default)]
pub(super) struct Chosen {
    choice: Choice,
    known: Mutex<Option<AccountInfo>>,
}

impl Chosen {
    pub(super) fn new(choice: Choice) -> Self {
        let known = match &choice {
            Choice::Account(account) => Some(account.clone()),
            _ => None,
        };
        Self { choice, known: Mutex::new(known) }
    }

    /// The user whose tokens the credential returns from now on, if there is one.
    pub(super) fn known(&self) -> Option<AccountInfo> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the app has chosen an account, and not the cache or a sign-in.
    pub(super) fn is_by_app(&self) -> bool {
        matches!(self.choice, Choice::Account(_))
    }

    pub(super) fn remember(&self, account: AccountInfo) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(account);
    }

    /// The accounts that match: one, if the user is known.
    pub(super) async fn candidates<S: AsyncCacheStore>(
        &self,
        client: &AsyncClient<S>,
    ) -> Result<Vec<AccountInfo>, CredentialError> {
        if let Some(account) = self.known() {
            return Ok(vec![account]);
        }
        Ok(match &self.choice {
            Choice::Named(name) => client.accounts_named(name).await?,
            _ => client.accounts().await?,
        })
    }

    /// The name to fill in at a sign-in.
    pub(super) fn login_hint(&self) -> Option<String> {
        let known = self.known().and_then(|it| it.username().map(str::to_owned));
        known.or_else(|| match &self.choice {
            Choice::Named(name) => Some(name.clone()),
            _ => None,
        })
    }
}
