//! Taking entries out.

use std::io::{IsTerminal, Write};

use msal_cache::{Batch, CacheStore, Entry, Expect, Record};
use serde_json::json;

use crate::args::Filter;
use crate::failure::{Failure, Outcome, printable};
use crate::out::{BOLD, DIM, GOOD, Out, count};
use crate::select::{Chosen, Users, by_id, expires_on, tally};
use crate::store::Access;
use crate::{Loaded, Run, progress, tokens};

pub(crate) fn remove(
    run: &mut Run<'_>,
    store: &str,
    ids: &[String],
    filter: &Filter,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    if ids.is_empty() == filter.is_empty() {
        let reason = "say what to remove: either ids, or flags such as --client";
        return Err(Failure::usage(reason).with_hint("`msal-cache clear` removes everything"));
    }
    let loaded = run.load(store)?;
    let users = Users::of(&loaded.entries);
    let chosen = Chosen::new(filter, &users, run.now());
    let mut entries = Vec::new();
    for id in ids {
        entries.push(by_id(&loaded.entries, id)?);
    }
    if ids.is_empty() {
        entries.extend(loaded.entries.iter().filter(|it| chosen.contains(it)));
    }
    take_out(run, &loaded, &entries, "removed", dry_run)
}

pub(crate) fn sign_out(
    run: &mut Run<'_>,
    store: &str,
    account: &str,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let loaded = run.load(store)?;
    let users = Users::of(&loaded.entries);
    let home = users.one(account)?;
    // Whatever the section is, and whether it can be read or not: nothing is left.
    let of_user = |it: &&Entry| it.get("home_account_id").is_some_and(|it| it == home);
    let entries: Vec<_> = loaded.entries.iter().filter(of_user).collect();
    if !dry_run {
        loaded.cache.remove_user(home)?;
    }
    if !run.out.json {
        let name = printable(users.name(home));
        let done = if dry_run { "would be signed out" } else { "is signed out" };
        run.out.line(format!("{BOLD}{name}{BOLD:#} {done}."))?;
    }
    report(run, &loaded, &entries, "removed", dry_run)
}

pub(crate) fn purge(run: &mut Run<'_>, store: &str, dry_run: bool) -> Result<Outcome, Failure> {
    if dry_run {
        let loaded = run.load(store)?;
        let expired = |it: &&Entry| expires_on(it).is_some_and(|at| at < run.now());
        let entries: Vec<_> = loaded.entries.iter().filter(expired).collect();
        return take_out(run, &loaded, &entries, "deleted", true);
    }
    let (place, cache) = run.open(store, Access::Existing)?;
    let purged = progress::during("Purging", || cache.purge_expired())?;
    if run.out.json {
        run.out.json(&json!({"store": place.path(), "dry_run": false, "purged": purged}))?;
    } else {
        let purged = usize::try_from(purged).unwrap_or(usize::MAX);
        let tokens = count(purged, "expired access token");
        run.out.line(format!("{GOOD}✓{GOOD:#} {tokens} deleted"))?;
    }
    Ok(Outcome::Done)
}

pub(crate) fn clear(
    run: &mut Run<'_>,
    store: &str,
    yes: bool,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let loaded = run.load(store)?;
    if !yes && !dry_run {
        let what = tally(&loaded.entries);
        let path = printable(&loaded.place.path().display().to_string());
        confirm(&format!("Delete {what} in {path}?"))?;
    }
    let entries: Vec<_> = loaded.entries.iter().collect();
    if dry_run {
        return take_out(run, &loaded, &entries, "deleted", true);
    }
    progress::during("Clearing", || loaded.cache.deserialize(""))?;
    report(run, &loaded, &entries, "deleted", false)
}

/// Deletes entries by the keys under which they stand, in one commit.
fn take_out(
    run: &mut Run<'_>,
    loaded: &Loaded,
    entries: &[&Entry],
    done: &str,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    if !dry_run && !entries.is_empty() {
        let mut batch = Batch::new();
        for entry in entries {
            let record = Record::from(*entry);
            let change = batch.change(record.partition(), Expect::Any);
            change.delete(record.credential_type, record.key);
        }
        msal_cache::retry(|| loaded.cache.store().commit(&batch))?;
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
        let place = loaded.place.path();
        run.out.json(&json!({"store": place, "dry_run": dry_run, "removed": removed}))?;
        return Ok(outcome);
    }
    if entries.is_empty() {
        run.out.line("There is nothing of the kind.")?;
        return Ok(outcome);
    }
    let mut table = tokens::table(entries, &users, run.out);
    table.lift();
    let lines = table.lines(run.out.width);
    for line in lines.iter().take(MOST + 1) {
        run.out.line(line)?;
    }
    if let Some(more) = lines.len().checked_sub(MOST + 1).filter(|more| *more > 0) {
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

/// How many entries are listed.
const MOST: usize = 20;

/// Asks whoever sits at the terminal. Without one, the answer is no.
fn confirm(question: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() || !Out::is_terminal() {
        let reason = "this deletes everything, and there is nobody to ask";
        return Err(Failure::usage(reason).with_hint("--yes does it without asking"));
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
