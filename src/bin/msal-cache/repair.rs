//! Mending what can be mended.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use msal_cache::check::{self, Finding};
use msal_cache::{
    Blob, BlobStore, Bytes, CacheStore, Error, FileBlob, FileStore, Memory, OnCorrupt, Permissions,
    Revision, TokenCache,
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::check::{FEW, as_json, described, groups, of_what};
use crate::failure::{Failure, Outcome, printable};
use crate::out::{BOLD, DIM, GOOD, count};
use crate::redact;
use crate::select::Users;
use crate::store::{Access, Cache, Place};
use crate::{Run, export, progress};

/// What is done to the store as a whole.
#[derive(Default)]
struct Whole {
    /// Others could open it.
    private: bool,
    /// It could not be read, and so many records of it could.
    saved: Option<usize>,
    /// Where it is now.
    aside: Option<PathBuf>,
    backup: Option<PathBuf>,
}

pub(crate) fn repair(
    run: &mut Run<'_>,
    store: &str,
    dry_run: bool,
    backup: bool,
) -> Result<Outcome, Failure> {
    let place = Place::named(store)?;
    let mut whole = Whole { private: !is_private(run, &place)?, ..Whole::default() };
    let permissions = if dry_run { Permissions::Ignore } else { Permissions::Repair };
    let open = |on_corrupt| place.open_with(run.common, Access::Existing, permissions, on_corrupt);
    let mut cache = open(OnCorrupt::Quarantine)?;
    let mut entries = match progress::during("Reading", || cache.entries(None)) {
        Ok(entries) => entries,
        Err(Error::Corrupt { .. }) if matches!(place, Place::File(_)) => {
            let broken = Broken::read(run, &place, permissions)?;
            if dry_run {
                cache = broken.cache(run)?;
            } else {
                whole.aside = Some(broken.set_aside(&place)?);
            }
            let saved = cache.entries(None)?;
            whole.saved = Some(saved.len());
            saved
        }
        Err(error) => return Err(error.into()),
    };
    let found: Vec<_> = check::check(&entries, run.now());
    let mendable: Vec<_> = found.iter().filter(|it| it.remedy().is_some()).cloned().collect();
    let mended = if dry_run || mendable.is_empty() {
        mendable
    } else {
        // A file that was broken is there as it was, under another name.
        if backup && whole.saved.is_none() {
            whole.backup = Some(back_up(run, &place, &cache)?);
        }
        progress::during("Mending", || cache.repair())?
    };
    if !dry_run {
        entries = cache.entries(None)?;
    }
    let left = check::check(&entries, run.now());
    let left = left.iter().filter(|it| it.remedy().is_none()).count();
    report(run, &place, &whole, &mended, left, dry_run)?;
    Ok(Outcome::Done)
}

/// Whether nobody else can open the store.
fn is_private(run: &Run<'_>, place: &Place) -> Result<bool, Failure> {
    match place.open_with(run.common, Access::Existing, Permissions::Refuse, OnCorrupt::Error) {
        Ok(_) => Ok(true),
        Err(Failure::Cache(Error::Insecure { .. })) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// A file that can't be read as a cache.
struct Broken {
    blob: FileBlob,
    bytes: Bytes,
    /// The document of what is whole in it.
    saved: Zeroizing<String>,
}

impl Broken {
    fn read(run: &Run<'_>, place: &Place, permissions: Permissions) -> Result<Self, Failure> {
        let blob = FileStore::builder(place.path())
            .permissions(permissions)
            .on_corrupt(OnCorrupt::Quarantine)
            .lock_timeout(Duration::from_secs(run.common.lock_timeout))
            .open_blob()?;
        let Blob::Present(_, bytes) = blob.read(None)? else {
            return Err(Failure::Missing(place.path().to_owned()));
        };
        let saved = Zeroizing::new(redact::salvaged(&bytes)?);
        Ok(Self { blob, bytes, saved })
    }

    /// What would be saved.
    fn cache(&self, run: &Run<'_>) -> Result<Cache, Failure> {
        let store: Box<dyn CacheStore> = Box::new(Memory::new());
        let cache = TokenCache::with_clock(store, crate::store::clock(run.common));
        cache.deserialize(&self.saved)?;
        Ok(cache)
    }

    /// Sets the file aside, if it still is what was read, and puts what was saved in its place.
    /// A file has to be there, also an empty one: MSAL Node fails without.
    fn set_aside(&self, place: &Place) -> Result<PathBuf, Failure> {
        let name = |number: u32| beside(place.path(), &format!(".corrupt-{number}"));
        let _hold = self.blob.hold()?;
        // What is read with others held off can be replaced.
        let revision = match self.blob.read(None)? {
            Blob::Present(revision, bytes) if bytes == self.bytes => revision,
            _ => return Err(Error::Conflict.into()),
        };
        let free = (1..=u32::MAX).map(name).find(|path| path.symlink_metadata().is_err());
        if !self.blob.quarantine(revision)? {
            let source = io::Error::other("it is mounted there and can't be renamed");
            return Err(Failure::File {
                operation: "set aside",
                path: place.path().into(),
                source,
            });
        }
        self.blob.swap(Revision::ABSENT, self.saved.as_bytes())?;
        Ok(free.unwrap_or_default())
    }
}

/// Writes the whole cache beside the store, for nobody else to open.
fn back_up(run: &Run<'_>, place: &Place, cache: &Cache) -> Result<PathBuf, Failure> {
    let document = Zeroizing::new(cache.serialize()?);
    let stamp = run.out.calendar.stamp(run.now());
    for number in 1.. {
        let again = if number == 1 { String::new() } else { format!("-{number}") };
        let path = beside(place.path(), &format!(".backup-{stamp}{again}.json"));
        match export::write_new(&path, document.as_bytes()) {
            Err(Failure::File { source, .. })
                if source.kind() == std::io::ErrorKind::AlreadyExists => {}
            written => return written.map(|()| path),
        }
    }
    Err(Failure::usage("there are too many backups"))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn report(
    run: &mut Run<'_>,
    place: &Place,
    whole: &Whole,
    mended: &[Finding],
    left: usize,
    dry_run: bool,
) -> Result<(), Failure> {
    let entries: Vec<_> = mended.iter().map(|it| it.entry().clone()).collect();
    let users = Users::of(&entries);
    if run.out.json {
        return Ok(run.out.json(&json!({
            "store": place.path(),
            "dry_run": dry_run,
            "made_private": whole.private,
            "saved": whole.saved,
            "set_aside": whole.aside,
            "backup": whole.backup,
            "mended": mended.iter().map(|it| as_json(it, &users)).collect::<Vec<_>>(),
            "left": left,
        }))?);
    }
    let would = if dry_run { "would be " } else { "" };
    let path = printable(&place.path().display().to_string());
    if whole.private {
        run.out.line(format!("{GOOD}✓{GOOD:#} {path} {would}made private (mode 0600)"))?;
    }
    if let Some(saved) = whole.saved {
        let saved = count(saved, "record");
        let aside = whole.aside.as_ref().map(|it| it.display().to_string());
        let aside = printable(&aside.unwrap_or_else(|| format!("{path}.corrupt-N")));
        run.out.line(format!("{GOOD}✓{GOOD:#} {path} {would}set aside"))?;
        run.out.line(format!("  {DIM}as {aside}; {saved} of it saved{DIM:#}"))?;
    }
    for group in groups(mended) {
        let (first, what) = (group[0], of_what(&group));
        run.out.line(format!("{GOOD}✓{GOOD:#} {}", printable(&format!("{first}: {what}"))))?;
        run.out.line(format!("  {}", first.remedy().unwrap_or_default()))?;
        for finding in group.iter().take(FEW) {
            let line = printable(&described(finding.entry(), &users));
            let line = crate::table::cut(&line, run.out.width.map_or(usize::MAX, |it| it - 2));
            run.out.line(format!("  {DIM}{line}{DIM:#}"))?;
        }
        if group.len() > FEW {
            let more = count(group.len() - FEW, "other");
            run.out.line(format!("  {DIM}and {more}{DIM:#}"))?;
        }
    }
    if !whole.private && whole.saved.is_none() && mended.is_empty() {
        run.out.line("There is nothing to mend.")?;
    } else {
        let number = mended.len() + usize::from(whole.private) + usize::from(whole.saved.is_some());
        let done = if dry_run { "would be mended" } else { "mended" };
        run.out.line(format!("{BOLD}{} {done}{BOLD:#}", count(number, "fault")))?;
    }
    if let Some(backup) = &whole.backup {
        let backup = printable(&backup.display().to_string());
        run.out.line(format!("{DIM}Before: {backup} (it holds the tokens){DIM:#}"))?;
    }
    if left > 0 {
        let left = count(left, "finding");
        run.out.line(format!("{DIM}{left} can't be mended; `msal-cache check` tells.{DIM:#}"))?;
    }
    Ok(())
}
