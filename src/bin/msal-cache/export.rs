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
use crate::sealing::Sealing;
use crate::select::{of_account, tally};
use crate::store::{self, Access};

/// The file of an export.
#[derive(Clone, Copy)]
pub(crate) struct Output<'a> {
    pub(crate) path: &'a Path,
    /// In plain text, also from a store that isn't.
    pub(crate) plain: bool,
}

pub(crate) fn export(
    run: &mut Run<'_>,
    name: &OsStr,
    account: Option<&str>,
    secrets: Secrets,
    output: Option<Output<'_>>,
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
    let Some(Output { path, plain }) = output else {
        // The document is the result, with --json too.
        run.out.product(&text)?;
        return Ok(Outcome::Done);
    };
    let sealing = if plain || secrets == Secrets::Hidden {
        None
    } else {
        Sealing::of(run.common, &loaded.store)?
    };
    if secrets == Secrets::Shown
        && !plain
        && sealing.is_none()
        && loaded.store.is_protected(run.common)
    {
        let reason = "the file would have tokens in plain text, and the store is encrypted";
        return Err(Failure::usage(reason).with_hint("--plain writes it"));
    }
    write_new(run.common, path, text.as_bytes(), sealing.as_ref())?;
    if run.out.json {
        let exported = json!({
            "output": path.display().to_string(),
            "entries": entries.len(),
            "redacted": secrets == Secrets::Hidden,
            "sealed": sealing.is_some(),
        });
        run.out.json(&exported)?;
        return Ok(Outcome::Done);
    }
    let what = tally(&entries);
    run.out.line(format!(
        "{GOOD}✓{GOOD:#} {what} written to {}",
        printable(&path.display().to_string())
    ))?;
    if sealing.is_some() {
        run.out.line(format!("{DIM}It is sealed by the keys of the store.{DIM:#}"))?;
    }
    if secrets == Secrets::Hidden {
        run.out.line(format!(
            "{DIM}The tokens are redacted: the document can't be imported.{DIM:#}"
        ))?;
    }
    Ok(Outcome::Done)
}
