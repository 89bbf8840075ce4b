//! Who holds the lock of a file.

use msal_cache::{FileStore, LockHolder};
use serde_json::json;

use crate::Run;
use crate::check::wrapped;
use crate::failure::{Failure, Outcome, printable};
use crate::out::{BOLD, DIM, GOOD};
use crate::store::Place;

pub(crate) fn lock(run: &mut Run<'_>, store: &str) -> Result<Outcome, Failure> {
    let place = Place::named(store)?;
    let Place::File(path) = &place else {
        let reason = "a database has no lock file: SQLite locks it for each transaction";
        return Err(Failure::usage(reason));
    };
    let holder = FileStore::lock_holder(path)?;
    let since = holder.as_ref().and_then(LockHolder::since).and_then(|since| {
        let since = since.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_secs()).ok()
    });
    let outcome = if holder.is_some() { Outcome::Found } else { Outcome::Done };
    if run.out.json {
        run.out.json(&json!({
            "store": path,
            "held": holder.is_some(),
            "lock": holder.as_ref().map(LockHolder::path),
            "process": holder.as_ref().and_then(LockHolder::process),
            "program": holder.as_ref().and_then(LockHolder::program),
            "alive": holder.as_ref().and_then(LockHolder::is_alive),
            "since": since,
        }))?;
        return Ok(outcome);
    }
    let Some(holder) = holder else {
        run.out.line(format!("{GOOD}Nobody{GOOD:#} holds the lock."))?;
        return Ok(outcome);
    };
    let program = holder.program().map(|it| format!(" ({})", printable(it))).unwrap_or_default();
    let who = match holder.process() {
        Some(process) => format!("Process {process}{program}"),
        None => "Somebody who left no name".into(),
    };
    let since = since.map(|at| run.out.calendar.both(at)).unwrap_or_default();
    run.out.line(format!("{BOLD}{who}{BOLD:#} holds the lock, since {since}."))?;
    let means = match holder.is_alive() {
        Some(true) => {
            "is there. The MSAL libraries hold the lock for a moment, so if it stays, \
                       that program hangs, or another one has got its process id."
        }
        Some(false) => {
            "is gone, or in another container. This library takes the lock over by \
                        itself; MSAL Python and Node wait until the lock file is removed."
        }
        None => "may be there or not: that can't be told from here.",
    };
    for line in wrapped(&format!("The process {means}"), run.out.width.unwrap_or(100)) {
        run.out.line(line)?;
    }
    let path = printable(&holder.path().display().to_string());
    run.out.line(format!("{DIM}{path}{DIM:#}"))?;
    Ok(outcome)
}
