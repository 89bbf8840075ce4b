use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Uri};
use msal_cache_core::{Error, Result};
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

#[cfg(feature = "http-async")]
use super::async_endpoint::AsyncHttpEndpoint;
use super::credential::{AssertionRequest, Credential};
use super::discovery::DiscoveryOptions;
#[cfg(feature = "http")]
use super::endpoint::HttpEndpoint;
use super::exchange::{ExchangeOptions, TIMEOUT};
use super::proxy::{Proxy, ProxyRules};
use super::{address, certificates, region};

/// The upper limit of a timeout: the HTTP clients add it to the time.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(86_400);

/// Builds an endpoint: how to reach the authorization server, and how the client authenticates.
///
/// `HttpEndpoint::builder` and `AsyncHttpEndpoint::builder` make one; `build` makes an endpoint for
/// blocking programs, `build_async` one for async programs.
#[derive(Clone, Default)]
pub struct HttpEndpointBuilder {
    credential: Credential,
    token_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    timeout: Option<Duration>,
    root_certificates: Option<Vec<u8>>,
    proxy: Option<Zeroizing<String>>,
    app: Option<(String, String)>,
    region: Option<String>,
    metadata_hosts: Vec<String>,
    is_instance_discovery_off: bool,
    instance_discovery_endpoint: Option<String>,
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
    /// identity. It is called for each request, on a thread that may block: the one that sends the
    /// request, or one of tokio's threads for blocking work.
    ///
    /// If it fails, the request is not sent, and its error is the source of the
    /// [`TransportError`](crate::endpoint::TransportError).
    ///
    #[cfg_attr(feature = "http", doc = "```")]
    #[cfg_attr(not(feature = "http"), doc = "```ignore")]
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
    /// of the token endpoint, this builder's or the authority's, with `devicecode` in place of
    /// `token`.
    pub fn device_authorization_endpoint(mut self, address: impl Into<String>) -> Self {
        self.device_authorization_endpoint = Some(address.into());
        self
    }

    /// Sets the timeout of a request, from the DNS lookup to the last byte of the response. The
    /// default is 30 seconds, and the longest is a day. Connecting takes at most 10 seconds of it.
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

    /// Sets the proxy for all requests that leave the machine, such as
    /// `http://user:password@proxy.example:8080`, instead of that of the environment. User name and
    /// password are percent-encoded.
    ///
    /// It is an HTTP proxy that tunnels connections (`CONNECT`), reached over TCP or, with the scheme
    /// `https`, over TLS. SOCKS proxies are not supported.
    pub fn proxy(mut self, address: impl Into<String>) -> Self {
        self.proxy = Some(Zeroizing::new(address.into()));
        self
    }

    /// Sets the name and the version of the app, which are sent to the server as `x-app-name` and
    /// `x-app-ver`.
    pub fn app(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.app = Some((name.into(), version.into()));
        self
    }

    /// Sets the region of Azure in which the app runs, such as `westus2`, as `azure_region` of MSAL Python: an
    /// app's own tokens are then requested from `<region>.login.microsoft.com`, or from the region of a
    /// sovereign cloud. Other requests, and those of `token_endpoint`, are sent as without a region.
    /// Tokens are stored as without a region, too.
    pub fn region(mut self, name: impl Into<String>) -> Self {
        self.region = Some(name.into());
        self
    }

    /// Sets the region that the variable `REGION_NAME` names now, as hosts of Azure such as App Service set it;
    /// none where it is empty or missing. The metadata service of a virtual machine is not asked: read its
    /// `location`, and set the [`region`](Self::region).
    pub fn region_from_env(mut self) -> Self {
        self.region = region::of_env();
        self
    }

    /// Allows a host for the endpoints that a metadata document names, besides the hosts of the authority
    /// and of the issuer, such as `oauth2.googleapis.com` for the issuer `https://accounts.google.com`.
    /// Those of other hosts are refused.
    pub fn metadata_host(mut self, host: impl Into<String>) -> Self {
        self.metadata_hosts.push(host.into());
        self
    }

