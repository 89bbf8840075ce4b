//! What is seen of the cache from outside, as one binary.

mod bad_input;
mod cache;
mod canary;
mod common;
#[cfg(all(feature = "file", unix))]
mod file;
mod fixtures;
mod keys;
mod model;
mod secrets;

#[allow(dead_code, reason = "its main is not run here")]
#[path = "../examples/your_own_store.rs"]
mod your_own_store;
