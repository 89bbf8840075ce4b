//! Token endpoints over HTTP (features `http` and `http-async`).

pub(crate) mod address;
#[cfg(feature = "http-async")]
mod async_endpoint;
#[cfg(feature = "http")]
mod blocking;
mod builder;
mod certificates;
mod credential;
pub(crate) mod device;
mod discovery;
mod documents;
#[cfg(feature = "http")]
mod endpoint;
mod exchange;
mod metadata_error;
#[cfg(feature = "http-async")]
mod nonblocking;
mod proxy;
mod region;
mod retry_after;
mod throttle;
mod wire;

#[cfg(feature = "http-async")]
pub use async_endpoint::AsyncHttpEndpoint;
pub use builder::HttpEndpointBuilder;
pub use credential::AssertionRequest;
pub use device::{DeviceFlow, DeviceFlowError};
#[cfg(feature = "http")]
pub use endpoint::HttpEndpoint;
pub use metadata_error::MetadataError;
