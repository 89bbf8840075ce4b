//! The steps of a cache: read, plan, commit, request, wait. Each is written once, as `async fn`
//! over an async store and a [`Runtime`]; the blocking face polls it once, the
//! async face awaits it.

mod accounts;
mod acquire;
mod after;
mod back_off;
mod decoded_cache;
mod in_flight;
mod known;
mod known_clouds;
mod meter;
mod metrics;
mod outages;
mod read;
#[cfg(any(feature = "http", feature = "http-async"))]
mod redeem;
mod refresh;
mod runtime;
mod settle;
mod sign_out;
mod state;
mod verify;
mod watcher;
mod whole;
mod write;

pub(crate) use acquire::Acquisition;
#[cfg(any(feature = "http", feature = "http-async"))]
pub(crate) use redeem::{Grant, RedeemError, Redemption, usable};
#[cfg(any(feature = "http", feature = "http-async"))]
pub(crate) use runtime::Runtime;
pub(crate) use runtime::Threads;
#[cfg(feature = "tokio")]
pub(crate) use runtime::Tokio;
pub(crate) use state::{CacheOptions, Engine};
pub(crate) use watcher::Watcher;
