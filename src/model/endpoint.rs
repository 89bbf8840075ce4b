use std::error::Error as StdError;
use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{BoxFuture, Ready};

use crate::model::address::shown;
use crate::model::{Fields, Form};

/// The token endpoint of an authorization server (RFC 6749, section 3.2), over any HTTP client.
///
/// An implementation sends the form and returns the response; it decides nothing. It authenticates
/// a confidential client: it has the secret or the assertion, and adds it to the request. It also
/// sets the time-outs: other threads and processes that need the same token wait for as long as a
/// call takes. It must not repeat a request that may have arrived, since a refresh token may be
/// valid for one use.
///
/// The cache calls it without holding a lock of the store.
///
/// ```
/// use msal_cache::endpoint::{TokenEndpoint, TokenRequest, TokenResponse, TransportError};
///
/// /// A server that always returns the same response.
/// struct Canned(u16, &'static str);
///
/// impl TokenEndpoint for Canned {
///     fn send(&self, _: &TokenRequest) -> Result<TokenResponse, TransportError> {
///         TokenResponse::from_json(self.0, self.1)
///     }
/// }
/// # let _: &dyn TokenEndpoint = &Canned(200, "{}");
/// ```
pub trait TokenEndpoint: Send + Sync {
    /// Sends a request by `POST` and returns the response, whether it is a success or a refusal.
    ///
    /// # Errors
    ///
    /// [`TransportError`] where there is no response, or its body is not a JSON object. A response
    /// is not an error, whatever its status.
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError>;

    /// Returns a JSON document that a provider publishes, such as its keys, which was requested at most
    /// `longest` ago. It sends no credential. Only the check of a signature calls it.
    ///
    /// # Errors
    ///
    /// [`TransportError`] where there is no such document, and from the provided body.
    fn document(&self, address: &str, longest: Duration) -> Result<Fields, TransportError> {
        let _ = (address, longest);
        Err(TransportError::no_documents())
    }

    /// Identifies the endpoint: clones that authenticate the client alike have the same number.
    /// Callers with the same endpoint share a refusal of the server.
    #[doc(hidden)]
    fn identity(&self) -> usize {
        std::ptr::from_ref(self).cast::<()>().addr()
    }

    /// A handle of this endpoint that outlives the call, by which the refresh of a token that is still
    /// valid goes on in a thread of its own while the caller has the token already.
    ///
    /// `None`, as the provided body returns, where there is no such handle. Then the caller waits as
    /// long as [`send`](Self::send) takes, though only once in the pause after a failed refresh. An
    /// `Arc` of an endpoint has one, and so has `HttpEndpoint`.
    fn detached(&self) -> Option<Arc<dyn TokenEndpoint>> {
        None
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<E: TokenEndpoint + ?Sized> TokenEndpoint for $pointer {
            fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
                (**self).send(request)
            }

            fn document(&self, address: &str, longest: Duration) -> Result<Fields, TransportError> {
                (**self).document(address, longest)
            }

            fn detached(&self) -> Option<Arc<dyn TokenEndpoint>> {
                (**self).detached()
            }
        }
    )*};
}

forward!(&E, Box<E>);

impl<E: TokenEndpoint + ?Sized + 'static> TokenEndpoint for Arc<E> {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        (**self).send(request)
    }

    fn document(&self, address: &str, longest: Duration) -> Result<Fields, TransportError> {
        (**self).document(address, longest)
    }

    fn detached(&self) -> Option<Arc<dyn TokenEndpoint>> {
        Some(Arc::new(self.clone()))
    }
}

/// A [`TokenEndpoint`] that waits without blocking a thread.
///
/// The cache finishes a request that has begun even if its caller is dropped: the server may have
/// replaced the refresh token.
///
/// [`SharedTokenEndpoint`] is the form for an endpoint that is chosen at run time. A blocking endpoint
/// becomes an async one by `Offload` (feature `tokio`), which sends on threads for blocking work.
pub trait AsyncTokenEndpoint: Send + Sync {
    /// See [`TokenEndpoint::send`].
    fn send(
        &self,
        request: &TokenRequest,
    ) -> impl Future<Output = Result<TokenResponse, TransportError>> + Send;

    /// See [`TokenEndpoint::document`].
    fn document(
        &self,
        address: &str,
        longest: Duration,
    ) -> impl Future<Output = Result<Fields, TransportError>> + Send {
        let _ = (address, longest);
        ready(Err(TransportError::no_documents()))
    }

