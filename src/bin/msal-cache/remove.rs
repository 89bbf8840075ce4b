//! Removes entries: `remove`, `sign-out`, `purge` and `clear`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use msal_cache::{Entry, Error};
use serde_json::json;

use crate::backup::{back_up, backup_line};
use crate::broken::BrokenFile;
use crate::confirm::confirm;
use crate::content::{self, Content};
use crate::failure::{Failure, Outcome, printable};
use crate::flags::{DeleteArgs, EntryFilter};
use crate::out::{BOLD, DIM, GOOD, count};
use crate::run::{Loaded, Run};
use crate::select::{Ids, Selection, Users, expires_on, tally};
use crate::store::{Access, StoreRef, permissions, write};
use crate::tokens;

pub(crate) fn remove(
    run: &mut Run<'_>,
    name: &OsStr,
    ids: &[String],
    filter: &EntryFilter,
    args: &DeleteArgs,
) -> Result<Outcome, Failure> {
    if ids.is_empty() == filter.is_empty() {
        let reason = "specify either entry ids or filters, e.g. --client";
        return Err(
            Failure::usage(reason).with_hint("to remove all entries, use `msal-cache clear`")
        );
    }
    let loaded = run.load(name, access(args.dry.dry_run))?;
    let users = Users::of(&loaded.entries);
    let selection = Selection::new(filter, &users, run.now());
    let mut entries = Vec::new();
    if ids.is_empty() {
        entries.extend(loaded.entries.iter().filter(|it| selection.contains(it)));
    } else {
        let known = Ids::of(&loaded.entries);
        for id in ids {
            entries.push(known.one(id)?);
        }
    }
    if args.dry.dry_run || entries.is_empty() {
        return report(run, &loaded, &entries, "removed", args.dry.dry_run, None);
    }
    let backup = confirm_and_back_up(run, &loaded, &entries, args)?;
    run.waiting("Removing", || write(&loaded.cache, &[], &entries))?;
    report(run, &loaded, &entries, "removed", false, backup.as_deref())
}

fn access(dry_run: bool) -> Access {
    if dry_run { Access::Read } else { Access::Change }
}

/// Asks for confirmation, and writes a backup of the whole cache.
fn confirm_and_back_up(
    run: &Run<'_>,
    loaded: &Loaded,
    entries: &[&Entry],
    args: &DeleteArgs,
) -> Result<Option<PathBuf>, Failure> {
    let what = tally(entries.iter().copied());
    confirm(&format!("Delete {what} in {}?", loaded.store.text()), args.yes)?;
    if args.no_backup || loaded.entries.is_empty() {
        return Ok(None);
    }
    back_up(run, &loaded.store, &loaded.cache).map(Some)
}

pub(crate) fn sign_out(
    run: &mut Run<'_>,
    name: &OsStr,
    account: &str,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let loaded = run.load(name, access(dry_run))?;
    let users = Users::of(&loaded.entries);
    let home = users.one(account)?;
    // Includes unknown sections and unreadable records: no entry of the user may remain.
    let of_user = |it: &&Entry| it.get("home_account_id").is_some_and(|it| it == home);
    let entries: Vec<_> = loaded.entries.iter().filter(of_user).collect();
    if !dry_run {
        run.waiting("Removing", || loaded.cache.remove_user(home))?;
    }
    if !run.out.json {
        let name = printable(users.name(home));
        let done = if dry_run { "would be signed out" } else { "signed out" };
        run.out.line(format!("{BOLD}{name}{BOLD:#} {done}"))?;
    }
    report(run, &loaded, &entries, "removed", dry_run, None)
}

pub(crate) fn purge(run: &mut Run<'_>, name: &OsStr, dry_run: bool) -> Result<Outcome, Failure> {
    if dry_run {
        let loaded = run.load(name, Access::Read)?;
        let expired = |it: &&Entry| expires_on(it).is_some_and(|at| at < run.now());
        let entries: Vec<_> = loaded.entries.iter().filter(expired).collect();
        return report(run, &loaded, &entries, "deleted", true, None);
    }
    let (store, cache) = run.open(name, Access::Change)?;
    let purged = run.waiting("Purging", || cache.purge_expired())?;
    drop(cache);
    if purged > 0 {
        shrink(run, &store)?;
    }
    if run.out.json {
        run.out.json(&json!({"store": store.name(), "dry_run": false, "purged": purged}))?;
    } else {
        let purged = usize::try_from(purged).unwrap_or(usize::MAX);
        let tokens = count(purged, "expired access token");
        run.out.line(format!("{GOOD}✓{GOOD:#} {tokens} deleted"))?;
    }
    Ok(Outcome::Done)
}

