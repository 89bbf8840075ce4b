//! Repairs stores.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use msal_cache::check::{self, Finding};
use msal_cache::file::{FileBlob, OnCorrupt, Permissions};
use msal_cache::store::{Blob, BlobStore, Bytes, CacheStore, Revision};
use msal_cache::{Error, FileStore, Memory, TokenCache};
use serde_json::json;
use zeroize::Zeroizing;

use crate::check::{MAX_LISTED, as_json, entry_line, groups, subject};
use crate::failure::{Failure, Outcome, printable};
use crate::out::{BOLD, DIM, GOOD, count};
use crate::redact;
use crate::run::Run;
use crate::select::Users;
use crate::store::{Access, Cache, StoreRef};
use crate::{export, progress};

/// Repairs of the store as a whole.
#[derive(Default)]
struct StoreRepair {
    /// Other users could access the store.
    private: bool,
    /// The file was unreadable; this many records were recovered.
    recovered: Option<usize>,
    /// The path of the unreadable file after its renaming.
    aside: Option<PathBuf>,
    backup: Option<PathBuf>,
}

pub(crate) fn repair(
    run: &mut Run<'_>,
    name: &str,
    dry_run: bool,
    backup: bool,
) -> Result<Outcome, Failure> {
    let store = StoreRef::parse(name)?;
    let mut repaired = StoreRepair { private: !is_private(run, &store)?, ..StoreRepair::default() };
    let permissions = if dry_run { Permissions::Ignore } else { Permissions::Repair };
    let open = |on_corrupt| store.open_with(run.common, Access::Existing, permissions, on_corrupt);
    let mut cache = open(OnCorrupt::Quarantine)?;
    let mut entries = match progress::during("Reading", || cache.entries(None)) {
        Ok(entries) => entries,
        Err(Error::Corrupt { .. }) if matches!(store, StoreRef::File(_)) => {
            let broken = BrokenFile::read(run, &store, permissions)?;
            if dry_run {
                cache = broken.cache(run)?;
            } else {
                repaired.aside = Some(broken.set_aside(&store)?);
            }
            let recovered = cache.entries(None)?;
            repaired.recovered = Some(recovered.len());
            recovered
        }
        Err(error) => return Err(error.into()),
    };
    let found: Vec<_> = check::check(&entries, run.now());
    let repairable: Vec<_> = found.iter().filter(|it| it.remedy().is_some()).cloned().collect();
    let mended = if dry_run || repairable.is_empty() {
        repairable
    } else {
        // A broken file is kept under another name, which is its backup.
        if backup && repaired.recovered.is_none() {
            repaired.backup = Some(back_up(run, &store, &cache)?);
        }
        progress::during("Repairing", || cache.repair())?
    };
    if !dry_run {
        entries = cache.entries(None)?;
    }
    let left = check::check(&entries, run.now());
    let left = left.iter().filter(|it| it.remedy().is_none()).count();
    report(run, &store, &repaired, &mended, left, dry_run)?;
    Ok(Outcome::Done)
}

