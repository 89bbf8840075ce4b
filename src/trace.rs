//! The events of this crate, so that no other file asks whether the feature is on. Numbers, kinds
//! and the ids of clients; of users a hash alone; never a key, a name or a secret.
//!
//! What a client does has the target `msal_cache::client`. Whoever audits it records `info` and
//! above: each token that was acquired, refused or removed, each sign-out.

use std::time::Duration;

use msal_cache_core::{Error, Partition};

use crate::{RefreshReason, ServerError, TransportError};

#[cfg(feature = "tracing")]
mod inner {
    use super::{Duration, Error, Partition, RefreshReason, ServerError, TransportError};

    macro_rules! client {
        ($level:ident, $($event:tt)*) => {
            tracing::$level!(target: "msal_cache::client", $($event)*)
        };
    }

    /// A token response is stored.
    pub(crate) fn added(records: usize, swept: usize) {
        tracing::debug!(records, swept, "stored a token response");
    }

    /// There are more access tokens than the cache may hold, and they can't be deleted now.
    pub(crate) fn over_limit(error: &Error) {
        tracing::warn!(%error, "the cache is over its limit; the next sign-in tries again");
    }

    /// A search is done.
    pub(crate) fn searched(credential_type: &str, among: usize, found: usize) {
        tracing::trace!(credential_type, among, found, "searched");
    }

    /// An access token is given out from the cache.
    pub(crate) fn hit(of: &Partition, client_id: &str) {
        client!(debug, of = of.digest(), client_id, "gave out a cached access token");
    }

    /// The cache has no good access token.
    pub(crate) fn miss(of: &Partition, client_id: &str, reason: RefreshReason) {
        client!(debug, of = of.digest(), client_id, ?reason, "a new access token is needed");
    }

    /// The server has issued a token, which is stored.
    pub(crate) fn refreshed(of: &Partition, client_id: &str, reason: RefreshReason) {
        client!(info, of = of.digest(), client_id, ?reason, "acquired an access token");
    }

    /// Somebody else has refreshed the token meanwhile.
    pub(crate) fn refreshed_elsewhere(of: &Partition, client_id: &str) {
        client!(debug, of = of.digest(), client_id, "another one has refreshed the token");
    }

    /// The server has refused.
    pub(crate) fn refused(of: &Partition, client_id: &str, error: &ServerError) {
        let (of, suberror, code) = (of.digest(), error.suberror(), error.error_codes().first());
        let correlation_id = error.correlation_id();
        let error = error.error();
        client!(
            info,
            of,
            client_id,
            error,
            suberror,
            code,
            correlation_id,
            "the token endpoint refused"
        );
    }

    /// The server has not answered.
    pub(crate) fn no_answer(of: &Partition, client_id: &str, error: &TransportError) {
        let (of, kind, status) = (of.digest(), error.kind(), error.status());
        client!(warn, of, client_id, ?kind, status, "the token endpoint gave no answer");
    }

    /// A token that failed is removed, or was replaced by another one before.
    pub(crate) fn evicted(of: &Partition, credential_type: &str, evicted: bool) {
        let of = of.digest();
        if evicted {
            client!(info, of, credential_type, "removed a token that failed");
        } else {
            client!(debug, of, credential_type, "a token that failed was replaced already");
        }
    }

    /// A user is signed out.
    pub(crate) fn signed_out(of: &Partition, client_id: &str, records: usize) {
        client!(info, of = of.digest(), client_id, records, "signed a user out");
    }

    /// The user was signed out while the server was asked.
    pub(crate) fn signed_out_meanwhile(of: &Partition, client_id: &str) {
        let of = of.digest();
        client!(info, of, client_id, "dropped a token of a user who was signed out meanwhile");
    }

    /// The guard of a refresh was granted.
    pub(crate) fn waited_for_guard(of: &Partition, waited: Duration) {
        let waited = waited.as_secs_f64();
        client!(debug, of = of.digest(), waited, "took the guard of a refresh");
    }
}

#[cfg(not(feature = "tracing"))]
mod inner {
    use super::{Duration, Error, Partition, RefreshReason, ServerError, TransportError};

    pub(crate) fn added(_records: usize, _swept: usize) {}

    pub(crate) fn over_limit(_error: &Error) {}

    pub(crate) fn searched(_type: &str, _among: usize, _found: usize) {}

    pub(crate) fn hit(_of: &Partition, _client_id: &str) {}

    pub(crate) fn miss(_of: &Partition, _client_id: &str, _reason: RefreshReason) {}

    pub(crate) fn refreshed(_of: &Partition, _client_id: &str, _reason: RefreshReason) {}

    pub(crate) fn refreshed_elsewhere(_of: &Partition, _client_id: &str) {}

    pub(crate) fn refused(_of: &Partition, _client_id: &str, _error: &ServerError) {}

    pub(crate) fn no_answer(_of: &Partition, _client_id: &str, _error: &TransportError) {}

    pub(crate) fn evicted(_of: &Partition, _type: &str, _evicted: bool) {}

    pub(crate) fn signed_out(_of: &Partition, _client_id: &str, _records: usize) {}

    pub(crate) fn signed_out_meanwhile(_of: &Partition, _client_id: &str) {}

    pub(crate) fn waited_for_guard(_of: &Partition, _waited: Duration) {}
}

pub(crate) use inner::*;
