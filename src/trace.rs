//! The events of this crate, so that no other file asks whether the feature is on. Numbers and
//! kinds alone; never a key, a name or a secret.

#[cfg(feature = "tracing")]
mod inner {
    /// A token response is stored.
    pub(crate) fn added(records: usize, swept: usize) {
        tracing::debug!(records, swept, "stored a token response");
    }

    /// A search is done.
    pub(crate) fn searched(credential_type: &str, among: usize, found: usize) {
        tracing::trace!(credential_type, among, found, "searched");
    }
}

#[cfg(not(feature = "tracing"))]
mod inner {
    pub(crate) fn added(_records: usize, _swept: usize) {}

    pub(crate) fn searched(_type: &str, _among: usize, _found: usize) {}
}

pub(crate) use inner::{added, searched};
