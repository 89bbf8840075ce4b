//! Imports a document and copies stores.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use msal_cache::{CredentialType, Entry, TokenCache};
use serde_json::json;

use crate::failure::{Failure, Outcome, printable};
use crate::out::{BOLD, DIM, GOOD, count};
use crate::redact;
use crate::run::Run;
use crate::select::{of_account, tally};
use crate::store::{Access, Cache, StoreRef, write};
use crate::{add, progress};

pub(crate) fn import(
    run: &mut Run<'_>,
    name: &str,
    input: &Path,
    replace: bool,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let text = add::read(input)?;
    let source = TokenCache::in_memory();
    source.deserialize(&text).map_err(|error| Failure::input(input, "a token cache", error))?;
    let entries = source.entries(None)?;
    if entries.iter().any(redact::is_redacted) {
        let reason = "the document is a redacted export: it contains no tokens";
        return Err(Failure::usage(reason).with_hint("export with --show-secrets"));
    }
    let known = |it: &Entry| CredentialType::KNOWN.contains(it.credential_type());
    if !entries.is_empty() && !entries.iter().any(known) {
        let reason = "the document contains no section of a token cache";
        return Err(
            Failure::usage(reason).with_hint("to add a token response, use `msal-cache add`")
        );
    }
    let store = StoreRef::parse(name)?;
    put(run, &entries, &store, replace, dry_run)
}

pub(crate) fn copy(
    run: &mut Run<'_>,
    from: &str,
    to: &str,
    account: Option<&str>,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let loaded = run.load(from)?;
    let entries = of_account(&loaded.entries, account)?;
    let store = StoreRef::parse(to)?;
    if is_same(loaded.store.path(), store.path()) {
        return Err(Failure::usage("the source and the destination are the same store"));
    }
    put(run, &entries, &store, false, dry_run)
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|it| it == one))
}

/// Writes entries to a store in one commit, then verifies them.
fn put(
    run: &mut Run<'_>,
    entries: &[Entry],
    store: &StoreRef,
    replace: bool,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let mut deleted = 0;
    if !dry_run || store.path().symlink_metadata().is_ok() {
        let cache = store.open(run.common, Access::Create)?;
        let stored = if replace { cache.entries(None)? } else { Vec::new() };
        let new: HashSet<_> = entries.iter().map(|it| (it.credential_type(), it.key())).collect();
        let extra = stored.iter().filter(|it| !new.contains(&(it.credential_type(), it.key())));
        let extra: Vec<_> = extra.collect();
        deleted = extra.len();
        if !dry_run {
            progress::during("Writing", || write(&cache, entries, &extra))?;
            verify(&cache, entries)?;
        }
    }
    let path = printable(&store.path().display().to_string());
    if run.out.json {
        run.out.json(&json!({
            "store": store.path(),
            "dry_run": dry_run,
            "entries": entries.len(),
            "deleted": deleted,
        }))?;
        return Ok(Outcome::Done);
    }
    let what = tally(entries);
    if dry_run {
        run.out.line(format!("{BOLD}{what} would be written to {path}{BOLD:#}"))?;
    } else {
        run.out.line(format!("{GOOD}✓{GOOD:#} {what} written to {path}"))?;
    }
    if deleted > 0 {
        let other = count(deleted, "other entry");
        let done = if dry_run { "would be deleted" } else { "deleted" };
        run.out.line(format!("{DIM}{other} {done}{DIM:#}"))?;
    }
    Ok(Outcome::Done)
}

/// Reads the entries back and compares them.
fn verify(cache: &Cache, entries: &[Entry]) -> Result<(), Failure> {
    let stored = cache.entries(None)?;
    let stored: HashMap<_, _> =
        stored.iter().map(|it| ((it.credential_type(), it.key()), it)).collect();
    let bar = progress::bar("Verifying", entries.len());
    let mut different = 0;
    for entry in entries {
        let found = stored.get(&(entry.credential_type(), entry.key()));
        // A store may format the same value differently.
        let same = |it: &&Entry| *it == entry || it.fields().ok() == entry.fields().ok();
        different += usize::from(!found.is_some_and(same));
        bar.inc(1);
    }
    bar.finish_and_clear();
    if different > 0 {
        let different = count(different, "entry");
        let reason = format!("verification failed: {different} not stored as written");
        return Err(
            Failure::nothing(reason).with_hint("another process may have changed the store")
        );
    }
    Ok(())
}
