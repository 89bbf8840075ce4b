//! What is wrong with a cache, and what it means for whom.

use msal_cache::check::{Finding, Severity};
use msal_cache::{Entry, Error, OnCorrupt, Permissions};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, printable};
use crate::out::{BAD, BOLD, DIM, GOOD, NAME, WARN, count};
use crate::select::{Users, type_of};
use crate::store::{Access, Place};
use crate::{Run, clients, progress, redact};

/// How many entries of one finding are listed unless all are asked for.
pub(crate) const FEW: usize = 3;

pub(crate) fn check(run: &mut Run<'_>, store: &str, all: bool) -> Result<Outcome, Failure> {
    let place = Place::named(store)?;
    let mut troubles = Vec::new();
    let mut permissions = Permissions::Refuse;
    let cache = loop {
        match place.open_with(run.common, Access::Existing, permissions, OnCorrupt::Error) {
            Ok(cache) => break Some(cache),
            // Others can open it. That is one finding, and no reason not to look for more.
            Err(Failure::Cache(error @ Error::Insecure { .. }))
                if permissions == Permissions::Refuse =>
            {
                troubles.push(error);
                permissions = Permissions::Ignore;
            }
            Err(Failure::Cache(error @ (Error::Corrupt { .. } | Error::Insecure { .. }))) => {
                troubles.push(error);
                break None;
            }
            Err(failure) => return Err(failure),
        }
    };
    let entries = match cache.map(|cache| progress::during("Reading", || cache.entries(None))) {
        None => Vec::new(),
        Some(Ok(entries)) => entries,
        Some(Err(error @ Error::Corrupt { .. })) => {
            troubles.push(error);
            Vec::new()
        }
        Some(Err(error)) => return Err(error.into()),
    };
    let findings = msal_cache::check::check(&entries, run.now());
    let outcome = outcome(&troubles, &findings);
    if run.out.json {
        let users = Users::of(&entries);
        let shown: Vec<_> = findings.iter().map(|it| as_json(it, &users)).collect();
        run.out.json(&json!({
            "store": place.path(),
            "entries": entries.len(),
            "troubles": troubles.iter().map(trouble_as_json).collect::<Vec<_>>(),
            "findings": shown,
        }))?;
        return Ok(outcome);
    }
    for trouble in &troubles {
        let (what, meaning, command) = told(trouble);
        run.out.line(format!("{BAD}error{BAD:#}    {BOLD}{}{BOLD:#}", printable(&what)))?;
        for line in wrapped(meaning, text_width(run)) {
            run.out.line(format!("         {line}"))?;
        }
        if let Some(command) = command {
            run.out.line(format!("         {}", printable(&command)))?;
        }
    }
    let groups = groups(&findings);
    let users = Users::of(&entries);
    for group in &groups {
        tell(run, group, &users, if all { usize::MAX } else { FEW })?;
    }
    summary(run, entries.len(), &troubles, &findings)?;
    Ok(outcome)
}

/// What is wrong with the store as a whole, what it means, and a command that mends it.
fn told(trouble: &Error) -> (String, &'static str, Option<String>) {
    match trouble {
        Error::Insecure { path, reason, remedy } => (
            format!("{} is not safe for tokens: {reason}", path.display()),
            "Whoever can open it can use the tokens.",
            Some(sentence(remedy)),
        ),
        other => (
            other.to_string(),
            "No app can sign anyone in silently with it. `msal-cache repair` sets it aside and \
             saves what can be read.",
            None,
        ),
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|it| it.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}

fn outcome(troubles: &[Error], findings: &[Finding]) -> Outcome {
    if troubles.iter().any(|it| matches!(it, Error::Corrupt { .. })) {
        Outcome::Corrupt
    } else if !troubles.is_empty() {
        Outcome::Insecure
    } else if findings.iter().any(|it| it.severity() > Severity::Note) {
        Outcome::Found
    } else {
        Outcome::Done
    }
}

/// Findings of one kind, which are told together, the worst first.
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

fn tell(run: &mut Run<'_>, group: &[&Finding], users: &Users, most: usize) -> Result<(), Failure> {
    let first = group[0];
    let (word, style) = match first.severity() {
        Severity::Error => ("error", BAD),
        Severity::Warning => ("warning", WARN),
        _ => ("note", NAME),
    };
    let title = printable(&format!("{first}: {}", of_what(group)));
    run.out.line(format!("{style}{word:<7}{style:#}  {BOLD}{title}{BOLD:#}"))?;
    let mut text = first.meaning().to_owned();
    if let Some(remedy) = first.remedy() {
        text = format!("{text} `msal-cache repair` {remedy}.");
    }
    for line in wrapped(&text, text_width(run)) {
        run.out.line(format!("         {line}"))?;
    }
    for finding in group.iter().take(most) {
        let line = described(finding.entry(), users);
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

/// The space for explanations, beside the words at the left.
fn text_width(run: &Run<'_>) -> usize {
    run.out.width.unwrap_or(100).clamp(30, 100) - 9
}

/// What a group is about: `3 access tokens`.
pub(crate) fn of_what(group: &[&Finding]) -> String {
    let kind = type_of(group[0].entry());
    let alike = group.iter().all(|it| type_of(it.entry()) == kind);
    count(group.len(), if alike { kind.noun() } else { "entry" })
}

/// An entry in one line.
pub(crate) fn described(entry: &Entry, users: &Users) -> String {
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
    troubles: &[Error],
    findings: &[Finding],
) -> Result<(), Failure> {
    if troubles.is_empty() && findings.is_empty() {
        let entries = count(entries, "entry");
        run.out.line(format!("{GOOD}All is well{GOOD:#} with {entries}."))?;
        return Ok(());
    }
    let number = |severity| findings.iter().filter(|it| it.severity() == severity).count();
    let errors = number(Severity::Error) + troubles.len();
    let told: Vec<_> = [
        (errors, "error"),
        (number(Severity::Warning), "warning"),
        (number(Severity::Note), "note"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, noun)| count(number, noun))
    .collect();
    let mendable = findings.iter().filter(|it| it.remedy().is_some()).count() + troubles.len();
    let mended = match mendable {
        0 => "nothing that `msal-cache repair` would mend".to_owned(),
        1 if findings.len() + troubles.len() == 1 => "`msal-cache repair` mends it".into(),
        number if number == findings.len() + troubles.len() => {
            "`msal-cache repair` mends all of them".into()
        }
        number => format!("`msal-cache repair` mends {number} of them"),
    };
    let unread = troubles.iter().any(|it| matches!(it, Error::Corrupt { .. }));
    let within = if unread { String::new() } else { format!(" in {}", count(entries, "entry")) };
    run.out.line(format!("\n{}{within}; {mended}.", told.join(", ")))?;
    Ok(())
}

/// A text in lines of at most this many characters, broken between words.
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

/// A finding for programs.
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

fn trouble_as_json(trouble: &Error) -> Value {
    let kind = if matches!(trouble, Error::Corrupt { .. }) { "corrupt" } else { "insecure" };
    json!({"kind": kind, "severity": "error", "message": trouble.to_string()})
}
