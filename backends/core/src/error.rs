use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What can go wrong with a cache.
///
/// Each variant names the place and the reason. None holds a text that was read from a cache or
/// given to it, so an error can be logged. The cause, where there is one, is its
/// [`source`](StdError::source), and the message doesn't repeat it.
///
/// An error never means an empty cache: nothing is known then about what the cache holds. An app
/// can go on with a cache in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another writer changed what the commit expected to find. Nothing was written.
    ///
    /// The cache reads again and repeats its plan by itself; it returns this error only where
    /// others win each time (see [`retry()`](crate::retry())).
    #[error("another writer changed the cache at the same time")]
    Conflict,

    /// Other writers changed the stored document in each of many attempts to write it, although
    /// nothing that the commit expects had changed. Nothing was written.
    #[error("other writers changed {place} in each of {attempts} attempts to write it")]
    Contended {
        /// What was to be written, such as a path.
        place: String,
        /// How many attempts were made.
        attempts: u32,
    },

    /// Another holder kept the cache locked until the deadline.
    #[error(
        "{} is held by {} (waited {:.1} s)",
        path.display(),
        holder.as_deref().unwrap_or("an unknown process"),
        waited.as_secs_f32()
    )]
    Locked {
        /// The lock file, or the database.
        path: PathBuf,
        /// The holder, as far as it names itself: process id and program.
        holder: Option<String>,
        /// How long the call waited.
        waited: Duration,
    },

    /// The place can't be trusted with secrets: other users can read it, or it belongs to them.
    #[error("{} is not safe for tokens: {reason}; {remedy}", path.display())]
    Insecure {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, such as `mode 0644 lets others read it`.
        reason: String,
        /// What mends it, such as `run: chmod 600 /path`.
        remedy: String,
    },

    /// What is stored can't be read as a cache. It was left as it is.
    #[error("{place} is not a token cache: {reason}{}", Position(*.position))]
    Corrupt {
        /// What was read: a path, or the name of an argument.
        place: String,
        /// Why it can't be read, without a word of its text.
        reason: String,
        /// Line and column of the fault, counted from 1, where the fault has a place.
        position: Option<(usize, usize)>,
    },

    /// It is larger than the limit that is set for this cache.
    #[error("{} has {size} bytes, over the limit of {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The most that is read.
        limit: u64,
    },

    /// The medium can be read and not written: a read-only mount, a folder without the right to
    /// create files. Nothing was written.
    #[error("{} can't be written", path.display())]
    ReadOnly {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },

    /// A value given to the cache can't be used. Nothing was written.
    #[error("{field}: {reason}")]
    Invalid {
        /// The value, such as `event.response.expires_in`.
        field: String,
        /// What is wrong with it, without quoting it.
        reason: String,
    },

    /// The system refused an operation on a file.
    #[error("could not {operation} {}", path.display())]
    Io {
        /// What was tried, such as `read`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },

    /// A store failed in a way of its own.
    #[error("the {store} store failed")]
    Backend {
        /// The store, such as `SQLite`.
        store: &'static str,
        /// The cause.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps the error of a store of your own.
    pub fn backend(
        store: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Backend { store, source: source.into() }
    }

    /// A value given by the caller that can't be used.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }

    /// Whether the same call may succeed a moment later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict | Self::Contended { .. } | Self::Locked { .. })
    }

    /// A text that is not JSON. Only the position of the parser's error is kept: its message may
    /// quote the text.
    #[doc(hidden)]
    pub fn not_json(place: impl Into<String>, error: &serde_json::Error) -> Self {
        let reason = match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            _ => "it is not valid JSON",
        };
        Self::Corrupt {
            place: place.into(),
            reason: reason.into(),
            position: Some((error.line(), error.column())),
        }
    }
}

struct Position(Option<(usize, usize)>);

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}
