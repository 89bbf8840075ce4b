//! `HttpEndpoint` and `AsyncHttpEndpoint` over TLS, with and without a proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use msal_cache::endpoint::{
    AsyncTokenEndpoint, Form, TokenEndpoint, TokenRequest, TokenResponse, TransportError,
    TransportErrorKind,
};
use msal_cache::http::{HttpEndpoint, HttpEndpointBuilder};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

pub(crate) const CERTIFICATE: &[u8] = include_bytes!("fixtures/tls/certificate.pem");
const KEY: &[u8] = include_bytes!("fixtures/tls/key.pem");
/// "user:pass word" in base64.
const CREDENTIALS: &str = "dXNlcjpwYXNzIHdvcmQ=";

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(crate) fn acceptor() -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, PrivateKeyDer::from_pem_slice(KEY).unwrap());
    Arc::new(config.unwrap()).into()
}

/// Starts a server, with or without TLS.
pub(crate) fn start<F>(
    runtime: &Runtime,
    tls: Option<TlsAcceptor>,
    serve: impl Fn(Box<dyn Stream>) -> F + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let stream: Box<dyn Stream> = match &tls {
                // A client that doesn't trust the certificate closes the connection.
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => Box::new(stream),
                    Err(_) => continue,
                },
                None => Box::new(stream),
            };
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads a head up to its empty line.
pub(crate) async fn head(stream: &mut Box<dyn Stream>) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(stream.read_u8().await?.into());
    }
    Ok(head)
}

/// A token endpoint, which returns the head of the request.
async fn serve_token(mut stream: Box<dyn Stream>) -> io::Result<()> {
    let head = head(&mut stream).await?.replace("\r\n", "|");
    let body = serde_json::json!({ "head": head }).to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await
}

/// A proxy that connects each tunnel to this machine, whatever the host.
async fn serve_proxy(mut stream: Box<dyn Stream>) -> io::Result<()> {
    let head = head(&mut stream).await?;
    let port = head.strip_prefix("CONNECT login.example:").map(|rest| rest.split(' ').next());
    let (Some(Some(port)), true) = (port, head.contains(CREDENTIALS)) else {
        return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    };
    let mut server = TcpStream::connect(format!("127.0.0.1:{port}")).await?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut server).await?;
    Ok(())
}

/// The results of a request by both endpoints.
fn outcomes(
    runtime: &Runtime,
    builder: &HttpEndpointBuilder,
) -> [Result<TokenResponse, TransportError>; 2] {
    let request = TokenRequest::new("https://unused.example/token", "app", Form::new());
    let builder = builder.clone().timeout(Duration::from_secs(20));
    let blocking = builder.clone().build().unwrap().send(&request);
    let nonblocking = builder.build_async().unwrap();
    [blocking, runtime.block_on(nonblocking.send(&request))]
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_request_over_tls_reaches_a_server_whose_certificate_is_trusted() {
    let runtime = runtime();
    let port = start(&runtime, Some(acceptor()), serve_token).port();
    let trusting = HttpEndpoint::builder().root_certificates(CERTIFICATE);
    for host in ["127.0.0.1", "localhost"] {
        let builder = trusting.clone().token_endpoint(format!("https://{host}:{port}/token"));
        for outcome in outcomes(&runtime, &builder) {
            let head = outcome.unwrap().body().get("head").unwrap().to_string().to_lowercase();
            assert!(head.starts_with("\"post /token http/1.1|"), "{head}");
            assert!(head.contains(&format!("|host: {host}:{port}|")), "{head}");
            assert_eq!(head.matches("|host:").count(), 1, "{head}");
        }
    }
    // The system doesn't trust the certificate.
    let builder = HttpEndpoint::builder().token_endpoint(format!("https://localhost:{port}/token"));
    for outcome in outcomes(&runtime, &builder) {
        assert_eq!(outcome.unwrap_err().kind(), TransportErrorKind::Unreachable);
    }
    // It is another host's.
    let other = trusting.token_endpoint(format!("https://[::ffff:127.0.0.1]:{port}/token"));
    for outcome in outcomes(&runtime, &other) {
        assert_eq!(outcome.unwrap_err().kind(), TransportErrorKind::Unreachable);
    }
}

#[test]
fn a_request_passes_through_a_proxy_as_ciphertext() {
    let runtime = runtime();
    let port = start(&runtime, Some(acceptor()), serve_token).port();
    let plain = format!("http://user:pass%20word@{}", start(&runtime, None, serve_proxy));
    let over_tls = start(&runtime, Some(acceptor()), serve_proxy).port();
    let over_tls = format!("https://user:pass%20word@localhost:{over_tls}");
    let builder = HttpEndpoint::builder()
        .root_certificates(CERTIFICATE)
        .token_endpoint(format!("https://login.example:{port}/token"));
    for proxy in [&plain, &over_tls] {
        for outcome in outcomes(&runtime, &builder.clone().proxy(proxy)) {
            let head = outcome.unwrap().body().get("head").unwrap().to_string().to_lowercase();
            assert!(head.starts_with("\"post /token http/1.1|"), "{head}");
            assert!(head.contains(&format!("|host: login.example:{port}|")), "{head}");
            assert!(!head.contains("proxy"), "{head}");
        }
    }
    // A loopback address is reached without the proxy, at whose address nothing listens.
    let builder = builder.token_endpoint(format!("https://localhost:{port}/token"));
    for outcome in outcomes(&runtime, &builder.clone().proxy("http://127.0.0.1:9")) {
        assert_eq!(outcome.unwrap().status(), 200);
    }
}
