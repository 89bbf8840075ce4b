//! Seals stores, makes them plain, and changes their keys: `seal`, `unseal` and `rekey`.

use std::ffi::OsStr;
use std::path::PathBuf;

use msal_cache::CredentialType;
use msal_cache::file::OnCorrupt;
use msal_cache::sealed::is_sealed_document;
use msal_cache::store::{Blob, BlobStore, CacheStore, retry};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, printable};
use crate::out::{BOLD, DIM, GOOD, WARN, count};
use crate::preview;
use crate::run::Run;
use crate::sealed::Sealed;
use crate::sealing::{Raw, Sealing, kept_beside, numbers};
use crate::store::{Access, StoreRef, file, permissions};

/// What to do with what is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Seal,
    Unseal,
    /// Seal anew by the newest key, after another one was added.
    Rekey {
        new_key: bool,
    },
}

/// What was changed.
struct Changed {
    /// Records, or documents.
    number: u64,
    /// Files beside the store.
    files: Vec<PathBuf>,
    /// Whether old contents are gone from a database.
    emptied: Option<bool>,
}

pub(crate) fn change(
    run: &mut Run<'_>,
    name: &OsStr,
    change: Change,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let store = run.store(name)?;
    if store == StoreRef::Input {
        return Err(Failure::usage("standard input can't be changed"));
    }
    let mut sealing = Sealing::required(run.common, &store)?;
    match change {
        Change::Rekey { new_key: true } if dry_run => sealing.expect_new_key(run.common)?,
        Change::Rekey { new_key: true } => {
            sealing.ring.add_key().map_err(Failure::Keys)?;
        }
        Change::Seal if !dry_run => store.begin_if_empty(run.common, Access::Change)?,
        _ => {}
    }
    let key = sealing.ring.newest();
    let done = apply(run, &store, &sealing, change, dry_run)?;
    let needed = match change {
        Change::Rekey { .. } => Some(needed(run, &store)?),
        Change::Seal | Change::Unseal => None,
    };
    if run.out.json {
        run.out.json(&as_json(&store, &done, change, dry_run, key, needed.as_deref()))?;
    } else {
        report(run, &store, &done, change, dry_run, key)?;
    }
    if let Some(needed) = needed {
        if !run.out.json {
            let numbers = numbers(needed.iter().copied());
            run.out.line(format!("{DIM}Needed to open the store: {numbers}{DIM:#}"))?;
        }
        if !dry_run && needed.iter().any(|it| *it != key) {
            return Ok(Outcome::Found);
        }
    }
    if done.emptied == Some(false) {
        let line = "Old contents may be left in the database: other programs have it open, or others can \
                    create files in its folder. Close them, and run it again.";
        if !run.out.json {
            run.out.line(format!("{WARN}{line}{WARN:#}"))?;
        }
        return Ok(Outcome::Found);
    }
    Ok(Outcome::Done)
}

/// The keys that the store and the files beside it need.
fn needed(run: &Run<'_>, store: &StoreRef) -> Result<Vec<u32>, Failure> {
    let sealed = Sealed::find(run, store, permissions(run.common))?;
    Ok(sealed.iter().flat_map(Sealed::needed).collect())
}

fn apply(
    run: &Run<'_>,
    store: &StoreRef,
    sealing: &Sealing,
    change: Change,
    dry_run: bool,
) -> Result<Changed, Failure> {
    let permissions = permissions(run.common);
    let access = if dry_run { Access::Read } else { Access::Change };
    let raw = store.open_raw(run.common, access, permissions, OnCorrupt::Error)?;
    let Some(raw) = raw else { return Err(Failure::usage("standard input can't be changed")) };
    let raw = if dry_run { raw.preview() } else { raw };
    let number = if dry_run && change == Change::Seal && store.is_empty_file() {
        // It would become an empty cache first, which is sealed.
        0
    } else {
        run.waiting("Sealing", || apply_to(raw, sealing, change, dry_run))?
    };
    let mut files = Vec::new();
    for path in kept_beside(store) {
        let blob = file(run.common, &path, permissions).open_blob()?;
        let blob: Box<dyn BlobStore> = if dry_run { preview::blob(blob) } else { Box::new(blob) };
        if change_file(&blob, sealing, change)? {
            files.push(path);
        }
    }
    let database = match change {
        // Also where it is sealed already: the last run may have been interrupted.
        Change::Seal if !dry_run => store.open_database(run.common, permissions)?,
        _ => None,
    };
    let emptied = database.map(|database| run.waiting("Emptying", || database.shrink()));
    Ok(Changed { number, files, emptied: emptied.transpose()? })
}

