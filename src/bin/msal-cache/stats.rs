//! Counts entries by type, age, client and tenant.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use msal_cache::Entry;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Outcome};
use crate::flags::Type;
use crate::out::{BAD, BOLD, DIM, GOOD, NAME, WARN, bytes, count, grouped};
use crate::run::Run;
use crate::select::{Users, expires_on, stored_at, type_of};
use crate::store::{Access, StoreRef};
use crate::table::{Cell, Column, Table, bar};
use crate::{clients, redact};

/// The maximum number of lines of a list.
const MAX_LINES: usize = 8;

/// The width of the longest bar.
const BAR_WIDTH: usize = 24;

/// A number of entries and their size.
#[derive(Clone, Copy, Default)]
struct Sum {
    entries: usize,
    bytes: usize,
}

impl Sum {
    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.bytes += redact::size(entry);
    }

    fn json(self) -> Value {
        json!({"entries": self.entries, "bytes": self.bytes})
    }
}

/// Statistics, counted in one pass.
#[derive(Default)]
struct Stats {
    all: Sum,
    types: BTreeMap<u8, (&'static str, Sum)>,
    valid: Sum,
    expiring_soon: Sum,
    expired: Sum,
    unreadable: usize,
    clients: BTreeMap<String, Sum>,
    tenants: BTreeMap<String, Sum>,
    oldest: Option<i64>,
    newest: Option<i64>,
    next_expiry: Option<i64>,
    last_expiry: Option<i64>,
}

impl Stats {
    fn of(entries: &[Entry], now: i64) -> Self {
        let mut stats = Self::default();
        for entry in entries {
            let kind = type_of(entry);
            stats.all.add(entry);
            stats.types.entry(kind as u8).or_insert((kind.noun(), Sum::default())).1.add(entry);
            stats.unreadable += usize::from(entry.problem().is_some());
            let text = |name| redact::text(entry, name).map(|text| text.to_lowercase());
            if let Some(client) = text("client_id") {
                stats.clients.entry(client).or_default().add(entry);
            }
            if let Some(tenant) = text("realm").filter(|_| kind != Type::App) {
                stats.tenants.entry(tenant).or_default().add(entry);
            }
            if let Some(at) = stored_at(entry) {
                stats.oldest = Some(stats.oldest.map_or(at, |oldest| oldest.min(at)));
                stats.newest = Some(stats.newest.map_or(at, |newest| newest.max(at)));
            }
            if let Some(at) = expires_on(entry) {
                let sum = match at.saturating_sub(now) {
                    ..0 => &mut stats.expired,
                    0..300 => &mut stats.expiring_soon,
                    _ => &mut stats.valid,
                };
                sum.add(entry);
                if at >= now {
                    stats.next_expiry = Some(stats.next_expiry.map_or(at, |next| next.min(at)));
                    stats.last_expiry = Some(stats.last_expiry.map_or(at, |last| last.max(at)));
                }
            }
        }
        stats
    }
}

pub(crate) fn stats(run: &mut Run<'_>, name: &OsStr) -> Result<Outcome, Failure> {
    let loaded = run.load(name, Access::Read)?;
    let stats = Stats::of(&loaded.entries, run.now());
    let users = Users::of(&loaded.entries).len();
    let size = match loaded.store {
        // They don't say how much of them is the cache.
        StoreRef::Server(_) | StoreRef::KeyStore(_) => None,
        _ => Some(loaded.store.path().metadata().map_or(0, |found| found.len())),
    };
    if run.out.json {
        run.out.json(&as_json(&stats, &loaded.store, users, size))?;
        return Ok(Outcome::Done);
    }
    let size = size.map(|size| bytes(usize::try_from(size).unwrap_or(usize::MAX)));
    let size = size.map(|size| format!(" · {size}")).unwrap_or_default();
    let store = loaded.store.text();
    run.out.line(format!("{BOLD}{store}{BOLD:#} {DIM}{}{size}{DIM:#}", loaded.store.kind()))?;
    if stats.all.entries == 0 {
        run.out.line("\nThe cache is empty.")?;
        return Ok(Outcome::Done);
    }
    let totals = [
        count(users, "user"),
        count(stats.clients.len(), "client"),
        count(stats.tenants.len(), "tenant"),
    ];
    run.out.line(totals.join(", "))?;

    run.out.line("")?;
    let most = stats.types.values().map(|(_, sum)| sum.entries).max().unwrap_or_default();
    let rows = stats.types.values().map(|(noun, sum)| (format!("{noun}s"), *sum));
    bars(run, rows.collect(), most)?;

    if stats.valid.entries + stats.expiring_soon.entries + stats.expired.entries > 0 {
        run.out.line(format!("\n{BOLD}Access tokens{BOLD:#}"))?;
        ages(run, &stats)?;
    }
    for (title, sums) in [("Clients", &stats.clients), ("Tenants", &stats.tenants)] {
        if sums.len() > 1 {
            run.out.line(format!("\n{BOLD}{title}{BOLD:#}"))?;
            top(run, sums)?;
        }
    }
    run.out.line("")?;
    if stats.unreadable > 0 {
        let unreadable = count(stats.unreadable, "record");
        run.out
            .line(format!("{WARN}{unreadable} can't be used{WARN:#}: see `msal-cache check`."))?;
    }
    if stats.expired.entries > 0 {
        let (number, freed) = (count(stats.expired.entries, "token"), bytes(stats.expired.bytes));
        run.out.line(format!("`msal-cache purge` would delete {number} and free {freed}."))?;
    } else {
        run.out.line(format!("{DIM}Nothing to purge.{DIM:#}"))?;
    }
    Ok(Outcome::Done)
}

/// Prints a line with a bar for each sum.
fn bars(run: &mut Run<'_>, rows: Vec<(String, Sum)>, most: usize) -> Result<(), Failure> {
    let mut table = Table::new([
        Column::new("").shrinks(16),
        Column::new("").right(),
        Column::new("").optional(),
        Column::new("").right(),
    ]);
    for (name, sum) in rows {
        table.row([
            Cell::new(name),
            Cell::new(grouped(sum.entries)),
            Cell::styled(bar(share(sum.entries, most), BAR_WIDTH), NAME),
            Cell::dim(bytes(sum.bytes)),
        ]);
    }
    Ok(run.out.table(&table)?)
}

/// Prints the ages of the access tokens.
fn ages(run: &mut Run<'_>, stats: &Stats) -> Result<(), Failure> {
    let most = [stats.valid, stats.expiring_soon, stats.expired].iter().map(|it| it.entries).max();
    let calendar = run.out.calendar.clone();
    let relative = |at: Option<i64>| at.map(|at| calendar.relative(at)).unwrap_or_default();
    let mut table = Table::new([
        Column::new(""),
        Column::new("").right(),
        Column::new("").optional(),
        Column::new("").optional(),
    ]);
    let last = Some(relative(stats.last_expiry)).filter(|it| !it.is_empty());
    for (name, sum, style, note) in [
        ("valid", stats.valid, GOOD, last.map(|last| format!("last one expires {last}"))),
        (
            "expiring within 5 min",
            stats.expiring_soon,
            WARN,
            Some("refreshed before use".to_owned()),
        ),
        ("expired", stats.expired, BAD, None),
    ] {
        if sum.entries > 0 {
            table.row([
                Cell::new(name),
                Cell::new(grouped(sum.entries)),
                Cell::styled(bar(share(sum.entries, most.unwrap_or_default()), BAR_WIDTH), style),
                Cell::dim(note.unwrap_or_default()),
            ]);
        }
    }
    run.out.table(&table)?;
    if let (Some(oldest), Some(newest)) = (stats.oldest, stats.newest) {
        let (oldest, newest) = (calendar.relative(oldest), calendar.relative(newest));
        let stored = if oldest == newest {
            format!("All were stored {oldest}.")
        } else {
            format!("The oldest was stored {oldest}, the newest {newest}.")
        };
        run.out.line(format!("{DIM}{stored}{DIM:#}"))?;
    }
    Ok(())
}

/// Prints the largest sums, and the rest as one sum.
fn top(run: &mut Run<'_>, sums: &BTreeMap<String, Sum>) -> Result<(), Failure> {
    let mut rows: Vec<_> = sums.iter().map(|(id, sum)| (clients::short(id), *sum)).collect();
    rows.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.entries));
    if rows.len() > MAX_LINES {
        let rest = rows.split_off(MAX_LINES - 1);
        let mut sum = Sum::default();
        for (_, it) in &rest {
            sum.entries += it.entries;
            sum.bytes += it.bytes;
        }
        rows.push((format!("{} others", grouped(rest.len())), sum));
    }
    let most = rows.iter().map(|(_, sum)| sum.entries).max().unwrap_or_default();
    bars(run, rows, most)
}

#[expect(clippy::cast_precision_loss, reason = "the result is the length of a short bar")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn as_json(stats: &Stats, store: &StoreRef, users: usize, size: Option<u64>) -> Value {
    let by = |sums: &BTreeMap<String, Sum>| {
        sums.iter().map(|(name, sum)| (name.clone(), sum.json())).collect::<Map<_, _>>()
    };
    let types = stats.types.values().map(|(noun, sum)| ((*noun).to_owned(), sum.json()));
    json!({
        "store": store.name(),
        "kind": store.kind(),
        "store_bytes": size,
        "entries": stats.all.entries,
        "bytes": stats.all.bytes,
        "users": users,
        "types": types.collect::<Map<_, _>>(),
        "valid": stats.valid.entries + stats.expiring_soon.entries,
        "expiring_soon": stats.expiring_soon.entries,
        "expired": stats.expired.entries,
        "expired_bytes": stats.expired.bytes,
        "unreadable": stats.unreadable,
        "oldest_stored_on": stats.oldest,
        "newest_stored_on": stats.newest,
        "next_expires_on": stats.next_expiry,
        "last_expires_on": stats.last_expiry,
        "clients": by(&stats.clients),
        "tenants": by(&stats.tenants),
    })
}
