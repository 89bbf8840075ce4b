//! What can't be opened or sealed, and the errors that it becomes.

use msal_cache_core::Error;

/// The cause of an [`Error::Backend`] of a sealed store. A sealed store that can't be opened is never
/// an empty one, and nothing in it has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealFailure {
    /// The key that sealed something is not in the key ring.
    #[error(
        "{what} is sealed by key {number}, which the key ring lacks (it has {}); add the key",
        list(has)
    )]
    MissingKey {
        /// What is sealed.
        what: String,
        /// The number of the key.
        number: u32,
        /// The numbers of the keys that are there.
        has: Vec<u32>,
    },

    /// The seal is broken: the key of this number has other bytes, or what is sealed was changed, was
    /// moved from another record, user or cache, or the cache has another name.
    #[error(
        "{what} can't be opened by key {number}: the key has other bytes, the cache has another name, or \
         it was changed or moved from elsewhere"
    )]
    Broken {
        /// What is sealed.
        what: String,
        /// The number of the key.
        number: u32,
    },

    /// Something in a sealed store is not sealed, or its envelope is damaged.
    #[error(
        "{what} is not sealed, or its envelope is damaged; to encrypt a plain store, call \
         `seal_plain`"
    )]
    NotSealed {
        /// What should be sealed.
        what: String,
    },

    /// The envelope is of a later version of this crate.
    #[error(
        "{what} has an envelope of version {version}; update the program, which knows version 1"
    )]
    Version {
        /// What is sealed.
        what: String,
        /// The version of the envelope.
        version: u8,
    },

    /// The names of a store are hidden and were expected to be legible, or the reverse.
    #[error("the names of the store are {}; open it {} hidden names", if *.hidden { "hidden" } else { "legible" }, if *.hidden { "with" } else { "without" })]
    Names {
        /// Whether the names in the store are hidden.
        hidden: bool,
    },

    /// A store has sealed records, and not the header, which says how their names are kept and which the
    /// first commit puts. It was deleted by another program.
    #[error(
        "the header of the sealed store is missing, though it has records; restore it from a backup, or call \
         `unseal` and `seal_plain`, which need the keys alone"
    )]
    NoHeader,

    /// The store keeps a document, which finds the user of a record in its text.
    #[error("the store keeps a document, whose records can't be sealed one by one; use SealedBlob")]
    Document,

    /// The keys can't be used.
    #[error("{place} is not a key ring: {reason}")]
    Keys {
        /// Where the keys are from.
        place: String,
        /// What is wrong with them, without quoting them.
        reason: String,
    },
}

fn list(numbers: &[u32]) -> String {
    if numbers.is_empty() {
        return "none".into();
    }
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

impl SealFailure {
    pub(crate) fn keys(place: impl Into<String>, reason: impl Into<String>) -> Error {
        Self::Keys { place: place.into(), reason: reason.into() }.into()
    }

    /// The failure that is the cause of an error.
    pub fn of(error: &Error) -> Option<&Self> {
        let Error::Backend { source, .. } = error else { return None };
        source.downcast_ref()
    }
}

impl From<SealFailure> for Error {
    fn from(failure: SealFailure) -> Self {
        Self::backend("sealed", failure)
    }
}