    /// Identifies the endpoint: clones that authenticate the client alike have the same number.
    /// Callers with the same endpoint share a refusal of the server.
    #[doc(hidden)]
    fn identity(&self) -> usize {
        std::ptr::from_ref(self).cast::<()>().addr()
    }
}

/// A blocking endpoint: the request blocks the thread that polls it.
impl<E: TokenEndpoint> AsyncTokenEndpoint for Ready<E> {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        self.0.send(request)
    }

    async fn document(&self, address: &str, longest: Duration) -> Result<Fields, TransportError> {
        self.0.document(address, longest)
    }

    fn identity(&self) -> usize {
        self.0.identity()
    }
}

macro_rules! forward_async {
    ($($pointer:ty),*) => {$(
        impl<E: AsyncTokenEndpoint + ?Sized> AsyncTokenEndpoint for $pointer {
            fn send(
                &self,
                request: &TokenRequest,
            ) -> impl Future<Output = Result<TokenResponse, TransportError>> + Send {
                (**self).send(request)
            }

            fn document(
                &self,
                address: &str,
                longest: Duration,
            ) -> impl Future<Output = Result<Fields, TransportError>> + Send {
                (**self).document(address, longest)
            }

            fn identity(&self) -> usize {
                (**self).identity()
            }
        }
    )*};
}

forward_async!(&E, Arc<E>, Box<E>);

/// Any [`AsyncTokenEndpoint`], chosen at run time: `Arc::new(endpoint) as SharedTokenEndpoint`. It is
/// an [`AsyncTokenEndpoint`] itself. It is shared and not boxed, since an acquisition keeps a clone of
/// its endpoint until it ends.
pub type SharedTokenEndpoint = Arc<dyn DynAsyncTokenEndpoint>;

/// The dyn-compatible form of [`AsyncTokenEndpoint`], which every such endpoint has. Implement that
/// trait and not this one.
pub trait DynAsyncTokenEndpoint: Send + Sync {
    /// See [`AsyncTokenEndpoint::send`].
    fn send<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<TokenResponse, TransportError>>;

    /// See [`TokenEndpoint::document`].
    fn document<'a>(
        &'a self,
        address: &'a str,
        longest: Duration,
    ) -> BoxFuture<'a, Result<Fields, TransportError>>;

    /// See [`AsyncTokenEndpoint::identity`].
    #[doc(hidden)]
    fn identity(&self) -> usize;
}

impl<E: AsyncTokenEndpoint> DynAsyncTokenEndpoint for E {
    fn send<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<TokenResponse, TransportError>> {
        Box::pin(AsyncTokenEndpoint::send(self, request))
    }

    fn document<'a>(
        &'a self,
        address: &'a str,
        longest: Duration,
    ) -> BoxFuture<'a, Result<Fields, TransportError>> {
        Box::pin(AsyncTokenEndpoint::document(self, address, longest))
    }

    fn identity(&self) -> usize {
        AsyncTokenEndpoint::identity(self)
    }
}

impl AsyncTokenEndpoint for dyn DynAsyncTokenEndpoint + '_ {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        DynAsyncTokenEndpoint::send(self, request).await
    }

    async fn document(&self, address: &str, longest: Duration) -> Result<Fields, TransportError> {
        DynAsyncTokenEndpoint::document(self, address, longest).await
    }

    fn identity(&self) -> usize {
        DynAsyncTokenEndpoint::identity(self)
    }
}

/// A blocking endpoint: each request runs on a thread for blocking work, and never on one that runs
/// tasks.
#[cfg(feature = "tokio")]
impl<E: TokenEndpoint + 'static> AsyncTokenEndpoint for msal_cache_core::Offload<E> {
    async fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let request = request.clone();
        match self.call(move |endpoint| endpoint.send(&request)).await {
            Ok(sent) => sent,
            Err(error) => Err(TransportError::new(TransportErrorKind::Other, error)),
        }
    }

    async fn document(&self, address: &str, longest: Duration) -> Result<Fields, TransportError> {
        let address = address.to_owned();
        match self.call(move |endpoint| endpoint.document(&address, longest)).await {
            Ok(document) => document,
            Err(error) => Err(TransportError::new(TransportErrorKind::Other, error)),
        }
    }

    fn identity(&self) -> usize {
        self.get_ref().identity()
    }
}

