use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use msal_cache_core::Error;
use serde_json::Value;
use zeroize::Zeroizing;

use super::request::DeviceCodeRequest;
use crate::http::throttle::DEVICE_CODE;
use crate::model::{Authority, Event, Fields, Form, TokenRequest, TokenResponse};
use crate::plan::refresh::granted;

/// The upper limit of `expires_in` and `interval` in a response, in seconds.
const LONGEST_LIFETIME: u64 = 86_400;

/// A poll that runs as a task of its own.
#[cfg(feature = "http-async")]
type Poll = tokio::task::JoinHandle<crate::http::throttle::SendResult>;
#[cfg(not(feature = "http-async"))]
type Poll = std::convert::Infallible;

/// When the next poll is due, and how long to wait after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) interval: Duration,
    pub(super) next: Instant,
}

/// A pending sign-in by device code: the user enters the code in a browser on any device.
///
#[cfg_attr(feature = "http", doc = "```no_run")]
#[cfg_attr(not(feature = "http"), doc = "```ignore")]
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
    pub(super) request: TokenRequest,
    scopes: Vec<String>,
    /// Under which the tokens are stored.
    authority: Authority,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    message: String,
    expires: Instant,
    schedule: Mutex<Schedule>,
    /// A poll whose caller was dropped.
    poll: Mutex<Option<Poll>>,
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

    /// Parses the device authorization response (RFC 8628, section 3.2).
    pub(super) fn parse(body: &Fields, request: DeviceCodeRequest) -> Result<Self, Error> {
        let DeviceCodeRequest { request, scopes, authority } = request;
        let text = |name| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let required = |name, other: Option<&'static str>| {
            let missing = || Error::invalid(format!("the response's {name}"), "it is missing");
            text(name).or_else(|| text(other?)).ok_or_else(missing)
        };
        // Some servers send these numbers as strings or omit them.
        let seconds = |name, default| {
            let value = body.get(name);
            let number = value.and_then(|it| it.as_u64().or_else(|| it.as_str()?.parse().ok()));
            Duration::from_secs(number.unwrap_or(default).min(LONGEST_LIFETIME))
        };
        let device_code = Zeroizing::new(required("device_code", None)?);
        let user_code = required("user_code", None)?;
        // The second names are those of drafts of RFC 8628, which some servers still send.
        let verification_uri = required("verification_uri", Some("verification_url"))?;
        let verification_uri_complete =
            text("verification_uri_complete").or_else(|| text("verification_url_complete"));
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
        let now = Instant::now();
        let interval = seconds("interval", 5).max(Duration::from_secs(1));
        Ok(Self {
            request: TokenRequest::new(request.token_endpoint(), request.client_id(), form),
            scopes,
            authority,
            user_code,
            verification_uri,
            verification_uri_complete,
            message,
            expires: now + seconds("expires_in", 1800),
            schedule: Mutex::new(Schedule { interval, next: now }),
            poll: Mutex::default(),
        })
    }

    /// The request of each poll.
    pub(crate) fn request(&self) -> &TokenRequest {
        &self.request
    }

    pub(crate) fn event_without_response(&self) -> Event {
        Event::new(self.request.client_id())
            .authority(&self.authority)
            .grant_type(DEVICE_CODE)
            .scope(&self.scopes)
    }

    pub(super) fn event(&self, response: &TokenResponse) -> Result<Event, Error> {
        let body = response.body();
        if body.get("access_token").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Error::invalid("the response's access_token", "it is missing"));
        }
        let event = self.event_without_response().response(body.clone());
        Ok(match granted(body)? {
            Some(granted) => event.scope([granted]),
            None => event,
        })
    }

    pub(super) fn schedule(&self) -> Schedule {
        *self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_schedule(&self, schedule: Schedule) {
        *self.schedule.lock().unwrap_or_else(PoisonError::into_inner) = schedule;
    }

    /// Whether a caller was dropped during a poll.
    pub(super) fn has_poll(&self) -> bool {
        self.poll.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes the poll whose caller was dropped.
    #[cfg(feature = "http-async")]
    pub(in crate::http) fn take_poll(&self) -> Option<Poll> {
        self.poll.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps a poll whose caller is dropped.
    #[cfg(feature = "http-async")]
    pub(in crate::http) fn keep_poll(&self, poll: Poll) {
        *self.poll.lock().unwrap_or_else(PoisonError::into_inner) = Some(poll);
    }
}

impl fmt::Debug for DeviceFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceFlow")
            .field("client_id", &self.request.client_id())
            .field("scopes", &self.scopes)
            .field("interval", &self.schedule().interval)
            .field("expires_in", &self.expires_in())
            .finish_non_exhaustive()
    }
}
