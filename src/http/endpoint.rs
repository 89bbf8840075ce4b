use std::fmt;
use std::time::Duration;

use ureq::http::{HeaderValue, Uri};
use uuid::Uuid;

use super::address;
use super::credential::{AssertionRequest, Credential};
use super::throttle::Throttle;
use super::wire::Wire;
use crate::model::{
    TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind,
};

/// The default timeout of a request.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// A token endpoint over HTTPS, from which a [`Client`](crate::Client) requests tokens.
///
/// An app creates one and keeps it, since it holds the client's credential and the state of the
/// throttling. Threads can share it.
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
///   loopback addresses only. Proxies are taken from the environment (`HTTPS_PROXY`, `NO_PROXY`).
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
/// find it. Errors include it.
pub struct HttpEndpoint {
    pub(super) wire: Wire,
    pub(super) throttle: Throttle,
    pub(super) credential: Credential,
    pub(super) token_endpoint: Option<Uri>,
    pub(super) device_authorization_endpoint: Option<Uri>,
    pub(super) app: Option<(String, String)>,
}

impl HttpEndpoint {
    /// Creates the endpoint of a public client, with default options.
    #[must_use]
    pub fn new() -> Self {
        Self {
            wire: Wire::new(TIMEOUT, None),
            throttle: Throttle::default(),
            credential: Credential::None,
            token_endpoint: None,
            device_authorization_endpoint: None,
            app: None,
        }
    }

    /// Sends a request with the client's credential to an address.
    pub(super) fn post(
        &self,
        to: &Uri,
        request: &TokenRequest,
    ) -> Result<TokenResponse, TransportError> {
        let (client_id, form) = (request.client_id(), request.form());
        let repeatable = self.credential.is_constant();
        let keys = self.throttle.keys(&to.to_string(), client_id, form, repeatable);
        if let Some(stored) = self.throttle.get(keys) {
            return stored;
        }
        let configured = self.token_endpoint.as_ref().map(Uri::to_string);
        let assertion_request = AssertionRequest {
            client_id,
            token_endpoint: configured.as_deref().unwrap_or(request.token_endpoint()),
            fmi_path: form.get("fmi_path"),
        };
        let sent = self.credential.apply(form.clone(), &assertion_request)?;
        let id = Uuid::new_v4().to_string();
        let mut headers = vec![
            ("client-request-id", id.as_str()),
            ("x-client-sku", "msal-cache"),
            ("x-client-ver", env!("CARGO_PKG_VERSION")),
            ("x-client-os", std::env::consts::OS),
            // This client obeys `Retry-After` and status 429.
            ("x-ms-lib-capability", "retry-after, h429"),
        ];
        if let Some((name, version)) = &self.app {
            headers.extend([("x-app-name", name.as_str()), ("x-app-ver", version.as_str())]);
        }
        // It is read from the cache, so it may be invalid as a header.
        let mailbox = request.anchor_mailbox().filter(|it| HeaderValue::from_str(it).is_ok());
        headers.extend(mailbox.map(|mailbox| ("X-AnchorMailbox", mailbox)));
        if let Some(authorization) = &sent.authorization {
            headers.push(("Authorization", authorization));
        }
        let result = self.wire.post(to, &headers, &sent.form);
        let result = result.map_err(|error| error.with_correlation_id(id));
        self.throttle.record(keys, &result);
        result
    }
}

impl Default for HttpEndpoint {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenEndpoint for HttpEndpoint {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        if let Some(address) = &self.token_endpoint {
            return self.post(address, request);
        }
        let address = address::parse(request.token_endpoint()).map_err(refused_address)?;
        self.post(&address, request)
    }
}

/// The error for an address to which no secret may be sent.
pub(super) fn refused_address(reason: &'static str) -> TransportError {
    let message = format!("invalid endpoint address: {reason}");
    TransportError::new(TransportErrorKind::Other, message)
}

impl fmt::Debug for HttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEndpoint")
            .field("credential", &self.credential)
            .field("token_endpoint", &self.token_endpoint)
            .field("device_authorization_endpoint", &self.device_authorization_endpoint)
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}
