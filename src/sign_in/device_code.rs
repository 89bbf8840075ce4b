//! Sign-in by device code (RFC 8628): the user enters a code in a browser on any device.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use msal_cache_core::{AsyncCacheStore, Result};
#[cfg(feature = "http")]
use msal_cache_core::{CacheStore, Ready, internal::now};

#[cfg(feature = "http-async")]
use super::detached;
use super::error::SignInError;
use super::id_token::IdTokenRules;
use super::options::LONGEST_TIMEOUT;
use super::signature;
#[cfg(feature = "http-async")]
use crate::AsyncClient;
#[cfg(feature = "http")]
use crate::Client;
#[cfg(feature = "http")]
use crate::engine::Threads;
#[cfg(feature = "http-async")]
use crate::engine::Tokio;
use crate::engine::{Engine, Grant, RedeemError, Redemption, Runtime};
#[cfg(feature = "http-async")]
use crate::http::AsyncHttpEndpoint;
use crate::http::DeviceFlow;
#[cfg(feature = "http")]
use crate::http::HttpEndpoint;
use crate::http::device::{CANCEL_CHECK, PollEnd, Watch};
use crate::model::{
    AcquiredToken, AsyncTokenEndpoint, AuthorityHosts, ClientConfig, Clouds, Event, Fields,
    TokenRequest, TokenResponse, TransportError, schema,
};

type OnPoll = Box<dyn FnMut(&DeviceFlow, Option<&TransportError>) + Send>;

/// A sign-in by device code, which [`run`](Self::run) carries out.
///
/// `Client::device_code` and `AsyncClient::device_code` make one.
#[must_use = "a sign-in begins with `run`"]
pub struct DeviceCodeSignIn<C> {
    client: C,
    scopes: Vec<String>,
    options: DeviceCodeOptions,
}

#[derive(Default)]
struct DeviceCodeOptions {
    claims_challenge: Option<String>,
    issuer: Option<String>,
    verifies_signature: bool,
    timeout: Option<Duration>,
    is_cancelled: Option<Box<dyn FnMut() -> bool + Send>>,
    on_poll: Option<OnPoll>,
}

impl DeviceCodeOptions {
    /// Where the keys are, if the signature is checked.
    fn keys(&self, config: &ClientConfig) -> Result<Option<String>> {
        let authority = config.authority()?;
        self.verifies_signature.then(|| signature::jwks_uri(&authority)).transpose()
    }
}

impl<C> DeviceCodeSignIn<C> {
    fn new<T: AsRef<str>>(client: C, scopes: impl IntoIterator<Item = T>) -> Self {
        let scopes = schema::scopes_of_all(scopes);
        Self { client, scopes, options: DeviceCodeOptions::default() }
    }

    fn with(mut self, set: impl FnOnce(&mut DeviceCodeOptions)) -> Self {
        set(&mut self.options);
        self
    }

    /// Sets the claims challenge of an API or of an earlier response
    /// ([`ServerError::claims`](crate::endpoint::ServerError::claims)).
    pub fn claims_challenge(self, claims: impl Into<String>) -> Self {
        self.with(|it| it.claims_challenge = Some(claims.into()))
    }

    /// Sets the issuer of the ID token. See [`SignIn::issuer`](super::SignIn::issuer).
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.with(|it| it.issuer = Some(issuer.into()))
    }

    /// Checks the signature of the ID token, too. See
    /// [`SignIn::verify_signature`](super::SignIn::verify_signature).
    pub fn verify_signature(self) -> Self {
        self.with(|it| it.verifies_signature = true)
    }

    /// Sets how long to wait for the user: as long as the code is valid unless set, and never longer.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|it| it.timeout = Some(timeout.min(LONGEST_TIMEOUT)))
    }

    /// Cancels the sign-in as soon as this function returns `true`. It is called several times a
    /// second.
    pub fn cancel_if(self, is_cancelled: impl FnMut() -> bool + Send + 'static) -> Self {
        self.with(|it| it.is_cancelled = Some(Box::new(is_cancelled)))
    }

    /// Sets what is called after each request to the server that leaves the sign-in pending, for a
    /// display of the progress: with the flow, whose [`expires_in`](DeviceFlow::expires_in) is the time
    /// that is left, and with the error where the server didn't respond.
    pub fn on_poll(
        self,
        on_poll: impl FnMut(&DeviceFlow, Option<&TransportError>) + Send + 'static,
    ) -> Self {
        self.with(|it| it.on_poll = Some(Box::new(on_poll)))
    }
}

#[cfg(feature = "http")]
impl<S: CacheStore> DeviceCodeSignIn<&Client<S>> {
    /// Requests a code, has `show` show it to the user, waits until the user has signed in, and stores
    /// the tokens in one commit. Returns the access token; its [`account`](AcquiredToken::account) is
    /// who has signed in.
    ///
    /// It polls at the server's interval, and less often while the server can't be reached.
    ///
    /// # Errors
    ///
    /// See the variants of [`SignInError`].
    pub fn run(
        self,
        endpoint: &HttpEndpoint,
        show: impl FnOnce(&DeviceFlow),
    ) -> Result<AcquiredToken, SignInError> {
        let Self { client, scopes, options } = self;
        let config = client.config();
        options.keys(config)?;
        let challenge = options.claims_challenge.as_deref();
        let flow = endpoint.begin_device_flow(config, scopes, challenge)??;
        show(&flow);
        let (engine, endpoint) = (&client.cache().0, Ready(endpoint));
        now(sign_in(engine, config, flow, options, endpoint, Threads, Redemption::run))
    }
}

