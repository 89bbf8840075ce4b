//! The HTTP client of [`AsyncHttpEndpoint`](super::AsyncHttpEndpoint): hyper over tokio and rustls.

mod connect;
mod tls;
mod wire;

pub(super) use wire::{AsyncWire, no_runtime};
