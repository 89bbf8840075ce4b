use std::fmt;
use std::panic;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{AsyncCacheStore, Error};
use rustls::pki_types::CertificateDer;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::device::{self, DeviceFlow, DeviceFlowError};
use super::exchange::{Exchange, ExchangeOptions, TIMEOUT};
use super::metadata_error::MetadataError;
use super::nonblocking::{AsyncWire, no_runtime};
use super::proxy::ProxyRules;
use super::throttle::SendResult;
use crate::AsyncClient;
use crate::engine::{RedeemError, Tokio};
use crate::model::{
    AsyncTokenEndpoint, Authority, ClientConfig, Event, Fields, TokenRequest, TokenResponse,
    TransportError, TransportErrorKind,
};

/// A token endpoint over HTTPS for async programs, from which an [`AsyncClient`] requests tokens, in
/// a tokio runtime with timers and I/O.
///
/// It obeys the rules of
#[cfg_attr(feature = "http", doc = "[`HttpEndpoint`](super::HttpEndpoint)")]
#[cfg_attr(not(feature = "http"), doc = "`HttpEndpoint` (feature `http`)")]
/// about addresses, TLS, proxies, limits, throttling and secrets, and has its options. An app
/// creates one and clones it: clones share the credential and the state of the throttling.
///
/// ```no_run
/// use msal_cache::AsyncTokenCache;
/// use msal_cache::http::AsyncHttpEndpoint;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = std::env::var("CLIENT_SECRET")?;
/// let endpoint = AsyncHttpEndpoint::builder().client_secret(secret).build_async()?;
/// let cache = AsyncTokenCache::in_memory();
/// let client = cache.client("<client-id>", "https://login.microsoftonline.com/<tenant>");
/// let scopes = ["https://graph.microsoft.com/.default"];
/// let token = client.acquire_token_for_client(scopes, &endpoint).await?;
/// # let _ = token;
/// # Ok(())
/// # }
/// ```
///
/// - **No thread that runs tasks is blocked**: names are looked up, the certificates of the system
///   are read, and client assertions are made on the threads for blocking work, at most 32 of them
///   at once.
/// - **One connection** per request, over HTTP/1.1. It is closed when the future is dropped.
/// - **No log of the wire**: the HTTP client, hyper, logs nothing, and rustls logs handshakes.
#[derive(Clone)]
pub struct AsyncHttpEndpoint(Arc<Exchange<AsyncWire>>);

impl AsyncHttpEndpoint {
    /// Creates the endpoint of a public client, with default options.
    #[must_use]
    pub fn new() -> Self {
        let proxies = ProxyRules::from_env();
        Self::of(TIMEOUT, None, ExchangeOptions { proxies, ..ExchangeOptions::default() })
    }

