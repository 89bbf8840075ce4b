//! Lists signed-in users.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use msal_cache::Entry;
use serde_json::json;

use crate::check::wrapped;
use crate::failure::{Failure, Outcome, printable};
use crate::flags::{EntryFilter, OwnerFilter, Type};
use crate::out::{DIM, count};
use crate::redact;
use crate::run::Run;
use crate::select::{Selection, Users, expires_on, type_of};
use crate::store::Access;
use crate::table::{Cell, Column, Table};

/// The entries of one user.
#[derive(Default)]
struct UserEntries<'a> {
    accounts: Vec<&'a Entry>,
    refresh_tokens: usize,
    valid: usize,
    expired: usize,
    id_tokens: usize,
}

pub(crate) fn list(
    run: &mut Run<'_>,
    name: &OsStr,
    owner: &OwnerFilter,
) -> Result<Outcome, Failure> {
    let loaded = run.load(name, Access::Read)?;
    let users = Users::of(&loaded.entries);
    let filter = EntryFilter { owner: owner.clone(), ..EntryFilter::default() };
    let selection = Selection::new(&filter, &users, run.now());
    let mut found = BTreeMap::<_, UserEntries<'_>>::new();
    for entry in loaded.entries.iter().filter(|it| selection.contains(it)) {
        let Some(home) = redact::text(entry, "home_account_id") else { continue };
        let user = found.entry((users.name(&home).to_lowercase(), home.into_owned())).or_default();
        match (type_of(entry), expires_on(entry)) {
            (Type::Account, _) => user.accounts.push(entry),
            (Type::Refresh, _) => user.refresh_tokens += 1,
            (Type::Id, _) => user.id_tokens += 1,
            (Type::Access, Some(at)) if at >= run.now() => user.valid += 1,
            (Type::Access, _) => user.expired += 1,
            _ => {}
        }
    }
    let outcome = if found.is_empty() { Outcome::Found } else { Outcome::Done };
    if run.out.json {
        let accounts: Vec<_> =
            found.iter().map(|((_, home), user)| as_json(home, user, &users)).collect();
        run.out.json(&json!({ "accounts": accounts }))?;
        return Ok(outcome);
    }
    if found.is_empty() {
        run.out.line("No users are signed in.")?;
        return Ok(outcome);
    }
    let roomy = run.out.width.is_none_or(|width| width >= 120);
    let mut table = Table::new([
        Column::new("USER").shrinks(14),
        Column::new("TENANT").shrinks(9),
        Column::new("ENVIRONMENT").shrinks(9).lifts("environment").optional(),
        Column::new("ACCESS").right(),
        Column::new("REFRESH").right(),
        Column::new(if roomy { "HOME ACCOUNT" } else { "" }),
    ]);
    for ((_, home), user) in &found {
        let access = match (user.valid, user.expired) {
            (0, 0) => Cell::dim("-"),
            (valid, 0) => Cell::new(valid.to_string()),
            (valid, expired) => Cell::new(format!("{valid} + {expired} expired")),
        };
        let refresh = match user.refresh_tokens {
            0 => Cell::dim("-"),
            number => Cell::new(number.to_string()),
        };
        let name = match users.name(home) {
            name if name == home => Cell::dim(home),
            name => Cell::styled(name, crate::out::NAME),
        };
        let tenants = distinct(user, "realm").join(" ");
        let environments = distinct(user, "environment").join(" ");
        let cells = [name, Cell::new(tenants), Cell::new(environments), access, refresh];
        table.row(cells.into_iter().chain([Cell::dim(if roomy { home } else { "" })]));
    }
    let lifted = table.lift();
    run.out.table(&table)?;
    let mut summary = vec![count(found.len(), "user")];
    summary.extend(lifted);
    for line in wrapped(&printable(&summary.join(" · ")), run.out.width.unwrap_or(usize::MAX)) {
        run.out.line(format!("{DIM}{line}{DIM:#}"))?;
    }
    Ok(outcome)
}

/// The distinct values of a field in the accounts of a user.
fn distinct(user: &UserEntries<'_>, field: &str) -> Vec<String> {
    let mut values: Vec<_> =
        user.accounts.iter().filter_map(|it| redact::text(it, field)).map(String::from).collect();
    values.sort();
    values.dedup();
    values
}

fn as_json(home: &str, user: &UserEntries<'_>, users: &Users) -> serde_json::Value {
    let name = Some(users.name(home)).filter(|name| *name != home);
    json!({
        "home_account_id": home,
        "username": name,
        "environments": distinct(user, "environment"),
        "tenants": distinct(user, "realm"),
        "access_tokens": user.valid,
        "expired_access_tokens": user.expired,
        "refresh_tokens": user.refresh_tokens,
        "id_tokens": user.id_tokens,
        "ids": user.accounts.iter().map(|it| redact::id(it)).collect::<Vec<_>>(),
    })
}
