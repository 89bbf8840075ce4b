//! The store on a server, whose URL is in `MSAL_CACHE_POSTGRES_URL`: `tests/servers/postgres` starts one.

mod conformance;
mod cuts;
mod disk;
mod environment;
mod faults;
mod first_start;
mod grace;
mod listening;
mod opening;
mod pooler;
mod proxy;
mod rows;
mod sealed;
mod security;
mod server;
mod support;
mod tls;
