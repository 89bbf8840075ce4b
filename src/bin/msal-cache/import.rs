//! Putting what is elsewhere into a store.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use msal_cache::{Batch, CacheStore, CredentialType, Entry, Expect, Record, TokenCache};
use serde_json::json;

use crate::failure::{Failure, Outcome, printable};
use crate::out::{BOLD, DIM, GOOD, count};
use crate::redact;
use crate::select::tally;
use crate::store::{Access, Cache, Place};
use crate::{Run, add, export, progress};

pub(crate) fn import(
    run: &mut Run<'_>,
    store: &str,
    input: &Path,
    replace: bool,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let text = add::read(input)?;
    let source = TokenCache::in_memory();
    source.deserialize(&text)?;
    let entries = source.entries(None)?;
    if entries.iter().any(redact::is_redacted) {
        let reason = "the document is a redacted export: there are no tokens in it";
        return Err(Failure::usage(reason).with_hint("export it with --show-secrets"));
    }
    let known = |it: &Entry| CredentialType::KNOWN.contains(it.credential_type());
    if !entries.is_empty() && !entries.iter().any(known) {
        let reason = "the document has none of the sections of a token cache";
        return Err(Failure::usage(reason).with_hint("`msal-cache add` takes a token response"));
    }
    let place = Place::named(store)?;
    put(run, &entries, &place, replace, dry_run)
}

pub(crate) fn copy(
    run: &mut Run<'_>,
    from: &str,
    to: &str,
    account: Option<&str>,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let loaded = run.load(from)?;
    let entries = export::of_account(&loaded.entries, account)?;
    let place = Place::named(to)?;
    if is_same(loaded.place.path(), place.path()) {
        return Err(Failure::usage("that is one store, copied to itself"));
    }
    put(run, &entries, &place, false, dry_run)
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|it| it == one))
}

/// Puts entries into a store in one commit, and looks whether they arrived.
fn put(
    run: &mut Run<'_>,
    entries: &[Entry],
    place: &Place,
    replace: bool,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let mut deleted = 0;
    if !dry_run || place.path().symlink_metadata().is_ok() {
        let cache = place.open(run.common, Access::Create)?;
        let standing = if replace { cache.entries(None)? } else { Vec::new() };
        let new: HashSet<_> = entries.iter().map(|it| (it.credential_type(), it.key())).collect();
        let gone = standing.iter().filter(|it| !new.contains(&(it.credential_type(), it.key())));
        let gone: Vec<_> = gone.collect();
        deleted = gone.len();
        if !dry_run {
            progress::during("Writing", || write(&cache, entries, &gone))?;
            arrived(&cache, entries)?;
        }
    }
    let path = printable(&place.path().display().to_string());
    if run.out.json {
        run.out.json(&json!({
            "store": place.path(),
            "dry_run": dry_run,
            "entries": entries.len(),
            "deleted": deleted,
        }))?;
        return Ok(Outcome::Done);
    }
    let what = tally(entries);
    if dry_run {
        run.out.line(format!("{BOLD}{what} would be put into {path}{BOLD:#}"))?;
    } else {
        run.out.line(format!("{GOOD}✓{GOOD:#} {what} put into {path}"))?;
    }
    if deleted > 0 {
        let other = count(deleted, "other entry");
        let done = if dry_run { "would be deleted" } else { "deleted" };
        run.out.line(format!("{DIM}{other} {done} there{DIM:#}"))?;
    }
    Ok(Outcome::Done)
}

/// All of it in one commit, each record as it is written where it comes from.
pub(crate) fn write<S: CacheStore>(
    cache: &TokenCache<S>,
    entries: &[Entry],
    gone: &[&Entry],
) -> Result<(), Failure> {
    let mut batch = Batch::new();
    for record in gone.iter().map(|it| Record::from(*it)) {
        let change = batch.change(record.partition(), Expect::Any);
        change.delete(record.credential_type, record.key);
    }
    for record in entries.iter().map(Record::from) {
        batch.change(record.partition(), Expect::Any).put(record);
    }
    msal_cache::retry(|| cache.store().commit(&batch))?;
    Ok(())
}

/// Reads what was written, and compares.
fn arrived(cache: &Cache, entries: &[Entry]) -> Result<(), Failure> {
    let there = cache.entries(None)?;
    let there: HashMap<_, _> =
        there.iter().map(|it| ((it.credential_type(), it.key()), it)).collect();
    let bar = progress::bar("Comparing", entries.len());
    let mut different = 0;
    for entry in entries {
        let found = there.get(&(entry.credential_type(), entry.key()));
        // A store may write the same value in another way.
        let same = |it: &&Entry| *it == entry || it.fields().ok() == entry.fields().ok();
        different += usize::from(!found.is_some_and(same));
        bar.inc(1);
    }
    bar.finish_and_clear();
    if different > 0 {
        let different = count(different, "entry");
        let reason = format!("{different} is not there as it was written");
        return Err(Failure::nothing(reason).with_hint("somebody else may have changed the store"));
    }
    Ok(())
}
