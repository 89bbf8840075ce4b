//! What [`Profile::Family`](crate::Profile::Family) changes in the records of a response: the
//! fields that all libraries read, the environment that the cache has already, and what the new
//! records replace.

use std::collections::BTreeMap;

use msal_cache_core::{CredentialType, Json, Partition, Record, Result};
use zeroize::Zeroizing;

use crate::model::{
    Cloud, Clouds, Entry, FieldValue, KeyFields, Nulls, merge, same_tenant, schema, write,
};
use crate::plan::facts::Facts;
use crate::plan::read_set::ReadSet;

/// The environments of the records, where they differ from that of the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environments {
    pub(crate) user: Option<String>,
    pub(crate) metadata: Option<String>,
}

/// The environments under which records of this owner are stored already, so that one account
/// doesn't become two of one cloud.
pub(crate) fn environments(stored: &ReadSet, facts: &Facts<'_>, clouds: &Clouds) -> Environments {
    let Some(own) = facts.environment.as_deref() else { return Environments::default() };
    let network = clouds.of(own).map(Cloud::preferred_network);
    let chosen = |partition: &Partition, is_alike: &dyn Fn(&Entry) -> bool| {
        let alike = || {
            let entries = stored.get(partition).into_iter().flat_map(|it| &it.entries);
            entries
                .filter(|it| it.problem().is_none() && is_alike(it))
                .filter_map(|it| it.known("environment"))
                .filter(|it| clouds.are_one(it, own))
        };
        // All libraries find the host that the cloud prefers.
        alike()
            .find(|it| Some(*it) == network)
            .or_else(|| alike().find(|it| *it == own))
            .or_else(|| alike().next())
            .filter(|it| *it != own)
            .map(str::to_lowercase)
    };
    let metadata = Partition::app_metadata();
    let mut owners = facts.partitions().into_iter().filter(|it| *it != metadata);
    let client = facts.event.client_id.as_deref();
    Environments {
        user: owners.find_map(|it| chosen(&it, &|_| true)),
        metadata: chosen(&metadata, &|it| it.known("client_id") == client),
    }
}

/// Gives new accounts the fields that other libraries gave to the stored ones, and adds the
/// sections that the document would lack.
pub(crate) fn adapt(records: &mut Vec<Entry>, stored: &ReadSet) -> Result<()> {
    for new in records.iter_mut() {
        if *new.credential_type() == CredentialType::Account
            && let Some(old) = stored.get(new.partition()).and_then(|it| it.at_key_of(new))
            && old.has_owner_of(new)
            && let Ok(json) = merge(old.json(), &new.fields()?, Nulls::LeftOut)
        {
            *new = Entry::read(new.record().with_value(json));
        }
    }
    let sections = stored.get(&Partition::unowned());
    for section in CredentialType::KNOWN {
        let exists = records.iter().any(|it| *it.credential_type() == section)
            || sections.is_some_and(|it| it.entries.iter().any(|it| it.key() == section.as_str()));
        if !exists {
            // Where the section has records, this changes nothing.
            let document = CredentialType::Other("".into());
            let empty = Record::new(document, section.as_str(), Json::from_stored("{}"));
            records.push(Entry::read(empty));
        }
    }
    Ok(())
}

/// The fields by which Java, .NET and Node recognise the tokens of an extended cache key, besides
/// that of MSAL Python and Go: the key by the name of Java, and the parameters for .NET and Node.
pub(crate) fn extended_key_fields<'a>(
    key: &'a str,
    parameters: &BTreeMap<&str, String>,
) -> [(&'static str, FieldValue<'a>); 3] {
    let members: Vec<_> = parameters
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (*name, FieldValue::from(value)))
        .collect();
    let made = || FieldValue::Made(Zeroizing::new(write(&members).expose().to_owned()));
    [("ext_cache_key_hash", key.into()), ("ext", made()), ("additionalCacheKeyComponents", made())]
}

/// The fields of a key and of a record as all libraries read them: only texts.
pub(crate) fn record<'a>(
    credential_type: &CredentialType,
    mut key: KeyFields<'a>,
    fields: Vec<(&'static str, FieldValue<'a>)>,
) -> (KeyFields<'a>, Vec<(&'static str, FieldValue<'a>)>) {
    let is_refresh_token = *credential_type == CredentialType::RefreshToken;
    if is_refresh_token {
        key.target = None;
    }
    let fields = fields.into_iter().filter_map(|(name, value)| {
        if is_refresh_token && name == "target" {
            return None;
        }
        let needed = match name {
            "home_account_id" | "environment" | "realm" | "target" | "local_account_id"
            | "username" => Some(""),
            "token_type" => Some(schema::BEARER),
            _ => None,
        };
        let value = match value {
            FieldValue::Text("") if name == "family_id" => return None,
            FieldValue::Text(it) if name == "token_type" => {
                schema::token_type(Some(it)).unwrap_or(schema::BEARER).into()
            }
            FieldValue::Made(json) if matches!(name, "ext" | "additionalCacheKeyComponents") => {
                FieldValue::Made(json)
            }
            // A number, which the other libraries write as a text.
            FieldValue::Made(json)
                if json.starts_with(|it: char| it == '-' || it.is_ascii_digit()) =>
            {
                FieldValue::Made(Zeroizing::new(format!("\"{}\"", *json)))
            }
            FieldValue::Null | FieldValue::Made(_) => needed?.into(),
            value => value,
        };
        Some((name, value))
    });
    let fields: Vec<_> = fields.collect();
    if let Some((_, FieldValue::Text(family))) =
        fields.iter().find(|(name, _)| *name == "family_id")
    {
        // MSAL Node skips a key in which the family doesn't occur.
        if !key.key(credential_type).is_some_and(|key| key.contains(&*family.to_lowercase())) {
            key.client_id = Some(family);
        }
    }
    (key, fields)
}

/// Whether an entry is a `null` in a section of the schema. MSAL Node and Go fail on it.
pub(crate) fn is_nothing(entry: &Entry) -> bool {
    entry.json().expose() == "null" && CredentialType::KNOWN.contains(entry.credential_type())
}

/// Whether a new record replaces one that is stored in its partition under another key. Of access
/// tokens, [`evidence`](crate::plan::evidence) says it.
pub(crate) fn replaces(new: &Entry, old: &Entry, clouds: &Clouds) -> bool {
    if new.credential_type() != old.credential_type() || new.key() == old.key() {
        return false;
    }
    let same = |name| text(new, name) == text(old, name);
    !old.is_set_apart()
        && same("home_account_id")
        && clouds.are_one(text(new, "environment"), text(old, "environment"))
        && match new.credential_type() {
            // The family's token of another client is kept: MSAL Node only uses its own.
            CredentialType::RefreshToken => same("client_id") && same("family_id"),
            CredentialType::IdToken => {
                // Some libraries write a tenant as it was configured.
                same("client_id") && same_tenant(text(new, "realm"), text(old, "realm"))
            }
            CredentialType::AppMetadata => same("client_id"),
            _ => false,
        }
}

fn text<'a>(entry: &'a Entry, name: &'static str) -> &'a str {
    entry.known(name).unwrap_or_default()
}
