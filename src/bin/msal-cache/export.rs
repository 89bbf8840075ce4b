//! Exports a cache as a document.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use msal_cache::TokenCache;
use serde_json::json;
use zeroize::Zeroizing;

use crate::failure::{Failure, Outcome};
use crate::out::{DIM, GOOD};
use crate::redact::{self, Secrets};
use crate::run::Run;
use crate::select::{of_account, tally};
use crate::store;

pub(crate) fn export(
    run: &mut Run<'_>,
    name: &str,
    account: Option<&str>,
    secrets: Secrets,
    output: Option<&Path>,
) -> Result<Outcome, Failure> {
    let loaded = run.load(name)?;
    let entries = of_account(&loaded.entries, account)?;
    let text = Zeroizing::new(match secrets {
        Secrets::Hidden => {
            let document = redact::document(&entries);
            serde_json::to_string_pretty(&document).map_err(std::io::Error::from)?
        }
        Secrets::Shown => {
            let cache = TokenCache::in_memory();
            store::write(&cache, &entries, &[])?;
            cache.serialize()?
        }
    });
    let Some(path) = output else {
        // The document is the result, with --json too.
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
        run.out.line(format!(
            "{DIM}The tokens are redacted: the document can't be imported.{DIM:#}"
        ))?;
    }
    Ok(Outcome::Done)
}

/// Writes a new file that only its owner can access.
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
