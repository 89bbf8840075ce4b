//! Lists tokens.

use std::collections::HashMap;
use std::ffi::OsStr;

use msal_cache::Entry;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::check::wrapped;
use crate::failure::{Failure, Outcome, printable};
use crate::flags::{EntryFilter, Sort, Type};
use crate::out::{BAD, DIM, GOOD, Out, WARN};
use crate::run::Run;
use crate::select::{Selection, Users, expires_on, sort, stored_at, tally, type_of};
use crate::store::Access;
use crate::table::{Cell, Column, Table};
use crate::{clients, redact};

pub(crate) fn list(
    run: &mut Run<'_>,
    name: &OsStr,
    filter: &EntryFilter,
    by: Sort,
    reverse: bool,
) -> Result<Outcome, Failure> {
    let loaded = run.load(name, Access::Read)?;
    let users = Users::of(&loaded.entries);
    let selection = Selection::new(filter, &users, run.now());
    let is_token = |it: &&Entry| matches!(type_of(it), Type::Access | Type::Refresh | Type::Id);
    let mut found: Vec<_> = loaded
        .entries
        .iter()
        .filter(|it| !filter.types.is_empty() || is_token(it))
        .filter(|it| selection.contains(it))
        .collect();
    sort(&mut found, by, &users);
    if reverse {
        found.reverse();
    }
    let outcome = if found.is_empty() { Outcome::Found } else { Outcome::Done };
    if run.out.json {
        let tokens = JsonEntries { entries: &found, users: &users, now: run.now() };
        run.out.json(&HashMap::from([("tokens", tokens)]))?;
        return Ok(outcome);
    }
    if found.is_empty() {
        run.out.line("No matching tokens.")?;
        return Ok(outcome);
    }
    let mut table = table(&found, &users, run.out);
    let mut summary = vec![tally(found.iter().copied())];
    summary.extend(table.lift());
    run.out.table(&table)?;
    let width = run.out.width.unwrap_or(usize::MAX);
    for line in summary.iter().flat_map(|line| wrapped(&printable(line), width)) {
        run.out.line(format!("{DIM}{line}{DIM:#}"))?;
    }
    Ok(outcome)
}

/// Serializes entries one by one, since there may be 100,000 of them.
struct JsonEntries<'a> {
    entries: &'a [&'a Entry],
    users: &'a Users,
    now: i64,
}

impl Serialize for JsonEntries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries.iter().map(|it| as_json(it, self.users, self.now)))
    }
}

/// A table with a row for each entry. On a narrow terminal, columns are omitted or cut.
pub(crate) fn table(entries: &[&Entry], users: &Users, out: &Out) -> Table {
    let roomy = out.width.is_none_or(|width| width >= 120);
    let mut columns = vec![
        Column::new("ID"),
        Column::new("TYPE"),
        Column::new("USER").shrinks(12).lifts("user"),
        Column::new("CLIENT").shrinks(9).lifts("client").optional(),
    ];
    if roomy {
        columns.push(Column::new("TENANT").shrinks(9).lifts("tenant"));
    }
    columns.extend([
        Column::new("SCOPES").shrinks(12),
        Column::new("EXPIRES").right(),
        Column::new("").optional(),
    ]);
    let mut table = Table::new(columns);
    for entry in entries {
        let text = |name| redact::text(entry, name).unwrap_or_default();
        let kind = type_of(entry);
        let home = text("home_account_id");
        let user = if home.is_empty() { Cell::dim("(app)") } else { Cell::new(users.name(&home)) };
        let family = redact::text(entry, "family_id").map(|family| format!("family {family}"));
        let scopes = match (kind, family) {
            (Type::Refresh, Some(family)) => Cell::dim(family),
            _ => Cell::new(text("target")),
        };
        let (relative, date) = expiry(entry, out, roomy);
        let kind = Cell::new(kind.as_str());
        let client = text("client_id");
        let long = clients::long(&client);
        let client = if roomy { long.clone() } else { clients::short(&client) };
        let client = Cell::new(client).short_for(long);
        let mut row = vec![Cell::dim(redact::id(entry)), kind, user, client];
        if roomy {
            row.push(Cell::new(text("realm")));
        }
        row.extend([scopes, relative, date]);
        table.row(row);
    }
    table
}

/// When an entry expires, as relative time and as date.
fn expiry(entry: &Entry, out: &Out, roomy: bool) -> (Cell, Cell) {
    let Some(at) = expires_on(entry) else {
        let problem = entry.problem().filter(|_| type_of(entry) != Type::Other);
        let problem = problem.map(|_| Cell::styled("unreadable", BAD));
        return (problem.unwrap_or_default(), Cell::default());
    };
    let style = match out.calendar.until(at) {
        ..0 => BAD,
        0..300 => WARN,
        _ => GOOD,
    };
    let relative = Cell::styled(out.calendar.relative(at), style);
    let date = if roomy { out.calendar.date(at) } else { out.calendar.short(at) };
    (relative, Cell::dim(date))
}

/// An entry as JSON: the same members for every type, `null` if absent.
pub(crate) fn as_json(entry: &Entry, users: &Users, now: i64) -> Value {
    let text = |name| redact::text(entry, name);
    let home = text("home_account_id");
    let name =
        home.as_deref().map(|home| users.name(home)).filter(|it| Some(*it) != home.as_deref());
    let scopes = text("target").unwrap_or_default();
    let expires_on = expires_on(entry);
    json!({
        "id": redact::id(entry),
        "type": type_of(entry).as_str(),
        "section": entry.credential_type().as_str(),
        "key": entry.key(),
        "home_account_id": home,
        "username": name,
        "client_id": text("client_id"),
        "client": text("client_id").and_then(|id| clients::name(&id)),
        "environment": text("environment"),
        "tenant": text("realm"),
        "scopes": scopes.split_ascii_whitespace().collect::<Vec<_>>(),
        "family_id": text("family_id"),
        "token_type": text("token_type"),
        "stored_on": stored_at(entry),
        "expires_on": expires_on,
        "expired": expires_on.map(|at| at < now),
        "bytes": redact::size(entry),
        "problem": entry.problem().map(|it| it.to_string()),
    })
}
