use std::time::Duration;

use event_listener::EventListener;
use http::header::{HOST, HeaderValue};
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use msal_cache_core::{Error, Offload};
use rustls::pki_types::CertificateDer;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::connect::{MAX_HEAD, connect, while_open};
use super::error::{no_runtime, timed_out, transport_error};
use super::tls::Tls;
use crate::http::proxy::Proxy;
use crate::http::wire::{BODY_CAPACITY, CONNECT_TIMEOUT, MAX_BODY, Received, RequestBody, Wire};
use crate::model::{TransportError, TransportErrorKind};

pub(crate) struct AsyncWire {
    timeout: Duration,
    tls: Tls,
    offload: Offload<()>,
}

impl AsyncWire {
    /// Creates a client with a timeout per request. It trusts `roots`, or the system's
    /// certificates by default.
    pub(crate) fn new(timeout: Duration, roots: Option<&[CertificateDer<'static>]>) -> Self {
        let offload = Offload::default();
        Self { timeout, tls: Tls::new(roots, offload.clone()), offload }
    }
}

impl Wire for AsyncWire {
    async fn send(
        &self,
        request: Request<RequestBody>,
        proxy: Option<&Proxy>,
    ) -> Result<Received, TransportError> {
        if Handle::try_current().is_err() {
            return Err(no_runtime(Error::no_runtime()));
        }
        let started = Instant::now();
        let deadline = started + self.timeout;
        let connected_by = started + CONNECT_TIMEOUT.min(self.timeout);
        let tools = (&self.tls, &self.offload);
        let stream = timeout_at(connected_by, connect(request.uri(), proxy, tools, connected_by));
        let Ok(stream) = stream.await else {
            return Err(timed_out(TransportErrorKind::Unreachable, "connect"));
        };
        let request = origin_form(request)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream?))
            .await
            .map_err(transport_error)?;
        while_open(connection, async {
            let response = timeout_at(deadline, sender.send_request(request)).await;
            let Ok(response) = response else {
                return Err(timed_out(TransportErrorKind::TimedOut, "response"));
            };
            let (head, body) = response.map_err(transport_error)?.into_parts();
            let body = match timeout_at(deadline, read(body)).await {
                Ok(body) => body,
                Err(_) => Err(timed_out(TransportErrorKind::TimedOut, "body")),
            };
            Ok(Received { status: head.status.as_u16(), headers: head.headers, body })
        })
        .await
    }

    async fn wait(&self, event: EventListener) {
        event.await;
    }

    async fn call<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TransportError> {
        self.offload.call(|&()| function()).await.map_err(no_runtime)
    }
}

/// The request as it is sent to a server: with the host in a header instead of the address.
fn origin_form(request: Request<RequestBody>) -> Result<Request<Full<Bytes>>, TransportError> {
    let invalid = |error: http::Error| TransportError::new(TransportErrorKind::Other, error);
    let mut request = request.map(|body| Full::new(Bytes::from_owner(body)));
    let host = request.uri().authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(host).map_err(|error| invalid(error.into()))?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let path: Uri = path.parse().map_err(|error: http::uri::InvalidUri| invalid(error.into()))?;
    request.headers_mut().insert(HOST, host);
    *request.uri_mut() = path;
    Ok(request)
}

/// Reads a body, up to the limit.
async fn read(mut body: Incoming) -> Result<Zeroizing<Vec<u8>>, TransportError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_CAPACITY));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(transport_error)?.into_data() else { continue };
        if bytes.len() + data.len() > MAX_BODY {
            let error = format!("the response is larger than {MAX_BODY} bytes");
            return Err(TransportError::new(TransportErrorKind::Malformed, error));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}
