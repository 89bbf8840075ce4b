//! An HTTP client over plain HTTP: the app calls an API with it, and the demonstration's browser the app.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, COOKIE, HeaderValue, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::Failure;

#[derive(Clone)]
pub(crate) struct HttpClient(Client<HttpConnector, Empty<Bytes>>);

pub(crate) struct Page {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) body: String,
}

impl HttpClient {
    pub(crate) fn new() -> Self {
        // A connection for each request: a server may close one that is kept just when it is used.
        Self(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http())
    }

    /// Calls an API with an access token.
    pub(crate) async fn call(&self, address: &str, token: &str) -> Result<Page, Failure> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))?;
        bearer.set_sensitive(true);
        self.get(address, AUTHORIZATION.as_str(), bearer).await
    }

    async fn get(
        &self,
        address: &str,
        header: &'static str,
        value: HeaderValue,
    ) -> Result<Page, Failure> {
        let mut request = Request::get(address).body(Empty::new())?;
        request.headers_mut().insert(header, value);
        let (head, body) = self.0.request(request).await?.into_parts();
        let body = String::from_utf8(body.collect().await?.to_bytes().into())?;
        Ok(Page { status: head.status, headers: head.headers, body })
    }
}

/// A browser: it keeps cookies and follows redirects.
pub(crate) struct Browser {
    client: HttpClient,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self { client: HttpClient::new(), cookies: BTreeMap::new() }
    }

    pub(crate) async fn visit(&mut self, address: &str) -> Result<Page, Failure> {
        let mut address = address.to_owned();
        for _ in 0..10 {
            let cookies: Vec<_> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let cookies = HeaderValue::from_str(&cookies.join("; "))?;
            let page = self.client.get(&address, COOKIE.as_str(), cookies).await?;
            for cookie in page.headers.get_all(SET_COOKIE) {
                let pair = cookie.to_str()?.split(';').next().and_then(|it| it.split_once('='));
                let (name, value) = pair.ok_or("a cookie has a name")?;
                match value {
                    "" => self.cookies.remove(name),
                    _ => self.cookies.insert(name.to_owned(), value.to_owned()),
                };
            }
            let Some(location) = page.headers.get(LOCATION) else { return Ok(page) };
            let location = location.to_str()?;
            let origin = address.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            address =
                if location.starts_with('/') { origin + location } else { location.to_owned() };
        }
        Err("too many redirects".into())
    }
}
