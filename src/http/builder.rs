use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{Error, Result};
use ureq::http::{HeaderValue, Uri};
use zeroize::Zeroizing;

use super::credential::{AssertionRequest, Credential};
use super::endpoint::{HttpEndpoint, TIMEOUT};
use super::wire::{Wire, certificates};
use super::{address, throttle::Throttle};

/// Builds an [`HttpEndpoint`]: how to reach the authorization server, and how the client
/// authenticates. See [`HttpEndpoint::builder`].
#[derive(Clone, Default)]
pub struct HttpEndpointBuilder {
    credential: Credential,
    token_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    timeout: Option<Duration>,
    root_certificates: Option<Vec<u8>>,
    app: Option<(String, String)>,
}

impl HttpEndpoint {
    /// Starts building an endpoint with a client credential, a timeout or addresses of your own.
    pub fn builder() -> HttpEndpointBuilder {
        HttpEndpointBuilder::default()
    }
}

impl HttpEndpointBuilder {
    /// Sets the secret of a confidential client, which is sent in the request body, as in MSAL
    /// (`client_secret_post`; RFC 6749, section 2.3.1).
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.credential = Credential::SecretPost(Arc::new(Zeroizing::new(secret.into())));
        self
    }

    /// Sets the secret of a confidential client, which is sent in the `Authorization` header
    /// (`client_secret_basic`), for servers that don't accept it in the request body.
    pub fn client_secret_basic(mut self, secret: impl Into<String>) -> Self {
        self.credential = Credential::SecretBasic(Arc::new(Zeroizing::new(secret.into())));
        self
    }

    /// Sets a function that creates the client assertion of a confidential client (RFC 7523,
    /// section 2.2): a JWT signed with the key of a certificate, or the token of a federated
    /// identity. It is called for each request, on the thread that sends it.
    ///
    /// If it fails, the request is not sent, and its error is the source of the
    /// [`TransportError`](crate::endpoint::TransportError).
    ///
    /// ```
    /// use msal_cache::http::HttpEndpoint;
    ///
    /// let endpoint = HttpEndpoint::builder()
    ///     .client_assertion(|_| Ok(std::fs::read_to_string("/var/run/secrets/tokens/azure")?))
    ///     .build()?;
    /// # Ok::<(), msal_cache::Error>(())
    /// ```
    pub fn client_assertion<F>(mut self, make: F) -> Self
    where
        F: Fn(&AssertionRequest<'_>) -> Result<String, Box<dyn StdError + Send + Sync>>
            + Send
            + Sync
            + 'static,
    {
        self.credential = Credential::Assertion(Arc::new(make));
        self
    }

    /// Sets the address to which token requests are sent, instead of the authority's. The scheme
    /// is https, or http for a loopback address.
    ///
    /// Tokens are still stored under the environment and the tenant of the authority.
    pub fn token_endpoint(mut self, address: impl Into<String>) -> Self {
        self.token_endpoint = Some(address.into());
        self
    }

    /// Sets the device authorization endpoint (RFC 8628, section 3.1). The default is the address
    /// of the token endpoint with `devicecode` in place of `token`.
    pub fn device_authorization_endpoint(mut self, address: impl Into<String>) -> Self {
        self.device_authorization_endpoint = Some(address.into());
        self
    }

    /// Sets the timeout of a request, from the DNS lookup to the last byte of the response. The
    /// default is 30 seconds. Connecting takes at most 10 seconds of it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the root certificates to trust, in PEM format, instead of the system's, for a server
    /// with a private certificate authority.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Sets the name and the version of the app, which are sent to the server as `x-app-name` and
    /// `x-app-ver`.
    pub fn app(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.app = Some((name.into(), version.into()));
        self
    }

    /// Builds the endpoint. This sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if an option is invalid.
    pub fn build(self) -> Result<HttpEndpoint> {
        let timeout = self.timeout.unwrap_or(TIMEOUT);
        if timeout.is_zero() {
            return Err(Error::invalid("timeout", "it is zero"));
        }
        let roots = match &self.root_certificates {
            None => None,
            Some(pem) => {
                let roots = certificates(pem);
                Some(roots.map_err(|reason| Error::invalid("root_certificates", reason))?)
            }
        };
        if let Some((name, version)) = &self.app {
            for (field, text) in [("app.name", name), ("app.version", version)] {
                HeaderValue::from_str(text).map_err(|_| {
                    Error::invalid(field, "it has characters that are invalid in an HTTP header")
                })?;
            }
        }
        Ok(HttpEndpoint {
            wire: Wire::new(timeout, roots),
            throttle: Throttle::default(),
            credential: self.credential,
            token_endpoint: parse_address("token_endpoint", self.token_endpoint)?,
            device_authorization_endpoint: parse_address(
                "device_authorization_endpoint",
                self.device_authorization_endpoint,
            )?,
            app: self.app,
        })
    }
}

fn parse_address(field: &str, address: Option<String>) -> Result<Option<Uri>> {
    let Some(address) = address else { return Ok(None) };
    address::parse(&address).map(Some).map_err(|reason| Error::invalid(field, reason))
}

impl fmt::Debug for HttpEndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An address is not validated yet, so it may contain a password.
        f.debug_struct("HttpEndpointBuilder")
            .field("credential", &self.credential)
            .field("timeout", &self.timeout)
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}
