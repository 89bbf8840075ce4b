//! Shows one entry and the requests that match it.

use std::borrow::Cow;
use std::ffi::OsStr;

use msal_cache::Entry;
use serde_json::{Value, json};

use crate::check::wrapped;
use crate::failure::{Failure, Outcome, printable};
use crate::flags::Type;
use crate::out::{BOLD, DIM, WARN, bytes};
use crate::redact::{self, Secrets};
use crate::run::Run;
use crate::select::{Users, by_id, expires_on, stored_at, type_of};
use crate::store::Access;
use crate::table::{Cell, Column, Table};
use crate::{clients, tokens};

pub(crate) fn show(
    run: &mut Run<'_>,
    name: &OsStr,
    id: &str,
    secrets: Secrets,
) -> Result<Outcome, Failure> {
    let loaded = run.load(name, Access::Read)?;
    let users = Users::of(&loaded.entries);
    let entry = by_id(&loaded.entries, id)?;
    let matched_by = matched_by(entry, &users);
    if run.out.json {
        let mut shown = tokens::as_json(entry, &users, run.now());
        shown["fields"] = redact::value(entry, secrets);
        shown["claims"] = Value::Object(redact::claims(entry));
        shown["found_by"] = json!(matched_by);
        run.out.json(&json!({ "entry": shown }))?;
        return Ok(Outcome::Done);
    }
    let kind = type_of(entry);
    let noun = match kind {
        Type::Other => entry.credential_type().as_str(),
        kind => kind.noun(),
    };
    run.out.line(format!("{BOLD}{}{BOLD:#} {DIM}{}{DIM:#}", printable(noun), redact::id(entry)))?;
    run.out.line(format!("{DIM}{}{DIM:#}", printable(entry.key())))?;
    if let Some(problem) = entry.problem() {
        run.out.line(format!("{WARN}can't be used: {problem}{WARN:#}"))?;
    }
    run.out.line("")?;
    let mut table = Table::new([Column::new(""), Column::new("")]);
    let is_time =
        |name: &str| name.ends_with("_on") || name.ends_with("_at") || name.ends_with("_time");
    for (name, value) in redact::value(entry, secrets).as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let seconds = text.parse().ok().filter(|_| is_time(name));
        let text = match seconds {
            Some(at) => format!("{text}  {}", run.out.calendar.both(at)),
            None => text,
        };
        let hidden = text.starts_with("[redacted");
        table.row([Cell::new(name), if hidden { Cell::dim(text) } else { Cell::new(text) }]);
    }
    // One entry is shown in full, whatever the width.
    for line in table.lines(None) {
        run.out.line(line)?;
    }
    let claims = redact::claims(entry);
    if !claims.is_empty() {
        run.out.line(format!("\n{BOLD}Claims{BOLD:#} {DIM}not verified{DIM:#}"))?;
        let mut table = Table::new([Column::new(""), Column::new("")]);
        for (name, value) in &claims {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let text = match value.as_i64().filter(|_| name == "iat" || name == "exp") {
                Some(at) => format!("{text}  {}", run.out.calendar.both(at)),
                None => text,
            };
            table.row([Cell::new(name), Cell::new(text)]);
        }
        for line in table.lines(None) {
            run.out.line(line)?;
        }
    }
    run.out.line(format!("\n{BOLD}Matched by{BOLD:#}"))?;
    for by in matched_by {
        let lines = wrapped(&printable(&by), run.out.width.unwrap_or(100).max(30) - 4);
        for (at, line) in lines.iter().enumerate() {
            run.out.line(format!("{}{line}", if at == 0 { "  " } else { "    " }))?;
        }
    }
    let mut footer = vec![bytes(redact::size(entry))];
    footer.extend(stored_at(entry).map(|at| format!("stored {}", run.out.calendar.relative(at))));
    footer.extend(expires_on(entry).map(|at| {
        let verb = if at < run.now() { "expired" } else { "expires" };
        format!("{verb} {}", run.out.calendar.relative(at))
    }));
    run.out.line(format!("\n{DIM}{}{DIM:#}", footer.join(" · ")))?;
    Ok(Outcome::Done)
}

/// The requests that match this entry.
fn matched_by(entry: &Entry, users: &Users) -> Vec<String> {
    let text = |name| redact::text(entry, name).map(Cow::into_owned);
    let or_any = |what: &str, value: Option<String>| match value {
        Some(value) => format!("{what} {value}"),
        None => format!("any {what}"),
    };
    let user = match text("home_account_id") {
        Some(home) if users.name(&home) == home => format!("user {home}"),
        Some(home) => format!("user {} ({home})", users.name(&home)),
        None => "the app itself, without a user".into(),
    };
    let client = or_any("client", text("client_id").map(|id| clients::long(&id)));
    if entry.problem().is_some() {
        return vec!["no request: searches skip it".into()];
    }
    let mut by = match type_of(entry) {
        Type::Access => {
            let scopes = text("target").unwrap_or_default();
            vec![
                user,
                client,
                or_any("tenant", text("realm")),
                format!("one or more of these scopes: {scopes}"),
            ]
        }
        Type::Refresh => {
            let family = text("family_id");
            let client = match family {
                Some(family) => format!("{client}, and every other client of family {family}"),
                None => client,
            };
            vec![
                user,
                client,
                "any tenant and any scopes: it is redeemed for an access token".into(),
            ]
        }
        Type::Id => vec![user, client, or_any("tenant", text("realm"))],
        Type::Account => vec![user, "every client that lists accounts".into()],
        Type::App => vec![client],
        Type::Other => vec!["no request of this library, which keeps it unchanged".into()],
    };
    by.extend(text("environment").map(|host| format!("environment {host} or one of its aliases")));
    if let Some(token) = entry.access_token() {
        by.extend(token.key_id().map(|key| format!("key {key} only, to which it is bound")));
        by.extend(
            token.ext_cache_key().map(|key| format!("requests with extended cache key {key}")),
        );
    }
    by
}
