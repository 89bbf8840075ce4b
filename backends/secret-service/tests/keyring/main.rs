//! The store on a real key store. Needs a session bus, so it only runs by name:
//! `tests/servers/secret-service cargo test -p msal-cache-secret-service --test keyring`.
#![cfg(target_os = "linux")]

mod app_keys;
mod bus;
mod conformance;
mod entries;
mod failures;
mod support;