/// Changes a store, and returns the number of records or documents.
fn apply_to(raw: Raw, sealing: &Sealing, change: Change, dry_run: bool) -> Result<u64, Failure> {
    Ok(match raw {
        Raw::Text(blob) => {
            let sealed = sealing.text(blob);
            let is_changed = match change {
                Change::Seal => sealed.seal_plain()?,
                Change::Unseal => sealed.unseal()?,
                Change::Rekey { .. } => sealed.rekey()?,
            };
            if change != Change::Unseal && !(dry_run && is_changed) {
                // What was left as it is may need other keys.
                sealed.read(None)?;
            }
            u64::from(is_changed)
        }
        Raw::Rows(rows) => {
            let sealed = sealing.rows(rows);
            match change {
                Change::Seal => sealed.seal_plain()?,
                Change::Unseal => sealed.unseal()?,
                Change::Rekey { .. } => {
                    // Opens a few records, also where none has to be sealed anew.
                    sealed.list(Some(&CredentialType::AppMetadata), None)?;
                    sealed.rekey()?
                }
            }
        }
    })
}

/// Changes a file beside a store, which need not be a document: it may be what could not be read.
fn change_file(blob: &dyn BlobStore, sealing: &Sealing, change: Change) -> Result<bool, Failure> {
    let sealed = sealing.text(blob);
    Ok(retry(|| {
        let _hold = blob.hold()?;
        let Blob::Present(revision, bytes) = blob.read(None)? else { return Ok(false) };
        match (change, is_sealed_document(bytes.expose())) {
            (Change::Seal, false) => sealed.swap(revision, bytes.expose()).map(|_| true),
            (Change::Unseal, true) => sealed.unseal(),
            (Change::Rekey { .. }, true) => sealed.rekey(),
            _ => Ok(false),
        }
    })?)
}

fn as_json(
    store: &StoreRef,
    done: &Changed,
    change: Change,
    dry_run: bool,
    key: u32,
    needed: Option<&[u32]>,
) -> Value {
    let files: Vec<_> = done.files.iter().map(|it| it.display().to_string()).collect();
    let mut result = json!({"store": store.name(), "dry_run": dry_run, "files": files});
    match change {
        Change::Unseal => result["unsealed"] = done.number.into(),
        Change::Seal | Change::Rekey { .. } => {
            result["sealed"] = done.number.into();
            result["key"] = key.into();
        }
    }
    match needed {
        Some(needed) => result["needed"] = needed.into(),
        None if change == Change::Seal => result["emptied"] = done.emptied.into(),
        None => {}
    }
    result
}

fn report(
    run: &mut Run<'_>,
    store: &StoreRef,
    done: &Changed,
    change: Change,
    dry_run: bool,
    key: u32,
) -> Result<(), Failure> {
    let what = match (change, dry_run) {
        (Change::Unseal, false) => "plain now".to_owned(),
        (Change::Unseal, true) => "would be plain".to_owned(),
        (_, false) => format!("sealed by key {key}"),
        (_, true) => format!("would be sealed by key {key}"),
    };
    let noun = if store.is_text() { "document" } else { "record" };
    let number = count(usize::try_from(done.number).unwrap_or(usize::MAX), noun);
    let mut lines = vec![format!("{}: {number} {what}", store.text())];
    for path in &done.files {
        lines.push(format!("{}: {what}", printable(&path.display().to_string())));
    }
    for line in lines {
        run.out.line(if dry_run {
            format!("{BOLD}{line}{BOLD:#}")
        } else {
            format!("{GOOD}✓{GOOD:#} {line}")
        })?;
    }
    Ok(())
}
