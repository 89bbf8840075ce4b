//! The device authorization grant (RFC 8628).

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{CacheStore, Error};
use serde_json::Value;
use ureq::http::Uri;
use zeroize::Zeroizing;

use super::address;
use super::endpoint::{HttpEndpoint, refused_address};
use super::throttle::{DEVICE_CODE, SendResult};
use crate::Client;
use crate::model::{
    Authority, Event, Fields, Form, ServerError, TokenEndpoint, TokenRequest, TokenResponse,
    TransportError, TransportErrorKind, merged_claims, schema,
};
use crate::plan::refresh::granted;

/// The increase of the polling interval after `slow_down` (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The longest polling interval after connection errors.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// The upper limit of `expires_in` and `interval` in a response, in seconds.
const LONGEST_LIFETIME: u64 = 86_400;
/// How often `is_cancelled` is called during a wait.
const CANCEL_CHECK: Duration = Duration::from_millis(50);

/// A pending sign-in by device code: the user enters the code in a browser on any device.
///
/// ```no_run
/// use msal_cache::http::HttpEndpoint;
/// use msal_cache::TokenCache;
///
/// let cache = TokenCache::in_memory();
/// let client = cache.client("<client-id>", "https://login.microsoftonline.com/organizations");
/// let endpoint = HttpEndpoint::new();
///
/// let flow = endpoint.initiate_device_flow(&client, ["User.Read"], None)?;
/// println!("{}", flow.message());
/// cache.add(&endpoint.acquire_token_by_device_flow(&flow, || false)?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `Debug` prints neither the user code nor the device code.
pub struct DeviceFlow {
    request: TokenRequest,
    scopes: Vec<String>,
    /// Under which the tokens are stored.
    authority: Authority,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    message: String,
    interval: Duration,
    expires: Instant,
}

impl DeviceFlow {
    /// The instructions for the user: the server's `message`, or a text in English.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The code for the user to enter.
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// The address at which the user enters the code.
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// The address that includes the code, for a link or a QR code, if the server sent one.
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.verification_uri_complete.as_deref()
    }

    /// The remaining lifetime of the code.
    pub fn expires_in(&self) -> Duration {
        self.expires.saturating_duration_since(Instant::now())
    }
}

impl HttpEndpoint {
    /// Requests a device code (RFC 8628, section 3.1) for a sign-in with these scopes. Each item
    /// may contain several scopes, separated by spaces. `openid`, `profile` and `offline_access`
    /// are always requested.
    ///
    /// `claims_challenge` is the challenge of an API or of an earlier response that requires a new
    /// sign-in (see [`ServerError::claims`]).
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
        let mut scopes = schema::scopes_of_all(scopes);
        scopes.extend(schema::REQUESTED_SCOPES.map(str::to_owned));
        scopes.sort_unstable();
        scopes.dedup();
        let config = client.config();
        let mut form =
            Form::new().with("client_id", config.id.as_str()).with("scope", scopes.join(" "));
        if let Some(claims) = merged_claims(claims_challenge, &config.capabilities, None)? {
            form = form.with("claims", claims);
        }
        let authority = config.authority()?;
        let request = TokenRequest::new(authority.token_endpoint(), &config.id, form);
        let address = self.device_address(request.token_endpoint())?;
        let response = outage_as_error(self.post(&address, &request))?;
        match ServerError::of(&response) {
            Some(error) => Err(DeviceFlowError::Refused(error)),
            None => {
                Ok(DeviceFlow::parse(response.body(), &request, scopes, authority.authority())?)
            }
        }
    }

    fn device_address(&self, token_endpoint: &str) -> Result<Uri, DeviceFlowError> {
        if let Some(address) = &self.device_authorization_endpoint {
            return Ok(address.clone());
        }
        let base = token_endpoint.strip_suffix("/token").ok_or_else(|| {
            let reason = "it is not set, and the token endpoint doesn't end in /token";
            Error::invalid("device_authorization_endpoint", reason)
        })?;
        Ok(address::parse(&format!("{base}/devicecode")).map_err(refused_address)?)
    }

    /// Polls the token endpoint until the user has signed in, and returns the event to store with
    /// [`TokenCache::add`](crate::TokenCache::add).
    ///
    /// It polls at the server's interval (RFC 8628, section 3.5), and less often while the server
    /// can't be reached. It ends when the code expires or when `is_cancelled` returns `true`;
    /// `is_cancelled` is called several times a second. A flow is good for one sign-in.
    ///
    /// # Errors
    ///
    /// See the variants of [`DeviceFlowError`].
    pub fn acquire_token_by_device_flow(
        &self,
        flow: &DeviceFlow,
        mut is_cancelled: impl FnMut() -> bool,
    ) -> Result<Event, DeviceFlowError> {
        let mut interval = flow.interval;
        loop {
            if is_cancelled() {
                return Err(DeviceFlowError::Cancelled);
            }
            let wait = match outage_as_error(self.send(&flow.request)) {
                Ok(response) => match ServerError::of(&response) {
                    None => return flow.event(&response),
                    Some(pending) if pending.error() == "authorization_pending" => interval,
                    Some(slow_down) if slow_down.error() == "slow_down" => {
                        interval += SLOW_DOWN;
                        interval
                    }
                    Some(error) => return Err(DeviceFlowError::of(error)),
                },
                // The server may recover before the code expires.
                Err(error) if is_transient(&error) => {
                    interval = (2 * interval).min(LONGEST_INTERVAL);
                    let wait = interval.max(error.retry_after().unwrap_or_default());
                    if flow.expires_in() <= wait {
                        return Err(error.into());
                    }
                    wait
                }
                Err(error) => return Err(error.into()),
            };
            flow.wait(wait, &mut is_cancelled)?;
        }
    }
}

