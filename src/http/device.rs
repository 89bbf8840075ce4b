//! Signing in at another device (RFC 8628).

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::{CacheStore, Error};
use serde_json::Value;
use ureq::http::Uri;
use zeroize::Zeroizing;

use super::address;
use super::endpoint::{HttpEndpoint, refused};
use crate::{
    Client, Event, Fields, Form, ServerError, TokenEndpoint, TokenRequest, TokenResponse,
    TransportError, TransportErrorKind,
};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What is asked for besides the scopes of the app, so that there is an account and a refresh
/// token.
const RESERVED_SCOPES: [&str; 3] = ["offline_access", "openid", "profile"];

/// What the interval is lengthened by when the server says `slow_down` (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The longest interval that time-outs lead to.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// The longest life of a code that is believed, in seconds.
const LONGEST_LIFE: u64 = 86_400;
/// How often a wait looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// A sign-in that waits for a person, who enters a code at another device.
///
/// ```no_run
/// use msal_cache::{HttpEndpoint, TokenCache};
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
/// `Debug` prints neither of the codes.
pub struct DeviceFlow {
    request: TokenRequest,
    scopes: Vec<String>,
    /// The host of the authority, under which the tokens are stored.
    environment: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    message: String,
    interval: Duration,
    expires: Instant,
}

impl DeviceFlow {
    /// What to tell the user, in the words of the server where it has some.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The code that the user enters.
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Where the user enters it.
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// The same with the code in it, for a link or a QR code, if the server has one.
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.verification_uri_complete.as_deref()
    }

    /// How long the code is still good.
    pub fn expires_in(&self) -> Duration {
        self.expires.saturating_duration_since(Instant::now())
    }
}

