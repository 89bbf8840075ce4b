//! A cache as a document.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use msal_cache::{Entry, TokenCache};
use serde_json::json;
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome};
use crate::out::{DIM, GOOD};
use crate::redact::{self, Secrets};
use crate::select::{Users, tally};
use crate::{Run, import};

pub(crate) fn export(
    run: &mut Run<'_>,
    store: &str,
    account: Option<&str>,
    secrets: Secrets,
    output: Option<&Path>,
) -> Result<Outcome, Failure> {
    let loaded = run.load(store)?;
    let entries = of_account(&loaded.entries, account)?;
    let text = Zeroizing::new(match secrets {
        Secrets::Hidden => {
            let document = redact::document(&entries);
            serde_json::to_string_pretty(&document).map_err(std::io::Error::from)?
        }
        Secrets::Shown => {
            let whole = TokenCache::in_memory();
            import::write(&whole, &entries, &[])?;
            whole.serialize()?
        }
    });
    let Some(path) = output else {
        // The document is the result, for people and for programs.
        run.out.line(&*text)?;
        return Ok(Outcome::Done);
    };
    write_new(path, text.as_bytes())?;
    if run.out.json {
        let exported = json!({"output": path, "entries": entries.len(), "redacted": secrets == Secrets::Hidden});
        run.out.json(&exported)?;
        return Ok(Outcome::Done);
    }
    let what = tally(&entries);
    run.out.line(format!("{GOOD}✓{GOOD:#} {what} written to {}", path.display()))?;
    if secrets == Secrets::Hidden {
        run.out.line(format!("{DIM}Without the tokens: it can't be imported.{DIM:#}"))?;
    }
    Ok(Outcome::Done)
}

/// The entries of one user, or all.
pub(crate) fn of_account(entries: &[Entry], account: Option<&str>) -> Result<Vec<Entry>, Failure> {
    let Some(account) = account else { return Ok(entries.to_vec()) };
    let users = Users::of(entries);
    let home = users.one(account)?;
    let of_user = |it: &&Entry| it.get("home_account_id").is_some_and(|it| it == home);
    Ok(entries.iter().filter(of_user).cloned().collect())
}

/// Writes a file that wasn't there, and that nobody else can open.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|source| Failure::File { operation: "write", path: path.to_owned(), source })
}
