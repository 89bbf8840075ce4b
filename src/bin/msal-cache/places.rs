//! Lists well-known cache locations.

use std::env;
use std::path::{Path, PathBuf};

use msal_cache::file::Location;
use serde_json::json;

use crate::check::wrapped;
use crate::failure::{Failure, Outcome, printable};
use crate::out::{DIM, GOOD};
use crate::run::Run;
use crate::table::{Cell, Column, Table};
use crate::well_known::{APP, WellKnown, all};

/// A path as shells understand it, with `~` for the home folder, which leaves room for the owner.
fn below_home(path: &Path) -> String {
    let home = env::var_os("HOME").filter(|home| cfg!(unix) && !home.is_empty());
    match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned)) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

pub(crate) fn list(run: &mut Run<'_>) -> Result<Outcome, Failure> {
    let places = all();
    let exists =
        |it: &WellKnown| it.path.as_ref().is_ok_and(|path| path.symlink_metadata().is_ok());
    let outcome = if places.iter().any(exists) { Outcome::Done } else { Outcome::Found };
    if run.out.json {
        let places: Vec<_> = places
            .iter()
            .map(|it| {
                let path = it.path.as_ref().ok().map(|path| path.display().to_string());
                json!({"name": it.name, "of": it.owner, "path": path, "exists": exists(it)})
            })
            .collect();
        run.out.json(&json!({ "places": places }))?;
        return Ok(outcome);
    }
    let mut table = Table::new([
        Column::new("NAME"),
        Column::new("").optional(),
        Column::new("PATH"),
        Column::new("OWNER").shrinks(12).optional(),
    ]);
    for place in &places {
        let found = if exists(place) { Cell::styled("✓", GOOD) } else { Cell::dim("-") };
        let path = match &place.path {
            Ok(path) => Cell::new(below_home(path)),
            Err(_) => Cell::dim("unknown"),
        };
        table.row([Cell::new(place.name), found, path, Cell::dim(place.owner)]);
    }
    run.out.table(&table)?;
    if let Some(error) = places.iter().find_map(|place| place.path.as_ref().err()) {
        run.out.line(format!("{DIM}{}{DIM:#}", printable(&error.to_string())))?;
    }
    if let Ok(of_app) = Location::app("NAME").map(PathBuf::from) {
        let app = printable(&format!("{APP}NAME is the cache of an app: {}", of_app.display()));
        for line in wrapped(&app, run.out.width.unwrap_or(usize::MAX)) {
            run.out.line(format!("{DIM}{line}{DIM:#}"))?;
        }
    }
    Ok(outcome)
}
