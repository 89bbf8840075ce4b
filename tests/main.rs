//! What is seen of the cache from outside, as one binary.

mod bad_input;
mod cache;
mod common;
#[cfg(all(feature = "file", unix))]
mod file;
mod fixtures;
mod model;
mod secrets;