#[cfg(feature = "http-async")]
impl<S: AsyncCacheStore + 'static> DeviceCodeSignIn<&AsyncClient<S>> {
    /// See `run` of the blocking form. Dropping the future cancels the sign-in. A request that has been
    /// sent ends without it, as a task of the tokio runtime, and what the server grants is stored.
    ///
    /// # Errors
    ///
    /// See the variants of [`SignInError`].
    pub async fn run(
        self,
        endpoint: &AsyncHttpEndpoint,
        show: impl FnOnce(&DeviceFlow) + Send,
    ) -> Result<AcquiredToken, SignInError> {
        let Self { client, scopes, options } = self;
        detached::check()?;
        let config = client.config();
        options.keys(config)?;
        let challenge = options.claims_challenge.as_deref();
        let flow = endpoint.begin_device_flow(config, scopes, challenge).await??;
        show(&flow);
        let (engine, endpoint) = (&client.cache().0, endpoint.clone());
        sign_in(engine, config, flow, options, endpoint, Tokio, detached::redeem).await
    }
}

async fn sign_in<S, R, E, F>(
    engine: &Arc<Engine<S, R>>,
    config: &ClientConfig,
    flow: DeviceFlow,
    options: DeviceCodeOptions,
    endpoint: E,
    runtime: R,
    finish: impl Fn(Redemption<S, R, E, DeviceCodeGrant>) -> F,
) -> Result<AcquiredToken, SignInError>
where
    S: AsyncCacheStore,
    R: Runtime,
    E: AsyncTokenEndpoint + Clone,
    F: Future<Output = Result<AcquiredToken, RedeemError>>,
{
    let keys = options.keys(config)?;
    let DeviceCodeOptions { issuer, timeout, is_cancelled, on_poll, .. } = options;
    let (flow, authority) = (Arc::new(flow), config.authority()?);
    let deadline = timeout.map(|it| Instant::now() + it);
    let check = if is_cancelled.is_some() { CANCEL_CHECK } else { Duration::MAX };
    let watch = Watching { deadline, is_cancelled, on_poll };
    let poll = || {
        let (flow, authority) = (flow.clone(), authority.clone());
        let grant = DeviceCodeGrant { flow, authority, issuer: issuer.clone(), keys: keys.clone() };
        finish(Redemption::new(engine, endpoint.clone(), grant))
    };
    flow.wait(runtime, check, watch, poll).await.map_err(|end| match end {
        PollEnd::Cancelled => SignInError::Cancelled,
        PollEnd::TimedOut => SignInError::TimedOut,
        PollEnd::Expired => SignInError::Expired,
        PollEnd::Failed(error) => error.into(),
    })
}

struct Watching {
    deadline: Option<Instant>,
    is_cancelled: Option<Box<dyn FnMut() -> bool + Send>>,
    on_poll: Option<OnPoll>,
}

impl Watch for Watching {
    fn is_cancelled(&mut self) -> bool {
        self.is_cancelled.as_mut().is_some_and(|it| it())
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn polled(&mut self, flow: &DeviceFlow, error: Option<&TransportError>) {
        if let Some(on_poll) = &mut self.on_poll {
            on_poll(flow, error);
        }
    }
}

/// One poll, which redeems the code if the user has signed in.
struct DeviceCodeGrant {
    flow: Arc<DeviceFlow>,
    authority: Arc<AuthorityHosts>,
    issuer: Option<String>,
    keys: Option<String>,
}

impl Grant for DeviceCodeGrant {
    fn request(&self) -> &TokenRequest {
        self.flow.request()
    }

    fn event(&self) -> Event {
        self.flow.event_without_response()
    }

    fn authority(&self) -> &Arc<AuthorityHosts> {
        &self.authority
    }

    fn check(&self, response: &TokenResponse, clouds: &Clouds, now: i64) -> Result<()> {
        let rules = IdTokenRules {
            client_id: self.flow.request().client_id(),
            nonce: None,
            authority: &self.authority,
            clouds,
            issuer: self.issuer.as_deref(),
            now,
        };
        rules.check_if_present(response.body())
    }

    fn keys(&self) -> Option<&str> {
        self.keys.as_deref()
    }

    fn check_signature(&self, response: &TokenResponse, keys: &Fields) -> Result<bool> {
        signature::check(response, keys)
    }
}

#[cfg(feature = "http")]
impl<S: CacheStore> Client<S> {
    /// A sign-in by device code, for these scopes: the user enters a code in a browser on any device.
    /// Each item may contain several scopes, separated by spaces. `openid`, `profile` and
    /// `offline_access` are always requested.
    ///
    /// ```no_run
    /// use msal_cache::http::HttpEndpoint;
    /// use msal_cache::TokenCache;
    ///
    /// let cache = TokenCache::in_memory();
    /// let client = cache.client("<client-id>", "https://login.microsoftonline.com/organizations");
    /// let endpoint = HttpEndpoint::new();
    /// let token =
    ///     client.device_code(["User.Read"]).run(&endpoint, |code| println!("{}", code.message()))?;
    /// println!("{:?} has signed in", token.account());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn device_code<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
    ) -> DeviceCodeSignIn<&Self> {
        DeviceCodeSignIn::new(self, scopes)
    }
}

#[cfg(feature = "http-async")]
impl<S: AsyncCacheStore> AsyncClient<S> {
    /// A sign-in by device code. It is that of the blocking `Client::device_code`.
    pub fn device_code<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
    ) -> DeviceCodeSignIn<&Self> {
        DeviceCodeSignIn::new(self, scopes)
    }
}

impl<C> fmt::Debug for DeviceCodeSignIn<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCodeSignIn")
            .field("scopes", &self.scopes)
            .field("timeout", &self.options.timeout)
            .finish_non_exhaustive()
    }
}
