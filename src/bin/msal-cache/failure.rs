//! What went wrong, told to a person or a script, and the exit codes.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use msal_cache::Error;
use serde_json::json;

/// How a run ends that did not fail. The numbers stand in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done, or something was found.
    Done,
    /// Nothing was found; or what was looked for, such as faults, was.
    Found,
    /// A check found that others can open the store.
    Insecure,
    /// A check found that the store is not a cache.
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

/// Why a run ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library says so.
    Cache(Error),
    /// What was asked doesn't make sense, or not here.
    Usage { reason: String, hint: Option<String> },
    /// There is nothing of the kind.
    NothingFound { reason: String, hint: Option<String> },
    /// There is no store to look into.
    Missing(PathBuf),
    /// A file that isn't a store can't be read or written.
    File { operation: &'static str, path: PathBuf, source: io::Error },
    /// What was to be printed could not be.
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

    /// What the user could do about it.
    pub(crate) fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Usage { hint, .. } | Self::NothingFound { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// A name that stays, and the exit code.
    fn kind(&self) -> (&'static str, u8) {
        match self {
            Self::NothingFound { .. } => ("nothing-found", 1),
            Self::Usage { .. } => ("usage", 2),
            Self::Cache(Error::Invalid { .. }) => ("invalid-input", 2),
            Self::Cache(Error::Locked { .. }) => ("locked", 3),
            Self::Cache(Error::Corrupt { .. }) => ("corrupt", 4),
            Self::Cache(Error::Insecure { .. }) => ("insecure", 5),
            Self::Missing(_) => ("missing", 6),
            Self::Cache(Error::ReadOnly { .. }) => ("read-only", 6),
            Self::Cache(Error::TooLarge { .. }) => ("too-large", 6),
            Self::Cache(Error::Io { .. }) | Self::File { .. } | Self::Output(_) => ("io", 6),
            Self::Cache(Error::Conflict) => ("conflict", 7),
            Self::Cache(_) => ("store-failed", 7),
        }
    }

    fn message(&self) -> String {
        match self {
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
            Self::Missing(path) => format!("there is no {}", path.display()),
            Self::File { operation, path, source } => {
                format!("could not {operation} {}: {source}", path.display())
            }
            Self::Output(error) => format!("could not print: {error}"),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Usage { hint, .. } | Self::NothingFound { hint, .. } => return hint.clone(),
            Self::Cache(Error::Locked { .. }) => {
                "`msal-cache lock STORE` tells whether the holder is alive; \
                 --lock-timeout waits longer"
            }
            Self::Cache(Error::Corrupt { .. }) => {
                "`msal-cache repair STORE` sets a broken file aside and saves what can be read of it"
            }
            Self::Cache(Error::Insecure { .. }) => {
                "`msal-cache repair STORE` makes it private; --insecure works on it as it is"
            }
            Self::Missing(_) => "`msal-cache places` lists where caches are",
            Self::Cache(Error::Conflict) => "others keep writing; try again",
            _ => return None,
        };
        Some(hint.into())
    }

    /// Tells it on standard error and gives the exit code. A reader who has gone away, as `head`
    /// does, is no failure.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        let (kind, code) = self.kind();
        let (message, hint) = (printable(&self.message()), self.hint());
        if json {
            let told = json!({"error": {
                "kind": kind, "exit_code": code, "message": message, "hint": hint,
            }});
            anstream::eprintln!("{told}");
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

/// A text that may come out of a cache, without what would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}
