//! The behavior of the cache and its clients through the async API, over a store that suspends: the
//! same tests as in `main.rs`, compiled with `msal-cache-driven` instead of `msal-cache`.

#![allow(dead_code, reason = "not all that the tests share is used here")]

extern crate msal_cache_driven as msal_cache;

mod cache;
mod canary;
mod check;
mod client;
mod common;
mod device_flow;
mod family;
mod http;
mod identity;
mod limits;
mod model;
mod moving;
mod outages;
mod stores;

#[path = "../examples/stand_in/mod.rs"]
mod stand_in;
#[path = "../examples/your_own_store.rs"]
mod your_own_store;
