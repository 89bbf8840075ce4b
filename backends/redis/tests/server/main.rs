//! Tests against a server, which `tests/servers/redis` starts.

mod blocking;
mod cluster;
mod conformance;
mod expiry;
mod failover;
mod failures;
mod grace;
mod guards;
mod local;
mod processes;
mod proxy;
mod sealed;
mod sentinel;
mod servers;
mod slow;
mod support;
mod tasks;
mod versions;
