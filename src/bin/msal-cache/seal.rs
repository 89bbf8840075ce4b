//! Seals stores, makes them plain, and changes their keys: `seal`, `unseal` and `rekey`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use msal_cache::CredentialType;
use msal_cache::file::OnCorrupt;
use msal_cache::sealed::is_sealed_document;
use msal_cache::store::{Blob, BlobStore, CacheStore, retry};
use serde_json::json;

use crate::failure::{Failure, Outcome, printable};
use crate::out::{DIM, GOOD, WARN, count};
use crate::run::Run;
use crate::sealed::Sealed;
use crate::sealing::{Raw, Sealing, kept_beside, numbers};
use crate::store::{Access, StoreRef, file, permissions};

/// What to do with what is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Seal,
    Unseal,
    Rekey,
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

pub(crate) fn seal(run: &mut Run<'_>, name: &OsStr) -> Result<Outcome, Failure> {
    let store = stored(run, name)?;
    let sealing = Sealing::required(run.common, &store)?;
    store.begin_if_empty(run.common, Access::Change)?;
    let done = change(run, &store, &sealing, Change::Seal)?;
    let key = sealing.ring.newest();
    if run.out.json {
        run.out.json(&json!({
            "store": store.name(),
            "sealed": done.number,
            "key": key,
            "files": names(&done.files),
            "emptied": done.emptied,
        }))?;
    } else {
        report(run, &store, &done, &format!("sealed by key {key}"))?;
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

pub(crate) fn unseal(run: &mut Run<'_>, name: &OsStr) -> Result<Outcome, Failure> {
    let store = stored(run, name)?;
    let sealing = Sealing::required(run.common, &store)?;
    let done = change(run, &store, &sealing, Change::Unseal)?;
    if run.out.json {
        let files = names(&done.files);
        run.out.json(&json!({"store": store.name(), "unsealed": done.number, "files": files}))?;
    } else {
        report(run, &store, &done, "plain now")?;
    }
    Ok(Outcome::Done)
}

pub(crate) fn rekey(run: &mut Run<'_>, name: &OsStr, new_key: bool) -> Result<Outcome, Failure> {
    let store = stored(run, name)?;
    let sealing = Sealing::required(run.common, &store)?;
    if new_key {
        sealing.ring.add_key().map_err(Failure::Keys)?;
    }
    let key = sealing.ring.newest();
    let done = change(run, &store, &sealing, Change::Rekey)?;
    let left = Sealed::find(run, &store, permissions(run.common))?;
    let needed: Vec<_> = left.iter().flat_map(Sealed::needed).collect();
    let is_done = needed.iter().all(|it| *it == key);
    if run.out.json {
        run.out.json(&json!({
            "store": store.name(),
            "sealed": done.number,
            "key": key,
            "files": names(&done.files),
            "needed": needed,
        }))?;
    } else {
        report(run, &store, &done, &format!("sealed by key {key}"))?;
        let needed = numbers(needed);
        run.out.line(format!("{DIM}Needed to open the store: {needed}{DIM:#}"))?;
    }
    Ok(if is_done { Outcome::Done } else { Outcome::Found })
}

/// The store of this name, which exists.
fn stored(run: &mut Run<'_>, name: &OsStr) -> Result<StoreRef, Failure> {
    let store = run.store(name)?;
    if store == StoreRef::Input {
        return Err(Failure::usage("standard input can't be changed"));
    }
    Ok(store)
}

fn change(
    run: &Run<'_>,
    store: &StoreRef,
    sealing: &Sealing,
    change: Change,
) -> Result<Changed, Failure> {
    let permissions = permissions(run.common);
    let raw = store.open_raw(run.common, Access::Change, permissions, OnCorrupt::Error)?;
    let Some(raw) = raw else { return Err(Failure::usage("standard input can't be changed")) };
    let number = run.waiting("Sealing", || -> Result<u64, Failure> {
        Ok(match raw {
            Raw::Text(blob) => {
                let sealed = sealing.text(blob);
                let is_changed = match change {
                    Change::Seal => sealed.seal_plain()?,
                    Change::Unseal => sealed.unseal()?,
                    Change::Rekey => sealed.rekey()?,
                };
                if change != Change::Unseal {
                    // What was left as it is may need other keys.
                    sealed.read(None)?;
                }
                u64::from(is_changed)
            }
            Raw::Rows(rows) => {
                let sealed = sealing.rows(rows);
                if change == Change::Rekey {
                    // Opens a few records, also where none has to be sealed anew.
                    sealed.list(Some(&CredentialType::AppMetadata), None)?;
                }
                match change {
                    Change::Seal => sealed.seal_plain()?,
                    Change::Unseal => sealed.unseal()?,
                    Change::Rekey => sealed.rekey()?,
                }
            }
        })
    })?;
    let mut files = Vec::new();
    for path in kept_beside(store) {
        if change_file(run, &path, sealing, change)? {
            files.push(path);
        }
    }
    let database = match change {
        // Also where it is sealed already: the last run may have been interrupted.
        Change::Seal => store.open_database(run.common, permissions)?,
        Change::Unseal | Change::Rekey => None,
    };
    let emptied = database.map(|database| run.waiting("Emptying", || database.shrink()));
    Ok(Changed { number, files, emptied: emptied.transpose()? })
}

/// Changes a file beside a store, which need not be a document: it may be what could not be read.
fn change_file(
    run: &Run<'_>,
    path: &Path,
    sealing: &Sealing,
    change: Change,
) -> Result<bool, Failure> {
    let blob = file(run.common, path, permissions(run.common)).open_blob()?;
    let sealed = sealing.text(&blob);
    Ok(retry(|| {
        let _hold = blob.hold()?;
        let Blob::Present(revision, bytes) = blob.read(None)? else { return Ok(false) };
        match (change, is_sealed_document(bytes.expose())) {
            (Change::Seal, false) => sealed.swap(revision, bytes.expose()).map(|_| true),
            (Change::Unseal, true) => sealed.unseal(),
            (Change::Rekey, true) => sealed.rekey(),
            _ => Ok(false),
        }
    })?)
}

fn names(files: &[PathBuf]) -> Vec<String> {
    files.iter().map(|it| it.display().to_string()).collect()
}

fn report(run: &mut Run<'_>, store: &StoreRef, done: &Changed, what: &str) -> Result<(), Failure> {
    let noun = if store.is_text() { "document" } else { "record" };
    let number = count(usize::try_from(done.number).unwrap_or(usize::MAX), noun);
    run.out.line(format!("{GOOD}✓{GOOD:#} {}: {number} {what}", store.text()))?;
    for path in &done.files {
        let path = printable(&path.display().to_string());
        run.out.line(format!("{GOOD}✓{GOOD:#} {path}: {what}"))?;
    }
    Ok(())
}