    pub(super) fn of(
        timeout: Duration,
        roots: Option<&[CertificateDer<'static>]>,
        options: ExchangeOptions,
    ) -> Self {
        Self(Arc::new(Exchange::new(AsyncWire::new(timeout, roots), options)))
    }

    /// Fetches the metadata document of an authority (`OpenID` Connect Discovery 1.0, section 4), validates
    /// it, and returns the authority with its endpoints: for the token endpoint, sign-in by browser and by
    /// device code. [`Authority::metadata`] has what it says.
    ///
    /// Documents are fetched once a day, without the credential of the client; clones of the endpoint share
    /// them. The guide is [`docs::authorities_and_errors`](crate::docs::authorities_and_errors#discovery).
    ///
    /// # Errors
    ///
    /// See the variants of [`MetadataError`].
    pub async fn discover(&self, authority: &Authority) -> Result<Authority, MetadataError> {
        self.0.discover(authority).await
    }

    /// The authority with its metadata, as [`discover`](Self::discover), if its endpoints are not known: those
    /// of an `OpenID` Connect provider that isn't Microsoft's, and of a tenant on a host that Microsoft hasn't
    /// published. Others are returned as they are, without a request; so is each one whose token endpoint is set,
    /// by [`Authority::with_token_endpoint`] or by
    /// [`HttpEndpointBuilder::token_endpoint`](super::HttpEndpointBuilder::token_endpoint).
    ///
    /// # Errors
    ///
    /// See the variants of [`MetadataError`].
    pub async fn discover_unknown(
        &self,
        authority: &Authority,
    ) -> Result<Authority, MetadataError> {
        self.0.discover_unknown(authority).await
    }

    /// The `OpenID` Connect provider of an issuer with any path, such as
    /// `https://idp.example/realms/staff`, with its metadata; see [`discover`](Self::discover).
    ///
    /// # Errors
    ///
    /// See the variants of [`MetadataError`].
    pub async fn discover_issuer(&self, issuer: &str) -> Result<Authority, MetadataError> {
        self.0.discover_issuer(issuer).await
    }

    /// Requests a device code (RFC 8628, section 3.1) for a sign-in with these scopes. Each item
    /// may contain several scopes, separated by spaces. `openid`, `profile` and `offline_access`
    /// are always requested.
    ///
    /// `claims_challenge` is the challenge of an API or of an earlier response that requires a new
    /// sign-in (see [`ServerError::claims`](crate::endpoint::ServerError::claims)).
    ///
    /// # Errors
    ///
    /// - [`DeviceFlowError::Refused`] if the server refuses the request.
    /// - [`DeviceFlowError::Transport`] if there is no usable response.
    /// - [`DeviceFlowError::Invalid`] if the response, the challenge or the client's authority is
    ///   invalid.
    pub async fn initiate_device_flow<S: AsyncCacheStore, T: AsRef<str>>(
        &self,
        client: &AsyncClient<S>,
        scopes: impl IntoIterator<Item = T>,
        claims_challenge: Option<&str>,
    ) -> Result<DeviceFlow, DeviceFlowError> {
        Ok(self.begin_device_flow(client.config(), scopes, claims_challenge).await??)
    }

    pub(crate) async fn begin_device_flow<T: AsRef<str>>(
        &self,
        config: &ClientConfig,
        scopes: impl IntoIterator<Item = T>,
        claims_challenge: Option<&str>,
    ) -> Result<Result<DeviceFlow, RedeemError>, Error> {
        let request = device::DeviceCodeRequest::new(config, scopes, claims_challenge)?;
        self.0.initiate_device_flow(request).await
    }

    /// Polls the token endpoint until the user has signed in, and returns the event to store with
    /// [`AsyncTokenCache::add`](crate::AsyncTokenCache::add), which returns who has signed in: it may
    /// be another user than the one before.
    ///
    /// It polls at the server's interval (RFC 8628, section 3.5), and less often while the server
    /// can't be reached. It ends when the code expires.
    ///
    /// **Cancellation.** Dropping the future cancels the sign-in, and a later call with the same flow
    /// continues it: nothing is lost, not even the tokens that the server grants at that moment. A
    /// flow is good for one sign-in.
    ///
    /// ```no_run
    /// # use msal_cache::AsyncTokenCache;
    /// # use msal_cache::http::AsyncHttpEndpoint;
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = AsyncTokenCache::in_memory();
    /// let client = cache.client("<client-id>", "https://login.microsoftonline.com/organizations");
    /// let endpoint = AsyncHttpEndpoint::new();
    ///
    /// let flow = endpoint.initiate_device_flow(&client, ["User.Read"], None).await?;
    /// println!("{}", flow.message());
    /// cache.add(&endpoint.acquire_token_by_device_flow(&flow).await?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See the variants of [`DeviceFlowError`].
    pub async fn acquire_token_by_device_flow(
        &self,
        flow: &DeviceFlow,
    ) -> Result<Event, DeviceFlowError> {
        flow.acquire(&Polls { endpoint: self, flow }, Tokio, Duration::MAX, || false).await
    }
}

impl Default for AsyncHttpEndpoint {
    fn default() -> Self {
        Self::new()
    }
}

impl AsyncTokenEndpoint for AsyncHttpEndpoint {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        self.0.send(request).await
    }

    async fn document(&self, address: &str, longest: Duration) -> Result<Fields, TransportError> {
        self.0.document_fields(address, longest).await
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl fmt::Debug for AsyncHttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as("AsyncHttpEndpoint", f)
    }
}

/// The polls of a device flow. Each runs as a task of its own, which ends even if the caller is
/// dropped: the server may grant the tokens, and does so once. The flow keeps the task for the next
/// call.
struct Polls<'a> {
    endpoint: &'a AsyncHttpEndpoint,
    flow: &'a DeviceFlow,
}

impl AsyncTokenEndpoint for Polls<'_> {
    async fn send(&self, request: &TokenRequest) -> SendResult {
        let mut poll = KeptPoll { flow: self.flow, task: self.flow.take_poll() };
        let task = match &mut poll.task {
            Some(task) => task,
            none => {
                let (endpoint, request) = (self.endpoint.0.clone(), request.clone());
                let runtime = Handle::try_current().map_err(|_| no_runtime(Error::no_runtime()))?;
                none.insert(runtime.spawn(async move { endpoint.send(&request).await }))
            }
        };
        let done = task.await;
        poll.task = None;
        done.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => panic::resume_unwind(panic),
            // The runtime of an earlier call has shut down.
            Err(error) => Err(TransportError::new(TransportErrorKind::Interrupted, error)),
        })
    }
}

/// A poll that is returned to its flow if its future is dropped before it ends.
struct KeptPoll<'a> {
    flow: &'a DeviceFlow,
    task: Option<JoinHandle<SendResult>>,
}

impl Drop for KeptPoll<'_> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.flow.keep_poll(task);
        }
    }
}
