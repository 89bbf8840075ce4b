//! Reports the problems of a cache and their consequences.

use msal_cache::check::{Finding, Severity};
use msal_cache::file::{OnCorrupt, Permissions};
use msal_cache::{Entry, Error};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, printable};
use crate::out::{BAD, BOLD, DIM, GOOD, NAME, WARN, count};
use crate::run::Run;
use crate::select::{Users, type_of};
use crate::store::{Access, StoreRef};
use crate::{clients, progress, redact};

/// How many entries of one finding are listed without `--all`.
pub(crate) const MAX_LISTED: usize = 3;

pub(crate) fn check(run: &mut Run<'_>, name: &str, all: bool) -> Result<Outcome, Failure> {
    let store = StoreRef::parse(name)?;
    let mut store_errors = Vec::new();
    let mut permissions = Permissions::Refuse;
    let cache = loop {
        match store.open_with(run.common, Access::Existing, permissions, OnCorrupt::Error) {
            Ok(cache) => break Some(cache),
            // Other users can access the store: report it, and check the content as well.
            Err(Failure::Cache(error @ Error::Insecure { .. }))
                if permissions == Permissions::Refuse =>
            {
                store_errors.push(error);
                permissions = Permissions::Ignore;
            }
            Err(Failure::Cache(error @ (Error::Corrupt { .. } | Error::Insecure { .. }))) => {
                store_errors.push(error);
                break None;
            }
            Err(failure) => return Err(failure),
        }
    };
    let entries = match cache.map(|cache| progress::during("Reading", || cache.entries(None))) {
        None => Vec::new(),
        Some(Ok(entries)) => entries,
        Some(Err(error @ Error::Corrupt { .. })) => {
            store_errors.push(error);
            Vec::new()
        }
        Some(Err(error)) => return Err(error.into()),
    };
    let findings = msal_cache::check::check(&entries, run.now());
    let outcome = outcome(&store_errors, &findings);
    if run.out.json {
        let users = Users::of(&entries);
        let shown: Vec<_> = findings.iter().map(|it| as_json(it, &users)).collect();
        run.out.json(&json!({
            "store": store.path(),
            "entries": entries.len(),
            "troubles": store_errors.iter().map(store_error_as_json).collect::<Vec<_>>(),
            "findings": shown,
        }))?;
        return Ok(outcome);
    }
    for error in &store_errors {
        let (message, meaning, remedy) = describe(error);
        run.out.line(format!("{BAD}error{BAD:#}    {BOLD}{}{BOLD:#}", printable(&message)))?;
        for line in wrapped(meaning, text_width(run)) {
            run.out.line(format!("         {line}"))?;
        }
        if let Some(remedy) = remedy {
            run.out.line(format!("         {}", printable(&remedy)))?;
        }
    }
    let groups = groups(&findings);
    let users = Users::of(&entries);
    for group in &groups {
        print_group(run, group, &users, if all { usize::MAX } else { MAX_LISTED })?;
    }
    summary(run, entries.len(), &store_errors, &findings)?;
    Ok(outcome)
}

/// Message, consequence and remedy of an error that concerns the whole store.
fn describe(error: &Error) -> (String, &'static str, Option<String>) {
    match error {
        Error::Insecure { path, reason, remedy } => (
            format!("{} is not safe for tokens: {reason}", path.display()),
            "Users who can read the store can use its tokens.",
            Some(sentence(remedy)),
        ),
        other => (
            other.to_string(),
            "No app can acquire tokens silently from it. `msal-cache repair` moves a broken file \
             aside and recovers its readable records.",
            None,
        ),
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|it| it.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}

fn outcome(store_errors: &[Error], findings: &[Finding]) -> Outcome {
    if store_errors.iter().any(|it| matches!(it, Error::Corrupt { .. })) {
        Outcome::Corrupt
    } else if !store_errors.is_empty() {
        Outcome::Insecure
    } else if findings.iter().any(|it| it.severity() > Severity::Note) {
        Outcome::Found
    } else {
        Outcome::Done
    }
}

/// Findings grouped by kind, most severe first.
pub(crate) fn groups(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut groups = Vec::<Vec<&Finding>>::new();
    let same = |one: &Finding, other: &Finding| {
        one.to_string() == other.to_string() && one.meaning() == other.meaning()
    };
    for finding in findings {
        match groups.iter_mut().find(|group| same(group[0], finding)) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group[0].severity()));
    groups
}

