use std::fmt;
use std::io;
use std::time::Duration;

#[cfg(feature = "http-async")]
use msal_cache_core::AsyncCacheStore;
#[cfg(feature = "http")]
use msal_cache_core::{CacheStore, Ready, internal::now};

use super::attempt;
#[cfg(feature = "http-async")]
use super::detached;
use super::error::SignInError;
use super::options::{LONGEST_TIMEOUT, Options, Prompt, ResponseMode};
use super::state::SignInState;
use super::web_app::{self, BegunSignIn};
#[cfg(feature = "http-async")]
use crate::AsyncClient;
#[cfg(feature = "http")]
use crate::Client;
use crate::engine::Redemption;
#[cfg(feature = "http")]
use crate::engine::Threads;
#[cfg(feature = "http-async")]
use crate::engine::Tokio;
#[cfg(feature = "http-async")]
use crate::model::AsyncTokenEndpoint;
#[cfg(feature = "http")]
use crate::model::TokenEndpoint;
use crate::model::{AcquiredToken, schema};

/// A sign-in by the system browser, which [`run`](Self::run) carries out.
///
/// `Client::sign_in` and `AsyncClient::sign_in` make one.
#[must_use = "a sign-in begins with `run`"]
pub struct SignIn<C> {
    client: C,
    options: Options,
}

impl<C> SignIn<C> {
    fn new<T: AsRef<str>>(client: C, scopes: impl IntoIterator<Item = T>) -> Self {
        Self { client, options: Options::new(schema::scopes_of_all(scopes)) }
    }

    fn with(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(&mut self.options);
        self
    }

    /// Sets what the server asks the user for. Unless set, that is up to the server: mostly nothing
    /// where the browser has a session.
    pub fn prompt(self, prompt: Prompt) -> Self {
        self.with(|it| it.prompt = Some(prompt))
    }

    /// Sets the user name that the server fills in, mostly that of the account whose silent acquisition
    /// failed. Another user may sign in nevertheless: see
    /// [`AcquiredToken::account`].
    pub fn login_hint(self, username: impl Into<String>) -> Self {
        self.with(|it| it.login_hint = Some(username.into()))
    }

    /// Sets the domain of the user, such as `contoso.com`, or `consumers` or `organizations`: the server
    /// then skips the question for it.
    pub fn domain_hint(self, domain: impl Into<String>) -> Self {
        self.with(|it| it.domain_hint = Some(domain.into()))
    }

    /// Sets the claims challenge of an API or of an earlier response
    /// ([`ServerError::claims`](crate::endpoint::ServerError::claims)).
    pub fn claims_challenge(self, claims: impl Into<String>) -> Self {
        self.with(|it| it.claims_challenge = Some(claims.into()))
    }

    /// Adds scopes, also of other APIs, to which the user consents in the same sign-in. No token is
    /// acquired for them yet; a silent acquisition does that later.
    pub fn extra_scopes_to_consent<T: AsRef<str>>(
        self,
        scopes: impl IntoIterator<Item = T>,
    ) -> Self {
        self.with(|it| it.extra_scopes.extend(schema::scopes_of_all(scopes)))
    }

    /// Sets how the browser hands over the code: in the body of a `POST` unless set; for a web app, in
    /// the query. The answer is accepted in both ways.
    pub fn response_mode(self, mode: ResponseMode) -> Self {
        self.with(|it| it.response_mode = Some(mode))
    }

    /// Sets the authorization endpoint, where it doesn't follow from the authority: for an `OpenID`
    /// Connect provider that isn't Microsoft's, the `authorization_endpoint` of its metadata document.
    pub fn authorization_endpoint(self, address: impl Into<String>) -> Self {
        self.with(|it| it.authorization_endpoint = Some(address.into()))
    }

