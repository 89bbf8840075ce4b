//! What is seen of the cache from outside, as one binary.

mod bad_input;
mod cache;
mod canary;
mod client;
mod common;
mod conformance;
mod family;
#[cfg(all(feature = "file", unix))]
mod file;
mod fixtures;
#[expect(unreachable_pub, reason = "in the package of the fuzz targets it is reachable")]
#[path = "fuzz/src/lib.rs"]
mod fuzz;
mod fuzzing;
mod keys;
mod limits;
mod model;
mod moving;
mod scale;
mod secrets;
mod stores;

#[allow(dead_code, reason = "its main is not run here")]
#[path = "../examples/store_in_redb.rs"]
mod store_in_redb;
#[allow(dead_code, reason = "its main is not run here")]
#[path = "../examples/your_own_store.rs"]
mod your_own_store;
