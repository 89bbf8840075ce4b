//! The HTTP client of [`HttpEndpoint`](super::HttpEndpoint): `ureq`.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use event_listener::{EventListener, Listener as _};
use http::{Method, Request, Response};
use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, ProxyProtocol};
use zeroize::Zeroizing;

use super::proxy::Proxy;
use super::wire::{BODY_CAPACITY, CONNECT_TIMEOUT, MAX_BODY, Received, RequestBody, Wire, kind_of};
use crate::model::{TransportError, TransportErrorKind};

/// The target and level at which `ureq` logs everything that it sends and receives.
const WIRE_LOG: (&str, log::Level) = ("ureq_proto::util", log::Level::Trace);

#[derive(Debug)]
pub(super) struct BlockingWire {
    direct: Agent,
    /// The client for requests through the proxy, if there is one.
    proxied: Option<Agent>,
}

impl BlockingWire {
    /// Creates a client with a timeout per request. It trusts `roots`, or the system's
    /// certificates by default.
    pub(super) fn new(
        timeout: Duration,
        roots: Option<&[CertificateDer<'_>]>,
        proxy: Option<&Proxy>,
    ) -> Self {
        let roots = match roots {
            Some(roots) => RootCerts::new_with_certs(
                &roots.iter().map(|it| Certificate::from_der(it).to_owned()).collect::<Vec<_>>(),
            ),
            None => RootCerts::PlatformVerifier,
        };
        // Shorter than the timeout of the request, so that the error tells which one is over: also on
        // a busy machine, where connecting begins late.
        let connect_timeout = CONNECT_TIMEOUT.min(timeout.mul_f64(0.9));
        let agent = |proxy| {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .max_idle_connections(0)
                .timeout_connect(Some(connect_timeout))
                .timeout_global(Some(timeout))
                .proxy(proxy)
                .tls_config(TlsConfig::builder().root_certs(roots.clone()).build())
                .build();
            Agent::from(config)
        };
        let proxied = proxy.and_then(|proxy| Some(agent(Some(proxy_of(proxy).ok()?))));
        Self { direct: agent(None), proxied }
    }

    fn run(
        &self,
        request: Request<RequestBody>,
        is_proxied: bool,
    ) -> Result<Received, TransportError> {
        if log::log_enabled!(target: WIRE_LOG.0, WIRE_LOG.1) {
            return Err(TransportError::new(TransportErrorKind::Other, WireLogged));
        }
        let agent = match (is_proxied, &self.proxied) {
            (false, _) => &self.direct,
            (true, Some(proxied)) => proxied,
            (true, None) => return Err(transport_error(ureq::Error::InvalidProxyUrl)),
        };
        let (head, body) = request.into_parts();
        let response = if head.method == Method::GET {
            agent.run(Request::from_parts(head, ()))
        } else {
            agent.run(Request::from_parts(head, body.as_ref()))
        };
        Ok(read(response.map_err(transport_error)?))
    }
}

impl Wire for BlockingWire {
    async fn send(
        &self,
        request: Request<RequestBody>,
        proxy: Option<&Proxy>,
    ) -> Result<Received, TransportError> {
        self.run(request, proxy.is_some())
    }

    async fn wait(&self, event: EventListener) {
        event.wait();
    }

    async fn call<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TransportError> {
        Ok(function())
    }
}

fn proxy_of(proxy: &Proxy) -> Result<ureq::Proxy, ureq::Error> {
    let protocol = if proxy.is_tls { ProxyProtocol::Https } else { ProxyProtocol::Http };
    let host = if proxy.host.contains(':') { &format!("[{}]", proxy.host) } else { &proxy.host };
    let builder = ureq::Proxy::builder(protocol).host(host).port(proxy.port);
    match &proxy.credentials {
        Some((user, password)) => builder.username(user).password(password),
        None => builder,
    }
    .build()
}

fn read(response: Response<ureq::Body>) -> Received {
    let (head, body) = response.into_parts();
    let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_CAPACITY));
    let mut reader = body.into_with_config().limit(MAX_BODY as u64).reader();
    let body = match reader.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(transport_error(error.into())),
    };
    Received { status: head.status.as_u16(), headers: head.headers, body }
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
        Error::Io(error) if is_lookup(error) => TransportErrorKind::Unreachable,
        Error::Io(error) => kind_of(error),
        _ => TransportErrorKind::Other,
    };
    TransportError::new(kind, error)
}

/// Whether a name look-up failed. `ureq` returns the error of the standard library, which has no kind
/// for it: on Unix it is recognized by its text, on Windows by its number.
fn is_lookup(error: &io::Error) -> bool {
    /// `WSAHOST_NOT_FOUND` to `WSANO_DATA`.
    const WINDOWS: core::ops::RangeInclusive<i32> = 11001..=11004;
    match error.raw_os_error() {
        Some(code) => cfg!(windows) && WINDOWS.contains(&code),
        None => error.to_string().starts_with("failed to lookup address information"),
    }
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

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs;

    use super::is_lookup;

    #[test]
    fn a_failed_name_look_up_is_recognized() {
        let error = "host.invalid:443".to_socket_addrs().unwrap_err();
        assert!(is_lookup(&error), "{error:?}");
    }
}
