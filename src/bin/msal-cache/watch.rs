//! Prints changes as they happen.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache::store::{CacheStore, Load};
use msal_cache::{Entry, Error, FileStore, TokenCache};
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

/// Entries by section and key.
type EntryMap = HashMap<(String, String), Entry>;

/// A change of an entry.
enum CacheChange<'a> {
    Added(&'a Entry),
    Changed(&'a Entry, Vec<String>),
    Removed(&'a Entry),
}

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
    let (mut revision, mut previous) = match read(&cache, None)? {
        Some((revision, entries)) => (Some(revision), entries),
        None => (None, EntryMap::new()),
    };
    if !run.out.json {
        let entries = crate::out::count(previous.len(), "entry");
        let path = store.text();
        run.out.line(format!("{DIM}Watching {path}, {entries}. Press Ctrl-C to stop.{DIM:#}"))?;
    }
    run.out.flush()?;
    let mut seen = 0;
    let mut last_error = None;
    let mut holder = None;
    while count.is_none_or(|count| seen < count) {
        // An hour at most: a time far away can't be computed.
        wait(&store, Duration::from_millis(interval.clamp(1, 3_600_000)), &mut holder);
        let (now, entries) = match read(&cache, revision) {
            Ok(None) => continue,
            Ok(Some(read)) => read,
            // The error may be temporary, e.g. during a repair: report it once and poll again.
            Err(error) => {
                let message = error.to_string();
                if last_error.as_ref() != Some(&message) {
                    print_error(run, &message)?;
                    last_error = Some(message);
                }
                continue;
            }
        };
        last_error = None;
        // The time of the run is its start; changes happen later.
        run.out.calendar.now = crate::store::clock(run.common).now();
        let writer =
            holder.take().filter(|(_, at): &(String, Instant)| at.elapsed() < WRITER_WINDOW);
        let writer = writer.map(|(writer, _)| writer);
        let known: Vec<_> = previous.values().chain(entries.values()).cloned().collect();
        let users = Users::of(&known);
        let changes = changes(&previous, &entries);
        for change in &changes {
            print_change(run, change, &users, writer.as_deref())?;
        }
        run.out.flush()?;
        seen += changes.len() as u64;
        (revision, previous) = (Some(now), entries);
    }
    Ok(Outcome::Done)
}

/// All entries and their revision; `None` if the store is still at revision `known`.
fn read<S: CacheStore>(
    cache: &TokenCache<S>,
    known: Option<msal_cache::store::Revision>,
) -> Result<Option<(msal_cache::store::Revision, EntryMap)>, Error> {
    let Load::Snapshot(snapshot) = cache.store().list(None, known)? else { return Ok(None) };
    let revision = snapshot.revision();
    let entries = snapshot.into_records().into_iter().map(|record| {
        let key = (record.credential_type().as_str().to_owned(), record.key().to_string());
        (key, Entry::from(record))
    });
    Ok(Some((revision, entries.collect())))
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

fn changes<'a>(before: &'a EntryMap, after: &'a EntryMap) -> Vec<CacheChange<'a>> {
    let mut changes = Vec::new();
    for (key, entry) in after {
        match before.get(key) {
            None => changes.push(CacheChange::Added(entry)),
            Some(old) if old != entry => {
                let fields = redact::changed(old, entry);
                if !fields.is_empty() {
                    changes.push(CacheChange::Changed(entry, fields));
                }
            }
            Some(_) => {}
        }
    }
    let removed = before.iter().filter(|(key, _)| !after.contains_key(*key));
    changes.extend(removed.map(|(_, entry)| CacheChange::Removed(entry)));
    changes.sort_by_cached_key(|change| {
        let (CacheChange::Added(it) | CacheChange::Changed(it, _) | CacheChange::Removed(it)) =
            change;
        (type_of(it) as u8, it.key().to_owned())
    });
    changes
}

fn print_change(
    run: &mut Run<'_>,
    change: &CacheChange<'_>,
    users: &Users,
    writer: Option<&str>,
) -> Result<(), Failure> {
    let (word, style, entry, fields) = match change {
        CacheChange::Added(entry) => ("added", GOOD, *entry, None),
        CacheChange::Changed(entry, fields) => ("changed", WARN, *entry, Some(fields)),
        CacheChange::Removed(entry) => ("removed", BAD, *entry, None),
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
    if !matches!(change, CacheChange::Removed(_)) {
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
