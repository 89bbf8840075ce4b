//! Token endpoints over HTTP (feature `http`).

mod address;
mod builder;
mod credential;
mod device;
mod endpoint;
mod throttle;
mod wire;

pub use builder::HttpEndpointBuilder;
pub use credential::AssertionRequest;
pub use device::{DeviceFlow, DeviceFlowError};
pub use endpoint::HttpEndpoint;
