//! From what is wrong to the batch that mends it.

use std::borrow::Cow;
use std::collections::HashSet;

use msal_cache_core::{
    Batch, CredentialType, Expect, Json, Partition, Record, Revision, Scalar, for_each_member,
};

use super::finding::{Finding, Kind};
use super::look::{STRINGS, TIMES, as_text, better_key, check, is_empty};
use crate::Entry;
use crate::object::{self, Part};

/// Mends one partition, of which these are all entries at this revision. Returns what it mends.
pub(crate) fn mend(
    batch: &mut Batch,
    partition: &Partition,
    revision: Revision,
    entries: &[Entry],
    now: i64,
) -> Vec<Finding> {
    let mut mended = check(entries, now);
    mended.retain(|it| it.remedy().is_some());
    if mended.is_empty() {
        return mended;
    }
    let mut taken: HashSet<_> =
        entries.iter().map(|it| (it.credential_type(), it.key().to_owned())).collect();
    let change = batch.change(partition.clone(), Expect::Revision(revision));
    let gone = |kind: &Kind| matches!(kind, Kind::Null | Kind::Expired | Kind::Duplicate(_));
    let (deleted, changed): (Vec<_>, Vec<_>) =
        mended.iter().partition(|finding| gone(finding.kind()));
    for finding in deleted {
        let entry = finding.entry();
        change.delete(entry.credential_type().clone(), entry.record().key.clone());
        taken.remove(&(entry.credential_type(), entry.key().to_owned()));
    }
    let mut unmoved = Vec::new();
    for (at, finding) in changed.iter().enumerate() {
        let entry = finding.entry();
        // The findings of one entry stand together, and one change mends them all.
        if at > 0 && changed[at - 1].entry() == entry {
            continue;
        }
        let section = entry.credential_type();
        let key = better_key(entry).filter(|_| entry.problem().is_none());
        let key = key.filter(|key| {
            let free = taken.insert((section, key.clone()));
            if !free {
                unmoved.push(entry.clone());
            }
            free
        });
        if key.is_some() {
            change.delete(section.clone(), entry.record().key.clone());
        }
        let key = key.map_or_else(|| entry.record().key.clone(), Into::into);
        change.put(Record::new(section.clone(), key, tidy(entry)));
    }
    // Another record stands where it should go; it is no duplicate, so both stay.
    mended
        .retain(|it| !(matches!(it.kind(), Kind::MisplacedKey(_)) && unmoved.contains(it.entry())));
    mended
}

/// The record with its fields as every library takes them. What is right stays as it is written.
fn tidy(entry: &Entry) -> Json {
    let mut members: Vec<(Cow<'_, str>, Part<'_>)> = Vec::new();
    let mut texts = Vec::new();
    let read = for_each_member(entry.json().expose(), |name, json| {
        let scalar = Scalar::of(json);
        if TIMES.contains(&&*name) && is_empty(&scalar) {
            return;
        }
        match scalar {
            Scalar::Number(number) if STRINGS.contains(&&*name) => {
                texts.push((members.len(), as_text(&name, number)));
                members.push((name, Part::Null));
            }
            _ => members.push((name, Part::Raw(json))),
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
    object::write(&members)
}

fn set<'a>(members: &mut Vec<(Cow<'a, str>, Part<'a>)>, name: &'a str, text: &'a str) {
    members.retain(|(known, _)| known != name);
    members.push((name.into(), text.into()));
}
