//! Repairs stores.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use msal_cache::Error;
use msal_cache::check::{self, Finding};
use msal_cache::file::{OnCorrupt, Permissions};
use serde_json::json;

use crate::backup::{back_up, backup_line};
use crate::broken::{BrokenFile, has_mark, remove_mark};
use crate::check::{MAX_LISTED, as_json, entry_line, groups, subject};
use crate::content::{self, Content};
use crate::failure::{Failure, Outcome, is_mode, printable};
use crate::out::{BOLD, DIM, GOOD, count};
use crate::run::Run;
use crate::select::Users;
use crate::store::{Access, StoreRef, permissions};

/// Repairs of the store as a whole.
#[derive(Default)]
struct StoreRepair {
    /// What other users could access.
    exposed: Option<PathBuf>,
    /// The file was unreadable; this many records were recovered.
    recovered: Option<usize>,
    /// The path of the unreadable file after its renaming.
    aside: Option<PathBuf>,
    backup: Option<PathBuf>,
    /// The file began with a byte order mark.
    unmarked: bool,
}

/// What `repair` may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RepairOptions {
    pub(crate) dry_run: bool,
    /// Write a backup first.
    pub(crate) backup: bool,
    /// Replace a file without readable records.
    pub(crate) force: bool,
}

pub(crate) fn repair(
    run: &mut Run<'_>,
    name: &OsStr,
    options: RepairOptions,
) -> Result<Outcome, Failure> {
    let RepairOptions { dry_run, backup, force } = options;
    let store = run.store(name)?;
    let access = if dry_run { Access::Read } else { Access::Change };
    if store == StoreRef::Input {
        return Err(Failure::usage("standard input can be checked, and not repaired"));
    }
    let mut repaired = StoreRepair { exposed: exposed(run, &store)?, ..StoreRepair::default() };
    let permissions =
        if dry_run || run.common.insecure { Permissions::Ignore } else { Permissions::Repair };
    if let Some(database) = store.open_database(run.common, permissions)?
        && let Some(damage) = run.waiting("Checking", || database.find_damage())?
    {
        let reason = format!("{} is damaged: {damage}", store.text());
        return Err(Failure::Beyond { reason, hint: content::DAMAGED.into() });
    }
    let open = |on_corrupt| store.open_with(run.common, access, permissions, on_corrupt);
    let mut cache = open(OnCorrupt::Quarantine)?;
    if !dry_run && repaired.exposed.is_some() {
        // Some file systems accept new permissions and keep the old ones.
        store.open_with(run.common, access, Permissions::Refuse, OnCorrupt::Error)?;
    }
    let mut entries = match run.waiting("Reading", || cache.entries(None)) {
        Ok(entries) => entries,
        Err(Error::Corrupt { .. }) if matches!(store, StoreRef::File(_)) => {
            let broken = BrokenFile::read(run, &store, permissions)?;
            refuse_to_lose(&store, &broken, force)?;
            if dry_run {
                cache = broken.cache(run)?;
            } else {
                repaired.aside = Some(broken.recover(&store)?);
            }
            let recovered = cache.entries(None)?;
            repaired.recovered = Some(recovered.len());
            recovered
        }
        Err(error) => return Err(error.into()),
    };
    if repaired.recovered.is_none() && has_mark(&store) {
        repaired.unmarked = true;
        if !dry_run {
            remove_mark(run, &store, permissions)?;
        }
    }
    let found: Vec<_> = check::check(&entries, run.now());
    let repairable: Vec<_> = found.iter().filter(|it| it.remedy().is_some()).cloned().collect();
    let findings = if dry_run || repairable.is_empty() {
        repairable
    } else {
        // A broken file is kept under another name, which is its backup.
        if backup && repaired.recovered.is_none() {
            repaired.backup = Some(back_up(run, &store, &cache)?);
        }
        run.waiting("Repairing", || cache.repair())?
    };
    if !dry_run {
        entries = cache.entries(None)?;
    }
    let left = check::check(&entries, run.now());
    let left = left.iter().filter(|it| it.remedy().is_none()).count();
    report(run, &store, &repaired, &findings, left, dry_run)?;
    Ok(Outcome::Done)
}

/// A file of another program, or an encrypted one, is not replaced by an empty cache.
fn refuse_to_lose(store: &StoreRef, broken: &BrokenFile, force: bool) -> Result<(), Failure> {
    let what = match broken.lost() {
        Some(Content::Foreign(what)) if !force => what,
        Some(Content::Adal) if !force => content::ADAL,
        Some(Content::Damaged) if !force => "it is a damaged cache without a readable record",
        Some(Content::Text) if !force => content::UNKNOWN,
        _ => return Ok(()),
    };
    let reason = format!("{} is left as it is: {what}", store.text());
    let hint = "--force renames it and begins an empty cache";
    Err(Failure::Beyond { reason, hint: hint.into() })
}