    /// Sets the issuer of the ID token, the `issuer` of the metadata document, which is compared
    /// exactly. Unless set, it is a tenant of the authority's cloud for Microsoft Entra ID, and any
    /// issuer on the host of the authority for other servers.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.with(|it| it.issuer = Some(issuer.into()))
    }

    /// Checks the signature of the ID token, too, by the keys of the provider: `jwks_uri` of the metadata of
    /// an authority that has been discovered. See [`docs::sign_in`](crate::docs::sign_in#signatures).
    ///
    /// The token endpoint is an `HttpEndpoint` or an `AsyncHttpEndpoint`, or implements
    /// [`document`](crate::endpoint::TokenEndpoint::document).
    pub fn verify_signature(self) -> Self {
        self.with(|it| it.verifies_signature = true)
    }

    /// Sets the port of the redirect URI, where the server requires one, or where it is forwarded from
    /// another machine. Any free port unless set.
    pub fn port(self, port: u16) -> Self {
        self.with(|it| it.port = port)
    }

    /// Sets the path of the redirect URI, such as `/callback`. Unless set, the redirect URI is
    /// `http://localhost:<port>`, which is registered as `http://localhost` with Microsoft's servers.
    pub fn path(self, path: impl AsRef<str>) -> Self {
        let path = format!("/{}", path.as_ref().trim_start_matches('/'));
        self.with(|it| it.path = path)
    }

    /// Sets how long the user has: five minutes unless set, ten minutes for a web app; one day at most.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|it| it.timeout = Some(timeout.min(LONGEST_TIMEOUT)))
    }

    /// Replaces the system browser: `open` gets the address, and opens or shows it. It runs in a thread
    /// of its own; its error ends the sign-in with [`SignInError::Browser`]. The address contains no
    /// secret by which another program could get the tokens.
    ///
    /// On a remote machine, show the address, and forward a [`port`](Self::port) to it
    /// (`ssh -L 8400:localhost:8400`).
    pub fn open_with(self, open: impl FnOnce(&str) -> io::Result<()> + Send + 'static) -> Self {
        self.with(|it| it.open = Some(Box::new(open)))
    }

    /// Cancels the sign-in as soon as this function returns `true`. It is called several times a
    /// second until the browser has brought the code.
    pub fn cancel_if(self, is_cancelled: impl FnMut() -> bool + Send + 'static) -> Self {
        self.with(|it| it.is_cancelled = Some(Box::new(is_cancelled)))
    }

    /// Sets the page (HTML) that the browser shows after the sign-in. Its content security policy allows
    /// styles in the page and `data:` images, and no scripts.
    pub fn success_page(self, html: impl Into<String>) -> Self {
        self.with(|it| it.success_page = Some(html.into()))
    }

    /// Sets the page (HTML) that the browser shows after an error of the server.
    pub fn failure_page(self, html: impl Into<String>) -> Self {
        self.with(|it| it.failure_page = Some(html.into()))
    }
}

#[cfg(feature = "http")]
impl<S: CacheStore> SignIn<&Client<S>> {
    /// Opens the browser, waits until the user has signed in, redeems the code, and stores the tokens in
    /// one commit. Returns the access token; its [`account`](AcquiredToken::account) is who has signed
    /// in.
    ///
    /// # Errors
    ///
    /// See the variants of [`SignInError`].
    pub fn run(self, endpoint: &dyn TokenEndpoint) -> Result<AcquiredToken, SignInError> {
        let Self { client, options } = self;
        let engine = &client.cache().0;
        let code = now(attempt::run(Threads, engine.now(), client.config(), options))?;
        Ok(now(Redemption::new(engine, Ready(endpoint), code).run())?)
    }

    /// Begins a sign-in to a web app: returns the address to send the browser to, and the state that
    /// [`finish_sign_in`](Client::finish_sign_in) takes when the browser comes back to `redirect_uri`.
    /// Nothing is sent, and nothing listens: the options of the browser, the port, the path, the pages
    /// and the cancellation have no effect.
    ///
    /// ```
    /// # use msal_cache::{Client, TokenCache, endpoint::TokenEndpoint};
    /// # let cache = TokenCache::in_memory();
    /// let client = cache.client("<client-id>", "https://login.microsoftonline.com/organizations");
    /// let begun = client.sign_in(["User.Read"]).begin_sign_in("https://app.example/signed-in")?;
    /// // The response: a redirect to `begun.address`. The session of the browser: `begun.state`.
    /// # let _ = begun;
    /// # Ok::<(), msal_cache::sign_in::SignInError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SignInError::Invalid`] where the client, the address or an option is invalid.
    pub fn begin_sign_in(
        self,
        redirect_uri: impl Into<String>,
    ) -> Result<BegunSignIn, SignInError> {
        let now = self.client.cache().0.now();
        web_app::begin(self.client.config(), &self.options, redirect_uri.into(), now)
    }
}

