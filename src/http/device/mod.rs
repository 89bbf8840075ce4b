//! The device authorization grant (RFC 8628).

mod error;
mod flow;
mod initiate;
mod polling;
mod request;

pub use error::DeviceFlowError;
pub use flow::DeviceFlow;
#[cfg(feature = "http")]
pub(super) use polling::CANCEL_CHECK;
pub(super) use request::DeviceCodeRequest;
