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

/// How to reach an authorization server, and how the app proves who it is;
/// see [`HttpEndpoint::builder`].
#[derive(Clone, Default)]
pub struct HttpEndpointBuilder {
    credential: Credential,
    token_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    timeout: Option<Duration>,
    root_certificates: Option<Vec<u8>>,
    app: Option<(String, String)>,
}

impl HttpEndpointBuilder {
    /// The secret of a confidential client, sent in the body as MSAL does (`client_secret_post`,
    /// RFC 6749, section 2.3.1).
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.credential = Credential::SecretPost(Arc::new(Zeroizing::new(secret.into())));
        self
    }

    /// The secret of a confidential client, sent in the header `Authorization`
    /// (`client_secret_basic`): for servers that don't take it in the body.
    pub fn client_secret_basic(mut self, secret: impl Into<String>) -> Self {
        self.credential = Credential::SecretBasic(Arc::new(Zeroizing::new(secret.into())));
        self
    }

    /// What makes the client assertion of a confidential client (RFC 7523, section 2.2): a JWT
    /// signed with the key of its certificate, or the token of a federated identity. It is called
    /// for each request, on the thread that asks.
    ///
    /// Where it fails, nothing is sent, and its error is the source of the
    /// [`TransportError`](crate::TransportError).
    ///
    /// ```
    /// use msal_cache::HttpEndpoint;
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

    /// Where token requests are sent, if it is elsewhere than the authority tells. It is https,
    /// or http on this machine.
    ///
    /// Tokens are still stored under the environment and the tenant of the authority.
    pub fn token_endpoint(mut self, address: impl Into<String>) -> Self {
        self.token_endpoint = Some(address.into());
        self
    }

    /// Where device codes are asked for (RFC 8628, section 3.1), if it is elsewhere than beside
    /// the token endpoint, under the name `devicecode`.
    pub fn device_authorization_endpoint(mut self, address: impl Into<String>) -> Self {
        self.device_authorization_endpoint = Some(address.into());
        self
    }

    /// How long a request may take in all, from the look-up of the name to the last byte of the
    /// answer; 30 seconds unless told otherwise. Connecting may take ten of them.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The certificates to trust, as PEM, instead of those that the system trusts: for a server
    /// with a certificate authority of its own.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Tells the server the name and the version of the app (`x-app-name`, `x-app-ver`).
    pub fn app(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.app = Some((name.into(), version.into()));
        self
    }

    /// The endpoint. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where an address, a certificate or a name can't be used.
    pub fn build(self) -> Result<HttpEndpoint> {
        let all = self.timeout.unwrap_or(TIMEOUT);
        if all.is_zero() {
            return Err(Error::invalid("timeout", "it is zero"));
        }
        let roots = match &self.root_certificates {
            None => None,
            Some(pem) => {
                let roots = certificates(pem);
                Some(roots.map_err(|fault| Error::invalid("root_certificates", fault))?)
            }
        };
        if let Some((name, version)) = &self.app {
            for (field, text) in [("app.name", name), ("app.version", version)] {
                HeaderValue::from_str(text)
                    .map_err(|_| Error::invalid(field, "it can't stand in an HTTP header"))?;
            }
        }
        Ok(HttpEndpoint {
            wire: Wire::new(all, roots),
            throttle: Throttle::default(),
            credential: self.credential,
            token_endpoint: checked("token_endpoint", self.token_endpoint)?,
            device_authorization_endpoint: checked(
                "device_authorization_endpoint",
                self.device_authorization_endpoint,
            )?,
            app: self.app,
        })
    }
}

fn checked(field: &str, address: Option<String>) -> Result<Option<Uri>> {
    let Some(address) = address else { return Ok(None) };
    address::read(&address).map(Some).map_err(|fault| Error::invalid(field, fault))
}

impl fmt::Debug for HttpEndpointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An address that is not checked yet may have a password in it.
        f.debug_struct("HttpEndpointBuilder")
            .field("credential", &self.credential)
            .field("timeout", &self.timeout)
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}