    /// Sets whether `discover` asks Microsoft about a host that looks like one of Entra ID and isn't among
    /// those that Microsoft has published. It does so unless set, as MSAL does. Turn it off for a private
    /// cloud, for a domain of your own, and where the public cloud can't be reached.
    pub fn instance_discovery(mut self, is_on: bool) -> Self {
        self.is_instance_discovery_off = !is_on;
        self
    }

    /// Sets the address that instance discovery asks, such as that of another cloud. Unless set, it is
    /// `https://login.microsoftonline.com/common/discovery/instance`.
    pub fn instance_discovery_endpoint(mut self, address: impl Into<String>) -> Self {
        self.instance_discovery_endpoint = Some(address.into());
        self
    }

    /// Builds the endpoint. This sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if an option is invalid.
    #[cfg(feature = "http")]
    pub fn build(self) -> Result<HttpEndpoint> {
        let (timeout, roots, options) = self.validate()?;
        Ok(HttpEndpoint::of(timeout, roots.as_deref(), options))
    }

    /// Builds the endpoint for async programs. This sends nothing, and needs no runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if an option is invalid.
    #[cfg(feature = "http-async")]
    pub fn build_async(self) -> Result<AsyncHttpEndpoint> {
        let (timeout, roots, options) = self.validate()?;
        Ok(AsyncHttpEndpoint::of(timeout, roots.as_deref(), options))
    }

    fn validate(self) -> Result<(Duration, Option<Vec<CertificateDer<'static>>>, ExchangeOptions)> {
        let timeout = self.timeout.unwrap_or(TIMEOUT).min(LONGEST_TIMEOUT);
        if timeout.is_zero() {
            return Err(Error::invalid("timeout", "it is zero"));
        }
        let roots = self.root_certificates.map(|pem| certificates::parse(&pem)).transpose();
        let roots = roots.map_err(|reason| Error::invalid("root_certificates", reason))?;
        let proxies = match &self.proxy {
            None => ProxyRules::from_env(),
            Some(proxy) => {
                let proxy = Proxy::parse(proxy);
                ProxyRules::always(proxy.map_err(|reason| Error::invalid("proxy", reason))?)
            }
        };
        let header = |field, text: &str| {
            let reason = "it has characters that are invalid in an HTTP header";
            HeaderValue::from_str(text).map_err(|_| Error::invalid(field, reason))
        };
        let app = match &self.app {
            Some((name, version)) => {
                Some((header("app.name", name)?, header("app.version", version)?))
            }
            None => None,
        };
        let options = ExchangeOptions {
            region: self
                .region
                .map(|name| region::parse(&name))
                .transpose()
                .map_err(|reason| Error::invalid("region", reason))?,
            credential: self.credential,
            token_endpoint: parse_address("token_endpoint", self.token_endpoint)?,
            device_authorization_endpoint: parse_address(
                "device_authorization_endpoint",
                self.device_authorization_endpoint,
            )?,
            proxies,
            discovery: DiscoveryOptions {
                hosts: self.metadata_hosts,
                is_instance_discovery_off: self.is_instance_discovery_off,
                instance_discovery_endpoint: parse_address(
                    "instance_discovery_endpoint",
                    self.instance_discovery_endpoint,
                )?,
            },
            app,
        };
        Ok((timeout, roots, options))
    }
}

fn parse_address(field: &str, address: Option<String>) -> Result<Option<Uri>> {
    let Some(address) = address else { return Ok(None) };
    address::parse(&address).map(Some).map_err(|reason| Error::invalid(field, reason))
}

#[cfg(feature = "http")]
impl HttpEndpoint {
    /// Starts building an endpoint with a client credential, a timeout or addresses of your own.
    pub fn builder() -> HttpEndpointBuilder {
        HttpEndpointBuilder::default()
    }
}

#[cfg(feature = "http-async")]
impl AsyncHttpEndpoint {
    /// Starts building an endpoint with a client credential, a timeout or addresses of your own.
    pub fn builder() -> HttpEndpointBuilder {
        HttpEndpointBuilder::default()
    }
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