fn print_group(
    run: &mut Run<'_>,
    group: &[&Finding],
    users: &Users,
    most: usize,
) -> Result<(), Failure> {
    let first = group[0];
    let (word, style) = match first.severity() {
        Severity::Error => ("error", BAD),
        Severity::Warning => ("warning", WARN),
        _ => ("note", NAME),
    };
    let title = printable(&format!("{first}: {}", subject(group)));
    run.out.line(format!("{style}{word:<7}{style:#}  {BOLD}{title}{BOLD:#}"))?;
    let mut text = first.meaning().to_owned();
    if let Some(remedy) = first.remedy() {
        text = format!("{text} `msal-cache repair` {remedy}.");
    }
    for line in wrapped(&text, text_width(run)) {
        run.out.line(format!("         {line}"))?;
    }
    for finding in group.iter().take(most) {
        let line = entry_line(finding.entry(), users);
        let line =
            crate::table::cut(&printable(&line), run.out.width.map_or(usize::MAX, |it| it - 9));
        run.out.line(format!("         {DIM}{line}{DIM:#}"))?;
    }
    if group.len() > most {
        let more = count(group.len() - most, "other");
        run.out.line(format!("         {DIM}and {more} (--all lists them){DIM:#}"))?;
    }
    Ok(())
}

/// The width of explanations, which are indented.
fn text_width(run: &Run<'_>) -> usize {
    run.out.width.unwrap_or(100).clamp(30, 100) - 9
}

/// The number and type of a group's entries: `3 access tokens`.
pub(crate) fn subject(group: &[&Finding]) -> String {
    let kind = type_of(group[0].entry());
    let same_type = group.iter().all(|it| type_of(it.entry()) == kind);
    count(group.len(), if same_type { kind.noun() } else { "entry" })
}

/// An entry in one line.
pub(crate) fn entry_line(entry: &Entry, users: &Users) -> String {
    let text = |name| redact::text(entry, name);
    let mut parts = vec![redact::id(entry)];
    match text("home_account_id") {
        Some(home) => parts.push(users.name(&home).to_owned()),
        None => parts
            .extend(text("client_id").map(|client| format!("client {}", clients::short(&client)))),
    }
    match text("target") {
        Some(target) => parts.push(target.into_owned()),
        None => parts.extend(text("realm").map(|realm| format!("tenant {realm}"))),
    }
    if parts.len() == 1 {
        parts.push(entry.key().to_owned());
    }
    parts.join("  ")
}

fn summary(
    run: &mut Run<'_>,
    entries: usize,
    store_errors: &[Error],
    findings: &[Finding],
) -> Result<(), Failure> {
    if store_errors.is_empty() && findings.is_empty() {
        let entries = if entries == 0 { "an empty cache".into() } else { count(entries, "entry") };
        run.out.line(format!("{GOOD}No problems found{GOOD:#} in {entries}."))?;
        return Ok(());
    }
    let number = |severity| findings.iter().filter(|it| it.severity() == severity).count();
    let errors = number(Severity::Error) + store_errors.len();
    let counts: Vec<_> = [
        (errors, "error"),
        (number(Severity::Warning), "warning"),
        (number(Severity::Note), "note"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, noun)| count(number, noun))
    .collect();
    let repairable =
        findings.iter().filter(|it| it.remedy().is_some()).count() + store_errors.len();
    let repair = match repairable {
        0 => "not fixable by `msal-cache repair`".to_owned(),
        1 if findings.len() + store_errors.len() == 1 => "`msal-cache repair` fixes it".into(),
        number if number == findings.len() + store_errors.len() => {
            "`msal-cache repair` fixes all of them".into()
        }
        number => format!("`msal-cache repair` fixes {number} of them"),
    };
    let unreadable = store_errors.iter().any(|it| matches!(it, Error::Corrupt { .. }));
    let within =
        if unreadable { String::new() } else { format!(" in {}", count(entries, "entry")) };
    run.out.line(format!("\n{}{within}; {repair}.", counts.join(", ")))?;
    Ok(())
}

/// Wraps text between words, into lines of at most `width` characters.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// A finding as JSON.
pub(crate) fn as_json(finding: &Finding, users: &Users) -> Value {
    let entry = finding.entry();
    let home = redact::text(entry, "home_account_id");
    json!({
        "kind": finding.kind().as_str(),
        "severity": finding.severity().as_str(),
        "message": finding.to_string(),
        "meaning": finding.meaning(),
        "remedy": finding.remedy(),
        "id": redact::id(entry),
        "type": type_of(entry).as_str(),
        "key": entry.key(),
        "username": home.as_deref().map(|home| users.name(home)),
    })
}

fn store_error_as_json(error: &Error) -> Value {
    let kind = if matches!(error, Error::Corrupt { .. }) { "corrupt" } else { "insecure" };
    json!({"kind": kind, "severity": "error", "message": error.to_string()})
}
