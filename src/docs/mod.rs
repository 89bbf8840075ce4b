//! Guides, each about one subject.
//!
//! | guide | |
//! |---|---|
//! | [`acquiring_tokens`] | accounts, silent tokens, token endpoints |
//! | [`mod@sign_in`] | sign-in by browser, by device code and to web apps: what is checked, remote machines, MSAL Python |
//! | [`mod@azure`] | credentials for the Azure SDK for Rust |
//! | [`asynchronous`] | tokio programs: stores, HTTP, cancellation, shutdown |
//! | [`authorities_and_errors`] | which tokens belong to which authority; errors, and who can change them |
//! | [`which_token`] | which of several cached tokens a request gets, and which it never gets |
//! | [`mod@file`] | the JSON file: writing, the lock, permissions, broken files, where it is |
//! | [`sqlite`] | the database |
//! | [`postgresql`] | a cache in a PostgreSQL database |
//! | [`mod@redis`] | a cache on a Redis or Valkey server |
//! | [`mod@secret_service`] | the key store of the Linux desktop, shared with other MSAL libraries |
//! | [`outages`] | what a cache does while the server of its store can't be reached |
//! | [`mod@sealed`] | encryption at rest: keys, rotation, the format |
//! | [`your_own_store`] | a store for a string or for records, blocking or async, and its tests |
//! | [`sharing`] | one file with other MSAL libraries |
//! | [`from_msal_python`] | MSAL Python's names, and the differences |
//! | [`guarantees`] | what is guaranteed, how it is checked, and the limits |
//! | [`metrics`] | what operators count and time |
//! | [`performance`] | measured times, and how to measure them |
//! | [`command`] | the command `msal-cache`: exit codes, JSON |
//!
//! # Stores and features
//!
//! | store | feature | keeps tokens | concurrent writers |
//! |---|---|---|---|
//! | `Memory` | none | until the process ends | threads |
//! | `FileStore` | `file` (default) | in one JSON file, mode 0600 | threads, processes, other MSAL libraries |
//! | `SqliteStore` | `sqlite`, `sqlite-bundled` | in a row for each token, mode 0600 | threads and processes of one machine |
//! | `PostgresStore` | `postgres` | in rows of a PostgreSQL database | processes on many machines |
//! | `RedisStore` | `redis` | on a Redis or Valkey server | processes on many machines |
//! | `SecretServiceStore` | `secret-service` | encrypted, in the key store of the Linux desktop | threads, processes, other MSAL libraries |
//! | `Document<B>` over your `BlobStore` | none | where your store puts the string | as your `swap` guarantees |
//! | your `CacheStore` | none | in records of your own | as your `commit` guarantees |
//!
//! Further features: `tokio` (the async form), `http` and `http-async` (token endpoints over HTTPS,
//! sign-in by browser and by device code, for blocking and async programs), `azure` (credentials for
//! the Azure SDK), `cli` (the command),
//! `tracing` (events), `metrics` (counters and times), `watch` (changes of a file by the system's
//! notifications), `conformance` (the tests of a store). Each feature works alone and with all
//! others, and adds only its own dependencies: `file` adds no SQLite, and `sqlite` no file locks.
//! With `default-features = false`, none is on.
//!
//! # Examples
//!
//! `cargo run --example <name>` runs one of the [examples]; the comment at its top names the features
//! that it needs.
//!
//! | example | |
//! |---|---|
//! | `quickstart` | the main job, step by step |
//! | `query_and_clean_up` | querying a cache, and keeping it small |
//! | `share_between_apps` | two processes, one file |
//! | `share_with_python` | a Python app and a Rust app, one file; needs Python 3 with `venv` |
//! | `fall_back_to_memory` | when a cache can't be used, a file or a sealed one |
//! | `sealed` | an encrypted database, and a key that changes |
//! | `sign_in` | a desktop or command-line app that signs in by the system browser |
//! | `device_code` | a command-line app that signs in by device code and stays signed in |
//! | `azure_sdk` | a client of the Azure SDK whose user signs in once |
//! | `daemon` | an app without a user: client credentials |
//! | `web_app` | a web app with a thousand users, on SQLite |
//! | `axum_app` | an async web app on axum, on `SQLite`, PostgreSQL or Redis: sign-in by code, an API, graceful shutdown, health, metrics |
//! | `your_own_store` | a store for a string that can be read and swapped |
//! | `store_in_redb` | a store for records, in an embedded database |
//!
//! [examples]: https://github.com/msal-cache/msal-cache/tree/main/examples

