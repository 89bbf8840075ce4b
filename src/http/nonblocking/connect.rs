use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::task::Poll;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::uri::Scheme;
use http::{Method, Request, Uri};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use msal_cache_core::Offload;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::error::{no_runtime, unreachable};
use super::stream::Stream;
use super::tls::Tls;
use crate::http::address;
use crate::http::proxy::Proxy;
use crate::model::TransportError;

/// The size of the buffer for the head of a response in bytes, and so the largest head.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// Connects to the server of an address, through a proxy if there is one.
pub(super) async fn connect(
    to: &Uri,
    proxy: Option<&Proxy>,
    (tls, offload): (&Tls, &Offload<()>),
    deadline: Instant,
) -> Result<Box<dyn Stream>, TransportError> {
    let host = address::bare_host(to);
    let stream = match proxy {
        Some(proxy) => {
            let stream = open(&proxy.host, proxy.port, offload, deadline).await?;
            let stream: Box<dyn Stream> = if proxy.is_tls {
                Box::new(tls.connect(&proxy.host, stream, deadline).await?)
            } else {
                stream
            };
            tunnel(to, proxy, stream).await?
        }
        None => open(host, address::port(to), offload, deadline).await?,
    };
    if to.scheme() == Some(&Scheme::HTTPS) {
        return Ok(Box::new(tls.connect(host, stream, deadline).await?));
    }
    Ok(stream)
}

/// Opens a TCP connection to the first address of a host that accepts one. Each address gets half
/// of the time that is left, so that one that doesn't respond leaves time for the next.
async fn open(
    host: &str,
    port: u16,
    offload: &Offload<()>,
    deadline: Instant,
) -> Result<Box<dyn Stream>, TransportError> {
    let addresses = resolve(host, port, offload).await?;
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for (index, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let is_last = index + 1 == addresses.len();
        let limit = now + if is_last { left } else { left / 2 };
        match timeout_at(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A failure only costs time.
                let _ = stream.set_nodelay(true);
                return Ok(Box::new(stream));
            }
            Ok(Err(error)) => refused = error,
            Err(_) => refused = io::Error::new(io::ErrorKind::TimedOut, "timeout: connect"),
        }
    }
    Err(unreachable(refused))
}

/// Looks up a host, on a thread that may block.
async fn resolve(
    host: &str,
    port: u16,
    offload: &Offload<()>,
) -> Result<Vec<SocketAddr>, TransportError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = host.to_owned();
    let found = offload.call(move |&()| {
        let found = (host.as_str(), port).to_socket_addrs();
        found.map(Iterator::collect)
    });
    found.await.map_err(no_runtime)?.map_err(unreachable)
}

/// Opens a tunnel through a proxy (RFC 9110, section 9.3.6).
async fn tunnel(
    to: &Uri,
    proxy: &Proxy,
    stream: Box<dyn Stream>,
) -> Result<Box<dyn Stream>, TransportError> {
    let target = format!("{}:{}", to.host().unwrap_or_default(), address::port(to));
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = target.parse().map_err(unreachable)?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(&target).map_err(unreachable)?);
    let agent = concat!("msal-cache/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    if let Some((user, password)) = &proxy.credentials {
        let pair = Zeroizing::new([user, ":", password].concat());
        let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        let mut value = HeaderValue::from_str(&value).map_err(unreachable)?;
        value.set_sensitive(true);
        headers.insert(PROXY_AUTHORIZATION, value);
    }
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(unreachable)?;
    let upgraded = while_open(connection.with_upgrades(), async {
        let response = sender.send_request(request).await.map_err(unreachable)?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err(unreachable(format!("the proxy refused the tunnel with status {status}")));
        }
        hyper::upgrade::on(response).await.map_err(unreachable)
    });
    Ok(Box::new(TokioIo::new(upgraded.await?)))
}

/// Polls a connection while an exchange uses it. Both end together, so nothing is left if the
/// future is dropped.
pub(super) async fn while_open<T>(connection: impl Future, exchange: impl Future<Output = T>) -> T {
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut is_open = true;
    poll_fn(|context| {
        // The exchange gets the error of the connection.
        is_open = is_open && connection.as_mut().poll(context).is_pending();
        match exchange.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