/// What other users can access: the store, a file beside it, or its folder.
fn exposed(run: &Run<'_>, store: &StoreRef) -> Result<Option<PathBuf>, Failure> {
    match store.open_with(run.common, Access::Read, permissions(run.common), OnCorrupt::Error) {
        // What belongs to another user, or is on a file system without permissions, stays as it is.
        Err(Failure::Cache(error @ Error::Insecure { .. })) if !can_be_closed(&error) => {
            Err(error.into())
        }
        Err(Failure::Cache(Error::Insecure { path, .. })) => Ok(Some(path)),
        // What is wrong with the content shows later.
        Ok(_) | Err(Failure::Cache(Error::Corrupt { .. })) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Whether other users have access by the permissions, which a repair can take away.
fn can_be_closed(error: &Error) -> bool {
    matches!(error, Error::Insecure { reason, .. } if is_mode(reason))
}

fn report(
    run: &mut Run<'_>,
    store: &StoreRef,
    repaired: &StoreRepair,
    findings: &[Finding],
    left: usize,
    dry_run: bool,
) -> Result<(), Failure> {
    let entries: Vec<_> = findings.iter().map(|it| it.entry().clone()).collect();
    let users = Users::of(&entries);
    if run.out.json {
        let name = |path: &Path| path.display().to_string();
        return Ok(run.out.json(&json!({
            "store": store.name(),
            "dry_run": dry_run,
            "made_private": repaired.exposed.is_some(),
            "saved": repaired.recovered,
            "set_aside": repaired.aside.as_deref().map(name),
            "backup": repaired.backup.as_deref().map(name),
            "unmarked": repaired.unmarked,
            "repaired": findings.iter().map(|it| as_json(it, &users)).collect::<Vec<_>>(),
            "left": left,
        }))?);
    }
    let would = if dry_run { "would be " } else { "" };
    let path = store.text();
    if let Some(exposed) = &repaired.exposed {
        let is_folder = exposed.is_dir();
        let exposed = printable(&exposed.display().to_string());
        let done = if is_folder && dry_run {
            "closed to other users, if it holds no other files"
        } else if is_folder {
            "closed to other users, who could replace its files"
        } else {
            "made private (mode 0600)"
        };
        run.out.line(format!("{GOOD}✓{GOOD:#} {exposed} {would}{done}"))?;
    }
    if let Some(recovered) = repaired.recovered {
        let recovered = count(recovered, "record");
        let aside = repaired.aside.as_ref().map(|it| it.display().to_string());
        let aside = printable(&aside.unwrap_or_else(|| format!("{path}.corrupt-N")));
        run.out.line(format!("{GOOD}✓{GOOD:#} {path} {would}moved to {aside}"))?;
        run.out.line(format!("  {DIM}unreadable; {recovered} {would}recovered{DIM:#}"))?;
    }
    if repaired.unmarked {
        run.out.line(format!("{GOOD}✓{GOOD:#} byte order mark {would}removed"))?;
    }
    for group in groups(findings) {
        let (first, subject) = (group[0], subject(&group));
        run.out.line(format!("{GOOD}✓{GOOD:#} {}", printable(&format!("{first}: {subject}"))))?;
        run.out.line(format!("  {}", first.remedy().unwrap_or_default()))?;
        for finding in group.iter().take(MAX_LISTED) {
            let line = printable(&entry_line(finding.entry(), &users));
            let line = crate::table::cut(&line, run.out.width.map_or(usize::MAX, |it| it - 2));
            run.out.line(format!("  {DIM}{line}{DIM:#}"))?;
        }
        if group.len() > MAX_LISTED {
            let more = count(group.len() - MAX_LISTED, "other");
            run.out.line(format!("  {DIM}and {more}{DIM:#}"))?;
        }
    }
    let of_store = usize::from(repaired.exposed.is_some())
        + usize::from(repaired.recovered.is_some())
        + usize::from(repaired.unmarked);
    if of_store == 0 && findings.is_empty() {
        run.out.line("Nothing to repair.")?;
    } else {
        let number = findings.len() + of_store;
        let problems = count(number, "problem");
        run.out.line(format!("{BOLD}{problems} {would}fixed{BOLD:#}"))?;
    }
    if let Some(backup) = &repaired.backup {
        run.out.line(backup_line(run.common, backup))?;
    }
    if left > 0 {
        let left = count(left, "finding");
        run.out.line(format!("{DIM}{left} can't be fixed; see `msal-cache check`.{DIM:#}"))?;
    }
    Ok(())
}
