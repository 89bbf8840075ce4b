//! What the two HTTP clients have in common: one request and its response, bounded in time and size,
//! without redirects.

use std::io;
use std::time::Duration;

use event_listener::EventListener;
use http::{HeaderMap, Request};
use zeroize::Zeroizing;

use super::proxy::Proxy;
use crate::model::{Form, TransportError, TransportErrorKind};

/// The timeout of connecting.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest response body in bytes. Token endpoints return a few thousand.
pub(super) const MAX_BODY: usize = 1 << 20;
/// The initial capacity of the body buffer in bytes. A buffer that grows leaves unwiped copies.
pub(super) const BODY_CAPACITY: usize = 64 << 10;

/// The body of a request, which is overwritten when it is dropped.
#[derive(Debug)]
pub(super) struct RequestBody(Zeroizing<String>);

impl AsRef<[u8]> for RequestBody {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl RequestBody {
    /// No body.
    pub(super) fn none() -> Self {
        Self(Zeroizing::default())
    }

    /// Encodes a form (`application/x-www-form-urlencoded`).
    pub(super) fn of(form: &Form) -> Self {
        // Encoding triples the length at most, so the buffer never grows and leaves no unwiped copy.
        let length = form.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
        let mut body = Zeroizing::new(String::with_capacity(length));
        for (name, value) in form.iter() {
            if !body.is_empty() {
                body.push('&');
            }
            body.extend(form_urlencoded::byte_serialize(name.as_bytes()));
            body.push('=');
            body.extend(form_urlencoded::byte_serialize(value.as_bytes()));
        }
        Self(body)
    }
}

/// A response.
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// The body, or why it did not arrive.
    pub(super) body: Result<Zeroizing<Vec<u8>>, TransportError>,
}

/// An HTTP client.
pub(super) trait Wire: Send + Sync {
    /// Sends a request once, on a connection of its own: a request is lost if the server closes a
    /// kept connection at that moment, and can't be repeated, since it may have been granted.
    fn send(
        &self,
        request: Request<RequestBody>,
        proxy: Option<&Proxy>,
    ) -> impl Future<Output = Result<Received, TransportError>> + Send;

    /// Waits for an event.
    fn wait(&self, event: EventListener) -> impl Future<Output = ()> + Send;

    /// Calls a function that may block.
    fn call<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, TransportError>> + Send;
}

/// Classifies an error of an open connection.
pub(super) fn kind_of(error: &io::Error) -> TransportErrorKind {
    match error.kind() {
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
    }
}
