//! Shows the holder of the lock of a file, or of an entry of the key store.

use std::ffi::OsStr;

use msal_cache::FileStore;
use msal_cache::file::LockHolder;
use serde_json::json;

use crate::check::wrapped;
use crate::failure::{Failure, Outcome, printable};
use crate::out::{BOLD, DIM, GOOD};
use crate::run::Run;
use crate::store::StoreRef;

pub(crate) fn lock(run: &mut Run<'_>, name: &OsStr) -> Result<Outcome, Failure> {
    let store = run.store(name)?;
    let holder = match &store {
        StoreRef::File(path) => FileStore::lock_holder(path)?,
        StoreRef::KeyStore(entry) => entry.lock_holder()?,
        StoreRef::Sqlite(_) => {
            let reason = "a database has no lock file: SQLite locks it during each transaction";
            return Err(Failure::usage(reason));
        }
        StoreRef::Server(_) => {
            let reason = "a server has no lock file: its commands run one after the other";
            return Err(Failure::usage(reason));
        }
        StoreRef::Input => return Err(Failure::usage("standard input has no lock")),
    };
    let since = holder.as_ref().and_then(LockHolder::since).and_then(|since| {
        let since = since.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_secs()).ok()
    });
    let outcome = if holder.is_some() { Outcome::Found } else { Outcome::Done };
    if run.out.json {
        run.out.json(&json!({
            "store": store.name(),
            "held": holder.is_some(),
            "lock": holder.as_ref().map(|it| it.path().display().to_string()),
            "process": holder.as_ref().and_then(LockHolder::process),
            "program": holder.as_ref().and_then(LockHolder::program),
            "alive": holder.as_ref().and_then(LockHolder::is_alive),
            "since": since,
        }))?;
        return Ok(outcome);
    }
    let Some(holder) = holder else {
        run.out.line(format!("{GOOD}No process{GOOD:#} holds the lock."))?;
        return Ok(outcome);
    };
    let program = holder.program().map(|it| format!(" ({})", printable(it))).unwrap_or_default();
    let who = match holder.process() {
        Some(process) => format!("Process {process}{program}"),
        None => "An unknown process".into(),
    };
    let since = since.map(|at| format!(", acquired {}", run.out.calendar.both(at)));
    let since = since.unwrap_or_default();
    run.out.line(format!("{BOLD}{who}{BOLD:#} holds the lock{since}."))?;
    let state = match holder.is_alive() {
        Some(true) => {
            "The process is running. MSAL libraries hold the lock only briefly: if it stays held, \
             the program hangs, or another program has its process id."
        }
        Some(false) => {
            "The process has exited, or runs in another container. This library takes the lock \
             over; MSAL Python and Node wait until the lock file is removed."
        }
        None => "Whether the process is running can't be determined from here.",
    };
    for line in wrapped(state, run.out.width.unwrap_or(100)) {
        run.out.line(line)?;
    }
    let path = printable(&holder.path().display().to_string());
    run.out.line(format!("{DIM}{path}{DIM:#}"))?;
    Ok(outcome)
}
