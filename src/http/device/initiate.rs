use http::Uri;
use msal_cache_core::Error;

use super::flow::DeviceFlow;
use super::request::DeviceCodeRequest;
use crate::engine::{RedeemError, usable};
use crate::http::address;
use crate::http::exchange::Exchange;
use crate::http::wire::Wire;
use crate::model::{Authority, AuthorityKind, TokenResponse, TransportError};

impl<W: Wire> Exchange<W> {
    /// Requests a device code. The outer error is that of the address.
    pub(in crate::http) async fn initiate_device_flow(
        &self,
        request: DeviceCodeRequest,
    ) -> Result<Result<DeviceFlow, RedeemError>, Error> {
        let address = match self.device_address(&request.authority)? {
            Ok(address) => address,
            Err(error) => return Ok(Err(error.into())),
        };
        let response = usable(self.post(&address, &request.request).await);
        let flow = |it: TokenResponse| {
            DeviceFlow::parse(it.body(), request).map_err(RedeemError::InvalidResponse)
        };
        Ok(response.and_then(flow))
    }

    /// The device authorization endpoint: the configured one, that of the metadata, or the token
    /// endpoint's sibling.
    fn device_address(&self, authority: &Authority) -> Result<Result<Uri, TransportError>, Error> {
        let options = &self.options;
        if let Some(address) = &options.device_authorization_endpoint {
            return Ok(Ok(address.clone()));
        }
        let missing = |reason: &str| Error::invalid("device_authorization_endpoint", reason);
        let configured = options.token_endpoint.as_ref().map(Uri::to_string);
        if let (None, Some(metadata)) = (&configured, authority.metadata()) {
            if let Some(address) = metadata.device_authorization_endpoint() {
                return Ok(address::parse_for_request(address));
            }
            if authority.kind() == AuthorityKind::Oidc {
                return Err(missing("the metadata of the provider has none"));
            }
        }
        let base = configured.as_deref().unwrap_or(authority.token_endpoint());
        let base = base.strip_suffix("/token").ok_or_else(|| {
            missing("it is not set, and the token endpoint doesn't end in /token")
        })?;
        Ok(address::parse_for_request(&format!("{base}/devicecode")))
    }
}
