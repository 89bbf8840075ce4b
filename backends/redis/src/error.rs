//! What a server refused, and the errors that it becomes.

use msal_cache_core::Error;
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// The name of this store in errors.
const STORE: &str = "Redis";

/// The cause of an [`Error::Unavailable`] of this store, where the server can't be reached or its
/// answer was lost, or of an [`Error::Backend`]. The text of a server's error is left out, since
/// it may quote the arguments of a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisFailure {
    /// The address can't be used.
    #[error("the address of the server is invalid: {0}")]
    Address(&'static str),

    /// The server can't be reached, or the connection was lost.
    #[error("{server} can't be reached: {reason}")]
    Unreachable {
        /// The server, without its password.
        server: String,
        /// What failed.
        reason: String,
    },

    /// The connection was lost while a commit was under way, and again when it was repeated.
    #[error(
        "the connection to {server} was lost during a commit, which may have been applied: {reason}"
    )]
    OutcomeUnknown {
        /// The server, without its password.
        server: String,
        /// What failed.
        reason: String,
    },

    /// A commit was applied, but too few replicas have it in time: a failover may lose it.
    #[error(
        "{server} applied a commit that {copies} of {replicas} replicas have confirmed in time"
    )]
    NotReplicated {
        /// The server, without its password.
        server: String,
        /// How many replicas were to confirm it.
        replicas: u32,
        /// How many have.
        copies: u32,
    },

    /// The sentinels don't know the primary.
    #[error("{server} is unknown: the sentinels know no primary named {service}")]
    UnknownService {
        /// The server, without its password.
        server: String,
        /// The name of the primary.
        service: String,
    },

    /// The server refused the user or the password.
    #[error("{server} refused the user or the password")]
    Authentication {
        /// The server, without its password.
        server: String,
    },

    /// The user lacks the permission for a command or a key.
    #[error(
        "the user of {server} lacks a permission; see the guide for the ACL rules that the cache needs"
    )]
    Permission {
        /// The server, without its password.
        server: String,
    },

    /// The server is too old.
    #[error("{server} has version {found}; the cache needs Redis 6.2 or later, or Valkey")]
    TooOld {
        /// The server, without its password.
        server: String,
        /// The version that it reports.
        found: String,
    },

    /// The server deletes keys when its memory is full, also those of the cache.
    #[error(
        "{server} deletes keys when its memory is full (maxmemory-policy {policy}), which would sign \
         users out; set maxmemory-policy to noeviction"
    )]
    Evicts {
        /// The server, without its password.
        server: String,
        /// The policy.
        policy: String,
    },

    /// The memory of the server is full. Nothing was written; records can still be deleted.
    #[error("the memory of {server} is full (maxmemory)")]
    OutOfMemory {
        /// The server, without its password.
        server: String,
    },

    /// The server is a replica, or has lost too many of them. Nothing was written.
    #[error("{server} can't be written: {reason}")]
    ReadOnly {
        /// The server, without its password.
        server: String,
        /// The code of its error.
        reason: String,
    },

    /// The server returned another error.
    #[error("{server} refused a command: {code}")]
    Refused {
        /// The server, without its password.
        server: String,
        /// The code of its error.
        code: String,
    },

    /// The server returned a reply that the scripts of this crate don't return.
    #[error("{server} returned an unexpected reply")]
    Reply {
        /// The server, without its password.
        server: String,
    },
}

impl From<RedisFailure> for Error {
    fn from(failure: RedisFailure) -> Self {
        match failure {
            RedisFailure::Unreachable { .. } | RedisFailure::OutcomeUnknown { .. } => {
                Self::Unavailable { store: STORE, source: failure.into() }
            }
            failure => Self::backend(STORE, failure),
        }
    }
}

/// A key of the cache holds something else.
pub(crate) fn corrupt(server: &str, reason: &str) -> Error {
    Error::Corrupt { place: server.into(), reason: reason.into(), position: None }
}