/// A request to a token endpoint. `Debug` prints no value of the form.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    token_endpoint: String,
    client_id: String,
    form: Form,
    anchor_mailbox: Option<String>,
}

impl TokenRequest {
    /// A request of this client to this address.
    pub fn new(
        token_endpoint: impl Into<String>,
        client_id: impl Into<String>,
        form: Form,
    ) -> Self {
        let (token_endpoint, client_id) = (token_endpoint.into(), client_id.into());
        Self { token_endpoint, client_id, form, anchor_mailbox: None }
    }

    /// Sets the user whose tokens are requested; see [`anchor_mailbox`](Self::anchor_mailbox).
    pub fn with_home_account_id(mut self, home_account_id: &str) -> Self {
        self.anchor_mailbox = Some(format!("Oid:{}", home_account_id.replace('.', "@")));
        self
    }

    /// Where to send it, such as
    /// `https://login.microsoftonline.com/<tenant>/oauth2/v2.0/token`.
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// The client. It is in the form too.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The body of the request, without the authentication of the client.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// The value of the header `X-AnchorMailbox`, by which Microsoft's servers route a request to
    /// the user's region. Other servers ignore it.
    pub fn anchor_mailbox(&self) -> Option<&str> {
        self.anchor_mailbox.as_deref()
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest")
            .field("token_endpoint", &shown(&self.token_endpoint))
            .field("client_id", &self.client_id)
            .field("form", &self.form)
            .field("anchor_mailbox", &self.anchor_mailbox)
            .finish()
    }
}

/// The response of a token endpoint: tokens (RFC 6749, section 5.1) or a refusal (section 5.2).
/// `Debug` prints no value of the body.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenResponse {
    status: u16,
    body: Fields,
    retry_after: Option<Duration>,
    route: Option<Arc<Route>>,
}

impl TokenResponse {
    /// A response with this HTTP status and body.
    pub fn new(status: u16, body: Fields) -> Self {
        Self { status, body, retry_after: None, route: None }
    }

    /// Parses a response.
    ///
    /// # Errors
    ///
    /// [`TransportError`] where the body is not a JSON object, such as the page of a proxy. Its
    /// kind is [`Unavailable`](TransportErrorKind::Unavailable) for the status of an outage, else
    /// [`Malformed`](TransportErrorKind::Malformed). The body is not quoted.
    pub fn from_json(status: u16, body: &str) -> Result<Self, TransportError> {
        match object(body) {
            Ok(body) => Ok(Self::new(status, body)),
            Err(error) => {
                let kind = if is_outage(status) {
                    TransportErrorKind::Unavailable
                } else {
                    TransportErrorKind::Malformed
                };
                Err(TransportError::new(kind, error).with_status(status))
            }
        }
    }

    /// Adds the wait that the header `Retry-After` requires.
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Adds where the request was sent.
    #[cfg(any(feature = "http", feature = "http-async"))]
    pub(crate) fn with_route(mut self, route: &Arc<Route>) -> Self {
        self.route = Some(route.clone());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The members of the JSON object, secrets included.
    pub fn body(&self) -> &Fields {
        &self.body
    }

    /// How long the server requires to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the status says that the server can't respond now.
    pub(crate) fn is_outage(&self) -> bool {
        is_outage(self.status)
    }

    /// The error of this response: it says nothing about the request.
    pub(crate) fn error(&self, error: TransportError) -> TransportError {
        let error = TransportError { route: self.route.clone().or(error.route), ..error };
        error.with_status(self.status).with_retry_after(self.retry_after)
    }
}

/// Where a request was sent, and under which id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) address: Option<Arc<str>>,
    pub(crate) proxy: Option<Arc<str>>,
    pub(crate) correlation_id: Option<Arc<str>>,
    /// Whether a document was requested, and not tokens.
    pub(crate) is_document: bool,
}

/// The members of an object, or why the body isn't one, without quoting it.
fn object(body: &str) -> Result<Fields, Box<dyn StdError + Send + Sync>> {
    let not_json = |error: serde_json::Error| {
        format!("the body is not JSON (line {}, column {})", error.line(), error.column())
    };
    Ok(Fields::from_value("the body", serde_json::from_str(body).map_err(not_json)?)?)
}

fn is_outage(status: u16) -> bool {
    status == 429 || status >= 500
}

