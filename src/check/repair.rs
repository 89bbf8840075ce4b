//! Turns findings into the batch that repairs them.

use std::borrow::Cow;
use std::collections::HashSet;

use msal_cache_core::internal::{Scalar, for_each_member};
use msal_cache_core::{Batch, CredentialType, Expect, Json, Partition, Record, Revision};

use super::finding::{Finding, Kind};
use super::inspect::{STRINGS, TIMES, as_text, better_key, check, is_empty};
use crate::model::{Entry, FieldValue, write};

/// Adds the repairs of one partition to a batch. `entries` are all its entries at `revision`.
/// Returns the findings that are repaired.
pub(crate) fn repair_partition(
    batch: &mut Batch,
    partition: &Partition,
    revision: Revision,
    entries: &[Entry],
    now: i64,
) -> Vec<Finding> {
    let mut repaired = check(entries, now);
    repaired.retain(|it| it.remedy().is_some());
    if repaired.is_empty() {
        return repaired;
    }
    let mut taken: HashSet<_> =
        entries.iter().map(|it| (it.credential_type(), it.key().to_owned())).collect();
    let change = batch.change(partition.clone(), Expect::Revision(revision));
    let is_deleted = |kind: &Kind| {
        matches!(
            kind,
            Kind::Null | Kind::NullSection | Kind::Expired | Kind::Superseded | Kind::Duplicate(_)
        )
    };
    let (deleted, changed): (Vec<_>, Vec<_>) =
        repaired.iter().partition(|finding| is_deleted(finding.kind()));
    for finding in deleted {
        let entry = finding.entry();
        change.delete_record(entry.record());
        taken.remove(&(entry.credential_type(), entry.key().to_owned()));
    }
    let mut unmoved = HashSet::new();
    for (at, finding) in changed.iter().enumerate() {
        let entry = finding.entry();
        // The findings of one entry are adjacent, and one change repairs them all.
        if at > 0 && changed[at - 1].entry() == entry {
            continue;
        }
        let section = entry.credential_type();
        let key = better_key(entry).filter(|_| entry.problem().is_none());
        let key = key.filter(|key| {
            let free = taken.insert((section, key.clone()));
            if !free {
                unmoved.insert((section, entry.key()));
            }
            free
        });
        if key.is_some() {
            change.delete_record(entry.record());
        }
        let key = key.map_or_else(|| entry.record().shared_key().clone(), Into::into);
        change.put(Record::new(section.clone(), key, repaired_json(entry)));
    }
    // The computed key belongs to a record with another identity, so this one keeps its key.
    let is_unmoved = |it: &Finding| {
        let id = (it.entry().credential_type(), it.entry().key());
        matches!(it.kind(), Kind::MisplacedKey(_)) && unmoved.contains(&id)
    };
    let unmoved: Vec<_> = repaired.iter().map(is_unmoved).collect();
    let mut unmoved = unmoved.into_iter();
    repaired.retain(|_| !unmoved.next().unwrap_or_default());
    repaired
}

/// The record with its fields as every library accepts them. Valid fields keep their text.
fn repaired_json(entry: &Entry) -> Json {
    let mut members: Vec<(Cow<'_, str>, FieldValue<'_>)> = Vec::new();
    let mut texts = Vec::new();
    let read = for_each_member(entry.json().expose(), |name, json| {
        let scalar = Scalar::of(json);
        if TIMES.contains(&&*name) && is_empty(&scalar) {
            return;
        }
        match scalar {
            Scalar::Number(number) if STRINGS.contains(&&*name) => {
                texts.push((members.len(), as_text(&name, number)));
                members.push((name, FieldValue::Null));
            }
            _ => members.push((name, FieldValue::Raw(json))),
        }
    });
    if read.is_err() {
        return entry.json().clone();
    }
    for (at, text) in &texts {
        members[*at].1 = text.into();
    }
    let section = entry.credential_type();
    let is_token = matches!(
        section,
        CredentialType::AccessToken | CredentialType::RefreshToken | CredentialType::IdToken
    );
    if is_token && entry.is_null_or_missing("credential_type") {
        set(&mut members, "credential_type", section.as_str());
    }
    if *section == CredentialType::Account && entry.is_null_or_missing("authority_type") {
        let is_adfs = entry.text("realm").is_some_and(|realm| realm.eq_ignore_ascii_case("adfs"));
        set(&mut members, "authority_type", if is_adfs { "ADFS" } else { "MSSTS" });
    }
    write(&members)
}

fn set<'a>(members: &mut Vec<(Cow<'a, str>, FieldValue<'a>)>, name: &'a str, text: &'a str) {
    members.retain(|(known, _)| known != name);
    members.push((name.into(), text.into()));
}
