//! Reports the problems of a cache and their consequences.

use msal_cache::Entry;
use msal_cache::check::{Finding, Severity};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ffi::OsStr;

use crate::failure::{Failure, Outcome, printable};
use crate::out::{BAD, BOLD, DIM, GOOD, NAME, WARN, count};
use crate::run::Run;
use crate::sealed::Sealed;
use crate::select::{Users, type_of};
use crate::trouble::{Trouble, examine};
use crate::{clients, redact};

/// How many entries of one finding are listed without `--all`.
pub(crate) const MAX_LISTED: usize = 3;

pub(crate) fn check(run: &mut Run<'_>, name: &OsStr, all: bool) -> Result<Outcome, Failure> {
    let store = run.store(name)?;
    let found = examine(run, &store)?;
    let findings = msal_cache::check::check(&found.entries, run.now());
    let outcome = outcome(&found.troubles, &findings);
    let users = Users::of(&found.entries);
    if run.out.json {
        let shown: Vec<_> = findings.iter().map(|it| as_json(it, &users)).collect();
        run.out.json(&json!({
            "store": store.name(),
            "entries": found.entries.len(),
            "troubles": found.troubles.iter().map(Trouble::as_json).collect::<Vec<_>>(),
            "sealed": found.sealed.as_ref().map(Sealed::as_json),
            "readers": found.readers.map(|it| json!({"python": it.python, "node": it.node})),
            "findings": shown,
        }))?;
        return Ok(outcome);
    }
    for line in found.sealed.iter().flat_map(Sealed::lines) {
        for (at, line) in wrapped(&line, text_width(run)).iter().enumerate() {
            let word = if at == 0 { "keys" } else { "" };
            run.out.line(format!("{NAME}{word:<7}{NAME:#}  {}", printable(line)))?;
        }
    }
    for trouble in &found.troubles {
        let message = printable(&trouble.message);
        run.out.line(format!("{BAD}error{BAD:#}    {BOLD}{message}{BOLD:#}"))?;
        for line in wrapped(&printable(&trouble.meaning), text_width(run)) {
            run.out.line(format!("         {line}"))?;
        }
    }
    let groups = groups(&findings);
    for group in &groups {
        print_group(run, group, &users, if all { usize::MAX } else { MAX_LISTED })?;
    }
    summary(run, found.entries.len(), &found.troubles, &findings)?;
    Ok(outcome)
}

fn outcome(troubles: &[Trouble], findings: &[Finding]) -> Outcome {
    let has = |kind| troubles.iter().any(|it| it.kind == kind);
    if has("corrupt") {
        Outcome::Corrupt
    } else if has("insecure") {
        Outcome::Insecure
    } else if has("sealed") || has("not-sealed") {
        Outcome::Sealed
    } else if !troubles.is_empty() || findings.iter().any(|it| it.severity() > Severity::Note) {
        Outcome::Found
    } else {
        Outcome::Done
    }
}

/// Findings grouped by kind, most severe first.
pub(crate) fn groups(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut groups = Vec::<Vec<&Finding>>::new();
    let mut known = HashMap::new();
    for finding in findings {
        let group = *known.entry((finding.to_string(), finding.meaning())).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(finding);
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
    troubles: &[Trouble],
    findings: &[Finding],
) -> Result<(), Failure> {
    if findings.is_empty() && troubles.is_empty() {
        let entries = if entries == 0 { "an empty cache".into() } else { count(entries, "entry") };
        run.out.line(format!("{GOOD}No problems found{GOOD:#} in {entries}."))?;
        return Ok(());
    }
    let number = |severity| findings.iter().filter(|it| it.severity() == severity).count();
    let errors = number(Severity::Error) + troubles.len();
    let counts: Vec<_> = [
        (errors, "error"),
        (number(Severity::Warning), "warning"),
        (number(Severity::Note), "note"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, noun)| count(number, noun))
    .collect();
    let all = findings.len() + troubles.len();
    let repairable = findings.iter().filter(|it| it.remedy().is_some()).count()
        + troubles.iter().filter(|it| it.repairable).count();
    let repair = match repairable {
        0 => "not fixable by `msal-cache repair`".to_owned(),
        1 if all == 1 => "`msal-cache repair` fixes it".into(),
        number if number == all => "`msal-cache repair` fixes all of them".into(),
        number => format!("`msal-cache repair` fixes {number} of them"),
    };
    let unreadable = ["corrupt", "sealed", "not-sealed"];
    let unreadable = troubles.iter().any(|it| unreadable.contains(&it.kind));
    let within =
        if unreadable { String::new() } else { format!(" in {}", count(entries, "entry")) };
    run.out.line("")?;
    let text = format!("{}{within}; {repair}.", counts.join(", "));
    for line in wrapped(&text, run.out.width.unwrap_or(usize::MAX)) {
        run.out.line(line)?;
    }
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
