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
use crate::{key_store, well_known};

/// A path as shells understand it, with `~` for the home folder, which leaves room for the owner.
fn below_home(path: &Path) -> String {
    let home = env::var_os("HOME").filter(|home| cfg!(unix) && !home.is_empty());
    match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned)) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

/// A row of the list.
struct Place {
    name: String,
    owner: &'static str,
    /// Its path; `None` in the key store, and where the environment doesn't say it.
    path: Option<PathBuf>,
    /// `None` where it can't be found out.
    exists: Option<bool>,
}

fn of_file(it: &WellKnown) -> Place {
    let path = it.path.as_ref().ok();
    let exists = path.is_some_and(|path| path.symlink_metadata().is_ok());
    Place { name: it.name.into(), owner: it.owner, path: path.cloned(), exists: Some(exists) }
}

/// The entries of the developer tools in the key store, and those of apps which are there.
fn of_key_store(present: Option<&[String]>) -> Vec<Place> {
    let owner = |name: &str| {
        let shared =
            well_known::all().into_iter().find(|it| name.ends_with(&format!(":{}", it.name)));
        shared.map_or("an app", |it| it.owner)
    };
    let place = |name: String| {
        let exists = present.map(|present| present.contains(&name));
        Place { owner: owner(&name), name, path: None, exists }
    };
    let shared: Vec<_> = key_store::shared().collect();
    let apps = present.unwrap_or_default().iter().filter(|it| !shared.contains(it)).cloned();
    let apps: Vec<_> = apps.collect();
    shared.into_iter().chain(apps).map(place).collect()
}

/// Whether there is a cache.
fn found(place: &Place) -> Cell {
    match place.exists {
        Some(true) => Cell::styled("✓", GOOD),
        Some(false) => Cell::dim("-"),
        None => Cell::dim("?"),
    }
}

pub(crate) fn list(run: &mut Run<'_>) -> Result<Outcome, Failure> {
    let files = all();
    let mut places: Vec<_> = files.iter().map(of_file).collect();
    let mut reasons: Vec<_> = files
        .iter()
        .find_map(|it| it.path.as_ref().err())
        .into_iter()
        .map(ToString::to_string)
        .collect();
    if key_store::IS_SUPPORTED {
        let present = run.waiting("Asking the key store", key_store::present);
        places.extend(of_key_store(present.as_deref().ok()));
        reasons.extend(present.err().map(|error| error.message()));
    }
    let is_any = places.iter().any(|it| it.exists == Some(true));
    let outcome = if is_any { Outcome::Done } else { Outcome::Found };
    if run.out.json {
        let places: Vec<_> = places
            .iter()
            .map(|it| {
                let path = it.path.as_ref().map(|path| path.display().to_string());
                json!({"name": it.name, "of": it.owner, "path": path, "exists": it.exists})
            })
            .collect();
        run.out.json(&json!({ "places": places }))?;
        return Ok(outcome);
    }
    let (entries, files): (Vec<_>, Vec<_>) =
        places.iter().partition(|it| key_store::is_entry(&it.name));
    let mut table = Table::new([
        Column::new("NAME"),
        Column::new("").optional(),
        Column::new("PATH"),
        Column::new("OWNER").shrinks(12).optional(),
    ]);
    for place in files {
        let path = place.path.as_ref().map_or("unknown".into(), |path| below_home(path));
        table.row([Cell::new(&place.name), found(place), Cell::new(path), Cell::dim(place.owner)]);
    }
    run.out.table(&table)?;
    if entries.iter().any(|it| it.exists.is_some()) {
        let mut table = Table::new([
            Column::new("IN THE KEY STORE"),
            Column::new("").optional(),
            Column::new("OWNER").shrinks(12).optional(),
        ]);
        for place in entries {
            table.row([Cell::new(&place.name), found(place), Cell::dim(place.owner)]);
        }
        run.out.line("")?;
        run.out.table(&table)?;
    }
    for reason in reasons {
        for line in wrapped(&printable(&reason), run.out.width.unwrap_or(usize::MAX)) {
            run.out.line(format!("{DIM}{line}{DIM:#}"))?;
        }
    }
    if let Ok(of_app) = Location::app("NAME").map(PathBuf::from) {
        let app = printable(&format!("{APP}NAME is the cache of an app: {}", of_app.display()));
        for line in wrapped(&app, run.out.width.unwrap_or(usize::MAX)) {
            run.out.line(format!("{DIM}{line}{DIM:#}"))?;
        }
    }
    Ok(outcome)
}
