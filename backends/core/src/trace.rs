//! The events of this crate, so that no other file asks whether the feature is on.

/// A commit met a conflict and will be planned again.
#[cfg(feature = "tracing")]
pub(crate) fn conflict(tries: u32) {
    tracing::debug!(tries, "conflict: planning the commit again");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn conflict(_tries: u32) {}
