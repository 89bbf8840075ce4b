use std::time::Duration;

use crate::model::RefreshReason;

/// Where a token came from, and what it cost: see
/// [`AcquiredToken::metadata`](crate::AcquiredToken::metadata). It has what MSAL.NET's
/// `AuthenticationResultMetadata` has.
///
/// Times are in microseconds. They are those of this call: a caller that has waited for the request of
/// another caller has no time in HTTP, but the time that it waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AcquireMetadata {
    answered_by: AnsweredBy,
    refresh_reason: Option<RefreshReason>,
    cost: Cost,
}

/// Which level had the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AnsweredBy {
    /// The cache of decoded partitions: the store reported that the user's entries have not changed.
    DecodedCache,
    /// The store: the entries were read and decoded.
    Store,
    /// This process, while the server of the store can't be reached; see
    /// [`OutagePolicy::ServeKnown`](crate::outage::OutagePolicy::ServeKnown).
    LastKnown,
    /// The token endpoint, by a request of this caller or of one that it waited for.
    Server,
}

impl AnsweredBy {
    /// `decoded_cache`, `store`, `last_known` or `server`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DecodedCache => "decoded_cache",
            Self::Store => "store",
            Self::LastKnown => "last_known",
            Self::Server => "server",
        }
    }
}

/// What an acquisition took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Cost {
    /// In microseconds, as all times here.
    pub(crate) in_store: u32,
    pub(crate) in_http: u32,
    pub(crate) waiting: u32,
    pub(crate) requests: u32,
}

/// A time as the number of microseconds.
pub(crate) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

impl AcquireMetadata {
    pub(crate) fn new(answered_by: AnsweredBy, refresh_reason: Option<RefreshReason>) -> Self {
        Self { answered_by, refresh_reason, cost: Cost::default() }
    }

    pub(crate) fn set_answered_by(&mut self, answered_by: AnsweredBy) {
        self.answered_by = answered_by;
    }

    pub(crate) fn set_cost(&mut self, cost: Cost) {
        self.cost = cost;
    }

    /// Which level had the token.
    pub fn answered_by(&self) -> AnsweredBy {
        self.answered_by
    }

    /// Why it was refreshed, or why that was tried; `None` where a cached token was returned at
    /// once.
    pub fn refresh_reason(&self) -> Option<RefreshReason> {
        self.refresh_reason
    }

    /// The time in the store: reads, and the commit of a response with its repetitions. Zero for a
    /// cached token in a store that answers at once, such as [`Memory`](crate::Memory), where the
    /// clock would take as long as the read.
    pub fn time_in_store(&self) -> Duration {
        Duration::from_micros(self.cost.in_store.into())
    }

    /// The time of the requests to the token endpoint.
    pub fn time_in_http(&self) -> Duration {
        Duration::from_micros(self.cost.in_http.into())
    }

    /// The time that the call waited for another thread, task or process which refreshed the same
    /// user's tokens.
    pub fn time_waiting(&self) -> Duration {
        Duration::from_micros(self.cost.waiting.into())
    }

    /// The number of requests to the token endpoint.
    pub fn requests(&self) -> u32 {
        self.cost.requests
    }
}
