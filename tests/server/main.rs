//! Tests over a server. `tests/servers/postgres` and `tests/servers/redis` start one, and set
//! `MSAL_CACHE_POSTGRES_URL` or `MSAL_CACHE_REDIS_URL`.

mod administration;
#[allow(dead_code, reason = "only the names of the subcommands are used")]
#[path = "../../src/bin/msal-cache/args.rs"]
mod args;
#[allow(dead_code, reason = "only the names of the subcommands are used")]
#[path = "../../src/bin/msal-cache/flags.rs"]
mod flags;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../command/tool.rs"]
mod tool;

#[path = "../cache.rs"]
mod cache;
#[path = "../client/mod.rs"]
mod client;
mod command;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../common.rs"]
mod common;
mod cuts;
mod evidence;
#[path = "../identity.rs"]
mod identity;
mod killable;
#[path = "../model.rs"]
mod model;
#[path = "../moving.rs"]
mod moving;
#[path = "../never_older.rs"]
mod never_older;
mod one_use;
mod outages;
mod processes;
mod stores;
#[allow(dead_code, reason = "its main is not run here")]
#[path = "../../examples/your_own_store.rs"]
mod your_own_store;
