//! The places where tools keep their caches, by name.

use std::path::{Path, PathBuf};

use msal_cache::{Cae, Location};
use serde_json::json;

use crate::Run;
use crate::failure::{Failure, Outcome, printable};
use crate::out::{DIM, GOOD};
use crate::table::{Cell, Column, Table};

/// A well-known cache.
pub(crate) struct WellKnown {
    pub(crate) name: &'static str,
    pub(crate) whose: &'static str,
    pub(crate) path: PathBuf,
}

type Locate = fn() -> msal_cache::Result<Location>;

/// Their names, whose they are, and where.
const KNOWN: [(&str, &str, Locate); 3] = [
    ("azure-cli", "Azure CLI", Location::azure_cli),
    ("shared", "developer tools", || Location::developer_tools(Cae::Without)),
    ("shared-cae", "the same, for sessions ended by event", || {
        Location::developer_tools(Cae::With)
    }),
];

/// How the cache of an app is named, by the name of the app.
const APP: &str = "app:";

/// All of them.
fn all() -> Result<Vec<WellKnown>, Failure> {
    let located = KNOWN
        .iter()
        .map(|(name, whose, locate)| Ok(WellKnown { name, whose, path: locate()?.into() }));
    located.collect()
}

/// The path of a well-known place; none where the name is no such name.
pub(crate) fn find(name: &str) -> Result<Option<PathBuf>, Failure> {
    if let Some(app) = name.strip_prefix(APP) {
        return Ok(Some(Location::app(app)?.into()));
    }
    let Some((_, _, locate)) = KNOWN.iter().find(|(known, ..)| *known == name) else {
        return Ok(None);
    };
    let path: PathBuf = locate()?.into();
    // A file of that name here may be what is meant.
    if Path::new(name).exists() {
        let reason = format!("{name} is a file here and the name of a well-known place");
        let hint = format!("write ./{name} or file:{} instead", path.display());
        return Err(Failure::usage(reason).with_hint(hint));
    }
    Ok(Some(path))
}

pub(crate) fn list(run: &mut Run<'_>) -> Result<Outcome, Failure> {
    let places = all()?;
    let exists = |it: &WellKnown| it.path.symlink_metadata().is_ok();
    let outcome = if places.iter().any(exists) { Outcome::Done } else { Outcome::Found };
    if run.out.json {
        let places: Vec<_> = places
            .iter()
            .map(|it| json!({"name": it.name, "of": it.whose, "path": it.path, "exists": exists(it)}))
            .collect();
        run.out.json(&json!({ "places": places }))?;
        return Ok(outcome);
    }
    let mut table = Table::new([
        Column::new("NAME"),
        Column::new(""),
        Column::new("PATH"),
        Column::new("OF").shrinks(12),
    ]);
    for place in &places {
        let found = if exists(place) { Cell::styled("✓", GOOD) } else { Cell::dim("-") };
        let path = place.path.display().to_string();
        table.row([Cell::new(place.name), found, Cell::new(path), Cell::dim(place.whose)]);
    }
    run.out.table(&table)?;
    let of_app: PathBuf = Location::app("NAME")?.into();
    let app = printable(&format!("{APP}NAME is {}, the cache of an app", of_app.display()));
    run.out.line(format!("{DIM}{app}{DIM:#}"))?;
    Ok(outcome)
}
