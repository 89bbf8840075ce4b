//! A transport for clients of the Azure SDK, which sends all requests to one server over plain HTTP.

use std::sync::Arc;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

#[derive(Debug)]
struct Loopback {
    server: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

pub(crate) fn client(server: &str) -> Arc<dyn HttpClient> {
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
    Arc::new(Loopback { server: server.to_owned(), client })
}

fn io(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Io, error)
}

#[async_trait::async_trait]
impl HttpClient for Loopback {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let address = format!("{}{}", self.server, request.path_and_query());
        let mut sent = http::Request::builder().method(request.method().as_str()).uri(address);
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        let Body::Bytes(body) = request.body() else {
            return Err(Error::with_message(ErrorKind::Other, "the example sends no streams"));
        };
        let sent = sent.body(Full::new(body.clone())).map_err(io)?;
        let (head, body) = self.client.request(sent).await.map_err(io)?.into_parts();
        let mut headers = Headers::new();
        for (name, value) in &head.headers {
            headers.insert(name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned());
        }
        let body = body.collect().await.map_err(io)?.to_bytes();
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(head.status.as_u16()), headers, body))
    }
}
