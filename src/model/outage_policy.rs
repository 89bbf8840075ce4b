use std::time::Duration;

/// What look-ups do while the server of the store can't be reached, which is an
/// [`Error::Unavailable`](crate::Error::Unavailable). The guide is
/// [`docs::outages`](crate::docs::outages).
///
/// Look-ups are [`find`](crate::TokenCache::find) and [`search`](crate::TokenCache::search), the
/// accounts of a [`Client`](crate::Client), and the first step of each acquisition. Everything else
/// reports the error under both policies.
///
/// ```
/// use std::time::Duration;
/// use msal_cache::{Memory, TokenCache, outage::OutagePolicy};
///
/// let cache = TokenCache::builder(Memory::new())
///     .outage_policy(OutagePolicy::ServeKnown(Duration::from_secs(600)))
///     .build();
/// # let _ = cache;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutagePolicy {
    /// A look-up returns the error.
    #[default]
    Error,
    /// A look-up returns what this process knows of the user, or of the app, if the store has
    /// confirmed it at most this long ago. Otherwise it returns the error.
    ///
    /// What this process has removed, or has tried to remove, is not returned; nor what it has read
    /// to be removed by another process. A change by another process that it has not read is
    /// unknown to it: the time bounds for how long. It counts by the cache's clock, in full
    /// seconds, and also by a clock that can't be set.
    ServeKnown(Duration),
}
