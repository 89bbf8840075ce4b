//! The device authorization grant (RFC 8628).

mod error;
mod flow;
mod initiate;
mod polling;
mod request;

pub use error::DeviceFlowError;
pub(crate) use error::PollEnd;
pub use flow::DeviceFlow;
pub(crate) use polling::{CANCEL_CHECK, Watch};
pub(super) use request::DeviceCodeRequest;
