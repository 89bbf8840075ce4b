//! Lists, creates, adds and removes keys.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use msal_cache::sealed::KeyRing;
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::flags::KeyChange;
use crate::key_store;
use crate::out::{DIM, GOOD, count};
use crate::run::Run;
use crate::sealed::Sealed;
use crate::sealing::{no_keys, ring};
use crate::store::permissions;
use crate::table::{Cell, Column, Table};

pub(crate) fn keys(
    run: &mut Run<'_>,
    store: Option<&OsStr>,
    change: &KeyChange,
) -> Result<Outcome, Failure> {
    let ring = if change.create { create(run)? } else { given(run)? };
    let sealed = match store {
        Some(name) => {
            let store = run.store(name)?;
            run.waiting("Reading", || Sealed::find(run, &store, permissions(run.common)))?
        }
        None => None,
    };
    let added = if change.add { Some(ring.add_key().map_err(Failure::Keys)?) } else { None };
    if let Some(number) = change.remove {
        if let Some(sealed) = sealed.as_ref().filter(|it| it.needed().any(|it| it == number)) {
            let of = |keys: &BTreeMap<u32, usize>| keys.get(&number).copied().unwrap_or_default();
            let noun = if sealed.seals.is_document { "document" } else { "record" };
            let [stored, files] = [(&sealed.seals.keys, noun), (&sealed.beside, "file beside it")]
                .map(|(keys, noun)| count(of(keys), noun));
            let reason = format!("key {number} is needed: it has sealed {stored} and {files}");
            let hint = "`msal-cache rekey STORE` seals them by the newest key";
            return Err(Failure::usage(reason).with_hint(hint));
        }
        if sealed.as_ref().is_some_and(|it| it.seals.keys.is_empty() && it.seals.plain > 0) {
            let reason = format!("key {number} stays: the store is not sealed");
            return Err(
                Failure::usage(reason).with_hint("name the store that the keys have sealed")
            );
        }
        ring.remove_key(number).map_err(Failure::Keys)?;
    }
    list(run, &ring, sealed.as_ref(), change, added)?;
    Ok(Outcome::Done)
}

fn given(run: &Run<'_>) -> Result<KeyRing, Failure> {
    ring(run.common)?.ok_or_else(|| no_keys("the keys are missing"))
}

fn create(run: &Run<'_>) -> Result<KeyRing, Failure> {
    let keys = &run.common.keys;
    if let Some(path) = &keys.key_file {
        return KeyRing::create_file(path).map_err(Failure::Keys);
    }
    let Some(app) = &keys.key_secret_service else {
        let reason = "keys are created in a file, or in the key store of the desktop";
        return Err(
            Failure::usage(reason).with_hint("add --key-file FILE or --key-secret-service APP")
        );
    };
    let blob = key_store::keys_of(app, run.common)?;
    if blob.read(None)? != msal_cache::store::Blob::Absent {
        let reason = format!("the key store has keys of {app} already");
        return Err(Failure::usage(reason).with_hint("--add adds a key"));
    }
    KeyRing::from_blob_or_new(blob).map_err(Failure::Keys)
}

fn list(
    run: &mut Run<'_>,
    ring: &KeyRing,
    sealed: Option<&Sealed>,
    change: &KeyChange,
    added: Option<u32>,
) -> Result<(), Failure> {
    let newest = ring.newest();
    let of = |number: u32| {
        let sealed = sealed?;
        let of = |keys: &BTreeMap<u32, usize>| keys.get(&number).copied().unwrap_or_default();
        Some((of(&sealed.seals.keys), of(&sealed.beside)))
    };
    if run.out.json {
        let keys = ring.numbers().into_iter().map(|number| {
            let (records, files) = of(number).unzip();
            json!({"number": number, "newest": number == newest, "records": records, "files": files})
        });
        return Ok(run.out.json(&json!({
            "keys": keys.collect::<Vec<_>>(),
            "created": change.create,
            "added": added,
            "removed": change.remove,
            "missing": sealed.and_then(Sealed::missing),
        }))?);
    }
    for (done, number) in [("added", added), ("removed", change.remove)] {
        if let Some(number) = number {
            run.out.line(format!("{GOOD}✓{GOOD:#} key {number} {done}"))?;
        }
    }
    if change.create {
        run.out.line(format!("{GOOD}✓{GOOD:#} key {newest} created"))?;
    }
    let mut table = Table::new([
        Column::new("KEY"),
        Column::new("").optional(),
        Column::new("RECORDS").optional(),
        Column::new("FILES").optional(),
    ]);
    for number in ring.numbers() {
        let number_of =
            |it: Option<usize>| it.map_or_else(|| Cell::dim("-"), |it| Cell::new(it.to_string()));
        let (records, files) = of(number).unzip();
        let seals = if number == newest { Cell::styled("seals", GOOD) } else { Cell::dim("") };
        table.row([Cell::new(number.to_string()), seals, number_of(records), number_of(files)]);
    }
    run.out.table(&table)?;
    for missing in sealed.and_then(Sealed::missing).unwrap_or_default() {
        run.out.line(format!("{DIM}key {missing} is needed, and missing{DIM:#}"))?;
    }
    Ok(())
}
