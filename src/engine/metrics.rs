//! What operators count and time, by the `metrics` facade. Without the feature `metrics`, each of
//! these compiles to nothing. No name and no label has data of users.

use std::time::Duration;

#[cfg(feature = "metrics")]
use msal_cache_core::internal::observe_lock_waits;
use msal_cache_core::{Error, Result};

use crate::model::{AcquireError, AcquireResult, AnsweredBy, RefreshReason};

/// Declares the metrics: their kinds, names and descriptions.
#[cfg(feature = "metrics")]
macro_rules! metrics {
    ($($constant:ident: $describe:ident $name:literal $description:literal;)*) => {
        $(const $constant: &str = $name;)*

        /// Describes the metrics to the recorder, and asks the stores for theirs.
        pub(crate) fn describe() {
            $(::metrics::$describe!($constant, $description);)*
            observe_lock_waits(|waited| ::metrics::histogram!(LOCK_SECONDS).record(waited));
        }
    };
}

#[cfg(feature = "metrics")]
metrics! {
    LOOKUPS: describe_counter "msal_cache_lookups_total"
        "Look-ups of tokens and other entries, by whether any was found.";
    READS: describe_counter "msal_cache_reads_total"
        "Reads of a partition, by the level that had it.";
    ACQUISITIONS: describe_counter "msal_cache_acquisitions_total"
        "Acquired tokens and failures, by outcome.";
    REFRESHES: describe_counter "msal_cache_refreshes_total"
        "Refreshes, by the reason.";
    REQUESTS: describe_counter "msal_cache_token_requests_total"
        "Requests to the token endpoint, by outcome.";
    REQUEST_SECONDS: describe_histogram "msal_cache_token_request_seconds"
        "The time of a request to the token endpoint.";
    GUARD_SECONDS: describe_histogram "msal_cache_guard_wait_seconds"
        "The time that a refresh waited for its guard.";
    LOCK_SECONDS: describe_histogram "msal_cache_lock_wait_seconds"
        "The time to get the lock of a file, and the waits for a busy database.";
    STORE_SECONDS: describe_histogram "msal_cache_store_seconds"
        "The time of a call of the store that takes any, by verb.";
    CONFLICTS: describe_counter "msal_cache_conflicts_total"
        "Commits that another writer came before.";
    UNAVAILABLE: describe_counter "msal_cache_store_unavailable_total"
        "Calls of the store that failed because its server could not be reached.";
    DECODED_BYTES: describe_gauge "msal_cache_decoded_bytes"
        "The memory that decoded partitions take.";
    IN_FLIGHT: describe_gauge "msal_cache_requests_in_flight"
        "Acquisitions from the server that have not ended.";
}

#[cfg(not(feature = "metrics"))]
pub(crate) fn describe() {}

/// Emits a metric, or evaluates nothing; its arguments count as used.
#[cfg(feature = "metrics")]
macro_rules! emit {
    ($kind:ident!($name:ident $(, $label:literal => $value:expr)*).$verb:ident($amount:expr)) => {
        ::metrics::$kind!($name $(, $label => $value)*).$verb($amount)
    };
}

#[cfg(not(feature = "metrics"))]
macro_rules! emit {
    ($kind:ident!($name:ident $(, $label:literal => $value:expr)*).$verb:ident($amount:expr)) => {
        { let _ = || ($($value,)* $amount); }
    };
}

#[inline]
pub(crate) fn lookup(found: bool) {
    // Literal labels make a static key: a look-up allocates nothing.
    if found {
        emit!(counter!(LOOKUPS, "result" => "hit").increment(1));
    } else {
        emit!(counter!(LOOKUPS, "result" => "miss").increment(1));
    }
}

#[inline]
pub(crate) fn read(level: AnsweredBy) {
    match level {
        AnsweredBy::DecodedCache => {
            emit!(counter!(READS, "level" => "decoded_cache").increment(1));
        }
        AnsweredBy::LastKnown => emit!(counter!(READS, "level" => "last_known").increment(1)),
        _ => emit!(counter!(READS, "level" => "store").increment(1)),
    }
}

pub(crate) fn refresh(reason: RefreshReason) {
    emit!(counter!(REFRESHES, "reason" => reason.as_str()).increment(1));
}

/// Counts the outcome of an acquisition, and returns it.
#[inline]
pub(crate) fn acquired(result: AcquireResult) -> AcquireResult {
    match outcome(&result) {
        "cached" => emit!(counter!(ACQUISITIONS, "outcome" => "cached").increment(1)),
        other => emit!(counter!(ACQUISITIONS, "outcome" => other).increment(1)),
    }
    result
}

/// Counts an acquisition that fails before it can send a request, and returns the error.
pub(crate) fn failed(error: impl Into<AcquireError>) -> AcquireError {
    let error = error.into();
    emit!(counter!(ACQUISITIONS, "outcome" => outcome_of(&error)).increment(1));
    error
}

fn outcome(result: &AcquireResult) -> &'static str {
    use crate::model::TokenSource;
    match result {
        Ok(token) if token.refresh_error().is_some() => "fallback",
        Ok(token) if token.source() == TokenSource::Cache => "cached",
        Ok(token) if token.metadata().requests() == 0 => "shared",
        Ok(_) => "issued",
        Err(error) => outcome_of(error),
    }
}

fn outcome_of(error: &AcquireError) -> &'static str {
    match error {
        AcquireError::InteractionRequired(_) => "interaction_required",
        AcquireError::Refused(_) => "refused",
        AcquireError::Transport(_) => "transport",
        AcquireError::InvalidResponse(_) => "invalid_response",
        AcquireError::NotStored { .. } => "not_stored",
        _ => "failed",
    }
}

/// `outcome` is `granted`, `refused` or `failed`.
pub(crate) fn request(outcome: &'static str, took: Duration) {
    emit!(counter!(REQUESTS, "outcome" => outcome).increment(1));
    emit!(histogram!(REQUEST_SECONDS, "outcome" => outcome).record(took.as_secs_f64()));
}

pub(crate) fn guard(taken: bool, waited: Duration) {
    let outcome = if taken { "taken" } else { "not_taken" };
    emit!(histogram!(GUARD_SECONDS, "outcome" => outcome).record(waited.as_secs_f64()));
}

pub(crate) fn decoded(bytes: usize) {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let size = || bytes as f64;
    emit!(gauge!(DECODED_BYTES).set(size()));
}

pub(crate) fn in_flight(requests: usize) {
    emit!(gauge!(IN_FLIGHT).set(u32::try_from(requests).unwrap_or(u32::MAX)));
}

/// Records a call of the store, with its time if it was measured.
#[inline]
pub(crate) fn store<T>(verb: &'static str, took: Option<Duration>, done: &Result<T>) {
    macro_rules! record {
        ($took:ident: $($verb:literal)*) => {
            match verb {
                $($verb => emit!(histogram!(STORE_SECONDS, "verb" => $verb).record($took)),)*
                other => emit!(histogram!(STORE_SECONDS, "verb" => other).record($took)),
            }
        };
    }
    if let Some(took) = took {
        // As in `lookup`.
        record!(took: "load" "load_many" "list" "commit" "purge");
    }
    match done {
        Err(Error::Conflict) => emit!(counter!(CONFLICTS).increment(1)),
        Err(Error::Unavailable { .. }) => emit!(counter!(UNAVAILABLE).increment(1)),
        _ => {}
    }
}
