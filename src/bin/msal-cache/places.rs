//! Lists well-known cache locations.

use std::path::PathBuf;

use msal_cache::file::Location;
use serde_json::json;

use crate::failure::{Failure, Outcome, printable};
use crate::out::{DIM, GOOD};
use crate::run::Run;
use crate::table::{Cell, Column, Table};
use crate::well_known::{APP, WellKnown, all};

pub(crate) fn list(run: &mut Run<'_>) -> Result<Outcome, Failure> {
    let places = all()?;
    let exists = |it: &WellKnown| it.path.symlink_metadata().is_ok();
    let outcome = if places.iter().any(exists) { Outcome::Done } else { Outcome::Found };
    if run.out.json {
        let places: Vec<_> = places
            .iter()
            .map(|it| json!({"name": it.name, "of": it.owner, "path": it.path, "exists": exists(it)}))
            .collect();
        run.out.json(&json!({ "places": places }))?;
        return Ok(outcome);
    }
    let mut table = Table::new([
        Column::new("NAME"),
        Column::new(""),
        Column::new("PATH"),
        Column::new("OWNER").shrinks(12),
    ]);
    for place in &places {
        let found = if exists(place) { Cell::styled("✓", GOOD) } else { Cell::dim("-") };
        let path = place.path.display().to_string();
        table.row([Cell::new(place.name), found, Cell::new(path), Cell::dim(place.owner)]);
    }
    run.out.table(&table)?;
    let of_app: PathBuf = Location::app("NAME")?.into();
    let app = printable(&format!("{APP}NAME is the cache of an app: {}", of_app.display()));
    run.out.line(format!("{DIM}{app}{DIM:#}"))?;
    Ok(outcome)
}
