//! One request and its answer over `ureq`: no redirects, bounded in time and size, no secret in
//! an error.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, Uri, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use zeroize::Zeroizing;

use super::address;
use crate::{Form, TokenResponse, TransportError, TransportErrorKind};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes. Those of token endpoints have a few thousand.
const LARGEST_ANSWER: u64 = 1 << 20;
/// What most answers fit into, so that reading leaves no copy behind.
const USUAL_ANSWER: usize = 64 << 10;

/// Whose log would show what is sent and received, and from which level on.
const LOGS_THE_WIRE: (&str, log::Level) = ("ureq_proto::util", log::Level::Trace);

#[derive(Debug)]
pub(super) struct Wire(Agent);

impl Wire {
    /// With a time-out for all of a request, and with these certificates to trust, or those that
    /// the system trusts.
    pub(super) fn new(timeout: Duration, roots: Option<RootCerts>) -> Self {
        let roots = roots.unwrap_or(RootCerts::PlatformVerifier);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A request on a connection that the server is closing is lost, and must not be sent
            // again: it may have been granted. So each has a connection of its own.
            .max_idle_connections(0)
            .timeout_connect(Some(CONNECT.min(timeout)))
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
        if log::log_enabled!(target: LOGS_THE_WIRE.0, LOGS_THE_WIRE.1) {
            return Err(TransportError::new(TransportErrorKind::Other, Logged));
        }
        let mut request = self.0.post(to.clone());
        if address::is_loopback(to.host().unwrap_or_default()) {
            // What stays on this machine need not be encrypted, so it must not go to a proxy.
            request = request.config().proxy(None).build();
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = encoded(form);
        let response = request
            .content_type("application/x-www-form-urlencoded")
            .send(body.as_bytes())
            .map_err(failed)?;
        read(response)
    }
}

/// The certificates of a PEM file, all of them.
pub(super) fn certificates(pem: &[u8]) -> Result<RootCerts, &'static str> {
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => return Err("it holds something other than certificates"),
            Err(_) => return Err("it is not PEM"),
        }
    }
    if certificates.is_empty() {
        return Err("it holds no certificate");
    }
    Ok(RootCerts::from(certificates))
}

fn encoded(form: &Form) -> Zeroizing<String> {
    // Nothing grows by more than three times, so the text never moves and leaves no copy behind.
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

fn read(response: Response<ureq::Body>) -> Result<TokenResponse, TransportError> {
    let status = response.status().as_u16();
    let wait = retry_after(&response);
    let malformed = |error: Box<dyn StdError + Send + Sync>| {
        TransportError::new(TransportErrorKind::Malformed, error).with_status(status)
    };
    if response.status().is_redirection() {
        return Err(malformed("it is a redirect, which is not followed".into()));
    }
    let mut body = Zeroizing::new(Vec::with_capacity(USUAL_ANSWER));
    let mut reader = response.into_body().into_with_config().limit(LARGEST_ANSWER).reader();
    if let Err(error) = reader.read_to_end(&mut body) {
        return Err(failed(error.into()).with_status(status).with_retry_after(wait));
    }
    let text = std::str::from_utf8(&body).map_err(|_| malformed("it is not UTF-8".into()))?;
    match TokenResponse::from_json(status, text) {
        Ok(response) => Ok(response.with_retry_after(wait)),
        Err(error) => Err(error.with_retry_after(wait)),
    }
}

/// The seconds of the header `Retry-After`. Its other form, a date, is not sent by Microsoft's
/// servers.
fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// An error of `ureq`, by what it means to the caller.
fn failed(error: ureq::Error) -> TransportError {
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
            // What rustls says about a certificate arrives as invalid data.
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

/// The app's logger would print tokens.
#[derive(Debug)]
struct Logged;

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, level) = LOGS_THE_WIRE;
        write!(
            f,
            "nothing was sent, since the log would show it: `{target}` writes all that is sent \
             and received, tokens too, at level {level}; set the level of that target lower, \
             such as by RUST_LOG=trace,ureq_proto=debug"
        )
    }
}

impl StdError for Logged {}
