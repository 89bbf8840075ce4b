use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::internal::now;
use msal_cache_core::{CacheStore, Error, Ready};
use rustls::pki_types::CertificateDer;

use super::blocking::BlockingWire;
use super::device::{self, CANCEL_CHECK, DeviceFlow, DeviceFlowError};
use super::exchange::{Exchange, ExchangeOptions, TIMEOUT};
use super::metadata_error::MetadataError;
use super::proxy::ProxyRules;
use crate::Client;
use crate::engine::{RedeemError, Threads};
use crate::model::{
    Authority, ClientConfig, Event, Fields, TokenEndpoint, TokenRequest, TokenResponse,
    TransportError,
};

/// A token endpoint over HTTPS, from which a [`Client`] requests tokens.
///
/// An app creates one and keeps it, or clones of it, since it holds the client's credential and the state of the
/// throttling. Threads can share it. Async programs use
#[cfg_attr(feature = "http-async", doc = "[`AsyncHttpEndpoint`](super::AsyncHttpEndpoint),")]
#[cfg_attr(not(feature = "http-async"), doc = "`AsyncHttpEndpoint` (feature `http-async`),")]
/// which obeys the same rules.
///
/// ```no_run
/// use msal_cache::http::HttpEndpoint;
///
/// // A public client, such as a command-line or desktop app:
/// let endpoint = HttpEndpoint::new();
/// // A confidential client, such as a daemon or a web app:
/// let endpoint = HttpEndpoint::builder().client_secret(std::env::var("CLIENT_SECRET")?).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// - **TLS** by rustls, with the certificates that the system trusts. Plain HTTP is allowed to
///   loopback addresses only.
/// - **Proxies**: HTTP proxies are taken from the environment, as in MSAL Python: `HTTPS_PROXY`, else
///   `ALL_PROXY`, in lower or upper case; `NO_PROXY` lists the hosts that are reached directly. An
///   address there that is not valid, or is that of a SOCKS proxy, is an error of each request that
///   would use it. [`HttpEndpointBuilder::proxy`](super::HttpEndpointBuilder::proxy) replaces them.
/// - **Bounded**: a request takes at most 30 seconds, and a response has at most 1 MiB. Redirects
///   are not followed.
/// - **One attempt** per request, as [`TokenEndpoint`] requires, on a connection of its own.
/// - **Throttled as in MSAL**: after a response with status 429 or 5xx, or with `Retry-After`,
///   requests with the same client, scopes and user are not sent until the waiting time is over:
///   the server's, five seconds by default, one hour at most. After a response with status 400, an
///   identical request is not sent for a minute. The caller gets the previous response instead.
/// - **No secret in `Debug`**, errors or trace events. Forms and responses are overwritten in
///   memory when they are dropped; copies within the HTTP client and TLS are not. The HTTP client,
///   `ureq`, logs what it sends and receives at level `trace` of the target `ureq_proto::util`. If
///   the app's logger accepts that level, no request is sent, and the error tells how to disable
///   it.
///
/// Each request has its own id, sent as `client-request-id`, by which the server's operator can
/// find it. Errors include it, with the addresses of the server and of the proxy.
#[derive(Clone)]
pub struct HttpEndpoint(Arc<Exchange<BlockingWire>>);

impl HttpEndpoint {
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
        let wire = BlockingWire::new(timeout, roots, options.proxies.proxy());
        Self(Arc::new(Exchange::new(wire, options)))
    }

    /// Fetches the metadata document of an authority (`OpenID` Connect Discovery 1.0, section 4), validates
    /// it, and returns the authority with its endpoints: for the token endpoint, sign-in by browser and by
    /// device code. [`Authority::metadata`] has what it says.
    ///
    /// Documents are fetched once a day, without the credential of the client; clones of the endpoint share
    /// them. The guide is [`docs::authorities_and_errors`](crate::docs::authorities_and_errors#discovery).
    ///
    /// ```no_run
    /// use msal_cache::http::HttpEndpoint;
    /// use msal_cache::{Authority, TokenCache};
    ///
    /// let endpoint = HttpEndpoint::new();
    /// let authority = Authority::parse("https://login.contoso.example/contoso")?;
    /// let client = TokenCache::in_memory().client("<client-id>", endpoint.discover(&authority)?);
    /// # let _ = client;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See the variants of [`MetadataError`].
    pub fn discover(&self, authority: &Authority) -> Result<Authority, MetadataError> {
        now(self.0.discover(authority))
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
    pub fn discover_unknown(&self, authority: &Authority) -> Result<Authority, MetadataError> {
        now(self.0.discover_unknown(authority))
    }

    /// The `OpenID` Connect provider of an issuer with any path, such as
    /// `https://idp.example/realms/staff`, with its metadata; see [`discover`](Self::discover).
    ///
    /// # Errors
    ///
    /// See the variants of [`MetadataError`].
    pub fn discover_issuer(&self, issuer: &str) -> Result<Authority, MetadataError> {
        now(self.0.discover_issuer(issuer))
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
    pub fn initiate_device_flow<S: CacheStore, T: AsRef<str>>(
        &self,
        client: &Client<S>,
        scopes: impl IntoIterator<Item = T>,
        claims_challenge: Option<&str>,
    ) -> Result<DeviceFlow, DeviceFlowError> {
        Ok(self.begin_device_flow(client.config(), scopes, claims_challenge)??)
    }

    pub(crate) fn begin_device_flow<T: AsRef<str>>(
        &self,
        config: &ClientConfig,
        scopes: impl IntoIterator<Item = T>,
        claims_challenge: Option<&str>,
    ) -> Result<Result<DeviceFlow, RedeemError>, Error> {
        let request = device::DeviceCodeRequest::new(config, scopes, claims_challenge)?;
        now(self.0.initiate_device_flow(request))
    }

    /// Polls the token endpoint until the user has signed in, and returns the event to store with
    /// [`TokenCache::add`](crate::TokenCache::add), which returns who has signed in: it may be
    /// another user than the one before.
    ///
    /// It polls at the server's interval (RFC 8628, section 3.5), and less often while the server
    /// can't be reached. It ends when the code expires or when `is_cancelled` returns `true`;
    /// `is_cancelled` is called several times a second. A later call continues a cancelled flow.
    /// A flow is good for one sign-in.
    ///
    /// # Errors
    ///
    /// See the variants of [`DeviceFlowError`].
    pub fn acquire_token_by_device_flow(
        &self,
        flow: &DeviceFlow,
        is_cancelled: impl FnMut() -> bool,
    ) -> Result<Event, DeviceFlowError> {
        now(flow.acquire(&Ready(self), Threads, CANCEL_CHECK, is_cancelled))
    }
}

impl Default for HttpEndpoint {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenEndpoint for HttpEndpoint {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        now(self.0.send(request))
    }

    fn document(&self, address: &str, longest: Duration) -> Result<Fields, TransportError> {
        now(self.0.document_fields(address, longest))
    }

    fn detached(&self) -> Option<Arc<dyn TokenEndpoint>> {
        Some(Arc::new(self.clone()))
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl fmt::Debug for HttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as("HttpEndpoint", f)
    }
}
