use std::fmt;
use std::time::Duration;

use ureq::http::{HeaderValue, Uri};
use uuid::Uuid;

use super::address;
use super::builder::HttpEndpointBuilder;
use super::credential::{AssertionRequest, Credential};
use super::throttle::Throttle;
use super::wire::Wire;
use crate::{TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind};

/// How long a request may take, unless told otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// A token endpoint over HTTPS: what the methods of a [`Client`](crate::Client) ask for tokens.
///
/// An app makes one and keeps it: it holds the client's credential, and what it has been told to
/// wait for. It can be shared by threads.
///
/// ```no_run
/// use msal_cache::HttpEndpoint;
///
/// // A command-line or desktop app, which has no secret:
/// let endpoint = HttpEndpoint::new();
/// // A daemon or a web app:
/// let endpoint = HttpEndpoint::builder().client_secret(std::env::var("CLIENT_SECRET")?).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// - **TLS** by rustls, with the certificates that the system trusts. Plain HTTP only to this
///   machine. Proxies as the environment names them (`HTTPS_PROXY`, `NO_PROXY`).
/// - **Bounded**: 30 seconds and a megabyte for an answer. Redirects are not followed.
/// - **One attempt** for each request, as [`TokenEndpoint`] demands, on a connection of its own.
/// - **Throttled as in MSAL**: a server that answers 429, 500 and above, or with `Retry-After`, is
///   not asked again for as long as it says (five seconds if it doesn't say, an hour at most) by
///   the same client for the same scopes and user; a request that was refused with status 400
///   isn't sent again word for word within a minute. The caller gets the same answer again.
/// - **No secret in sight**: `Debug`, errors and trace events hold none, and forms and answers are
///   overwritten when they are dropped; copies within the HTTP client and TLS are not. The HTTP
///   client, `ureq`, would log all that is sent and received at level `trace` of the target
///   `ureq_proto::util`. Where a logger of the app takes that, nothing is sent, and the error says
///   how to turn it off.
///
/// Each request has an id of its own, sent as `client-request-id`, by which the server's operator
/// finds it. An error names it.
pub struct HttpEndpoint {
    pub(super) wire: Wire,
    pub(super) throttle: Throttle,
    pub(super) credential: Credential,
    pub(super) token_endpoint: Option<Uri>,
    pub(super) device_authorization_endpoint: Option<Uri>,
    pub(super) app: Option<(String, String)>,
}

impl HttpEndpoint {
    /// The endpoint of a public client, with the defaults of everything.
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

    /// Options: a credential, time-outs, addresses of one's own.
    pub fn builder() -> HttpEndpointBuilder {
        HttpEndpointBuilder::default()
    }

    /// Sends a request to an address, as this client.
    pub(super) fn post(
        &self,
        to: &Uri,
        request: &TokenRequest,
    ) -> Result<TokenResponse, TransportError> {
        let (client_id, form) = (request.client_id(), request.form());
        let repeats = self.credential.is_the_same_each_time();
        let names = self.throttle.names(&to.to_string(), client_id, form, repeats);
        if let Some(kept) = self.throttle.kept(names) {
            return kept;
        }
        let elsewhere = self.token_endpoint.as_ref().map(Uri::to_string);
        let asked = AssertionRequest {
            client_id,
            token_endpoint: elsewhere.as_deref().unwrap_or(request.token_endpoint()),
            fmi_path: form.get("fmi_path"),
        };
        let sent = self.credential.apply(form.clone(), &asked)?;
        let id = Uuid::new_v4().to_string();
        let mut headers = vec![
            ("client-request-id", id.as_str()),
            ("x-client-sku", "msal-cache"),
            ("x-client-ver", env!("CARGO_PKG_VERSION")),
            ("x-client-os", std::env::consts::OS),
            // What this client can be told: to wait.
            ("x-ms-lib-capability", "retry-after, h429"),
        ];
        if let Some((name, version)) = &self.app {
            headers.extend([("x-app-name", name.as_str()), ("x-app-ver", version.as_str())]);
        }
        // It comes from the cache, where anything may stand.
        let mailbox = request.anchor_mailbox().filter(|it| HeaderValue::from_str(it).is_ok());
        headers.extend(mailbox.map(|mailbox| ("X-AnchorMailbox", mailbox)));
        if let Some(authorization) = &sent.authorization {
            headers.push(("Authorization", authorization));
        }
        let answer = self.wire.post(to, &headers, &sent.form);
        self.throttle.keep(names, answer.map_err(|error| error.with_correlation_id(id)))
    }
}

impl Default for HttpEndpoint {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenEndpoint for HttpEndpoint {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        match &self.token_endpoint {
            Some(address) => self.post(address, request),
            None => self.post(&address::read(request.token_endpoint()).map_err(refused)?, request),
        }
    }
}

/// An address to which no secret may be sent.
pub(super) fn refused(fault: address::Fault) -> TransportError {
    TransportError::new(TransportErrorKind::Other, format!("the address is not used: {fault}"))
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
