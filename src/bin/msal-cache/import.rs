//! Imports a document and copies stores.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::Path;

use msal_cache::{CredentialType, Entry, TokenCache};
use serde_json::json;

use crate::backup::{back_up, backup_line};
use crate::cache::Cache;
use crate::confirm::confirm;
use crate::content;
use crate::failure::{Failure, Outcome};
use crate::flags::{DeleteArgs, RedeemArgs};
use crate::input::{self, TOKEN_CACHE};
use crate::out::{BOLD, DIM, GOOD, count};
use crate::progress;
use crate::redact;
use crate::run::Run;
use crate::select::{of_account, tally};
use crate::store::{Access, StoreRef, write};

pub(crate) fn import(
    run: &mut Run<'_>,
    name: &OsStr,
    input: &Path,
    replace: bool,
    redeem: &RedeemArgs,
    delete: &DeleteArgs,
) -> Result<Outcome, Failure> {
    input::refuse_twice(name, input)?;
    let text = input::document(run.common, &StoreRef::parse(name)?, input)?;
    if content::is_adal(text.as_bytes()) {
        #[cfg(feature = "http")]
        return crate::adal::import(run, name, input, &text, redeem, delete.dry.dry_run);
        #[cfg(not(feature = "http"))]
        {
            let RedeemArgs {} = redeem;
            let reason =
                "the document is a cache of ADAL, whose refresh tokens have to be redeemed";
            let hint = "build the command with the feature `http`, and add --redeem";
            return Err(Failure::usage(reason).with_hint(hint));
        }
    }
    #[cfg(feature = "http")]
    if redeem.redeem {
        return Err(Failure::usage("--redeem is for a cache of ADAL; the document is none"));
    }
    let source = TokenCache::in_memory();
    source.deserialize(&text).map_err(|error| Failure::input(input, TOKEN_CACHE, error))?;
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
    let store = run.store(name)?;
    let to = Destination { store: &store, access: Access::Create };
    put(run, &entries, to, replace.then_some(delete), delete.dry.dry_run)
}

pub(crate) fn copy(
    run: &mut Run<'_>,
    from: &OsStr,
    to: &OsStr,
    account: Option<&str>,
    plain: bool,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let loaded = run.load(from, Access::ReadEither)?;
    let entries = of_account(&loaded.entries, account)?;
    let store = run.store(to)?;
    if loaded.store.is_same(&store) {
        return Err(Failure::usage("the source and the destination are the same store"));
    }
    let stays_plain = !plain && !store.is_protected(run.common);
    if stays_plain && loaded.store.is_protected(run.common) {
        let reason = format!(
            "{} would have tokens in plain text, and {} is encrypted",
            store.text(),
            loaded.store.text()
        );
        return Err(Failure::usage(reason)
            .with_hint("--plain copies them; with keys, the destination is sealed"));
    }
    let access = if plain { Access::CreatePlain } else { Access::Create };
    put(run, &entries, Destination { store: &store, access }, None, dry_run)
}

/// Where entries are written.
#[derive(Clone, Copy)]
struct Destination<'a> {
    store: &'a StoreRef,
    access: Access,
}

/// Writes entries to a store in one commit, then verifies them. With `replace`, deletes all other
/// entries.
fn put(
    run: &mut Run<'_>,
    entries: &[Entry],
    Destination { store, access }: Destination<'_>,
    replace: Option<&DeleteArgs>,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let (mut deleted, mut backup) = (0, None);
    if !dry_run || store.exists() {
        let access = if dry_run { Access::ReadEither } else { access };
        let cache = run.waiting("Opening", || store.open(run.common, access))?;
        let stored = if replace.is_some() { cache.entries(None)? } else { Vec::new() };
        let new: HashSet<_> = entries.iter().map(|it| (it.credential_type(), it.key())).collect();
        let extra = stored.iter().filter(|it| !new.contains(&(it.credential_type(), it.key())));
        let extra: Vec<_> = extra.collect();
        deleted = extra.len();
        if let Some(delete) = replace.filter(|_| !dry_run && deleted > 0) {
            let extra = tally(extra.iter().copied());
            confirm(&format!("Delete {extra} in {}?", store.text()), delete.yes)?;
            if !delete.no_backup {
                backup = Some(back_up(run, store, &cache)?);
            }
        }
        if !dry_run {
            run.waiting("Writing", || write(&cache, entries, &extra))?;
            verify(&cache, entries)?;
        }
    }
    let path = store.text();
    if run.out.json {
        run.out.json(&json!({
            "store": store.name(),
            "dry_run": dry_run,
            "entries": entries.len(),
            "deleted": deleted,
            "backup": backup.map(|it| it.display().to_string()),
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
    if let Some(backup) = backup {
        run.out.line(backup_line(run.common, &backup))?;
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
