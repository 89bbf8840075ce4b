//! The async face: each method awaits a step of the engine.

mod cache;
mod client;

pub use cache::AsyncTokenCache;
pub use client::AsyncClient;
