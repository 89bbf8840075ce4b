use std::fmt;
use std::sync::Arc;

use msal_cache_core::AsyncCacheStore;

use super::chosen::{Choice, Chosen};
use super::credential::{Credential, User};
use super::interaction::{self, Interaction};
use super::record::AuthenticationRecord;
use crate::AsyncClient;
use crate::http::{AsyncHttpEndpoint, DeviceFlow};
use crate::model::{AccountInfo, AsyncTokenEndpoint};
use crate::sign_in::SignIn;

/// Configures a [`Credential`] for a user. [`Credential::for_user`] makes one.
///
/// Unless a user is chosen by [`account`](Self::account), [`record`](Self::record) or
/// [`login_hint`](Self::login_hint), the credential is for the only account of the cache. If there
/// are several, or none, a sign-in decides.
#[must_use = "`build` makes the credential"]
pub struct CredentialBuilder<S, E> {
    client: AsyncClient<S>,
    endpoint: E,
    choice: Choice,
    interaction: Option<Interaction<S, E>>,
}

impl<S, E> Credential<S, E>
where
    S: AsyncCacheStore + 'static,
    E: AsyncTokenEndpoint + Clone + 'static,
{
    /// A credential for a user.
    pub fn for_user(client: AsyncClient<S>, endpoint: E) -> CredentialBuilder<S, E> {
        CredentialBuilder { client, endpoint, choice: Choice::Any, interaction: None }
    }
}

impl<S, E> CredentialBuilder<S, E>
where
    S: AsyncCacheStore + 'static,
    E: AsyncTokenEndpoint + Clone + 'static,
{
    /// Chooses this user.
    pub fn account(mut self, account: AccountInfo) -> Self {
        self.choice = Choice::Account(account);
        self
    }

    /// Chooses the user who signed in when this record was made. The record may be of another app
    /// that shares the cache.
    pub fn record(self, record: &AuthenticationRecord) -> Self {
        self.account(record.account())
    }

    /// Chooses the user with this name, ignoring case. It is filled in when they have to sign in; the
    /// user may enter another one then.
    pub fn login_hint(mut self, username: impl Into<String>) -> Self {
        self.choice = Choice::Named(username.into());
        self
    }

    /// Signs the user in by the system browser where a token can't be acquired silently.
    pub fn browser(self) -> Self {
        self.browser_with(|sign_in| sign_in)
    }

    /// The same, with options of the sign-in:
    ///
    /// ```no_run
    /// use msal_cache::azure::Credential;
    /// use msal_cache::http::AsyncHttpEndpoint;
    /// use msal_cache::AsyncTokenCache;
    ///
    /// let authority = "https://login.microsoftonline.com/organizations";
    /// let client = AsyncTokenCache::in_memory().client("<client-id>", authority);
    /// let credential = Credential::for_user(client, AsyncHttpEndpoint::new())
    ///     .browser_with(|sign_in| sign_in.port(8400).domain_hint("contoso.com"))
    ///     .build();
    /// # let _ = credential;
    /// ```
    pub fn browser_with(
        mut self,
        configure: impl Fn(SignIn<&AsyncClient<S>>) -> SignIn<&AsyncClient<S>> + Send + Sync + 'static,
    ) -> Self {
        self.interaction = Some(interaction::browser(configure));
        self
    }

    /// Makes the credential. Without a way to sign in, a call that needs the user is an error.
    pub fn build(self) -> Arc<Credential<S, E>> {
        let Self { client, endpoint, choice, interaction } = self;
        let user = User { chosen: Chosen::new(choice), interaction };
        Arc::new(Credential::new(client, endpoint, Some(user)))
    }
}

impl<S: AsyncCacheStore + 'static> CredentialBuilder<S, AsyncHttpEndpoint> {
    /// Signs the user in by device code where a token can't be acquired silently. `show` shows the
    /// [`message`](DeviceFlow::message) to the user.
    pub fn device_code(mut self, show: impl Fn(&DeviceFlow) + Send + Sync + 'static) -> Self {
        self.interaction = Some(interaction::device_code(show));
        self
    }
}

impl<S: fmt::Debug, E> fmt::Debug for CredentialBuilder<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialBuilder").field("client", &self.client).finish_non_exhaustive()
    }
}
