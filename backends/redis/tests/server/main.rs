//! Tests against a server, which `tests/servers/redis` starts.

mod blocking;
mod conformance;
mod failures;
mod guards;
mod local;
mod proxy;
mod servers;
mod support;
