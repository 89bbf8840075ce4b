//! What [`Profile::Family`](crate::Profile::Family) adds to the records of a response: the fields
//! that every library reads, the environment that stands in the cache already, and what the new
//! records replace.

use std::collections::BTreeMap;

use msal_cache_core::{CredentialType, Error, Json, Partition, Record, Result};
use zeroize::Zeroizing;

use crate::keys::Parts;
use crate::object::{self, Nulls, Part};
use crate::plan::Standing;
use crate::{Cloud, Clouds, Entry, Event};

/// The scopes of `OpenID` Connect, which come with any token and say nothing about what it is for.
const RESERVED: [&str; 4] = ["openid", "profile", "offline_access", "email"];

/// Fields with which other libraries set a record apart from the plain ones: the tokens of a user
/// on whose behalf a service acts, and those that are bound to a key.
const SET_APART: [&str; 5] = ["user_assertion_hash", "userAssertionHash", "key_id", "keyid", "kid"];

/// The environments under which records are stored, where they are not those of the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environments {
    pub(crate) user: Option<String>,
    pub(crate) metadata: Option<String>,
}

/// The environments under which records like these stand already, so that one account doesn't
/// become two of one cloud.
fn environments(standing: &Standing, records: &[Entry], clouds: &Clouds) -> Environments {
    let mut found = Environments::default();
    for new in records {
        let (Some(own), Some(stands)) = (new.known("environment"), standing.get(new.partition()))
        else {
            continue;
        };
        let is_metadata = *new.credential_type() == CredentialType::AppMetadata;
        let names = || {
            let alike = stands.entries.iter().filter(|it| {
                it.problem().is_none()
                    && (!is_metadata || it.known("client_id") == new.known("client_id"))
            });
            alike.filter_map(|it| it.known("environment")).filter(|it| clouds.are_one(it, own))
        };
        let network = clouds.of(own).map(Cloud::preferred_network);
        // The cloud's own name is the one that everybody finds.
        let chosen = names()
            .find(|it| Some(*it) == network)
            .or_else(|| names().find(|it| *it == own))
            .or_else(|| names().next());
        let place = if is_metadata { &mut found.metadata } else { &mut found.user };
        if place.is_none() {
            *place = chosen.filter(|it| *it != own).map(str::to_lowercase);
        }
    }
    found
}

/// The records of a response as they fit into what stands there: under the environments that are
/// in use, accounts with the fields that other libraries gave them, and empty sections for those
/// that would be missing.
pub(crate) fn settle(
    standing: &Standing,
    records: &[Entry],
    clouds: &Clouds,
    under: impl FnOnce(&Environments) -> Result<Vec<Entry>>,
) -> Result<Vec<Entry>> {
    let environments = environments(standing, records, clouds);
    let mut records = if environments == Environments::default() {
        records.to_vec()
    } else {
        under(&environments)?
    };
    for new in &mut records {
        if *new.credential_type() == CredentialType::Account
            && let Some(stands) = standing.get(new.partition())
            && let Some(old) = stands.entries.iter().find(|it| it.is_at_place_of(new))
            && let Ok(json) = object::merge(old.json(), &new.fields()?, Nulls::LeftOut)
        {
            let Record { credential_type, key, .. } = new.record().clone();
            *new = Entry::read(Record::new(credential_type, key, json));
        }
    }
    let sections = standing.get(&Partition::unowned());
    for section in CredentialType::KNOWN {
        let is_there = records.iter().any(|it| *it.credential_type() == section)
            || sections.is_some_and(|it| it.entries.iter().any(|it| it.key() == section.as_str()));
        if !is_there {
            // Where the section holds records, this changes nothing.
            let document = CredentialType::Other("".into());
            let empty = Record::new(document, section.as_str(), Json::from_stored("{}"));
            records.push(Entry::read(empty));
        }
    }
    Ok(records)
}

/// Refuses what no record can hold that all libraries read.
pub(crate) fn check(event: &Event) -> Result<()> {
    let reason = "a token that is bound to a key can't stand in a cache for all libraries: some \
                  would send it as a bearer token; keep it in a cache of its own";
    if event.data.get("key_id").is_some() {
        return Err(Error::invalid("event.data.key_id", reason));
    }
    let token_type = event.response.get("token_type").and_then(|it| it.as_str());
    if token_type.is_some_and(|it| !it.eq_ignore_ascii_case("Bearer")) {
        return Err(Error::invalid("event.response.token_type", reason));
    }
    Ok(())
}

