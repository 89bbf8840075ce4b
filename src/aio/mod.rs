//! The async face: each method awaits a step of the engine.

mod cache;
mod changes;
mod client;

pub use cache::AsyncTokenCache;
pub use changes::AsyncChanges;
pub use client::AsyncClient;
#[cfg(feature = "http-async")]
pub(crate) use client::joined;
