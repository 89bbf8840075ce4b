//! The rules of a token endpoint over HTTP, for any HTTP client: where a request is sent, what is
//! sent, and what a response means.

use std::env::consts::OS;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use uuid::Uuid;

use super::credential::{AssertionRequest, Authenticated, Credential};
use super::discovery::DiscoveryOptions;
use super::documents::Documents;
use super::proxy::ProxyRules;
use super::throttle::{SendResult, Throttle};
use super::wire::{Received, RequestBody, Wire};
use super::{address, region, retry_after};
use crate::model::{Form, Route, TokenRequest, TokenResponse, TransportError, TransportErrorKind};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The default timeout of a request.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// What an endpoint is configured with.
#[derive(Default)]
pub(super) struct ExchangeOptions {
    pub(super) credential: Credential,
    pub(super) token_endpoint: Option<Uri>,
    pub(super) device_authorization_endpoint: Option<Uri>,
    /// Where an app requests its own tokens.
    pub(super) region: Option<String>,
    pub(super) proxies: ProxyRules,
    pub(super) discovery: DiscoveryOptions,
    /// Name and version of the app.
    pub(super) app: Option<(HeaderValue, HeaderValue)>,
}

/// A token endpoint over an HTTP client.
pub(super) struct Exchange<W> {
    pub(super) wire: W,
    pub(super) options: ExchangeOptions,
    pub(super) documents: Documents,
    throttle: Throttle,
}

impl<W: Wire> Exchange<W> {
    pub(super) fn new(wire: W, options: ExchangeOptions) -> Self {
        Self { wire, options, documents: Documents::default(), throttle: Throttle::default() }
    }

    /// Sends a token request.
    pub(super) async fn send(&self, request: &TokenRequest) -> SendResult {
        if let Some(address) = &self.options.token_endpoint {
            return self.post(address, request).await;
        }
        let address = address::parse_for_request(request.token_endpoint())?;
        let region = self.options.region.as_deref();
        let regional = region.and_then(|it| region::regional(&address, request.form(), it));
        self.post(&regional.unwrap_or(address), request).await
    }

    /// Sends a request with the client's credential to an address.
    pub(super) async fn post(&self, to: &Uri, request: &TokenRequest) -> SendResult {
        let repeatable = self.options.credential.is_constant();
        let keys =
            self.throttle.keys(&to.to_string(), request.client_id(), request.form(), repeatable);
        if let Some(stored) = self.throttle.get(keys) {
            return stored;
        }
        let mut route = Route { address: Some(address::printable(to).into()), ..Route::default() };
        let proxy = self.options.proxies.proxy_to(to)?;
        route.proxy = proxy.map(|proxy| proxy.printable.as_str().into());
        let sent = match self.authenticate(request).await {
            Ok(sent) => sent,
            Err(error) => return Err(error.with_route(&Arc::new(route))),
        };
        let id = Uuid::new_v4().to_string();
        route.correlation_id = Some(id.as_str().into());
        let route = Arc::new(route);
        let mut message = Request::new(RequestBody::of(&sent.form));
        *message.method_mut() = http::Method::POST;
        *message.uri_mut() = to.clone();
        self.set_headers(message.headers_mut(), &id, request, &sent);
        let result = match self.wire.send(message, proxy).await {
            Ok(received) => read(received),
            Err(error) => Err(error),
        };
        let result = match result {
            Ok(response) => Ok(response.with_route(&route)),
            Err(error) => Err(error.with_route(&route)),
        };
        self.throttle.record(keys, &result);
        result
    }

    async fn authenticate(&self, request: &TokenRequest) -> Result<Authenticated, TransportError> {
        let (credential, form) = (&self.options.credential, request.form().clone());
        let configured = self.options.token_endpoint.as_ref().map(Uri::to_string);
        let client_id = request.client_id().to_owned();
        let token_endpoint = configured.unwrap_or_else(|| request.token_endpoint().to_owned());
        let authenticate = move |credential: &Credential, form: Form| {
            let fmi_path = form.get("fmi_path").map(str::to_owned);
            let assertion_request = AssertionRequest {
                client_id: &client_id,
                token_endpoint: &token_endpoint,
                fmi_path: fmi_path.as_deref(),
            };
            credential.apply(form, &assertion_request)
        };
        match credential {
            // The app's function may read a file or ask a key vault.
            Credential::Assertion(_) => {
                let credential = credential.clone();
                self.wire.call(move || authenticate(&credential, form)).await?
            }
            _ => authenticate(credential, form),
        }
    }

    fn set_headers(
        &self,
        headers: &mut HeaderMap,
        id: &str,
        request: &TokenRequest,
        sent: &Authenticated,
    ) {
        insert(headers, CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
        if let Some(mailbox) = request.anchor_mailbox() {
            insert(headers, "x-anchormailbox", mailbox);
        }
        self.set_common_headers(headers, id);
        if let Some(Ok(mut value)) = sent.authorization.as_ref().map(|it| HeaderValue::from_str(it))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
    }

    /// The headers of any request.
    pub(super) fn set_common_headers(&self, headers: &mut HeaderMap, id: &str) {
        for (name, value) in [
            ("client-request-id", id),
            ("x-client-ver", VERSION),
            ("x-client-os", OS),
            (ACCEPT.as_str(), "application/json"),
            (USER_AGENT.as_str(), concat!("msal-cache/", env!("CARGO_PKG_VERSION"))),
            ("x-client-sku", "msal-cache"),
            // This client obeys `Retry-After` and status 429.
            ("x-ms-lib-capability", "retry-after, h429"),
        ] {
            insert(headers, name, value);
        }
        if let Some((name, version)) = &self.options.app {
            headers.insert("x-app-name", name.clone());
            headers.insert("x-app-ver", version.clone());
        }
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // The user's id is read from the cache, so it may be invalid as a header.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// What a response means.
pub(super) fn read(received: Received) -> SendResult {
    let Received { status, headers, body } = received;
    let wait = retry_after::parse(&headers, SystemTime::now());
    let malformed = |error: Box<dyn StdError + Send + Sync>| {
        TransportError::new(TransportErrorKind::Malformed, error).with_status(status)
    };
    if StatusCode::from_u16(status).is_ok_and(|status| status.is_redirection()) {
        return Err(malformed("the server sent a redirect, which is not followed".into()));
    }
    let body = body.map_err(|error| error.with_status(status).with_retry_after(wait))?;
    let text = std::str::from_utf8(&body).map_err(|_| malformed("the body is not UTF-8".into()))?;
    match TokenResponse::from_json(status, text) {
        Ok(response) => Ok(response.with_retry_after(wait)),
        Err(error) => Err(error.with_retry_after(wait)),
    }
}

impl<W> Exchange<W> {
    /// Prints the endpoint of this type, without secrets.
    pub(super) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExchangeOptions {
            credential,
            token_endpoint,
            device_authorization_endpoint,
            region,
            proxies,
            discovery,
            app,
        } = &self.options;
        let printable = |uri: &Option<Uri>| uri.as_ref().map(address::printable);
        f.debug_struct(name)
            .field("credential", credential)
            .field("token_endpoint", &printable(token_endpoint))
            .field("device_authorization_endpoint", &printable(device_authorization_endpoint))
            .field("region", region)
            .field("proxies", proxies)
            .field("discovery", discovery)
            .field("app", app)
            .finish_non_exhaustive()
    }
}