/// Whether only the owner can access the store.
fn is_private(run: &Run<'_>, store: &StoreRef) -> Result<bool, Failure> {
    match store.open_with(run.common, Access::Existing, Permissions::Refuse, OnCorrupt::Error) {
        Ok(_) => Ok(true),
        Err(Failure::Cache(Error::Insecure { .. })) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// A file that isn't a valid token cache.
struct BrokenFile {
    blob: FileBlob,
    bytes: Bytes,
    /// A document of the recovered records.
    recovered: Zeroizing<String>,
}

impl BrokenFile {
    fn read(run: &Run<'_>, store: &StoreRef, permissions: Permissions) -> Result<Self, Failure> {
        let blob = FileStore::builder(store.path())
            .permissions(permissions)
            .on_corrupt(OnCorrupt::Quarantine)
            .lock_timeout(Duration::from_secs(run.common.lock_timeout))
            .open_blob()?;
        let Blob::Present(_, bytes) = blob.read(None)? else {
            return Err(Failure::Missing(store.path().to_owned()));
        };
        let recovered = Zeroizing::new(redact::salvage(&bytes)?);
        Ok(Self { blob, bytes, recovered })
    }

    /// A cache of the recovered records.
    fn cache(&self, run: &Run<'_>) -> Result<Cache, Failure> {
        let store: Box<dyn CacheStore> = Box::new(Memory::new());
        let cache = TokenCache::with_clock(store, crate::store::clock(run.common));
        cache.deserialize(&self.recovered)?;
        Ok(cache)
    }

    /// Renames the file, if it hasn't changed since it was read, and writes the recovered records
    /// to a new one. The new file is written even if it is empty: MSAL Node fails without a file.
    fn set_aside(&self, store: &StoreRef) -> Result<PathBuf, Failure> {
        let name = |number: u32| beside(store.path(), &format!(".corrupt-{number}"));
        let _hold = self.blob.hold()?;
        // The revision is read while other writers are held off, so that it can be replaced.
        let revision = match self.blob.read(None)? {
            Blob::Present(revision, bytes) if bytes == self.bytes => revision,
            _ => return Err(Error::Conflict.into()),
        };
        let free = (1..=u32::MAX).map(name).find(|path| path.symlink_metadata().is_err());
        if !self.blob.quarantine(revision)? {
            let source = io::Error::other("it is a mount point");
            return Err(Failure::File { operation: "rename", path: store.path().into(), source });
        }
        self.blob.swap(Revision::ABSENT, self.recovered.as_bytes())?;
        Ok(free.unwrap_or_default())
    }
}

/// Writes the whole cache to a new file next to the store that only its owner can access.
fn back_up(run: &Run<'_>, store: &StoreRef, cache: &Cache) -> Result<PathBuf, Failure> {
    let document = Zeroizing::new(cache.serialize()?);
    let stamp = run.out.calendar.stamp(run.now());
    for number in 1.. {
        let again = if number == 1 { String::new() } else { format!("-{number}") };
        let path = beside(store.path(), &format!(".backup-{stamp}{again}.json"));
        match export::write_new(&path, document.as_bytes()) {
            Err(Failure::File { source, .. })
                if source.kind() == std::io::ErrorKind::AlreadyExists => {}
            written => return written.map(|()| path),
        }
    }
    Err(Failure::usage("too many backups exist"))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn report(
    run: &mut Run<'_>,
    store: &StoreRef,
    repaired: &StoreRepair,
    mended: &[Finding],
    left: usize,
    dry_run: bool,
) -> Result<(), Failure> {
    let entries: Vec<_> = mended.iter().map(|it| it.entry().clone()).collect();
    let users = Users::of(&entries);
    if run.out.json {
        return Ok(run.out.json(&json!({
            "store": store.path(),
            "dry_run": dry_run,
            "made_private": repaired.private,
            "saved": repaired.recovered,
            "set_aside": repaired.aside,
            "backup": repaired.backup,
            "mended": mended.iter().map(|it| as_json(it, &users)).collect::<Vec<_>>(),
            "left": left,
        }))?);
    }
    let would = if dry_run { "would be " } else { "" };
    let path = printable(&store.path().display().to_string());
    if repaired.private {
        run.out.line(format!("{GOOD}✓{GOOD:#} {path} {would}made private (mode 0600)"))?;
    }
    if let Some(recovered) = repaired.recovered {
        let recovered = count(recovered, "record");
        let aside = repaired.aside.as_ref().map(|it| it.display().to_string());
        let aside = printable(&aside.unwrap_or_else(|| format!("{path}.corrupt-N")));
        run.out.line(format!("{GOOD}✓{GOOD:#} {path} {would}moved to {aside}"))?;
        run.out.line(format!("  {DIM}unreadable; {recovered} {would}recovered{DIM:#}"))?;
    }
    for group in groups(mended) {
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
    if !repaired.private && repaired.recovered.is_none() && mended.is_empty() {
        run.out.line("Nothing to repair.")?;
    } else {
        let number = mended.len()
            + usize::from(repaired.private)
            + usize::from(repaired.recovered.is_some());
        let problems = count(number, "problem");
        run.out.line(format!("{BOLD}{problems} {would}fixed{BOLD:#}"))?;
    }
    if let Some(backup) = &repaired.backup {
        let backup = printable(&backup.display().to_string());
        run.out.line(format!("{DIM}Backup: {backup} (contains tokens){DIM:#}"))?;
    }
    if left > 0 {
        let left = count(left, "finding");
        run.out.line(format!("{DIM}{left} can't be fixed; see `msal-cache check`.{DIM:#}"))?;
    }
    Ok(())
}
