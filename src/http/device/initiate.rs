use http::Uri;
use msal_cache_core::Error;

use super::error::{DeviceFlowError, usable};
use super::flow::DeviceFlow;
use super::request::DeviceCodeRequest;
use crate::http::address;
use crate::http::exchange::Exchange;
use crate::http::wire::Wire;
use crate::model::ServerError;

impl<W: Wire> Exchange<W> {
    pub(in crate::http) async fn initiate_device_flow(
        &self,
        request: DeviceCodeRequest,
    ) -> Result<DeviceFlow, DeviceFlowError> {
        let address = self.device_address(request.request.token_endpoint())?;
        let response = usable(self.post(&address, &request.request).await)?;
        match ServerError::of(&response) {
            Some(error) => Err(DeviceFlowError::Refused(error)),
            None => Ok(DeviceFlow::parse(response.body(), request)?),
        }
    }

    /// The device authorization endpoint: the configured one, or the token endpoint's sibling.
    fn device_address(&self, token_endpoint: &str) -> Result<Uri, DeviceFlowError> {
        let options = &self.options;
        if let Some(address) = &options.device_authorization_endpoint {
            return Ok(address.clone());
        }
        let configured = options.token_endpoint.as_ref().map(Uri::to_string);
        let base = configured.as_deref().unwrap_or(token_endpoint);
        let base = base.strip_suffix("/token").ok_or_else(|| {
            let reason = "it is not set, and the token endpoint doesn't end in /token";
            Error::invalid("device_authorization_endpoint", reason)
        })?;
        Ok(address::parse_for_request(&format!("{base}/devicecode"))?)
    }
}
