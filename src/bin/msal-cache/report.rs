//! How failures are reported to users and scripts, with advice.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use msal_cache::Error;
use msal_cache::sealed::SealFailure;
use serde_json::json;

use crate::content;
use crate::failure::{Failure, complain, is_mode, printable};
use crate::store::StoreRef;
use crate::{key_store, server};

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
        Failure::Sealed(_) => {
            "--key-file, --key-credential, --key-env or --key-secret-service has its keys, and --seal-name the \
             name by which the app seals it"
        }
        Failure::Keys(error) => return keys_hint(error).map(str::to_owned),
        Failure::Cache(error) if SealFailure::of(error).is_some() => {
            return seal_hint(error).map(str::to_owned);
        }
        Failure::Missing(_) => "`msal-cache places` lists well-known cache locations",
        Failure::Cache(Error::Conflict | Error::Contended { .. }) => {
            "other processes keep writing to the store; try again"
        }
        Failure::Cache(error) => {
            let advice = server::advice(error).or_else(|| key_store::advice(error));
            return advice.map(str::to_owned);
        }
        _ => return None,
    };
    Some(hint.into())
}

/// Advice about keys that can't be read.
fn keys_hint(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            "`msal-cache keys --create --key-file FILE` creates keys"
        }
        Error::Backend { .. } if SealFailure::of(error).is_some() => {
            "a key ring has a line for each key, with its number and 32 bytes in Base64; \
             `msal-cache keys --create` creates one"
        }
        _ => return key_store::advice(error),
    })
}

/// Advice about a sealed store that can't be opened.
fn seal_hint(error: &Error) -> Option<&'static str> {
    Some(match SealFailure::of(error)? {
        SealFailure::MissingKey { .. } => {
            "add the key to the key ring, from a backup of the keys; nothing was changed"
        }
        SealFailure::Broken { .. } => {
            "--seal-name is the name by which the app seals it; nothing was changed"
        }
        SealFailure::NotSealed { .. } => {
            "`msal-cache seal STORE` seals a plain store; without keys, it is opened as it is"
        }
        SealFailure::Names { hidden: false } => "leave out --hide-names",
        SealFailure::Names { hidden: true } => "add --hide-names",
        SealFailure::NoHeader => {
            "restore a backup; or `msal-cache unseal STORE`, then `msal-cache seal STORE`"
        }
        SealFailure::Version { .. } => "install the newer version of msal-cache",
        _ => return None,
    })
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
