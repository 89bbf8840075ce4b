//! One request and its response over `ureq`, bounded in time and size, without redirects.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, Uri, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use zeroize::Zeroizing;

use super::address;
use crate::model::{Form, TokenResponse, TransportError, TransportErrorKind};

/// The timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest response body in bytes. Token endpoints return a few thousand.
const MAX_BODY: u64 = 1 << 20;
/// The initial capacity of the body buffer in bytes. A buffer that grows leaves unwiped copies.
const BODY_CAPACITY: usize = 64 << 10;

/// The target and level at which `ureq` logs everything that it sends and receives.
const WIRE_LOG: (&str, log::Level) = ("ureq_proto::util", log::Level::Trace);

#[derive(Debug)]
pub(super) struct Wire(Agent);

impl Wire {
    /// Creates a client with a timeout per request. It trusts `roots`, or the system's
    /// certificates by default.
    pub(super) fn new(timeout: Duration, roots: Option<RootCerts>) -> Self {
        let roots = roots.unwrap_or(RootCerts::PlatformVerifier);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A request is lost if the server closes a pooled connection at that moment, and can't be
            // repeated, since it may have been granted. So each request has its own connection.
            .max_idle_connections(0)
            .timeout_connect(Some(CONNECT_TIMEOUT.min(timeout)))
            .timeout_global(Some(timeout))
            .user_agent(concat!("msal-cache/", env!("CARGO_PKG_VERSION")))
            .accept("application/json")
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build();
        Self(config.into())
    }

    /// Posts a form.
    pub(super) fn post(
        &self,
        to: &Uri,
        headers: &[(&str, &str)],
        form: &Form,
    ) -> Result<TokenResponse, TransportError> {
        if log::log_enabled!(target: WIRE_LOG.0, WIRE_LOG.1) {
            return Err(TransportError::new(TransportErrorKind::Other, WireLogged));
        }
        let mut request = self.0.post(to.clone());
        if address::is_loopback(to.host().unwrap_or_default()) {
            // Loopback requests may be unencrypted, so they must not be sent to a proxy.
            request = request.config().proxy(None).build();
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = encode(form);
        let response = request
            .content_type("application/x-www-form-urlencoded")
            .send(body.as_bytes())
            .map_err(transport_error)?;
        read_response(response)
    }
}

/// Parses all certificates of a PEM file.
pub(super) fn certificates(pem: &[u8]) -> Result<RootCerts, &'static str> {
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => return Err("it contains an item that is not a certificate"),
            Err(_) => return Err("it is not valid PEM"),
        }
    }
    if certificates.is_empty() {
        return Err("it contains no certificate");
    }
    Ok(RootCerts::from(certificates))
}

fn encode(form: &Form) -> Zeroizing<String> {
    // Encoding triples the length at most, so the buffer never grows and leaves no unwiped copy.
    let length: usize = form.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut body = Zeroizing::new(String::with_capacity(length));
    for (name, value) in form.iter() {
        if !body.is_empty() {
            body.push('&');
        }
        body.extend(form_urlencoded::byte_serialize(name.as_bytes()));
        body.push('=');
        body.extend(form_urlencoded::byte_serialize(value.as_bytes()));
    }
    body
}

fn read_response(response: Response<ureq::Body>) -> Result<TokenResponse, TransportError> {
    let status = response.status().as_u16();
    let wait = retry_after(&response);
    let malformed = |error: Box<dyn StdError + Send + Sync>| {
        TransportError::new(TransportErrorKind::Malformed, error).with_status(status)
    };
    if response.status().is_redirection() {
        return Err(malformed("the server sent a redirect, which is not followed".into()));
    }
    let mut body = Zeroizing::new(Vec::with_capacity(BODY_CAPACITY));
    let mut reader = response.into_body().into_with_config().limit(MAX_BODY).reader();
    if let Err(error) = reader.read_to_end(&mut body) {
        return Err(transport_error(error.into()).with_status(status).with_retry_after(wait));
    }
    let text = std::str::from_utf8(&body).map_err(|_| malformed("the body is not UTF-8".into()))?;
    match TokenResponse::from_json(status, text) {
        Ok(response) => Ok(response.with_retry_after(wait)),
        Err(error) => Err(error.with_retry_after(wait)),
    }
}

/// The seconds of the `Retry-After` header. Its other form, a date, is not sent by Microsoft's
/// servers and is ignored.
fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// Classifies an error of `ureq`.
fn transport_error(error: ureq::Error) -> TransportError {
    use ureq::{Error, Timeout};
    let kind = match &error {
        Error::Timeout(Timeout::Resolve | Timeout::Connect)
        | Error::HostNotFound
        | Error::ConnectionFailed
        | Error::InvalidProxyUrl
        | Error::ConnectProxyFailed(_)
        | Error::Tls(_)
        | Error::TlsRequired
        | Error::Rustls(_) => TransportErrorKind::Unreachable,
        Error::Timeout(_) => TransportErrorKind::TimedOut,
        Error::Protocol(_) | Error::BodyExceedsLimit(_) | Error::LargeResponseHeader(..) => {
            TransportErrorKind::Malformed
        }
        Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable
            // rustls reports certificate errors as invalid data.
            | io::ErrorKind::InvalidData => TransportErrorKind::Unreachable,
            io::ErrorKind::TimedOut => TransportErrorKind::TimedOut,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => TransportErrorKind::Interrupted,
            _ => TransportErrorKind::Other,
        },
        _ => TransportErrorKind::Other,
    };
    TransportError::new(kind, error)
}

/// The app's logger accepts records that contain tokens.
#[derive(Debug)]
struct WireLogged;

impl fmt::Display for WireLogged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, level) = WIRE_LOG;
        write!(
            f,
            "no request was sent, because the app's log would show tokens: the target `{target}` \
             logs requests and responses at level {level}; lower the level of that target, for \
             example with RUST_LOG=trace,ureq_proto=debug"
        )
    }
}

impl StdError for WireLogged {}
