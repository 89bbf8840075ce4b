use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error as AzureError, ErrorKind};
use azure_core::time::OffsetDateTime;
use msal_cache_core::{AsyncCacheStore, event};
use tokio::sync::{Mutex, OnceCell};

use super::challenge::ClaimsChallenge;
use super::chosen::Chosen;
use super::error::CredentialError;
use super::interaction::{Interaction, Wish};
use super::record::AuthenticationRecord;
use crate::AsyncClient;
use crate::http::AsyncHttpEndpoint;
use crate::model::{
    AccountInfo, AcquireError, AcquiredToken, AsyncTokenEndpoint, InteractionRequired,
    SilentRequest,
};
use crate::sign_in::SignInError;

/// The last second that an [`OffsetDateTime`] can hold.
const LAST_SECOND: i64 = 253_402_300_799;

/// A [`TokenCredential`] of the Azure SDK for Rust, over a token cache: tokens come from the cache, by
/// its refresh tokens, and at last by a sign-in, if one is configured.
///
/// ```no_run
/// use msal_cache::azure::Credential;
/// use msal_cache::http::AsyncHttpEndpoint;
/// use msal_cache::{AsyncTokenCache, FileStore, TokenCache};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = AsyncTokenCache::from(TokenCache::new(FileStore::open("tokens.json")?));
/// let client = cache.client("<client-id>", "https://login.microsoftonline.com/organizations");
/// let credential = Credential::for_user(client, AsyncHttpEndpoint::new()).browser().build();
/// // SecretClient::new("https://<vault>.vault.azure.net", credential, None)
/// # let _: std::sync::Arc<dyn azure_core::credentials::TokenCredential> = credential;
/// # Ok(())
/// # }
/// ```
///
/// **Users.** A credential returns the tokens of one user: the chosen one, the only one in the cache,
/// or who has signed in. On a cache that other apps share, it uses their accounts, with its own client
/// id: it acquires tokens by its own refresh tokens, and by those of a family of clients where the
/// server accepts that.
///
/// **Authorities.** Where an [`AsyncHttpEndpoint`] has no token endpoint of its own, and the client's
/// authority is one whose endpoints are not known, such as that of a private cloud, the first call discovers
/// them ([`AsyncHttpEndpoint::discover_unknown`]). For an endpoint of another type, make the client with an
/// authority that has been discovered.
///
/// **Tenants.** A credential is for the tenant of its client, as in `azure_identity`. For another
/// tenant of the same user, make a second client and credential over the same cache, with the same
/// [`record`](super::CredentialBuilder::record); that needs no sign-in unless the tenant requires one.
///
/// **Concurrency.** Calls that miss at once send one request. Calls that need the user wait for one
/// sign-in, and get its error if it fails. Dropping the future of that call cancels the sign-in, and
/// the next one begins it again. Acquiring a token needs a tokio runtime, as [`AsyncClient`].
///
/// **Errors.** The cause of an [`azure_core::Error`] is a [`CredentialError`].
///
/// `Debug` prints no secret.
pub struct Credential<S, E> {
    client: AsyncClient<S>,
    /// The client with the endpoints of its authority.
    located: OnceCell<AsyncClient<S>>,
    endpoint: E,
    /// `None` for the app itself.
    user: Option<User<S, E>>,
    /// Held during a sign-in.
    last_sign_in: Mutex<LastSignIn>,
    /// How many sign-ins have ended.
    ended: AtomicU64,
}

/// The user whose tokens a credential returns, and how they sign in.
pub(super) struct User<S, E> {
    pub(super) chosen: Chosen,
    pub(super) interaction: Option<Interaction<S, E>>,
}

#[derive(Default)]
struct LastSignIn {
    error: Option<CredentialError>,
}

