//! Checks a cache for problems, and repairs it.
//!
//! This library reads records that other libraries reject: a time that is `null`, a record under
//! an unusual key, two records with the same identity. [`TokenCache::check`] reports them, with
//! their effect on each library. [`TokenCache::repair`] fixes those that can be fixed without
//! losing anything usable. Both call [`check`], a pure function from entries and a time to
//! [`Finding`]s.
//!
//! The effects were observed by opening such files with MSAL Python 1.39, Node 7.2, Go 1.9 and
//! .NET 4.83.
//!
//! ```
//! use msal_cache::TokenCache;
//! use msal_cache::check::{Kind, Severity};
//!
//! let cache = TokenCache::in_memory();
//! cache.deserialize(r#"{"RefreshToken": {"an unusual key": {
//!     "credential_type": "RefreshToken", "secret": "s3cret", "home_account_id": "uid.utid",
//!     "environment": "login.example", "client_id": "c", "family_id": 1
//! }}}"#)?;
//! let found: Vec<_> = cache.check()?.iter().map(|it| it.kind().as_str()).collect();
//! assert_eq!(found, ["misplaced-key", "number", "no-account"]);
//!
//! let repaired = cache.repair()?;
//! assert_eq!(repaired.len(), 2);
//! let left = cache.check()?;
//! assert_eq!(left[0].kind(), &Kind::NoAccount);
//! assert_eq!(left[0].severity(), Severity::Note);
//! # Ok::<(), msal_cache::Error>(())
//! ```
//!
//! [`TokenCache::check`]: crate::TokenCache::check
//! [`TokenCache::repair`]: crate::TokenCache::repair

mod finding;
mod identity;
mod inspect;
mod key;
mod repair;
mod salvage;
mod text;

pub use finding::{Finding, Kind, Severity};
pub use inspect::check;
pub(crate) use inspect::repairable_partitions;
pub(crate) use repair::repair_partition;
pub use salvage::salvage;
pub use text::{Readers, TextFault, readers};
