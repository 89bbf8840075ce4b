//! Exports a cache as a document.

use std::ffi::OsStr;
use std::path::Path;

use msal_cache::TokenCache;
use serde_json::json;
use zeroize::Zeroizing;

use crate::backup::write_new;
use crate::failure::{Failure, Outcome, printable};
use crate::out::{DIM, GOOD};
use crate::redact::{self, Secrets};
use crate::run::Run;
use crate::select::{of_account, tally};
use crate::store::{self, Access};

pub(crate) fn export(
    run: &mut Run<'_>,
    name: &OsStr,
    account: Option<&str>,
    secrets: Secrets,
    output: Option<&Path>,
) -> Result<Outcome, Failure> {
    let loaded = run.load(name, Access::Read)?;
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
        run.out.product(&text)?;
        return Ok(Outcome::Done);
    };
    write_new(run.common, path, text.as_bytes())?;
    if run.out.json {
        let exported = json!({"output": path.display().to_string(), "entries": entries.len(), "redacted": secrets == Secrets::Hidden});
        run.out.json(&exported)?;
        return Ok(Outcome::Done);
    }
    let what = tally(&entries);
    run.out.line(format!(
        "{GOOD}✓{GOOD:#} {what} written to {}",
        printable(&path.display().to_string())
    ))?;
    if secrets == Secrets::Hidden {
        run.out.line(format!(
            "{DIM}The tokens are redacted: the document can't be imported.{DIM:#}"
        ))?;
    }
    Ok(Outcome::Done)
}