/// The marks by which the libraries tell the tokens of an extended cache key, beside that of MSAL
/// Python and Go: the parameters, for Node and .NET, and the name that Java gives to the key.
pub(crate) fn marks<'a>(
    key: &'a str,
    parameters: &BTreeMap<&str, String>,
) -> [(&'static str, Part<'a>); 3] {
    let members: Vec<_> = parameters
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (*name, Part::from(value)))
        .collect();
    let made = || Part::Made(Zeroizing::new(object::write(&members).expose().to_owned()));
    [("ext_cache_key_hash", key.into()), ("ext", made()), ("additionalCacheKeyComponents", made())]
}

/// The parts of a key, and the fields of a record, as all libraries read them: texts alone.
pub(crate) fn record<'a>(
    credential_type: &CredentialType,
    mut parts: Parts<'a>,
    fields: Vec<(&'static str, Part<'a>)>,
) -> (Parts<'a>, Vec<(&'static str, Part<'a>)>) {
    let is_refresh_token = *credential_type == CredentialType::RefreshToken;
    if is_refresh_token {
        parts.target = None;
    }
    let fields = fields.into_iter().filter_map(|(name, part)| {
        if is_refresh_token && name == "target" {
            return None;
        }
        let needed = match name {
            "home_account_id" | "environment" | "realm" | "target" | "local_account_id"
            | "username" => Some(""),
            "token_type" => Some("Bearer"),
            _ => None,
        };
        let part = match part {
            Part::Text("") if name == "family_id" => return None,
            Part::Made(json) if matches!(name, "ext" | "additionalCacheKeyComponents") => {
                Part::Made(json)
            }
            // A number, which is a text to the others.
            Part::Made(json) if json.starts_with(|it: char| it == '-' || it.is_ascii_digit()) => {
                Part::Made(Zeroizing::new(format!("\"{}\"", *json)))
            }
            Part::Null | Part::Made(_) => needed?.into(),
            part => part,
        };
        Some((name, part))
    });
    let fields: Vec<_> = fields.collect();
    if let Some((_, Part::Text(family))) = fields.iter().find(|(name, _)| *name == "family_id") {
        // MSAL Node passes over a key in which the family doesn't occur.
        if !parts.key(credential_type).is_some_and(|key| key.contains(&*family.to_lowercase())) {
            parts.client_id = Some(family);
        }
    }
    (parts, fields)
}

/// Whether it is a `null` in a section of the schema. It says nothing, and MSAL Node and Go fail
/// over it.
pub(crate) fn is_nothing(entry: &Entry) -> bool {
    entry.json().expose() == "null" && CredentialType::KNOWN.contains(entry.credential_type())
}

/// Whether a new record replaces one that stands in its partition under another key.
pub(crate) fn replaces(new: &Entry, old: &Entry, clouds: &Clouds) -> bool {
    if new.credential_type() != old.credential_type() || new.key() == old.key() {
        return false;
    }
    let same = |name| text(new, name) == text(old, name);
    // Some libraries write a tenant as they were given it.
    let same_realm = || text(new, "realm").eq_ignore_ascii_case(text(old, "realm"));
    !SET_APART.iter().any(|name| !old.is_null_or_missing(name))
        && same("home_account_id")
        && clouds.are_one(text(new, "environment"), text(old, "environment"))
        && match new.credential_type() {
            CredentialType::AccessToken => {
                same("client_id")
                    && same_realm()
                    && token_type(new).eq_ignore_ascii_case(token_type(old))
                    && new.ext_cache_key() == old.ext_cache_key()
                    && overlap(new, old)
            }
            CredentialType::RefreshToken => {
                // A family's token that another client got stays: MSAL Node takes its own alone.
                old.is_null_or_missing("ext") && same("client_id") && same("family_id")
            }
            CredentialType::IdToken => same("client_id") && same_realm(),
            CredentialType::AppMetadata => same("client_id"),
            _ => false,
        }
}

fn text<'a>(entry: &'a Entry, name: &'static str) -> &'a str {
    entry.known(name).unwrap_or_default()
}

fn token_type(entry: &Entry) -> &str {
    Some(text(entry, "token_type")).filter(|it| !it.is_empty()).unwrap_or("Bearer")
}

/// Whether a new token has a scope in common with an old one, as MSAL Node counts
/// (`ScopeSet.intersectingScopeSets`).
fn overlap(new: &Entry, old: &Entry) -> bool {
    let is_reserved = |scope: &str| RESERVED.iter().any(|it| it.eq_ignore_ascii_case(scope));
    let nothing_else = new.scopes().all(is_reserved);
    new.scopes()
        .filter(|scope| nothing_else || !is_reserved(scope))
        .any(|scope| old.scopes().any(|it| it.eq_ignore_ascii_case(scope)))
}
