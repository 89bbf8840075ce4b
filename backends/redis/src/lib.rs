//! The Redis and Valkey store of `msal-cache`: a token cache that processes on many machines share.
//!
//! [`RedisStore`] is the store, and [`RedisStoreBuilder`] has its options. No type of the crate
//! `redis` is in this interface, so a new version of it is not a breaking change.
//!
//! The store is async and needs a tokio runtime; `Blocking` makes a blocking store of it:
//!
//! ```no_run
//! use msal_cache_core::Blocking;
//! use msal_cache_redis::RedisStore;
//!
//! # async fn open() -> Result<(), msal_cache_core::Error> {
//! let store = RedisStore::builder("rediss://app@cache.example:6380").name("web").connect().await?;
//! # Ok(()) }
//! # fn blocking() -> Result<(), msal_cache_core::Error> {
//! let store = Blocking::connect(RedisStore::connect("redis://127.0.0.1"))?;
//! # Ok(()) }
//! ```
//!
//! # Guarantees
//!
//! - **A commit** is one script, which checks all expectations before it writes. If the client or
//!   the connection is lost, all of it or nothing is applied. How durable it is, is decided by the
//!   persistence and the replication of the server; it can wait for replicas
//!   ([`RedisStoreBuilder::replicas`]).
//! - **A lost connection** is made again, and the call is repeated once. A commit that is repeated
//!   is not applied twice unless another commit came in between. If it can't be repeated, the error
//!   is [`RedisFailure::OutcomeUnknown`].
//! - **A load**, of one partition or several, is one script in one round trip. If nothing has
//!   changed, the reply is a number.
//! - **A look-up of what this process has loaded before** needs no round trip while it is certain that
//!   it has not changed: the server reports each change (`CLIENT TRACKING`) on the connection that all
//!   calls use, and a heartbeat, sent each 125 ms, proves that the connection works and that no report
//!   was lost. Such an answer is as old as a report takes to arrive. A connection that ends, `FLUSHALL`,
//!   and a primary that becomes a replica end local answers; a connection that is cut off without
//!   notice ends them after [`RedisStoreBuilder::max_staleness`]. A process sees its own commits at once.
//! - **Revisions** are drawn by the clients and never counted by the server. So no revision is used
//!   twice, also after a restart without persistence, `FLUSHALL` or a failover to an older replica.
//! - **A listing** is read in chunks of at most 64 partitions or about 100 records, since a server does
//!   nothing else while a script runs. Partitions that change meanwhile are read again, so the result is
//!   of the moment of its last chunk.
//!   A listing that is overtaken by the deletion of a thousand users starts again.
//! - **A purge** deletes up to 25 records in each step, so that others wait for less than two milliseconds.
//!   Other clients may see some expired records deleted and others not yet; each user is read as one step
//!   left it.
//! - **In a cluster**, a cache is on one node, since all its keys have one hash tag. The store finds that
//!   node from any other, and again after a failover or a resharding. While the slot of the cache is on its
//!   way to another node, calls wait up to the timeout; nothing is stored in part.
//! - **With sentinels**, they are asked for the primary at each new connection.
//! - **A watch** is notified by the same reports, and keeps the connection.
//! - **A partition ends by itself** an hour after all of its records have expired. A user with a record that
//!   doesn't expire, such as a refresh token, is kept for ever, or until no process has used it for
//!   [`RedisStoreBuilder::idle_limit`]. Each process deletes what is over every two seconds, records, index
//!   and all. Where no process runs, the keys have a lifetime that ends an hour later, and the index is
//!   cleaned afterwards.
//! - **A guard** is a key with a lease of 3 seconds, which is renewed until the guard is dropped. If
//!   its holder dies, it ends within that time, for a process that has been connected for as long. After a
//!   restart of the server or a failover, no process has, so a holder whose lease has ended meanwhile stores
//!   its new refresh token before another process takes the guard. A commit by a holder that lost it is a
//!   conflict, once, so the cache reads again before it stores.
//! - **Data that isn't ours** at a key of the cache, data of a newer version of this crate, a server
//!   before Redis 6.2, missing permissions and an eviction policy that deletes keys without an expiry
//!   are errors, and nothing is written.
//! - **A full server** (`maxmemory`) refuses new records, and deletes records as before, so users can
//!   sign out.
//!
//! # Keys, version 1
//!
//! All keys of a cache share the hash tag `{msal:<name>}`, so that one script can change them.
//!
//! | key | type | content |
//! |---|---|---|
//! | `{msal:<name>}:meta` | hash | `version`, `rev`: the revision of the whole; `n`: a counter; `floor`, `scan` |
//! | `{msal:<name>}:p:<partition>` | hash | `r`: the revision, how many records don't expire, the latest expiry of the others; each record as `section NUL key` → `position:json` |
//! | `{msal:<name>}:own` | hash | `section NUL key` → the partition that holds the record |
//! | `{msal:<name>}:exp` | sorted set | `section NUL key` by expiry |
//! | `{msal:<name>}:parts` | sorted set | partitions by the number of their last change |
//! | `{msal:<name>}:gone` | sorted set | the last 1,000 deleted partitions, likewise |
//! | `{msal:<name>}:due` | sorted set | partitions that end, by the time in milliseconds |
//! | `{msal:<name>}:g:<partition>` | string | the token of the holder of a guard; expires a minute after its last renewal, and its lease 3 seconds after it |
//!
//! The keys ending in `:probe-1` and `:probe-2` exist while a connection is checked.
//!
//! # Limits
//!
//! The values are stored as text, readable for everyone who can
//! read the keys.

#![forbid(unsafe_code)]

mod builder;
mod error;
mod guard;
mod keys;
mod leases;
mod nodes;
mod reply;
mod scripts;
mod server;
mod state;
mod store;
mod tracking;
mod watch;

pub use builder::RedisStoreBuilder;
pub use error::RedisFailure;
pub use msal_cache_core::Credentials;
pub use store::RedisStore;