/// A token endpoint didn't respond, or its response says nothing about the request.
///
/// It can be cloned, since all callers that wait for one request get its error.
#[derive(Clone)]
pub struct TransportError {
    kind: TransportErrorKind,
    status: Option<u16>,
    retry_after: Option<Duration>,
    route: Option<Arc<Route>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The kind of a [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The server can't be reached: no network, no such host, an untrusted certificate.
    Unreachable,
    /// The server didn't respond in time. It may have granted the request.
    TimedOut,
    /// The connection was lost before the response arrived. The server may have granted the request.
    Interrupted,
    /// The server responded that it is unavailable: status 429, or 500 and above.
    Unavailable,
    /// The response is not that of a token endpoint.
    Malformed,
    /// Another failure, such as a client assertion that couldn't be created.
    Other,
}

impl TransportError {
    /// An error of this kind, with its cause.
    pub fn new(
        kind: TransportErrorKind,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { source: Some(Arc::from(source.into())), ..Self::without_source(kind) }
    }

    /// The error of an endpoint that only sends token requests.
    fn no_documents() -> Self {
        let reason = "this endpoint fetches no documents, such as the keys of a provider; implement \
                      `document`, or use an HttpEndpoint";
        Self::new(TransportErrorKind::Other, reason)
    }

    /// An error of this kind without a cause.
    pub(crate) fn without_source(kind: TransportErrorKind) -> Self {
        Self { kind, status: None, retry_after: None, route: None, source: None }
    }

    /// Adds the HTTP status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds the wait that the header `Retry-After` requires.
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Adds the id under which the request was sent.
    #[must_use]
    pub fn with_correlation_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.route_mut().correlation_id = Some(id.into());
        self
    }

    /// Adds the address to which the request was sent, without a user name, a password and a query.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<Arc<str>>) -> Self {
        self.route_mut().address = Some(address.into());
        self
    }

    /// Adds the address of the proxy, without a user name and a password.
    #[must_use]
    pub fn with_proxy(mut self, address: impl Into<Arc<str>>) -> Self {
        self.route_mut().proxy = Some(address.into());
        self
    }

    /// Adds where the request was sent.
    #[cfg(any(feature = "http", feature = "http-async"))]
    pub(crate) fn with_route(mut self, route: &Arc<Route>) -> Self {
        self.route = Some(route.clone());
        self
    }

    fn route_mut(&mut self) -> &mut Route {
        Arc::make_mut(self.route.get_or_insert_default())
    }

    /// The kind of the error.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// The HTTP status, if there was a response.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// How long the server requires to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The id by which the server's operator finds the request, if it had one.
    pub fn correlation_id(&self) -> Option<&str> {
        self.route.as_ref()?.correlation_id.as_deref()
    }

    /// The address to which the request was sent, if known, without secrets and without its query.
    pub fn address(&self) -> Option<&str> {
        self.route.as_ref()?.address.as_deref()
    }

    /// The address of the proxy through which the request was sent, if there was one, without secrets.
    pub fn proxy(&self) -> Option<&str> {
        self.route.as_ref()?.proxy.as_deref()
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = match self.kind {
            TransportErrorKind::Unreachable => ("", " can't be reached"),
            TransportErrorKind::TimedOut => ("", " didn't respond in time"),
            TransportErrorKind::Interrupted => ("the connection to ", " was lost"),
            TransportErrorKind::Unavailable => ("", " is unavailable"),
            TransportErrorKind::Malformed => ("", " returned an invalid response"),
            TransportErrorKind::Other => ("the request to ", " failed"),
        };
        let is_document = self.route.as_ref().is_some_and(|route| route.is_document);
        let what = if is_document { "document" } else { "token endpoint" };
        write!(f, "{before}the {what}")?;
        if let Some(address) = self.address() {
            write!(f, " {address}")?;
        }
        f.write_str(after)?;
        if let Some(proxy) = self.proxy() {
            write!(f, " through the proxy {proxy}")?;
        }
        if let Some(status) = self.status {
            write!(f, " (HTTP status {status})")?;
        }
        if let Some(wait) = self.retry_after {
            write!(f, "; retry after {} s", wait.as_secs_f64().ceil())?;
        }
        if let Some(id) = self.correlation_id() {
            write!(f, "; correlation id {id}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportError")
            .field("kind", &self.kind)
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("route", &self.route)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