impl<S, E> Credential<S, E>
where
    S: AsyncCacheStore + 'static,
    E: AsyncTokenEndpoint + Clone + 'static,
{
    pub(super) fn new(client: AsyncClient<S>, endpoint: E, user: Option<User<S, E>>) -> Self {
        let (located, last_sign_in, ended) = Default::default();
        Self { client, located, endpoint, user, last_sign_in, ended }
    }

    /// A credential for the app itself (client credentials). The endpoint authenticates it, by a
    /// secret or an assertion.
    pub fn for_app(client: AsyncClient<S>, endpoint: E) -> Arc<Self> {
        Arc::new(Self::new(client, endpoint, None))
    }

    /// The user whose tokens this credential returns, once that is known: chosen by the app, or
    /// determined by the first token.
    pub fn record(&self) -> Option<AuthenticationRecord> {
        self.record_of(&self.user.as_ref()?.chosen.known()?).ok()
    }

    /// Signs a user in, whether that is necessary or not, and returns who it was, for
    /// [`record`](super::CredentialBuilder::record) of a later run. Unless the app has chosen an
    /// account, the user may be another one than before, and the credential returns their tokens from
    /// then on.
    ///
    /// # Errors
    ///
    /// [`CredentialError::NoSignIn`] if no way to sign in is configured, or the credential is for an
    /// app; and the errors of the sign-in.
    pub async fn authenticate(
        &self,
        scopes: &[&str],
    ) -> Result<AuthenticationRecord, CredentialError> {
        let Some(User { chosen, interaction: Some(interaction) }) = &self.user else {
            return Err(CredentialError::NoSignIn);
        };
        let wish = Wish {
            scopes: given(scopes)?,
            login_hint: chosen.login_hint(),
            claims: None,
            is_ambiguous: false,
        };
        let mut last = self.last_sign_in.lock().await;
        self.sign_in(chosen, interaction, wish, chosen.is_by_app(), &mut last).await?;
        self.record_of(&chosen.known().ok_or(CredentialError::NoUser)?)
    }

    fn record_of(&self, account: &AccountInfo) -> Result<AuthenticationRecord, CredentialError> {
        let client = self.located.get().unwrap_or(&self.client);
        let (config, authority) = (client.config(), client.authority()?);
        Ok(AuthenticationRecord::new(account, &config.id, &authority))
    }

    /// The client, whose authority has been discovered where it isn't known. What has failed is tried again
    /// by the next call.
    async fn client(&self) -> Result<&AsyncClient<S>, CredentialError> {
        let locate = async || {
            let http = (&self.endpoint as &dyn Any).downcast_ref::<AsyncHttpEndpoint>();
            Ok(match http {
                Some(http) => {
                    let authority = self.client.authority()?;
                    self.client.at(http.discover_unknown(&authority).await?)
                }
                None => self.client.clone(),
            })
        };
        self.located.get_or_try_init(locate).await
    }

    async fn token(
        &self,
        scopes: &[&str],
        claims: Option<&str>,
    ) -> Result<AcquiredToken, CredentialError> {
        let scopes = given(scopes)?;
        let Some(User { chosen, interaction }) = &self.user else {
            return self.acquire(SilentRequest::for_client(&scopes), claims).await;
        };
        let ended = self.ended.load(Ordering::Acquire);
        let why = match self.silently(chosen, &scopes, claims).await? {
            Silent::Token(token) => return Ok(token),
            Silent::Needs(why) => why,
        };
        let interaction = interaction.as_ref().ok_or_else(|| why.error())?;
        let mut last = self.last_sign_in.lock().await;
        let mut why = why;
        if self.ended.load(Ordering::Acquire) != ended {
            // A sign-in has ended in the meantime, which may have been for other scopes.
            if let Some(error) = &last.error {
                return Err(error.clone());
            }
            why = match self.silently(chosen, &scopes, claims).await? {
                Silent::Token(token) => return Ok(token),
                Silent::Needs(why) => why,
            };
        }
        let wish = Wish {
            scopes,
            login_hint: chosen.login_hint(),
            claims: claims.or_else(|| why.claims()).map(str::to_owned),
            is_ambiguous: matches!(why, Need::Choice(2..)),
        };
        self.sign_in(chosen, interaction, wish, true, &mut last).await
    }

    /// A token without the user, or why there is none.
    async fn silently(
        &self,
        chosen: &Chosen,
        scopes: &[String],
        claims: Option<&str>,
    ) -> Result<Silent, CredentialError> {
        let candidates = chosen.candidates(self.client().await?).await?;
        let [account] = &candidates[..] else {
            return Ok(Silent::Needs(Need::Choice(candidates.len())));
        };
        match self.acquire(SilentRequest::new(scopes, account), claims).await {
            Ok(token) => {
                if chosen.known().is_none() {
                    chosen.remember(account.clone());
                }
                Ok(Silent::Token(token))
            }
            Err(CredentialError::Acquire(AcquireError::InteractionRequired(why))) => {
                Ok(Silent::Needs(Need::User(why)))
            }
            Err(error) => Err(error),
        }
    }

    async fn acquire(
        &self,
        mut request: SilentRequest,
        claims: Option<&str>,
    ) -> Result<AcquiredToken, CredentialError> {
        if let Some(claims) = claims {
            request = request.claims_challenge(claims);
        }
        match self.client().await?.acquire(&request, &self.endpoint).await {
            // It is valid, and asking again would send the same request.
            Err(AcquireError::NotStored { token, .. }) => {
                event!(warn, target: "msal_cache::azure", "a token was returned, and not stored");
                Ok(*token)
            }
            result => Ok(result?),
        }
    }

    /// Signs the user in, who must be the known one if `is_fixed`. The caller holds the lock.
    async fn sign_in(
        &self,
        chosen: &Chosen,
        interaction: &Interaction<S, E>,
        wish: Wish,
        is_fixed: bool,
        last: &mut LastSignIn,
    ) -> Result<AcquiredToken, CredentialError> {
        let signed_in = match self.client().await {
            Ok(client) => match interaction(client, &self.endpoint, wish).await {
                Err(SignInError::NotStored { token, .. }) => {
                    event!(warn, target: "msal_cache::azure", "a user has signed in, and is not stored");
                    Ok(*token)
                }
                result => result.map_err(|error| CredentialError::SignIn(Arc::new(error))),
            },
            Err(error) => Err(error),
        };
        let result = signed_in.and_then(|token| {
            let account = token.account();
            let id = |it: &AccountInfo| it.home_account_id().to_ascii_lowercase();
            match (chosen.known().filter(|_| is_fixed), account) {
                (Some(known), Some(account)) if id(&known) != id(&account) => {
                    return Err(CredentialError::OtherUser);
                }
                (Some(_), None) => return Err(CredentialError::OtherUser),
                (_, Some(account)) => chosen.remember(account),
                (None, None) => {}
            }
            Ok(token)
        });
        last.error = result.as_ref().err().cloned();
        self.ended.fetch_add(1, Ordering::Release);
        result
    }
}

