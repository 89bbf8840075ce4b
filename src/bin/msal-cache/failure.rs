//! Errors as reported to users and scripts, and exit codes.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use msal_cache::Error;
use serde_json::json;

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
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Found => 1,
            Outcome::Corrupt => 4,
            Outcome::Insecure => 5,
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
    /// The arguments or the input are invalid.
    Usage { reason: String, hint: Option<String> },
    /// Nothing matches the request.
    NothingFound { reason: String, hint: Option<String> },
    /// The store doesn't exist.
    Missing(PathBuf),
    /// A file other than the store can't be read or written.
    File { operation: &'static str, path: PathBuf, source: io::Error },
    /// Standard output can't be written.
    Output(io::Error),
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
    fn kind(&self) -> (&'static str, u8) {
        let error = match self {
            Self::NothingFound { .. } => return ("nothing-found", 1),
            Self::Usage { .. } => return ("usage", 2),
            Self::Missing(_) => return ("missing", 6),
            Self::File { .. } | Self::Output(_) => return ("io", 6),
            Self::Cache(error) | Self::Input { source: error, .. } => error,
        };
        match error {
            Error::Invalid { .. } => ("invalid-input", 2),
            Error::Locked { .. } => ("locked", 3),
            Error::Corrupt { .. } => ("corrupt", 4),
            Error::Insecure { .. } => ("insecure", 5),
            Error::ReadOnly { .. } => ("read-only", 6),
            Error::TooLarge { .. } => ("too-large", 6),
            Error::Io { .. } => ("io", 6),
            Error::Conflict | Error::Contended { .. } => ("conflict", 7),
            _ => ("store-failed", 7),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Input { path, expected, source } => {
                let input = match path.to_str() {
                    Some("-") => "standard input".into(),
                    _ => path.display().to_string(),
                };
                let reason = match source {
                    Error::Corrupt { reason, position: Some((line, column)), .. } => {
                        format!("{reason} (line {line}, column {column})")
                    }
                    Error::Corrupt { reason, .. } | Error::Invalid { reason, .. } => reason.clone(),
                    other => other.to_string(),
                };
                format!("{input} is not {expected}: {reason}")
            }
            Self::Cache(error) => {
                let mut message = error.to_string();
                let mut cause = error.source();
                while let Some(error) = cause {
                    message.push_str(": ");
                    message.push_str(&error.to_string());
                    cause = error.source();
                }
                message
            }
            Self::Usage { reason, .. } | Self::NothingFound { reason, .. } => reason.clone(),
            Self::Missing(path) => format!("could not find {}", path.display()),
            Self::File { operation, path, source } => {
                format!("could not {operation} {}: {source}", path.display())
            }
            Self::Output(error) => format!("could not write to standard output: {error}"),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Usage { hint, .. } | Self::NothingFound { hint, .. } => return hint.clone(),
            Self::Cache(Error::Locked { .. }) => {
                "--lock-timeout waits longer; for a file, `msal-cache lock STORE` shows whether the \
                 holder is running"
            }
            Self::Cache(Error::Corrupt { .. }) => {
                "`msal-cache repair STORE` moves a broken file aside and recovers its readable records"
            }
            Self::Cache(Error::Insecure { .. }) => {
                "`msal-cache repair STORE` makes it private; --insecure opens it as it is"
            }
            Self::Missing(_) => "`msal-cache places` lists well-known cache locations",
            Self::Cache(Error::Conflict | Error::Contended { .. }) => {
                "other processes keep writing to the store; try again"
            }
            _ => return None,
        };
        Some(hint.into())
    }

    /// Prints the error to standard error and returns the exit code. A closed pipe, e.g. to `head`,
    /// is not an error.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        let (kind, code) = self.kind();
        let (message, hint) = (printable(&self.message()), self.hint());
        if json {
            let report = json!({"error": {
                "kind": kind, "exit_code": code, "message": message, "hint": hint,
            }});
            anstream::eprintln!("{report}");
        } else {
            let (error, dim) = (AnsiColor::Red.on_default().bold(), Style::new().dimmed());
            anstream::eprintln!("{error}error:{error:#} {message}");
            if let Some(hint) = hint {
                anstream::eprintln!("{dim}hint:{dim:#}  {hint}");
            }
        }
        ExitCode::from(code)
    }
}

/// Text from a cache, with control characters replaced: they could control the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}
