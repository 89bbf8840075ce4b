//! How failures are reported to users and scripts, with advice.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use msal_cache::Error;
use serde_json::json;

use crate::content;
use crate::failure::{Failure, complain, is_mode, printable};
use crate::server;
use crate::store::StoreRef;

/// How a failure is reported.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) json: bool,
    /// Without a hint.
    pub(crate) quiet: bool,
    /// The store that the failure is about.
    pub(crate) store: Option<StoreRef>,
}

impl Report {
    /// Prints a failure to standard error and returns the exit code. A closed pipe, e.g. to `head`, is
    /// not an error.
    pub(crate) fn print(&self, failure: &Failure) -> ExitCode {
        if matches!(failure, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        let (kind, code) = failure.kind();
        let message = printable(&failure.message());
        let hint = hint(failure, self.store.as_ref());
        if self.json {
            let report = json!({"error": {
                "kind": kind, "exit_code": code, "message": message, "hint": hint,
            }});
            complain(&report.to_string());
        } else {
            let (error, dim) = (AnsiColor::Red.on_default().bold(), Style::new().dimmed());
            complain(&format!("{error}error:{error:#} {message}"));
            if let Some(hint) = hint.filter(|_| !self.quiet) {
                complain(&format!("{dim}hint:{dim:#}  {hint}"));
            }
        }
        ExitCode::from(code)
    }
}

/// Advice about a failure.
fn hint(failure: &Failure, store: Option<&StoreRef>) -> Option<String> {
    let is_database = matches!(store, Some(StoreRef::Sqlite(_)));
    let hint = match failure {
        Failure::Usage { hint, .. } | Failure::NothingFound { hint, .. } => return hint.clone(),
        Failure::Beyond { hint, .. } => hint,
        Failure::EmptyInput { .. } => "the program that should have written it may have failed",
        Failure::NotAFile { what: "a pipe", .. } => {
            "for a document from another program, use - and a pipe into standard input"
        }
        Failure::Cache(Error::Locked { .. }) if is_database => "--lock-timeout waits longer",
        Failure::Cache(Error::Locked { .. }) => {
            "--lock-timeout waits longer; `msal-cache lock STORE` shows whether the holder is \
             running"
        }
        Failure::Cache(error @ Error::Corrupt { .. }) => {
            return store.map(|store| content::advice(store, error).to_owned());
        }
        Failure::Cache(Error::Insecure { reason, .. }) if is_refused_always(reason) => return None,
        Failure::Cache(Error::Insecure { path, reason, .. }) => {
            let own = store.is_some_and(|store| can_be_repaired(store, path, reason));
            if own {
                "`msal-cache repair STORE` makes it private; --insecure opens it as it is"
            } else {
                "--insecure opens it as it is"
            }
        }
        Failure::Missing(_) => "`msal-cache places` lists well-known cache locations",
        Failure::Cache(Error::Conflict | Error::Contended { .. }) => {
            "other processes keep writing to the store; try again"
        }
        Failure::Cache(error) => return server::advice(error).map(str::to_owned),
        _ => return None,
    };
    Some(hint.into())
}

/// Whether a store is refused for this reason with `--insecure`, too: it would be damaged, or it is
/// no file.
fn is_refused_always(reason: &str) -> bool {
    ["names (hard links)", "mounted as a single file", "not a regular file"]
        .iter()
        .any(|part| reason.contains(part))
}

/// Whether the permissions of the store itself are the reason, which `repair` mends. A folder may
/// be shared on purpose, and a file of another user can't be changed.
pub(crate) fn can_be_repaired(store: &StoreRef, path: &Path, reason: &str) -> bool {
    let same = path == store.path()
        || store.path().canonicalize().is_ok_and(|store| {
            path == store || path.canonicalize().is_ok_and(|path| path == store)
        });
    same && is_mode(reason)
}
