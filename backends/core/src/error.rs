use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// An error of a cache or its store.
///
/// Each variant names the place and the reason. None contains text that was read from a cache or
/// passed to it, so an error can be logged. Its cause, if any, is the
/// [`source`](StdError::source), and the message doesn't repeat it.
///
/// An error doesn't mean that the cache is empty: its contents are unknown. An app can continue
/// with a cache in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another writer changed what the commit expected to find. Nothing was written.
    ///
    /// The cache reads again and repeats its plan on its own; it returns this error only where
    /// another writer was faster each time (see [`retry()`](crate::retry())).
    #[error("another writer changed the cache at the same time")]
    Conflict,

    /// Other writers changed the stored data during each of many attempts to write it, or to read
    /// it at one moment, although every expectation of the commit holds. Nothing was written.
    #[error("other writers changed {place} during each of {attempts} attempts")]
    Contended {
        /// What was to be written or read, such as a path.
        place: String,
        /// The number of attempts.
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
        /// The holder, if it is known: process id and program.
        holder: Option<String>,
        /// How long the call waited.
        waited: Duration,
    },

    /// The place isn't safe for secrets: other users can read it, or own it.
    #[error("{} is not safe for tokens: {reason}; {remedy}", path.display())]
    Insecure {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, such as `mode 0644 lets others read it`.
        reason: String,
        /// How to fix it, such as `run: chmod 600 /path`.
        remedy: String,
    },

    /// The stored data can't be read as a cache. It was not changed.
    #[error("{place} is not a token cache: {reason}{}", Position(*.position))]
    Corrupt {
        /// What was read: a path, or the name of an argument.
        place: String,
        /// Why it can't be read, without quoting its text.
        reason: String,
        /// Line and column of the error, counted from 1, if it has a position.
        position: Option<(usize, usize)>,
    },

    /// The stored data is larger than the limit of this cache.
    #[error("{} has {size} bytes, over the limit of {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The largest size that is read, in bytes.
        limit: u64,
    },

    /// The medium can be read but not written: a read-only mount, or a folder in which the process
    /// can't create files. Nothing was written.
    #[error(
        "{} can't be written; give this user write access, or use another place",
        path.display()
    )]
    ReadOnly {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },

    /// A value that was passed to the cache is invalid. Nothing was written.
    #[error("{field}: {reason}")]
    Invalid {
        /// The value, such as `event.response.expires_in`.
        field: String,
        /// What is wrong with it, without quoting it.
        reason: String,
    },

    /// The operating system refused an operation on a file.
    #[error("could not {operation} {}{}", path.display(), FreeSpace(source))]
    Io {
        /// The operation, such as `read`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },

    /// The store reported no error, and doesn't return what was written to it. Found by
    /// `TokenCache::verify`.
    #[error("the store is not reliable: {reason}; use another place")]
    NotKept {
        /// What it returned instead.
        reason: String,
    },

    /// The async runtime that the call needs is missing or has shut down. A commit that had begun
    /// may have been applied.
    #[error("the async runtime can't be used: {reason}")]
    Runtime {
        /// What is wrong with it, and the remedy.
        reason: String,
    },

    /// The server of a store can't be reached, or doesn't answer in time. A commit that had begun
    /// may have been applied.
    #[error("the {store} server is not available")]
    Unavailable {
        /// The store, such as `PostgreSQL`.
        store: &'static str,
        /// The cause.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// A store failed in another way.
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
    /// The error of a store, with its cause.
    pub fn backend(
        store: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Backend { store, source: source.into() }
    }

    /// A value of the caller that is invalid.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }

    /// The error of a call that needs a tokio runtime and is outside of one.
    #[doc(hidden)]
    pub fn no_runtime() -> Self {
        let reason = "there is none; await the call within a tokio runtime, for example in a \
                      function with #[tokio::main]";
        Self::Runtime { reason: reason.into() }
    }

    /// The error of a call whose tokio runtime has ended.
    #[doc(hidden)]
    pub fn runtime_ended() -> Self {
        let reason = "it has shut down; before it does, await AsyncTokenCache::finish_refreshes";
        Self::Runtime { reason: reason.into() }
    }

    /// Whether the same call may succeed if it is repeated.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Conflict
                | Self::Contended { .. }
                | Self::Locked { .. }
                | Self::Unavailable { .. }
        )
    }

    /// The error of a text that is not JSON. Only the position of the parser's error is kept, since
    /// its message may quote the text.
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

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// The remedy for a full file system.
struct FreeSpace<'a>(&'a io::Error);

impl std::fmt::Display for FreeSpace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.kind() {
            io::ErrorKind::StorageFull => f.write_str("; free space on its file system"),
            io::ErrorKind::QuotaExceeded => f.write_str("; free space within the disk quota"),
            _ => Ok(()),
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
