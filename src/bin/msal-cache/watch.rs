//! Prints changes as they happen.

use std::ffi::OsStr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache::FileStore;
use msal_cache::changes::{ChangeKind, EntryChange};
use serde_json::json;

use crate::failure::{Failure, Outcome, printable};
use crate::out::{BAD, DIM, GOOD, NAME, WARN};
use crate::run::Run;
use crate::select::{Users, expires_on, type_of};
use crate::store::{Access, StoreRef};
use crate::table::cut;
use crate::{clients, redact, tokens};

/// The polling interval of the lock file, which exists for milliseconds only.
const LOCK_POLL: Duration = Duration::from_millis(2);

/// How long after its last sighting a lock holder counts as the writer of a change.
const WRITER_WINDOW: Duration = Duration::from_secs(2);

pub(crate) fn watch(
    run: &mut Run<'_>,
    name: &OsStr,
    count: Option<u64>,
    interval: u64,
) -> Result<Outcome, Failure> {
    let store = run.store(name)?;
    if store == StoreRef::Input {
        return Err(Failure::usage("standard input can be read only once"));
    }
    let cache = store.open(run.common, Access::Read)?;
    let mut changes = cache.entry_changes()?;
    if !run.out.json {
        let entries = crate::out::count(changes.entries().len(), "entry");
        let path = store.text();
        run.out.line(format!("{DIM}Watching {path}, {entries}. Press Ctrl-C to stop.{DIM:#}"))?;
    }
    run.out.flush()?;
    let mut seen = 0;
    let mut holder = None;
    while count.is_none_or(|count| seen < count) {
        // An hour at most: a time far away can't be computed.
        wait(&store, Duration::from_millis(interval.clamp(1, 3_600_000)), &mut holder);
        let mut found = Vec::new();
        match changes.next_within(Duration::ZERO) {
            None => continue,
            Some(Ok(change)) => found.push(change),
            // It may be temporary, e.g. during a repair. It is returned once.
            Some(Err(error)) => {
                print_error(run, &error.to_string())?;
                continue;
            }
        }
        // Those that were read at the same time.
        let others = changes.size_hint().0;
        found.extend(changes.by_ref().take(others).flatten());
        // The time of the run is its start; changes happen later.
        run.out.calendar.now = crate::cache::clock(run.common).now();
        let writer =
            holder.take().filter(|(_, at): &(String, Instant)| at.elapsed() < WRITER_WINDOW);
        let writer = writer.map(|(writer, _)| writer);
        let removed = found.iter().map(EntryChange::entry);
        let known: Vec<_> = removed.chain(changes.entries()).cloned().collect();
        let users = Users::of(&known);
        for (change, fields) in printed(&found) {
            print_change(run, change, fields, &users, writer.as_deref())?;
            seen += 1;
        }
        run.out.flush()?;
    }
    Ok(Outcome::Done)
}

/// Waits for `interval` and notes the holder of the lock file, who is about to write.
fn wait(store: &StoreRef, interval: Duration, holder: &mut Option<(String, Instant)>) {
    let StoreRef::File(path) = store else { return thread::sleep(interval) };
    let until = Instant::now() + interval;
    while Instant::now() < until {
        if let Some(writer) = lock_holder(path) {
            *holder = Some((writer, Instant::now()));
        }
        thread::sleep(LOCK_POLL.min(interval));
    }
}

/// Program and process that hold the lock of a file, unless it is this process.
fn lock_holder(path: &Path) -> Option<String> {
    let holder = FileStore::lock_holder(path).ok()??;
    let process = holder.process().filter(|process| *process != std::process::id())?;
    Some(match holder.program() {
        Some(program) => format!("{program}, process {process}"),
        None => format!("process {process}"),
    })
}

/// The changes to print, in order, with the names of the changed fields.
fn printed(found: &[EntryChange]) -> Vec<(&EntryChange, Option<Vec<String>>)> {
    let fields = |change: &EntryChange| {
        change.before().map(|before| redact::changed(before, change.entry()))
    };
    let mut printed: Vec<_> = found
        .iter()
        .map(|change| (change, fields(change)))
        .filter(|(_, fields)| fields.as_ref().is_none_or(|fields| !fields.is_empty()))
        .collect();
    printed.sort_by_cached_key(|(change, _)| {
        (type_of(change.entry()) as u8, change.entry().key().to_owned())
    });
    printed
}

fn print_change(
    run: &mut Run<'_>,
    change: &EntryChange,
    fields: Option<Vec<String>>,
    users: &Users,
    writer: Option<&str>,
) -> Result<(), Failure> {
    let (word, entry) = (change.kind().as_str(), change.entry());
    let style = match change.kind() {
        ChangeKind::Added => GOOD,
        ChangeKind::Changed => WARN,
        ChangeKind::Removed => BAD,
    };
    let now = run.now();
    if run.out.json {
        return Ok(run.out.json(&json!({
            "time": now,
            "change": word,
            "by": writer,
            "fields": fields,
            "entry": tokens::as_json(entry, users, now),
        }))?);
    }
    let text = |name| redact::text(entry, name);
    let mut parts = vec![type_of(entry).noun().to_owned()];
    match text("home_account_id") {
        Some(home) => parts.push(users.name(&home).to_owned()),
        None => parts
            .extend(text("client_id").map(|client| format!("client {}", clients::short(&client)))),
    }
    let room = run.out.width.map_or(usize::MAX, |width| width / 3);
    parts.extend(text("target").map(|scopes| cut(&scopes, room)));
    parts.extend(fields.map(|fields| format!("({})", fields.join(", "))));
    if change.kind() != ChangeKind::Removed {
        parts.extend(
            expires_on(entry).map(|at| format!("expires {}", run.out.calendar.relative(at))),
        );
    }
    let line = printable(&parts.join("  "));
    let writer = writer.map(|it| format!("  by {}", printable(it))).unwrap_or_default();
    let time = run.out.calendar.clock(now);
    let id = redact::id(entry);
    run.out.line(format!(
        "{DIM}{time}{DIM:#}  {style}{word:<7}{style:#}  {DIM}{id}{DIM:#}  {line}{NAME}{writer}{NAME:#}"
    ))?;
    Ok(())
}

fn print_error(run: &mut Run<'_>, message: &str) -> Result<(), Failure> {
    if run.out.json {
        run.out.json(&json!({"time": run.now(), "change": "unreadable", "message": message}))?;
    } else {
        run.out.line(format!("{BAD}{}{BAD:#}", printable(message)))?;
    }
    Ok(run.out.flush()?)
}
