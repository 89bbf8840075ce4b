//! What a server refused, and the errors that it becomes.

use std::time::Duration;

use msal_cache_core::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// The name of this store in errors.
pub(crate) const STORE: &str = "PostgreSQL";

/// The cause of an [`Error::Unavailable`] of this store, where the server can't be reached or its
/// answer was lost, or of an [`Error::Backend`]. Messages of the server that may quote a value are
/// left out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresFailure {
    /// The address can't be used.
    #[error("the address of the server is invalid: {0}")]
    Address(&'static str),

    /// The server can't be reached, doesn't answer in time, or the connection was lost. Nothing was
    /// written.
    #[error("{server} can't be reached: {reason}")]
    Unreachable {
        /// The server.
        server: String,
        /// What failed.
        reason: String,
    },

    /// The connection was lost while a commit was under way, and the server couldn't be asked in time
    /// whether the commit was applied.
    #[error(
        "the connection to {server} was lost during a commit, which may have been applied: {reason}"
    )]
    OutcomeUnknown {
        /// The server.
        server: String,
        /// What failed.
        reason: String,
    },

    /// All connections of the pool were in use for too long.
    #[error(
        "all {connections} connections to {server} were in use for {:.1} s; set a larger pool_size, \
         or find what keeps the server busy", waited.as_secs_f32()
    )]
    PoolExhausted {
        /// The server.
        server: String,
        /// The size of the pool.
        connections: usize,
        /// How long the call waited.
        waited: Duration,
    },

    /// The server refused the user or the password.
    #[error("{server} refused the user or the password")]
    Authentication {
        /// The server.
        server: String,
    },

    /// The role lacks a right.
    #[error(
        "the role lacks a right on {server} ({message}); an owner of the tables can grant all that \
         the cache needs:\n{grants}"
    )]
    Permission {
        /// The server.
        server: String,
        /// The message of the server, which names the object.
        message: String,
        /// The statements that grant all rights that an application needs.
        grants: String,
    },

    /// The address is that of a pooler, such as PgBouncer, and has options that the pooler refuses.
    #[error(
        "{server} is a pooler that refuses an option of the address ({message}); leave it out, and \
         don't exclude a pooler by PostgresStoreBuilder::pooler"
    )]
    Pooler {
        /// The server.
        server: String,
        /// The message of the pooler.
        message: String,
    },

    /// The address is that of a pooler that gives each transaction any session, and none can listen to
    /// changes.
    #[error(
        "{server} is a pooler that shares its sessions, so no connection can listen to changes; give the \
         address of the server itself, or leave out PostgresStoreBuilder::max_staleness"
    )]
    PoolerCannotListen {
        /// The server.
        server: String,
    },

    /// The server is too old.
    #[error("{server} has version {found}; the cache needs PostgreSQL 12 or later")]
    TooOld {
        /// The server.
        server: String,
        /// The version that it reports.
        found: String,
    },

    /// The tables are missing, and the store was not to create them, or they were dropped.
    #[error(
        "the tables of the cache are missing in the schema {schema}; create them with the statements \
         of PostgresStoreBuilder::ddl, or let the store create them when it connects"
    )]
    MissingTables {
        /// The schema.
        schema: String,
    },

    /// The tables were created by a newer version of this crate.
    #[error("the tables have version {found}, and this program knows version {known}; update it")]
    NewerTables {
        /// The version of the tables.
        found: i32,
        /// The newest version that this crate knows.
        known: i32,
    },

    /// A table of that name belongs to another application.
    #[error("{table} belongs to another application; choose another schema or prefix")]
    ForeignTable {
        /// The table.
        table: String,
    },

    /// The disk of the server is full. Nothing was written.
    #[error("{server} has no space left; free some on its disk")]
    OutOfSpace {
        /// The server.
        server: String,
    },

    /// The server is a standby, or its transactions are read-only. Nothing was written.
    #[error(
        "{server} can't be written: {reason}; connect to the primary, for example with several hosts \
         and target_session_attrs=read-write"
    )]
    ReadOnly {
        /// The server.
        server: String,
        /// The message of the server.
        reason: String,
    },

    /// The server returned another error. Nothing was written.
    #[error("{server} refused a statement: {code}: {message}")]
    Refused {
        /// The server.
        server: String,
        /// The SQLSTATE.
        code: String,
        /// The message of the server, unless it may quote a value.
        message: String,
    },
}

impl From<PostgresFailure> for Error {
    fn from(failure: PostgresFailure) -> Self {
        match failure {
            PostgresFailure::Unreachable { .. }
            | PostgresFailure::OutcomeUnknown { .. }
            | PostgresFailure::PoolExhausted { .. } => {
                Self::Unavailable { store: STORE, source: failure.into() }
            }
            failure => Self::backend(STORE, failure),
        }
    }
}

/// The error of a statement. `remedy` returns the statements that grant all rights, or the schema.
pub(crate) fn translate(
    server: &str,
    error: &tokio_postgres::Error,
    remedy: impl FnOnce(&SqlState) -> String,
) -> Error {
    let server = server.to_owned();
    let Some(answer) = error.as_db_error() else {
        return PostgresFailure::Unreachable { server, reason: with_causes(error) }.into();
    };
    let (state, message) = (answer.code(), answer.message().to_owned());
    match state.code() {
        "MS001" | "MS005" => return Error::Conflict,
        "55P03" => {
            let holder = Some("another session".into());
            return Error::Locked { path: server.into(), holder, waited: Duration::ZERO };
        }
        "42501" => PostgresFailure::Permission { server, message, grants: remedy(state) },
        "42P01" | "42883" | "3F000" => PostgresFailure::MissingTables { schema: remedy(state) },
        _ if refuses_settings(error) => PostgresFailure::Pooler { server, message },
        "25006" => PostgresFailure::ReadOnly { server, reason: message },
        "53100" => PostgresFailure::OutOfSpace { server },
        code => match &code[..2] {
            "28" => PostgresFailure::Authentication { server },
            // Lost, too many connections, shut down or starting, statement time-out.
            "08" | "53" | "57" => {
                PostgresFailure::Unreachable { server, reason: format!("{code}: {message}") }
            }
            // The messages of these classes can quote values.
            "22" | "23" | "P0" => PostgresFailure::Refused {
                server,
                code: code.into(),
                message: "a value or a constraint was violated".into(),
            },
            _ => PostgresFailure::Refused { server, code: code.into(), message },
        },
    }
    .into()
}

/// Whether a pooler refused the settings of a session. PgBouncer has the same code for a database that
/// can't be reached.
pub(crate) fn refuses_settings(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|answer| match answer.code().code() {
        "08P01" => answer.message().contains("startup parameter"),
        // Amazon RDS Proxy.
        "0A000" => answer.message().contains("command-line options"),
        _ => false,
    })
}

/// Whether a commit was refused since its client has lost a lease.
pub(crate) fn is_fenced(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|state| state.code() == "MS005")
}

/// Whether the transaction was rolled back for the sake of another one, and should be repeated.
pub(crate) fn is_rolled_back(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|state| ["MS002", "40001", "40P01"].contains(&state.code()))
}

/// Whether the server has said that the transaction failed. If the connection ended instead, also by a
/// shutdown of the server, the transaction may have been committed.
pub(crate) fn is_definite(error: &tokio_postgres::Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    severity == Some(Severity::Error)
}

/// The message of an error and its causes.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
