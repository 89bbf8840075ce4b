//! Removes entries: `remove`, `sign-out`, `purge` and `clear`.

use std::io::{IsTerminal, Write};

use msal_cache::Entry;
use serde_json::json;

use crate::failure::{Failure, Outcome, printable};
use crate::flags::EntryFilter;
use crate::out::{BOLD, DIM, GOOD, Out, count};
use crate::run::{Loaded, Run};
use crate::select::{Selection, Users, by_id, expires_on, tally};
use crate::store::{Access, write};
use crate::{progress, tokens};

pub(crate) fn remove(
    run: &mut Run<'_>,
    name: &str,
    ids: &[String],
    filter: &EntryFilter,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    if ids.is_empty() == filter.is_empty() {
        let reason = "specify either entry ids or filters, e.g. --client";
        return Err(
            Failure::usage(reason).with_hint("to remove all entries, use `msal-cache clear`")
        );
    }
    let loaded = run.load(name)?;
    let users = Users::of(&loaded.entries);
    let selection = Selection::new(filter, &users, run.now());
    let mut entries = Vec::new();
    for id in ids {
        entries.push(by_id(&loaded.entries, id)?);
    }
    if ids.is_empty() {
        entries.extend(loaded.entries.iter().filter(|it| selection.contains(it)));
    }
    delete(run, &loaded, &entries, "removed", dry_run)
}

pub(crate) fn sign_out(
    run: &mut Run<'_>,
    name: &str,
    account: &str,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let loaded = run.load(name)?;
    let users = Users::of(&loaded.entries);
    let home = users.one(account)?;
    // Includes unknown sections and unreadable records: no entry of the user may remain.
    let of_user = |it: &&Entry| it.get("home_account_id").is_some_and(|it| it == home);
    let entries: Vec<_> = loaded.entries.iter().filter(of_user).collect();
    if !dry_run {
        loaded.cache.remove_user(home)?;
    }
    if !run.out.json {
        let name = printable(users.name(home));
        let done = if dry_run { "would be signed out" } else { "signed out" };
        run.out.line(format!("{BOLD}{name}{BOLD:#} {done}"))?;
    }
    report(run, &loaded, &entries, "removed", dry_run)
}

pub(crate) fn purge(run: &mut Run<'_>, name: &str, dry_run: bool) -> Result<Outcome, Failure> {
    if dry_run {
        let loaded = run.load(name)?;
        let expired = |it: &&Entry| expires_on(it).is_some_and(|at| at < run.now());
        let entries: Vec<_> = loaded.entries.iter().filter(expired).collect();
        return delete(run, &loaded, &entries, "deleted", true);
    }
    let (store, cache) = run.open(name, Access::Existing)?;
    let purged = progress::during("Purging", || cache.purge_expired())?;
    if run.out.json {
        run.out.json(&json!({"store": store.path(), "dry_run": false, "purged": purged}))?;
    } else {
        let purged = usize::try_from(purged).unwrap_or(usize::MAX);
        let tokens = count(purged, "expired access token");
        run.out.line(format!("{GOOD}✓{GOOD:#} {tokens} deleted"))?;
    }
    Ok(Outcome::Done)
}

pub(crate) fn clear(
    run: &mut Run<'_>,
    name: &str,
    yes: bool,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let loaded = run.load(name)?;
    if !yes && !dry_run {
        let what = tally(&loaded.entries);
        let path = printable(&loaded.store.path().display().to_string());
        confirm(&format!("Delete {what} in {path}?"))?;
    }
    let entries: Vec<_> = loaded.entries.iter().collect();
    if dry_run {
        return delete(run, &loaded, &entries, "deleted", true);
    }
    progress::during("Clearing", || loaded.cache.deserialize(""))?;
    report(run, &loaded, &entries, "deleted", false)
}

/// Deletes entries by their stored keys, in one commit.
fn delete(
    run: &mut Run<'_>,
    loaded: &Loaded,
    entries: &[&Entry],
    done: &str,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    if !dry_run && !entries.is_empty() {
        write(&loaded.cache, &[], entries)?;
    }
    report(run, loaded, entries, done, dry_run)
}

fn report(
    run: &mut Run<'_>,
    loaded: &Loaded,
    entries: &[&Entry],
    done: &str,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let outcome = if entries.is_empty() { Outcome::Found } else { Outcome::Done };
    let users = Users::of(&loaded.entries);
    if run.out.json {
        let removed: Vec<_> =
            entries.iter().map(|it| tokens::as_json(it, &users, run.now())).collect();
        let store = loaded.store.path();
        run.out.json(&json!({"store": store, "dry_run": dry_run, "removed": removed}))?;
        return Ok(outcome);
    }
    if entries.is_empty() {
        run.out.line("No matching entries.")?;
        return Ok(outcome);
    }
    let mut table = tokens::table(entries, &users, run.out);
    table.lift();
    let lines = table.lines(run.out.width);
    for line in lines.iter().take(MAX_LISTED + 1) {
        run.out.line(line)?;
    }
    if let Some(more) = lines.len().checked_sub(MAX_LISTED + 1).filter(|more| *more > 0) {
        run.out.line(format!("{DIM}and {} more{DIM:#}", crate::out::grouped(more)))?;
    }
    let what = tally(entries.iter().copied());
    if dry_run {
        run.out.line(format!("{BOLD}{what} would be {done}{BOLD:#}"))?;
    } else {
        run.out.line(format!("{GOOD}✓{GOOD:#} {what} {done}"))?;
    }
    Ok(outcome)
}

/// The maximum number of entries that are listed.
const MAX_LISTED: usize = 20;

/// Asks for confirmation on the terminal; without a terminal, it fails.
fn confirm(question: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() || !Out::is_terminal() {
        let reason = "deleting all entries must be confirmed on a terminal";
        return Err(Failure::usage(reason).with_hint("--yes skips the confirmation"));
    }
    print!("{question} [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::nothing("nothing was deleted")),
    }
}
