//! The PostgreSQL store of `msal-cache`: one row for each token, in a database that many machines
//! share.
//!
//! [`PostgresStore`] is the store, and [`PostgresStoreBuilder`] has its options. No type of
//! `tokio-postgres` is in this interface, so a new version of it is not a breaking change.
//!
//! The store is async and needs a tokio runtime; `Blocking` makes a blocking store of it:
//!
//! ```no_run
//! use msal_cache_core::Blocking;
//! use msal_cache_postgres::PostgresStore;
//!
//! # async fn open() -> Result<(), msal_cache_core::Error> {
//! let store = PostgresStore::builder("postgres://app@db.example/tokens").name("web").connect().await?;
//! # Ok(()) }
//! # fn blocking() -> Result<(), msal_cache_core::Error> {
//! let store = Blocking::connect(PostgresStore::connect("postgres://app@localhost/tokens"))?;
//! # Ok(()) }
//! ```
//!
//! # Guarantees
//!
//! - **A commit** is one call of a function in the database, in one round trip and one transaction.
//!   It locks the rows of its partitions in the order of their ids, so commits don't deadlock among
//!   themselves. It is durable when it returns, as far as `synchronous_commit` says.
//! - **One key is one record.** The primary key of a record is a hash of section and key. A put
//!   under a key of another partition takes it from there, and both get new revisions.
//! - **A read** is one statement, in one round trip, also of several partitions. A listing is one
//!   statement, and a second one if it has changed since the known revision.
//! - **A purge** deletes in transactions of at most 1,000 partitions, each of which locks its
//!   partitions in order.
//! - **Revisions** are drawn by the client and never counted by the server, so none is used twice.
//! - **A look-up of what this process has loaded before** needs no round trip while it is certain that it has not
//!   changed, if [`PostgresStoreBuilder::max_staleness`] is set. Then the server notifies this process of
//!   each change (`LISTEN`, `NOTIFY`) on a connection of its own, and a heartbeat proves that it still does: its
//!   answer comes after the notification of each commit that was acknowledged before it was sent. Such an
//!   answer is as old as a notification takes to arrive, and a process sees its own commits at once. A connection that
//!   ends, and with it a server that is killed and a failover, ends local answers at once; one that is cut
//!   off without notice ends them after `max_staleness`.
//! - **Each commit notifies** in its transaction while a process listens, by a row in a table that the functions
//!   in the database read. So it needs no option of the process that commits. The row is renewed and is
//!   deleted with the store; where the process dies, it ends half a minute later. A process that starts to
//!   listen waits for the transactions that began before. What another server answers, such as a standby, is
//!   not remembered.
//! - **A watch** is notified in the same way, and asks each second without that option.
//! - **A lost connection** is replaced, and a read is repeated once. A commit writes its revision into a
//!   row of its connection. If its answer is lost, that row is closed and read on another connection, so
//!   it is known whether the commit was applied, and one that was not never will be; then it is repeated
//!   once. Only where the server can't be asked within the time-out, the error is
//!   [`PostgresFailure::OutcomeUnknown`].
//! - **A guard** is an advisory lock of a session that the store keeps, and a row that notes its holder. If
//!   the session ends before the holder has released the guard, as with its process, its connection or the
//!   server, others take it three seconds after they first ask, so that the holder can store a refresh token that it has
//!   just got. Through a pooler, which gives a session to several clients, it is a lease
//!   of three seconds in a table, which a task renews. A holder that has lost its lease can't commit: its
//!   next commit to the partition is an [`Error::Conflict`](msal_cache_core::Error::Conflict). Guards of both
//!   kinds exclude each other.
//! - **A pooler** that gives each transaction any session, such as PgBouncer in transaction mode, is
//!   found out: each new connection checks whether its session has the settings that it asked for. Then
//!   no statement is prepared, and each write has its settings in its transaction, still in one round trip.
//! - **Text** is stored as `bytea`, so it can have NUL and any Unicode, whatever the encoding of the
//!   database is.

#![forbid(unsafe_code)]

mod address;
mod builder;
mod calls;
mod connection;
mod error;
mod guard;
mod id;
mod lease;
mod listener;
mod migration;
mod names;
mod passfile;
mod pool;
mod store;
mod tls;
mod write;

pub use builder::PostgresStoreBuilder;
pub use error::PostgresFailure;
pub use msal_cache_core::Credentials;
pub use store::PostgresStore;