/// Returns the space of deleted entries of a database.
fn shrink(run: &Run<'_>, store: &StoreRef) -> Result<(), Failure> {
    let Some(database) = store.open_database(run.common, permissions(run.common))? else {
        return Ok(());
    };
    if !run.waiting("Shrinking", || database.shrink())? {
        run.verbose(|| "other users of the database keep it from shrinking".into());
    }
    Ok(())
}

pub(crate) fn clear(
    run: &mut Run<'_>,
    name: &OsStr,
    args: &DeleteArgs,
) -> Result<Outcome, Failure> {
    let dry_run = args.dry.dry_run;
    let loaded = match run.load(name, access(dry_run)) {
        Err(Failure::Cache(error @ Error::Corrupt { .. })) => {
            return clear_broken(run, error, args);
        }
        loaded => loaded?,
    };
    let entries: Vec<_> = loaded.entries.iter().collect();
    if dry_run {
        return report(run, &loaded, &entries, "deleted", true, None);
    }
    let backup = confirm_and_back_up(run, &loaded, &entries, args)?;
    run.waiting("Clearing", || loaded.cache.deserialize(""))?;
    shrink(run, &loaded.store)?;
    report(run, &loaded, &entries, "deleted", false, backup.as_deref())
}

/// Replaces a broken file by an empty cache. It is kept under another name. A file of another
/// program is left as it is.
fn clear_broken(run: &mut Run<'_>, error: Error, args: &DeleteArgs) -> Result<Outcome, Failure> {
    let Some(store @ StoreRef::File(_)) = run.store.clone() else { return Err(error.into()) };
    let broken = BrokenFile::read(run, &store, permissions(run.common))?;
    let lost = broken.lost();
    if lost == Some(Content::Empty) && !args.dry.dry_run {
        store.begin_if_empty(run.common, Access::Create)?;
        return clear(run, store.path().as_os_str(), args);
    }
    let foreign = match lost {
        Some(Content::Foreign(what)) => Some(what),
        Some(Content::Adal) => Some(content::ADAL),
        _ => None,
    };
    if let Some(what) = foreign {
        let reason = format!("{} is left as it is: {what}", store.text());
        let hint = "rename or delete it, if no program needs it any more";
        return Err(Failure::Beyond { reason, hint: hint.into() });
    }
    let mut backup = None;
    if !args.dry.dry_run {
        confirm(&format!("Replace {}, which is broken?", store.text()), args.yes)?;
        backup = Some(broken.clear(&store)?);
    }
    if run.out.json {
        run.out.json(&json!({
            "store": store.name(),
            "dry_run": args.dry.dry_run,
            "removed": [],
            "backup": backup.map(|it| it.display().to_string()),
        }))?;
        return Ok(Outcome::Done);
    }
    match backup {
        None => run.out.line(format!("{BOLD}{} would be replaced{BOLD:#}", store.text()))?,
        Some(backup) => {
            let backup = printable(&backup.display().to_string());
            run.out.line(format!("{GOOD}✓{GOOD:#} {} moved to {backup}", store.text()))?;
            run.out.line(format!("  {DIM}an empty cache is in its place{DIM:#}"))?;
        }
    }
    Ok(Outcome::Done)
}

fn report(
    run: &mut Run<'_>,
    loaded: &Loaded,
    entries: &[&Entry],
    done: &str,
    dry_run: bool,
    backup: Option<&Path>,
) -> Result<Outcome, Failure> {
    let outcome = if entries.is_empty() { Outcome::Found } else { Outcome::Done };
    let users = Users::of(&loaded.entries);
    if run.out.json {
        let removed: Vec<_> =
            entries.iter().map(|it| tokens::as_json(it, &users, run.now())).collect();
        run.out.json(&json!({
            "store": loaded.store.name(),
            "dry_run": dry_run,
            "removed": removed,
            "backup": backup.map(|it| it.display().to_string()),
        }))?;
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
    if let Some(backup) = backup {
        run.out.line(backup_line(run.common, backup))?;
    }
    Ok(outcome)
}

/// The maximum number of entries that are listed.
const MAX_LISTED: usize = 20;
