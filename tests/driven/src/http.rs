//! `msal_cache::http`, driven asynchronously.

use std::error::Error as StdError;
use std::time::Duration;

use msal_cache::endpoint::{
    AsyncTokenEndpoint, TokenEndpoint, TokenRequest, TokenResponse, TransportError,
};
use msal_cache::http::AsyncHttpEndpoint;
pub use msal_cache::http::{AssertionRequest, DeviceFlow, DeviceFlowError};
use msal_cache::store::CacheStore;
use msal_cache::{Event, Result};
use tokio::time::timeout;

use crate::{Client, wait};

/// How long a future lives before it is dropped and made anew.
const LIFETIME: Duration = Duration::from_millis(50);

#[derive(Clone, Debug, Default)]
pub struct HttpEndpoint(AsyncHttpEndpoint);

impl HttpEndpoint {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn builder() -> HttpEndpointBuilder {
        HttpEndpointBuilder(AsyncHttpEndpoint::builder())
    }

    pub fn initiate_device_flow<S: CacheStore, T: AsRef<str>>(
        &self,
        client: &Client<S>,
        scopes: impl IntoIterator<Item = T>,
        claims_challenge: Option<&str>,
    ) -> Result<DeviceFlow, DeviceFlowError> {
        wait(self.0.initiate_device_flow(&client.client, scopes, claims_challenge))
    }

    /// Drops the future several times a second, and continues with a new one.
    pub fn acquire_token_by_device_flow(
        &self,
        flow: &DeviceFlow,
        mut is_cancelled: impl FnMut() -> bool,
    ) -> Result<Event, DeviceFlowError> {
        loop {
            if is_cancelled() {
                return Err(DeviceFlowError::Cancelled);
            }
            let limited =
                async { timeout(LIFETIME, self.0.acquire_token_by_device_flow(flow)).await };
            if let Ok(done) = wait(limited) {
                return done;
            }
        }
    }
}

impl TokenEndpoint for HttpEndpoint {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        wait(self.0.send(request))
    }
}

#[derive(Clone, Debug)]
pub struct HttpEndpointBuilder(msal_cache::http::HttpEndpointBuilder);

impl HttpEndpointBuilder {
    pub fn client_secret(self, secret: impl Into<String>) -> Self {
        Self(self.0.client_secret(secret))
    }

    pub fn client_secret_basic(self, secret: impl Into<String>) -> Self {
        Self(self.0.client_secret_basic(secret))
    }

    pub fn client_assertion<F>(self, make: F) -> Self
    where
        F: Fn(&AssertionRequest<'_>) -> Result<String, Box<dyn StdError + Send + Sync>>
            + Send
            + Sync
            + 'static,
    {
        Self(self.0.client_assertion(make))
    }

    pub fn token_endpoint(self, address: impl Into<String>) -> Self {
        Self(self.0.token_endpoint(address))
    }

    pub fn device_authorization_endpoint(self, address: impl Into<String>) -> Self {
        Self(self.0.device_authorization_endpoint(address))
    }

    pub fn timeout(self, timeout: Duration) -> Self {
        Self(self.0.timeout(timeout))
    }

    pub fn root_certificates(self, pem: impl Into<Vec<u8>>) -> Self {
        Self(self.0.root_certificates(pem))
    }

    pub fn proxy(self, address: impl Into<String>) -> Self {
        Self(self.0.proxy(address))
    }

    pub fn app(self, name: impl Into<String>, version: impl Into<String>) -> Self {
        Self(self.0.app(name, version))
    }

    pub fn build(self) -> Result<HttpEndpoint> {
        Ok(HttpEndpoint(self.0.build_async()?))
    }
}