impl HttpEndpoint {
    /// Asks for a device code (RFC 8628, section 3.1), to sign somebody in with at least these
    /// scopes. Each item may hold several, separated by blanks. `openid`, `profile` and
    /// `offline_access` are asked for anyway. Where an API or the server wants the user to sign in
    /// again with more, its challenge is given too (see [`ServerError::claims`]).
    ///
    /// # Errors
    ///
    /// [`DeviceFlowError::Refused`] where the server says no, [`DeviceFlowError::Transport`] where
    /// it says nothing, [`DeviceFlowError::Invalid`] where its answer or the authority of the
    /// client can't be used.
    pub fn initiate_device_flow<S: CacheStore, T: AsRef<str>>(
        &self,
        client: &Client<S>,
        scopes: impl IntoIterator<Item = T>,
        claims_challenge: Option<&str>,
    ) -> Result<DeviceFlow, DeviceFlowError> {
        let mut scopes: Vec<String> = scopes
            .into_iter()
            .flat_map(|it| it.as_ref().split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .chain(RESERVED_SCOPES.map(str::to_owned))
            .collect();
        scopes.sort_unstable();
        scopes.dedup();
        let mut form =
            Form::new().with("client_id", client.id.as_str()).with("scope", scopes.join(" "));
        if let Some(claims) = client.claims(claims_challenge)? {
            form = form.with("claims", claims);
        }
        let site = client.site()?;
        let authority = &site.authority;
        let request = TokenRequest::new(&authority.token_endpoint, &client.id, form);
        let address = self.device_address(request.token_endpoint())?;
        let answer = answered(self.post(&address, &request))?;
        match ServerError::of(&answer) {
            Some(error) => Err(DeviceFlowError::Refused(error)),
            None => Ok(DeviceFlow::read(answer.body(), &request, scopes, &authority.environment)?),
        }
    }

    fn device_address(&self, token_endpoint: &str) -> Result<Uri, DeviceFlowError> {
        if let Some(address) = &self.device_authorization_endpoint {
            return Ok(address.clone());
        }
        let beside = token_endpoint.strip_suffix("/token").ok_or_else(|| {
            let reason = "it is not known, and the token endpoint doesn't tell it";
            Error::invalid("device_authorization_endpoint", reason)
        })?;
        Ok(address::read(&format!("{beside}/devicecode")).map_err(refused)?)
    }

    /// Waits for the person, and returns what to store: `cache.add(&event)`.
    ///
    /// It asks the server as often as that allows (RFC 8628, section 3.5), less often while the
    /// server can't be reached, and until the code has expired or `is_cancelled` says so, which it
    /// is asked many times a second. A flow is good for one sign-in.
    ///
    /// # Errors
    ///
    /// A [`DeviceFlowError`], of which each variant is one outcome.
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
            let wait = match answered(self.send(&flow.request)) {
                Ok(answer) => match ServerError::of(&answer) {
                    None => return flow.event(&answer),
                    Some(pending) if pending.error() == "authorization_pending" => interval,
                    Some(slow_down) if slow_down.error() == "slow_down" => {
                        interval += SLOW_DOWN;
                        interval
                    }
                    Some(error) => return Err(DeviceFlowError::of(error)),
                },
                // The code is still good, and the server may be back before it isn't.
                Err(error) if is_passing(&error) => {
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
    /// Reads the answer to the request for a code (RFC 8628, section 3.2).
    fn read(
        body: &Fields,
        request: &TokenRequest,
        scopes: Vec<String>,
        environment: &str,
    ) -> Result<Self, Error> {
        let text = |name| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let needed = |name| {
            let missing = || Error::invalid(format!("the answer's {name}"), "it is missing");
            text(name).ok_or_else(missing)
        };
        // Some servers write these numbers as strings, and leave them out.
        let seconds = |name, default| {
            let value = body.get(name);
            let number = value.and_then(|it| it.as_u64().or_else(|| it.as_str()?.parse().ok()));
            Duration::from_secs(number.unwrap_or(default).min(LONGEST_LIFE))
        };
        let device_code = Zeroizing::new(needed("device_code")?);
        let user_code = needed("user_code")?;
        let verification_uri = needed("verification_uri")?;
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
            environment: environment.to_owned(),
            user_code,
            verification_uri,
            verification_uri_complete: text("verification_uri_complete"),
            message,
            interval: seconds("interval", 5).max(Duration::from_secs(1)),
            expires: Instant::now() + seconds("expires_in", 1800),
        })
    }

    fn event(&self, answer: &TokenResponse) -> Result<Event, DeviceFlowError> {
        let body = answer.body();
        if body.get("access_token").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Error::invalid("the answer's access_token", "it is missing").into());
        }
        let granted = body.get("scope").and_then(Value::as_str).map(str::to_owned);
        let event = Event::new(self.request.client_id())
            .token_endpoint(self.request.token_endpoint())
            .environment(&self.environment)
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
                Some(left) if !left.is_zero() => thread::sleep(left.min(LOOK)),
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

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceFlowError {
    /// The app cancelled it.
    #[error("the sign-in was cancelled")]
    Cancelled,

    /// Nobody has entered the code in time.
    #[error("the code has expired before anybody signed in")]
    Expired,

    /// The user has said no.
    #[error("the user has declined")]
    Declined(#[source] ServerError),

    /// The server refused the client, or the sign-in.
    #[error("the server refused the sign-in")]
    Refused(#[source] ServerError),

    /// The server gave no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),

    /// The authority of the client or the answer of the server can't be used.
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

/// An answer that says something about the request.
fn answered(
    answer: Result<TokenResponse, TransportError>,
) -> Result<TokenResponse, TransportError> {
    match answer {
        Ok(answer) if answer.is_outage() => Err(TransportError::unavailable(&answer)),
        answer => answer,
    }
}

fn is_passing(error: &TransportError) -> bool {
    matches!(
        error.kind(),
        TransportErrorKind::Unreachable
            | TransportErrorKind::TimedOut
            | TransportErrorKind::Interrupted
            | TransportErrorKind::Unavailable
    )
}