/// Whether the connection failed, so that the command may be repeated on a new one.
pub(crate) fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error()
}

/// Whether the user may run scripts, and not a command of the script: Redis 7, Redis 6 and Valkey say so
/// in the text of a general error.
fn is_denied_in_script(error: &RedisError) -> bool {
    let denies = |text: &str| {
        text.contains("ACL failure in script")
            || text.contains("The user executing the script can't")
    };
    error.detail().is_some_and(denies)
}

/// The code of a server's error. Redis 6 puts the one of a command within a script into the text.
pub(crate) fn code_of(error: &RedisError) -> &str {
    const IN_SCRIPTS: [&str; 6] =
        ["WRONGTYPE", "OOM", "READONLY", "NOREPLICAS", "MISCONF", "MASTERDOWN"];
    let code = error.code().unwrap_or_default();
    let text = error.detail().unwrap_or_default();
    if code == "ERR" && text.contains("user_script") || code.starts_with("@user_script") {
        let quoted = IN_SCRIPTS.into_iter().find(|code| text.contains(&format!("{code} ")));
        return quoted.unwrap_or(code);
    }
    if text.contains("non local key") {
        return "TRYAGAIN"; // A key that the script finds itself is on its way to another node.
    }
    code
}

/// Whether nothing was done, because the cache is on another node, or on its way to one.
pub(crate) fn is_moving(error: &RedisError) -> bool {
    matches!(code_of(error), "MOVED" | "ASK" | "TRYAGAIN")
}

/// Whether the server doesn't know `HELLO`, so it is older than Redis 6. The client recognizes the
/// quotes of Redis 5 only.
fn is_unknown_hello(error: &RedisError) -> bool {
    let names = |text: &str| text.starts_with("unknown command") && text.contains("HELLO");
    error.kind() == ErrorKind::RESP3NotSupported || error.detail().is_some_and(names)
}

/// The error of a command.
pub(crate) fn translate(server: &str, error: &RedisError) -> Error {
    let place = || server.to_owned();
    let code = code_of(error);
    match (code, error.kind()) {
        ("WRONGTYPE", _) => corrupt(server, "a key of the cache holds a value of another type"),
        ("MSALFOREIGN", _) => corrupt(server, "a key of the cache holds data of another program"),
        ("MSALVERSION", _) => corrupt(server, "it was written by a newer version of msal-cache"),
        ("OOM", _) => RedisFailure::OutOfMemory { server: place() }.into(),
        ("NOPERM", _) => RedisFailure::Permission { server: place() }.into(),
        _ if is_denied_in_script(error) => RedisFailure::Permission { server: place() }.into(),
        ("NOAUTH" | "WRONGPASS", _) | (_, ErrorKind::AuthenticationFailed) => {
            RedisFailure::Authentication { server: place() }.into()
        }
        ("READONLY" | "NOREPLICAS" | "MISCONF", _)
        | (_, ErrorKind::Server(ServerErrorKind::ReadOnly)) => {
            RedisFailure::ReadOnly { server: place(), reason: code.to_owned() }.into()
        }
        // It starts, or it is a replica that has lost its primary, or the cache
        // is on its way to another node, or a script of another client runs.
        ("LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "ASK" | "MOVED" | "BUSY", _) => {
            RedisFailure::Unreachable { server: place(), reason: code.to_owned() }.into()
        }
        _ if is_unknown_hello(error) => {
            RedisFailure::TooOld { server: place(), found: "before 6".into() }.into()
        }
        _ if is_lost(error) => unreachable_error(server, error),
        ("", _) => RedisFailure::Refused { server: place(), code: error.category().into() }.into(),
        (code, _) => RedisFailure::Refused { server: place(), code: code.into() }.into(),
    }
}

fn unreachable_error(server: &str, error: &RedisError) -> Error {
    RedisFailure::Unreachable { server: server.into(), reason: error.category().into() }.into()
}
