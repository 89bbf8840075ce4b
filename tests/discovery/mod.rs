//! Metadata documents, instance discovery and keys, from a server over TLS.

#[cfg(feature = "azure")]
mod azure;
mod cache;
mod clouds;
mod instance;
mod keys;
mod metadata;
mod region;
mod sign_in;
mod signatures;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msal_cache::Authority;
use msal_cache::http::{AsyncHttpEndpoint, HttpEndpoint, HttpEndpointBuilder, MetadataError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::http_tls::{CERTIFICATE, Stream, acceptor, head, runtime, start};

type Respond = Box<dyn Fn(&str) -> (u16, String) + Send>;

#[derive(Default)]
struct State {
    documents: HashMap<String, (u16, String)>,
    /// Answers `POST`s, by their bodies.
    respond: Option<Respond>,
    /// Method and address of each request.
    requests: Vec<String>,
    delay: Duration,
}

/// A provider on `https://localhost`.
struct Provider {
    runtime: Runtime,
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Provider {
    fn start() -> Self {
        let (runtime, state) = (runtime(), Arc::<Mutex<State>>::default());
        let shared = state.clone();
        let serve = move |stream| serve(stream, shared.clone());
        let port = start(&runtime, Some(acceptor()), serve).port();
        Self { runtime, port, state }
    }

    fn issuer(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// Publishes a document.
    fn publish(&self, path: &str, document: &Value) {
        self.publish_as(path, 200, &document.to_string());
    }

    fn publish_as(&self, path: &str, status: u16, text: &str) {
        let mut state = self.state.lock().unwrap();
        state.documents.insert(path.to_owned(), (status, text.to_owned()));
    }

    /// The document of a good provider.
    fn good(&self, path: &str) -> Value {
        let base = self.issuer(path);
        json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/auth"),
            "token_endpoint": format!("{base}/tokens"),
            "device_authorization_endpoint": format!("{base}/device"),
            "jwks_uri": format!("{base}/keys"),
        })
    }

    fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    fn builder() -> HttpEndpointBuilder {
        HttpEndpoint::builder().root_certificates(CERTIFICATE).timeout(Duration::from_secs(60))
    }

    fn endpoints(builder: &HttpEndpointBuilder) -> (HttpEndpoint, AsyncHttpEndpoint) {
        (builder.clone().build().unwrap(), builder.clone().build_async().unwrap())
    }

    /// The results of both endpoints.
    fn discover(
        &self,
        builder: &HttpEndpointBuilder,
        authority: &Authority,
    ) -> [Result<Authority, MetadataError>; 2] {
        let (blocking, nonblocking) = Self::endpoints(builder);
        [blocking.discover(authority), self.runtime.block_on(nonblocking.discover(authority))]
    }

    fn discover_issuer(
        &self,
        builder: &HttpEndpointBuilder,
        issuer: &str,
    ) -> [Result<Authority, MetadataError>; 2] {
        let (blocking, nonblocking) = Self::endpoints(builder);
        [
            blocking.discover_issuer(issuer),
            self.runtime.block_on(nonblocking.discover_issuer(issuer)),
        ]
    }
}

async fn serve(mut stream: Box<dyn Stream>, state: Arc<Mutex<State>>) -> io::Result<()> {
    let head = head(&mut stream).await?;
    let target: Vec<_> = head.split(' ').take(2).collect();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body).await?;
    let (status, text, delay) = {
        let mut state = state.lock().unwrap();
        state.requests.push(target.join(" "));
        let (status, text) = match &state.respond {
            Some(respond) if target[0] == "POST" => respond(&String::from_utf8(body).unwrap()),
            _ => {
                assert!(!head.to_lowercase().contains("authorization:"), "{head}");
                let found = state.documents.get(target[1]).cloned();
                found.unwrap_or_else(|| (404, json!({ "error": "not_found" }).to_string()))
            }
        };
        (status, text, state.delay)
    };
    tokio::time::sleep(delay).await;
    let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", text.len());
    stream.write_all(format!("{head}{text}").as_bytes()).await?;
    stream.shutdown().await
}

/// What an error and its sources say.
fn printed(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