#[cfg_attr(all(feature = "file", feature = "http"), doc = include_str!("acquiring_tokens.md"))]
#[cfg_attr(
    not(all(feature = "file", feature = "http")),
    doc = "Built with the features `file` and `http`."
)]
pub mod acquiring_tokens {}

#[cfg_attr(
    all(feature = "http-async", feature = "http", feature = "file", feature = "sqlite"),
    doc = include_str!("asynchronous.md")
)]
#[cfg_attr(
    not(all(feature = "http-async", feature = "http", feature = "file", feature = "sqlite")),
    doc = "Built with the features `http-async`, `http`, `file` and `sqlite`."
)]
pub mod asynchronous {}

#[cfg_attr(all(feature = "file", feature = "http"), doc = include_str!("sign_in.md"))]
#[cfg_attr(
    not(all(feature = "file", feature = "http")),
    doc = "Built with the features `file` and `http`."
)]
pub mod sign_in {}

#[cfg_attr(all(feature = "azure", feature = "file"), doc = include_str!("azure.md"))]
#[cfg_attr(
    not(all(feature = "azure", feature = "file")),
    doc = "Built with the features `azure` and `file`."
)]
pub mod azure {}

#[doc = include_str!("which_token.md")]
pub mod which_token {}

#[doc = include_str!("authorities_and_errors.md")]
pub mod authorities_and_errors {}

#[cfg_attr(feature = "file", doc = include_str!("file.md"))]
#[cfg_attr(not(feature = "file"), doc = "Built with the feature `file`.")]
pub mod file {}

#[cfg_attr(feature = "postgres", doc = include_str!("postgresql.md"))]
#[cfg_attr(not(feature = "postgres"), doc = "Built with the feature `postgres`.")]
pub mod postgresql {}

#[cfg_attr(feature = "redis", doc = include_str!("redis.md"))]
#[cfg_attr(not(feature = "redis"), doc = "Built with the feature `redis`.")]
pub mod redis {}

#[cfg_attr(feature = "secret-service", doc = include_str!("secret_service.md"))]
#[cfg_attr(not(feature = "secret-service"), doc = "Built with the feature `secret-service`.")]
pub mod secret_service {}

#[doc = include_str!("outages.md")]
pub mod outages {}

#[cfg_attr(all(feature = "sealed", feature = "file", feature = "sqlite"), doc = include_str!("sealed.md"))]
#[cfg_attr(
    not(all(feature = "sealed", feature = "file", feature = "sqlite")),
    doc = "Built with the features `sealed`, `file` and `sqlite`."
)]
pub mod sealed {}

#[cfg_attr(feature = "sqlite", doc = include_str!("sqlite.md"))]
#[cfg_attr(not(feature = "sqlite"), doc = "Built with the feature `sqlite`.")]
pub mod sqlite {}

#[doc = include_str!("your_own_store/string.md")]
#[doc = concat!("```rust\n", include_str!("../../examples/your_own_store.rs"), "\n```\n")]
#[doc = include_str!("your_own_store/records.md")]
#[doc = concat!("```rust,no_run\n", include_str!("../../examples/store_in_redb.rs"), "\n```\n")]
#[doc = include_str!("your_own_store/async_and_tests.md")]
pub mod your_own_store {}

#[cfg_attr(feature = "file", doc = include_str!("sharing.md"))]
#[cfg_attr(not(feature = "file"), doc = "Built with the feature `file`.")]
pub mod sharing {}

#[doc = include_str!("from_msal_python.md")]
pub mod from_msal_python {}

#[cfg_attr(feature = "file", doc = include_str!("guarantees.md"))]
#[cfg_attr(not(feature = "file"), doc = "Built with the feature `file`.")]
pub mod guarantees {}

#[doc = include_str!("metrics.md")]
pub mod metrics {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("command.md")]
#[doc = concat!("```text\n", include_str!("json.txt"), "```")]
pub mod command {}