/// The outcome of an acquisition without the user.
enum Silent {
    Token(AcquiredToken),
    Needs(Need),
}

/// Why the user is needed.
enum Need {
    /// The cache has this many accounts, and not one.
    Choice(usize),
    /// The account has no refresh token that the server accepts.
    User(InteractionRequired),
}

impl Need {
    fn error(&self) -> CredentialError {
        match self {
            Self::Choice(0) => CredentialError::NoAccount,
            Self::Choice(count) => CredentialError::SeveralAccounts { count: *count },
            Self::User(why) => AcquireError::InteractionRequired(why.clone()).into(),
        }
    }

    /// The claims that the server demands.
    fn claims(&self) -> Option<&str> {
        let Self::User(why) = self else { return None };
        why.server_error()?.claims()
    }
}

/// The scopes, of which there has to be one, as in `azure_identity`.
fn given(scopes: &[&str]) -> Result<Vec<String>, CredentialError> {
    let scopes = crate::model::schema::scopes_of_all(scopes);
    if scopes.is_empty() { Err(CredentialError::NoScopes) } else { Ok(scopes) }
}

#[async_trait::async_trait]
impl<S, E> TokenCredential for Credential<S, E>
where
    S: AsyncCacheStore + 'static,
    E: AsyncTokenEndpoint + Clone + 'static,
{
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let options = options.unwrap_or_default();
        let challenge = options.method_options.context.value::<ClaimsChallenge>();
        let token = self.token(scopes, challenge.map(ClaimsChallenge::as_str)).await?;
        let expires_on = token.access_token().expires_on().clamp(0, LAST_SECOND);
        let expires_on = OffsetDateTime::from_unix_timestamp(expires_on)
            .map_err(|error| AzureError::new(ErrorKind::DataConversion, error))?;
        Ok(AccessToken::new(token.secret().expose().to_owned(), expires_on))
    }
}

impl<S: AsyncCacheStore, E> fmt::Debug for Credential<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("client_id", &self.client.config().id)
            .field("is_for_app", &self.user.is_none())
            .finish_non_exhaustive()
    }
}
