//! What is wrong with a cache, for whom, and what can be mended.
//!
//! A cache works with much in it that a stricter library stumbles over: a time that is `null`, a
//! record under a key of its own, two records for one identity. [`TokenCache::check`] finds such
//! things and says of each what it means for whom; [`TokenCache::repair`] mends those that can be
//! mended without losing anything. Both rest on [`check`], which is pure: entries and a time go
//! in, [`Finding`]s come out.
//!
//! What each library does with each fault was seen by giving them such files: MSAL Python 1.39,
//! Node 7.2, Go 1.9 and .NET 4.83.
//!
//! ```
//! use msal_cache::TokenCache;
//! use msal_cache::check::{Kind, Severity};
//!
//! let cache = TokenCache::in_memory();
//! cache.deserialize(r#"{"RefreshToken": {"a key of its own": {
//!     "credential_type": "RefreshToken", "secret": "s3cret", "home_account_id": "uid.utid",
//!     "environment": "login.example", "client_id": "c", "family_id": 1
//! }}}"#)?;
//! let found: Vec<_> = cache.check()?.iter().map(|it| it.kind().as_str()).collect();
//! assert_eq!(found, ["misplaced-key", "number", "no-account"]);
//!
//! let mended = cache.repair()?;
//! assert_eq!(mended.len(), 2);
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
mod look;
mod mend;
mod place;
mod salvage;

pub use finding::{Finding, Kind, Severity};
pub use look::check;
pub(crate) use look::mendable;
pub(crate) use mend::mend;
pub use salvage::salvage;
