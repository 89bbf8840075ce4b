//! The HTTP client of [`AsyncHttpEndpoint`](super::AsyncHttpEndpoint): hyper over tokio and rustls.

mod connect;
mod error;
mod stream;
mod tls;
mod wire;

pub(super) use error::no_runtime;
pub(super) use wire::AsyncWire;
