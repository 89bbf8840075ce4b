//! Tests of the public API, as one binary.

#[cfg(feature = "tokio")]
mod aio;
#[cfg(feature = "azure")]
mod azure;
mod bad_input;
#[cfg(all(target_os = "linux", any(feature = "file", feature = "sqlite")))]
mod bytes;
mod cache;
mod canary;
#[cfg(feature = "tokio")]
mod cancellation;
mod changes;
mod check;
mod client;
mod common;
mod conformance;
#[cfg(feature = "http")]
mod device_flow;
#[cfg(all(feature = "http", feature = "http-async"))]
mod discovery;
mod family;
#[cfg(all(feature = "file", unix))]
mod file;
mod fixtures;
#[expect(unreachable_pub, reason = "in the package of the fuzz targets it is reachable")]
#[path = "fuzz/src/lib.rs"]
mod fuzz;
mod fuzzing;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http-async")]
mod http_async;
#[cfg(all(feature = "http", feature = "http-async"))]
mod http_tls;
mod identity;
mod keys;
mod limits;
mod model;
mod moving;
mod never_older;
mod on_behalf_of;
mod outages;
mod scale;
mod secrets;
#[cfg(feature = "http")]
mod sign_in;
#[cfg(feature = "http")]
mod slow_server;
mod stores;
mod verify;

#[allow(dead_code, reason = "its main is not run here")]
#[path = "../examples/store_in_redb.rs"]
mod store_in_redb;
#[allow(dead_code, reason = "its main is not run here")]
#[path = "../examples/your_own_store.rs"]
mod your_own_store;

#[cfg(any(feature = "http", feature = "http-async"))]
#[path = "../examples/stand_in/mod.rs"]
mod stand_in;