#[cfg(feature = "http-async")]
impl<S: AsyncCacheStore> SignIn<&AsyncClient<S>> {
    /// See `run` of the blocking form. Dropping the future cancels the sign-in, and nothing listens
    /// afterwards. Once the browser has brought the code, the sign-in ends without the future, as a task
    /// of the tokio runtime: the server accepts the code once.
    ///
    /// # Errors
    ///
    /// See the variants of [`SignInError`].
    pub async fn run(
        self,
        endpoint: &(impl AsyncTokenEndpoint + Clone + 'static),
    ) -> Result<AcquiredToken, SignInError>
    where
        S: 'static,
    {
        let Self { client, options } = self;
        detached::check()?;
        let engine = &client.cache().0;
        let code = attempt::run(Tokio, engine.now(), client.config(), options).await?;
        Ok(detached::redeem(Redemption::new(engine, endpoint.clone(), code)).await?)
    }

    /// See `begin_sign_in` of the blocking form. It waits for nothing.
    ///
    /// # Errors
    ///
    /// [`SignInError::Invalid`] where the client, the address or an option is invalid.
    pub fn begin_sign_in(
        self,
        redirect_uri: impl Into<String>,
    ) -> Result<BegunSignIn, SignInError> {
        let now = self.client.cache().0.now();
        web_app::begin(self.client.config(), &self.options, redirect_uri.into(), now)
    }
}

#[cfg(feature = "http")]
impl<S: CacheStore> Client<S> {
    /// A sign-in by the system browser (authorization code with PKCE), for these scopes. Each item may
    /// contain several scopes, separated by spaces. `openid`, `profile` and `offline_access` are always
    /// requested. The guide is [`docs::sign_in`](crate::docs::sign_in).
    ///
    /// ```no_run
    /// use msal_cache::http::HttpEndpoint;
    /// use msal_cache::TokenCache;
    ///
    /// let cache = TokenCache::in_memory();
    /// let client = cache.client("<client-id>", "https://login.microsoftonline.com/common");
    /// let token = client.sign_in(["User.Read"]).run(&HttpEndpoint::new())?;
    /// println!("{:?} has signed in", token.account());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sign_in<T: AsRef<str>>(&self, scopes: impl IntoIterator<Item = T>) -> SignIn<&Self> {
        SignIn::new(self, scopes)
    }

    /// Ends a sign-in to a web app: redeems the code that the browser has brought, and stores the tokens
    /// in one commit. Returns the access token; its [`account`](AcquiredToken::account) is who has
    /// signed in.
    ///
    /// `answer` is the query of the request to the redirect URI, or the body of a `POST`, as it was
    /// received. The state is good for one sign-in: remove it from the session of the browser.
    ///
    /// ```no_run
    /// use msal_cache::Client;
    /// use msal_cache::http::HttpEndpoint;
    /// use msal_cache::sign_in::{SignInError, SignInState};
    ///
    /// fn signed_in(
    ///     client: &Client,
    ///     endpoint: &HttpEndpoint,
    ///     session: SignInState,
    ///     query: &str,
    /// ) -> Result<(), SignInError> {
    ///     let token = client.finish_sign_in(session, query, endpoint)?;
    ///     println!("{:?} has signed in", token.account());
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SignInError::ForeignAnswer`] where the answer isn't that of this sign-in,
    /// [`SignInError::TimedOut`] where it comes too late, [`SignInError::Declined`] and
    /// [`SignInError::Refused`] where it is an error; else those of [`SignIn::run`].
    pub fn finish_sign_in(
        &self,
        state: SignInState,
        answer: &str,
        endpoint: &dyn TokenEndpoint,
    ) -> Result<AcquiredToken, SignInError> {
        let engine = &self.cache().0;
        let code = web_app::code(self.config(), state, answer, engine.now())?;
        Ok(now(Redemption::new(engine, Ready(endpoint), code).run())?)
    }
}

#[cfg(feature = "http-async")]
impl<S: AsyncCacheStore> AsyncClient<S> {
    /// A sign-in by the system browser. It is that of the blocking `Client::sign_in`.
    pub fn sign_in<T: AsRef<str>>(&self, scopes: impl IntoIterator<Item = T>) -> SignIn<&Self> {
        SignIn::new(self, scopes)
    }

    /// Ends a sign-in to a web app. It is that of the blocking `Client::finish_sign_in`. A request that
    /// has been sent ends without this future, as a task of the tokio runtime.
    ///
    /// # Errors
    ///
    /// [`SignInError::ForeignAnswer`] where the answer isn't that of this sign-in,
    /// [`SignInError::TimedOut`] where it comes too late, [`SignInError::Declined`] and
    /// [`SignInError::Refused`] where it is an error; else those of [`SignIn::run`].
    pub async fn finish_sign_in(
        &self,
        state: SignInState,
        answer: &str,
        endpoint: &(impl AsyncTokenEndpoint + Clone + 'static),
    ) -> Result<AcquiredToken, SignInError>
    where
        S: 'static,
    {
        detached::check()?;
        let engine = &self.cache().0;
        let code = web_app::code(self.config(), state, answer, engine.now())?;
        Ok(detached::redeem(Redemption::new(engine, endpoint.clone(), code)).await?)
    }
}

impl<C> fmt::Debug for SignIn<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("scopes", &self.options.scopes)
            .field("timeout", &self.options.timeout)
            .finish_non_exhaustive()
    }
}
