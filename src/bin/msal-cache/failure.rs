//! The outcomes of runs, and the errors among them.

use std::error::Error as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use msal_cache::Error;
use msal_cache::sealed::SealFailure;

/// The name of standard input.
pub(crate) const STDIN: &str = "-";

/// The outcome of a run that didn't fail. The help text lists the exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Success.
    Done,
    /// Nothing matched, or a check found problems.
    Found,
    /// A check found that other users can access the store.
    Insecure,
    /// A check found that the store is not a token cache.
    Corrupt,
    /// A check found that the store is sealed, and the keys are missing or wrong.
    Sealed,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Found => 1,
            Outcome::Corrupt => 4,
            Outcome::Insecure => 5,
            Outcome::Sealed => 9,
        })
    }
}

/// Why a run failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the library.
    Cache(Error),
    /// The input document can't be used as what is `expected`.
    Input { path: PathBuf, expected: &'static str, source: Error },
    /// The input is not UTF-8 text.
    NotText { path: PathBuf, expected: &'static str },
    /// The input is empty: what was to produce it has failed.
    EmptyInput { path: PathBuf },
    /// The arguments or the input are invalid.
    Usage { reason: String, hint: Option<String> },
    /// Nothing matches the request.
    NothingFound { reason: String, hint: Option<String> },
    /// The store doesn't exist.
    Missing(PathBuf),
    /// The store is a link to what doesn't exist.
    Dangling { path: PathBuf, target: PathBuf },
    /// The store is a folder, a pipe or a device.
    NotAFile { path: PathBuf, what: &'static str },
    /// The store can't be repaired.
    Beyond { reason: String, hint: String },
    /// The store is sealed, and no keys are given.
    Sealed(String),
    /// The keys can't be read.
    Keys(Error),
    /// A file other than the store can't be read or written.
    File { operation: &'static str, path: PathBuf, source: io::Error },
    /// Standard output can't be written.
    Output(io::Error),
    /// An error of the library that others have, too.
    #[cfg(feature = "http")]
    Shared(std::sync::Arc<Error>),
    /// The server refused, or didn't respond.
    #[cfg(feature = "http")]
    Server(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Cache(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    pub(crate) fn usage(reason: impl Into<String>) -> Self {
        Self::Usage { reason: reason.into(), hint: None }
    }

    pub(crate) fn nothing(reason: impl Into<String>) -> Self {
        Self::NothingFound { reason: reason.into(), hint: None }
    }

    /// An input document that can't be used as what is `expected`.
    pub(crate) fn input(path: &Path, expected: &'static str, source: Error) -> Self {
        Self::Input { path: path.to_owned(), expected, source }
    }

    /// Adds advice for the user.
    pub(crate) fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Usage { hint, .. } | Self::NothingFound { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// Stable error name and exit code.
    pub(crate) fn kind(&self) -> (&'static str, u8) {
        let error = match self {
            Self::NothingFound { .. } => return ("nothing-found", 1),
            Self::Usage { .. } => return ("usage", 2),
            Self::EmptyInput { .. } => return ("invalid-input", 2),
            Self::NotText { .. } | Self::Beyond { .. } => return ("corrupt", 4),
            Self::Missing(_) | Self::Dangling { .. } => return ("missing", 6),
            Self::File { .. } | Self::NotAFile { .. } | Self::Output(_) => return ("io", 6),
            Self::Sealed(_) => return ("sealed", 9),
            Self::Cache(error) | Self::Input { source: error, .. } | Self::Keys(error) => error,
            #[cfg(feature = "http")]
            Self::Shared(error) => error,
            #[cfg(feature = "http")]
            Self::Server(_) => return ("server", 8),
        };
        match SealFailure::of(error) {
            Some(SealFailure::Keys { .. }) => return ("keys", 9),
            Some(SealFailure::NotSealed { .. }) => return ("not-sealed", 9),
            Some(_) => return ("sealed", 9),
            None => {}
        }
        match error {
            Error::Invalid { .. } => ("invalid-input", 2),
            Error::Locked { .. } => ("locked", 3),
            Error::Corrupt { .. } => ("corrupt", 4),
            Error::Insecure { .. } => ("insecure", 5),
            Error::ReadOnly { .. } => ("read-only", 6),
            Error::TooLarge { .. } => ("too-large", 6),
            Error::Io { .. } => ("io", 6),
            Error::Unavailable { .. } => ("unavailable", 6),
            Error::Conflict | Error::Contended { .. } => ("conflict", 7),
            _ => ("store-failed", 7),
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::Input { path, expected, source } => {
                let reason = match source {
                    Error::Corrupt { reason, position: Some((line, column)), .. } => {
                        format!("{reason} (line {line}, column {column})")
                    }
                    Error::Corrupt { reason, .. } => reason.clone(),
                    // The document itself.
                    Error::Invalid { field, reason } if field == "fields" || field == "event" => {
                        reason.clone()
                    }
                    other => other.to_string(),
                };
                format!("{} is not {expected}: {reason}", input_name(path))
            }
            Self::NotText { path, expected } => {
                format!("{} is not {expected}: it is not UTF-8", input_name(path))
            }
            Self::EmptyInput { path } => format!("{} is empty", input_name(path)),
            Self::Cache(error) | Self::Keys(error) => with_causes(error),
            Self::Sealed(reason) => reason.clone(),
            #[cfg(feature = "http")]
            Self::Shared(error) => with_causes(error),
            #[cfg(feature = "http")]
            Self::Server(reason) => reason.clone(),
            Self::Usage { reason, .. }
            | Self::NothingFound { reason, .. }
            | Self::Beyond { reason, .. } => reason.clone(),
            Self::Missing(path) => format!("could not find {}", path.display()),
            Self::Dangling { path, target } => {
                format!("{} is a link to {}, which is missing", path.display(), target.display())
            }
            Self::NotAFile { path, what } => format!("{} is {what}", path.display()),
            Self::File { operation, path, source } => {
                format!("could not {operation} {}: {}", input_name(path), plain(source))
            }
            Self::Output(error) => format!("could not write to standard output: {}", plain(error)),
        }
    }
}

/// Whether permissions are the reason, on a file system that keeps them.
pub(crate) fn is_mode(reason: &str) -> bool {
    reason.starts_with("mode ") && !reason.contains("no effect")
}

/// An error with its causes.
pub(crate) fn with_causes(error: &Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&match error.downcast_ref::<io::Error>() {
            Some(error) => plain(error),
            None => error.to_string(),
        });
        cause = error.source();
    }
    message
}

/// An error of the operating system without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}

/// An input in a message.
pub(crate) fn input_name(path: &Path) -> String {
    match path.to_str() {
        Some(STDIN) => "standard input".into(),
        _ => path.display().to_string(),
    }
}

/// Prints a line on standard error. If that is closed or full, nothing can be done about it.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Text from a cache, with control characters replaced: they could control the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}
