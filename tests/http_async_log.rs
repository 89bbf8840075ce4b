//! No secret of a request or response reaches the app's logger or its subscriber of `tracing`. This
//! is a separate test binary, since a process has one logger.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};
use msal_cache::endpoint::{AsyncTokenEndpoint, Form, TokenRequest};
use msal_cache::http::AsyncHttpEndpoint;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing_subscriber::fmt::MakeWriter;

const CANARY: &str = "CANARY";
const CERTIFICATE: &[u8] = include_bytes!("fixtures/tls/certificate.pem");
const KEY: &[u8] = include_bytes!("fixtures/tls/key.pem");

/// Collects all lines.
#[derive(Clone, Copy)]
struct Lines;

static LINES: Mutex<String> = Mutex::new(String::new());

fn add(line: &str) {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).push_str(line);
}

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = String::new();
        // Writing to a string can't fail.
        let _ = writeln!(line, "{} {}", record.target(), record.args());
        add(&line);
    }

    fn flush(&self) {}
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        add(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

/// Reads a request, and returns tokens.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut request = String::new();
    while !request.ends_with("grant_type=x") {
        request.push(stream.read_u8().await?.into());
    }
    assert!(request.contains("refresh_token=CANARY"), "{request}");
    assert!(request.to_lowercase().contains("authorization: basic y2xpzw50oknbtkfswq=="));
    let body = r#"{"access_token":"CANARY","refresh_token":"CANARY"}"#;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nx: CANARY\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await
}

/// Tunnels to this address.
async fn serve_proxy(mut stream: TcpStream, to: std::net::SocketAddr) -> io::Result<()> {
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        request.push(stream.read_u8().await?.into());
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut TcpStream::connect(to).await?).await.map(drop)
}

#[tokio::test]
async fn p10_no_log_of_the_async_http_client_carries_a_secret() {
    log::set_logger(&Lines).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(Lines).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log::trace!("a record");
    tracing::trace!("an event");

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let over_tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (plain_address, tls_address, proxy_address) =
        (plain.local_addr().unwrap(), over_tls.local_addr().unwrap(), proxy.local_addr().unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, PrivateKeyDer::from_pem_slice(KEY).unwrap());
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    tokio::spawn(async move { serve(plain.accept().await.unwrap().0).await.unwrap() });
    tokio::spawn(async move {
        let stream = over_tls.accept().await.unwrap().0;
        serve(acceptor.accept(stream).await.unwrap()).await.unwrap();
    });
    tokio::spawn(async move { serve_proxy(proxy.accept().await.unwrap().0, tls_address).await });

    for address in [format!("http://{plain_address}/t"), "https://login.example/t".into()] {
        let endpoint = AsyncHttpEndpoint::builder()
            .token_endpoint(address)
            .proxy(format!("http://user:CANARY@{proxy_address}"))
            .root_certificates(CERTIFICATE)
            .client_secret_basic(CANARY)
            .build_async()
            .unwrap();
        let form = Form::new().with("refresh_token", CANARY).with("grant_type", "x");
        let request = TokenRequest::new("https://login.example/t", "client", form);
        endpoint.send(&request).await.unwrap();
    }
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(lines.contains("a record") && lines.contains("an event"), "{lines}");
    // The others are "client:CANARY" and "user:CANARY" in base64.
    for secret in [CANARY, "Y2xpZW50OkNBTkFSWQ", "dXNlcjpDQU5BUlk"] {
        assert!(!lines.contains(secret), "{lines}");
    }
}