impl DeviceFlow {
    /// Parses the device authorization response (RFC 8628, section 3.2).
    fn parse(
        body: &Fields,
        request: &TokenRequest,
        scopes: Vec<String>,
        authority: &Authority,
    ) -> Result<Self, Error> {
        let text = |name| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let required = |name| {
            let missing = || Error::invalid(format!("the response's {name}"), "it is missing");
            text(name).ok_or_else(missing)
        };
        // Some servers send these numbers as strings or omit them.
        let seconds = |name, default| {
            let value = body.get(name);
            let number = value.and_then(|it| it.as_u64().or_else(|| it.as_str()?.parse().ok()));
            Duration::from_secs(number.unwrap_or(default).min(LONGEST_LIFETIME))
        };
        let device_code = Zeroizing::new(required("device_code")?);
        let user_code = required("user_code")?;
        let verification_uri = required("verification_uri")?;
        let message = text("message").unwrap_or_else(|| {
            format!("To sign in, open {verification_uri} and enter the code {user_code}.")
        });
        let mut form = Form::new()
            .with("client_id", request.client_id())
            .with("grant_type", DEVICE_CODE)
            .with("client_info", "1")
            .with("device_code", device_code.as_str());
        if let Some(claims) = request.form().get("claims") {
            form = form.with("claims", claims);
        }
        Ok(Self {
            request: TokenRequest::new(request.token_endpoint(), request.client_id(), form),
            scopes,
            authority: authority.clone(),
            user_code,
            verification_uri,
            verification_uri_complete: text("verification_uri_complete"),
            message,
            interval: seconds("interval", 5).max(Duration::from_secs(1)),
            expires: Instant::now() + seconds("expires_in", 1800),
        })
    }

    fn event(&self, response: &TokenResponse) -> Result<Event, DeviceFlowError> {
        let body = response.body();
        if body.get("access_token").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Error::invalid("the response's access_token", "it is missing").into());
        }
        let granted = granted(body)?.map(str::to_owned);
        let event = Event::new(self.request.client_id())
            .authority(&self.authority)
            .grant_type(DEVICE_CODE)
            .response(body.clone());
        Ok(match granted {
            Some(granted) => event.scope([granted]),
            None => event.scope(&self.scopes),
        })
    }

    fn wait(
        &self,
        wait: Duration,
        is_cancelled: &mut impl FnMut() -> bool,
    ) -> Result<(), DeviceFlowError> {
        let started = Instant::now();
        loop {
            if is_cancelled() {
                return Err(DeviceFlowError::Cancelled);
            }
            if self.expires_in().is_zero() {
                return Err(DeviceFlowError::Expired);
            }
            match wait.checked_sub(started.elapsed()) {
                Some(left) if !left.is_zero() => thread::sleep(left.min(CANCEL_CHECK)),
                _ => return Ok(()),
            }
        }
    }
}

impl fmt::Debug for DeviceFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceFlow")
            .field("client_id", &self.request.client_id())
            .field("scopes", &self.scopes)
            .field("interval", &self.interval)
            .field("expires_in", &self.expires_in())
            .finish_non_exhaustive()
    }
}

/// Why a sign-in by device code failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceFlowError {
    /// The app cancelled the sign-in.
    #[error("the sign-in was cancelled")]
    Cancelled,

    /// The code expired before the user signed in.
    #[error("the code expired before the user signed in")]
    Expired,

    /// The user declined the sign-in.
    #[error("the user declined the sign-in")]
    Declined(#[source] ServerError),

    /// The server refused the client or the sign-in.
    #[error("the server refused the sign-in")]
    Refused(#[source] ServerError),

    /// The server could not be reached or sent no usable response.
    #[error(transparent)]
    Transport(#[from] TransportError),

    /// The client's authority, the claims challenge or the server's response is invalid.
    #[error(transparent)]
    Invalid(#[from] Error),
}

impl DeviceFlowError {
    fn of(error: ServerError) -> Self {
        match error.error() {
            "expired_token" | "code_expired" => Self::Expired,
            "access_denied" | "authorization_declined" => Self::Declined(error),
            _ => Self::Refused(error),
        }
    }
}

/// Turns the response of a server in an outage into an error.
fn outage_as_error(result: SendResult) -> SendResult {
    match result {
        Ok(response) if response.is_outage() => Err(TransportError::unavailable(&response)),
        result => result,
    }
}

fn is_transient(error: &TransportError) -> bool {
    matches!(
        error.kind(),
        TransportErrorKind::Unreachable
            | TransportErrorKind::TimedOut
            | TransportErrorKind::Interrupted
            | TransportErrorKind::Unavailable
    )
}
