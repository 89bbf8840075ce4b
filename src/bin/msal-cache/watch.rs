//! Who changes what, as it happens.

use std::collections::HashMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache::{CacheStore, Entry, Error, FileStore, Load, TokenCache};
use serde_json::json;

use crate::failure::{Failure, Outcome, printable};
use crate::out::{BAD, DIM, GOOD, NAME, WARN};
use crate::select::{Users, expires_on, type_of};
use crate::store::{Access, Place};
use crate::table::cut;
use crate::{Run, clients, redact, tokens};

/// How often the lock file is looked for: it is there for milliseconds.
const GLANCE: Duration = Duration::from_millis(2);

/// How long ago a holder of the lock may have been seen to be the one who wrote.
const JUST_NOW: Duration = Duration::from_secs(2);

type Standing = HashMap<(String, String), Entry>;

/// What happened to an entry.
enum Change<'a> {
    Added(&'a Entry),
    Changed(&'a Entry, Vec<String>),
    Removed(&'a Entry),
}

pub(crate) fn watch(
    run: &mut Run<'_>,
    store: &str,
    count: Option<u64>,
    interval: u64,
) -> Result<Outcome, Failure> {
    let place = Place::named(store)?;
    let cache = place.open(run.common, Access::Existing)?;
    let (mut revision, mut standing) = match read(&cache, None)? {
        Some((revision, entries)) => (Some(revision), entries),
        None => (None, Standing::new()),
    };
    if !run.out.json {
        let entries = crate::out::count(standing.len(), "entry");
        let path = printable(&place.path().display().to_string());
        run.out.line(format!("{DIM}Watching {path}, {entries}. Ctrl-C ends it.{DIM:#}"))?;
    }
    run.out.flush()?;
    let mut seen = 0;
    let mut trouble = None;
    let mut holder = None;
    while count.is_none_or(|count| seen < count) {
        look_out(&place, Duration::from_millis(interval.max(1)), &mut holder);
        let (now, entries) = match read(&cache, revision) {
            Ok(None) => continue,
            Ok(Some(read)) => read,
            // Somebody may be mending it, so this is told once and looked at again.
            Err(error) => {
                let told = error.to_string();
                if trouble.as_ref() != Some(&told) {
                    tell_trouble(run, &told)?;
                    trouble = Some(told);
                }
                continue;
            }
        };
        trouble = None;
        // The run's time is that of its start; these things happen now.
        run.out.calendar.now = crate::store::clock(run.common).now();
        let who = holder.take().filter(|(_, at): &(String, Instant)| at.elapsed() < JUST_NOW);
        let who = who.map(|(who, _)| who);
        let known: Vec<_> = standing.values().chain(entries.values()).cloned().collect();
        let users = Users::of(&known);
        let changes = changes(&standing, &entries);
        for change in &changes {
            tell(run, change, &users, who.as_deref())?;
        }
        run.out.flush()?;
        seen += changes.len() as u64;
        (revision, standing) = (Some(now), entries);
    }
    Ok(Outcome::Done)
}

/// All entries by where they stand; nothing, where the store is still at this revision.
fn read<S: CacheStore>(
    cache: &TokenCache<S>,
    known: Option<msal_cache::Revision>,
) -> Result<Option<(msal_cache::Revision, Standing)>, Error> {
    let Load::Snapshot(snapshot) = cache.store().list(None, known)? else { return Ok(None) };
    let entries = snapshot.records.into_iter().map(|record| {
        let place = (record.credential_type.as_str().to_owned(), record.key.to_string());
        (place, Entry::from(record))
    });
    Ok(Some((snapshot.revision, entries.collect())))
}

/// Waits, with an eye on the lock file: whoever holds it writes.
fn look_out(place: &Place, interval: Duration, holder: &mut Option<(String, Instant)>) {
    let Place::File(path) = place else { return thread::sleep(interval) };
    let until = Instant::now() + interval;
    while Instant::now() < until {
        if let Some(who) = holds(path) {
            *holder = Some((who, Instant::now()));
        }
        thread::sleep(GLANCE.min(interval));
    }
}

fn holds(path: &Path) -> Option<String> {
    let holder = FileStore::lock_holder(path).ok()??;
    let process = holder.process().filter(|process| *process != std::process::id())?;
    Some(match holder.program() {
        Some(program) => format!("{program}, process {process}"),
        None => format!("process {process}"),
    })
}

fn changes<'a>(before: &'a Standing, after: &'a Standing) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for (place, entry) in after {
        match before.get(place) {
            None => changes.push(Change::Added(entry)),
            Some(old) if old != entry => {
                let fields = redact::changed(old, entry);
                if !fields.is_empty() {
                    changes.push(Change::Changed(entry, fields));
                }
            }
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|(place, _)| !after.contains_key(*place));
    changes.extend(gone.map(|(_, entry)| Change::Removed(entry)));
    changes.sort_by_cached_key(|change| {
        let (Change::Added(it) | Change::Changed(it, _) | Change::Removed(it)) = change;
        (type_of(it) as u8, it.key().to_owned())
    });
    changes
}

fn tell(
    run: &mut Run<'_>,
    change: &Change<'_>,
    users: &Users,
    who: Option<&str>,
) -> Result<(), Failure> {
    let (word, style, entry, fields) = match change {
        Change::Added(entry) => ("added", GOOD, *entry, None),
        Change::Changed(entry, fields) => ("changed", WARN, *entry, Some(fields)),
        Change::Removed(entry) => ("removed", BAD, *entry, None),
    };
    let now = run.now();
    if run.out.json {
        return Ok(run.out.json(&json!({
            "time": now,
            "change": word,
            "by": who,
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
    if !matches!(change, Change::Removed(_)) {
        parts.extend(
            expires_on(entry).map(|at| format!("expires {}", run.out.calendar.relative(at))),
        );
    }
    let line = printable(&parts.join("  "));
    let who = who.map(|who| format!("  by {}", printable(who))).unwrap_or_default();
    let time = run.out.calendar.clock(now);
    let id = redact::id(entry);
    run.out.line(format!(
        "{DIM}{time}{DIM:#}  {style}{word:<7}{style:#}  {DIM}{id}{DIM:#}  {line}{NAME}{who}{NAME:#}"
    ))?;
    Ok(())
}

fn tell_trouble(run: &mut Run<'_>, told: &str) -> Result<(), Failure> {
    if run.out.json {
        run.out.json(&json!({"time": run.now(), "change": "unreadable", "message": told}))?;
    } else {
        run.out.line(format!("{BAD}{}{BAD:#}", printable(told)))?;
    }
    Ok(run.out.flush()?)
}
