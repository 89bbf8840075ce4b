//! The only module that reads secrets from entries. It returns redacted values, unless the caller
//! passes [`Secrets::Shown`], which means that the user gave `--show-secrets`.

use std::borrow::Cow;

use msal_cache::entry::AccessToken;
use msal_cache::store::Bytes;
use msal_cache::{CredentialType, Entry, check};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Whether the user asked for secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    Hidden,
    Shown,
}

impl From<bool> for Secrets {
    fn from(show_secrets: bool) -> Self {
        if show_secrets { Self::Shown } else { Self::Hidden }
    }
}

/// Fields that contain no secret. All other fields are redacted, so that fields which a library
/// adds in future are redacted by default.
const PUBLIC: [&str; 32] = [
    "account_source",
    "alternative_account_id",
    "authority_type",
    "cached_at",
    "client_id",
    "credential_type",
    "environment",
    "expires_on",
    "ext_cache_key",
    "ext_cache_key_hash",
    "ext_expires_on",
    "extended_expires_on",
    "family_id",
    "family_name",
    "given_name",
    "home_account_id",
    "key_id",
    "keyid",
    "kid",
    "last_modification_app",
    "last_modification_time",
    "local_account_id",
    "middle_name",
    "name",
    "realm",
    "refresh_on",
    "resource",
    "target",
    "token_type",
    "userAssertionHash",
    "user_assertion_hash",
    "username",
];

/// Claims of an ID token that are printed.
const PUBLIC_CLAIMS: [&str; 12] = [
    "preferred_username",
    "name",
    "upn",
    "email",
    "oid",
    "tid",
    "sub",
    "aud",
    "iss",
    "iat",
    "exp",
    "ver",
];

/// Prefix of redacted text, by which an import recognizes it.
const MARK: &str = "[redacted";

/// A short, stable id of an entry: 8 hexadecimal digits of a hash of its section and key.
pub(crate) fn id(entry: &Entry) -> String {
    let mut hash = Sha256::new();
    hash.update(entry.credential_type().as_str());
    hash.update([0]);
    hash.update(entry.key());
    hex(&hash.finalize()[..4])
}

/// The size of the entry in bytes, without its key.
pub(crate) fn size(entry: &Entry) -> usize {
    entry.json().expose().len()
}

/// The JSON of an entry.
pub(crate) fn value(entry: &Entry, secrets: Secrets) -> Value {
    match serde_json::from_str(entry.json().expose()) {
        Ok(value) if secrets == Secrets::Shown => value,
        Ok(Value::Object(fields)) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| {
                    let value = if is_public(&name, &value) { value } else { hidden(&value) };
                    (name, value)
                })
                .collect(),
        ),
        Ok(Value::Null) => Value::Null,
        Ok(value) => hidden(&value),
        Err(_) => json!("[unreadable]"),
    }
}

/// A field as text for tables; `None` if it may hold a secret.
pub(crate) fn text<'a>(entry: &'a Entry, name: &str) -> Option<Cow<'a, str>> {
    PUBLIC.contains(&name).then(|| entry.get(name)).flatten().filter(|text| !text.is_empty())
}

/// A redacted document of these entries, in the schema of the MSAL libraries.
pub(crate) fn document(entries: &[Entry]) -> Value {
    let mut document = Map::new();
    for entry in entries {
        let section = entry.credential_type();
        // Members that aren't sections belong to the top level of the document.
        if matches!(section, CredentialType::Other(name) if name.is_empty()) {
            document.insert(entry.key().to_owned(), value(entry, Secrets::Hidden));
            continue;
        }
        let records = document.entry(section.as_str()).or_insert_with(|| json!({}));
        if let Some(records) = records.as_object_mut() {
            records.insert(entry.key().to_owned(), value(entry, Secrets::Hidden));
        }
    }
    Value::Object(document)
}

/// Whether the entry comes from a redacted export.
pub(crate) fn is_redacted(entry: &Entry) -> bool {
    entry.json().expose().contains(&format!("\"{MARK}"))
}

/// The printable claims of an ID token.
pub(crate) fn claims(entry: &Entry) -> Map<String, Value> {
    let claims = entry.id_token().and_then(|token| token.claims().ok());
    let Some(claims) = claims else { return Map::new() };
    PUBLIC_CLAIMS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), claims.get(name)?.clone())))
        .filter(|(_, value)| value.is_string() || value.is_number())
        .collect()
}

/// A token in clear text, for `get-token`.
pub(crate) fn bearer(token: AccessToken<'_>) -> &str {
    token.secret().expose()
}

/// The names of the fields that differ between two versions of an entry.
pub(crate) fn changed(one: &Entry, other: &Entry) -> Vec<String> {
    let fields = |entry: &Entry| match serde_json::from_str(entry.json().expose()) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (one, other) = (fields(one), fields(other));
    let mut names: Vec<_> =
        one.keys().chain(other.keys()).filter(|it| one.get(*it) != other.get(*it)).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().cloned().collect()
}

fn is_public(name: &str, value: &Value) -> bool {
    PUBLIC.contains(&name) && !value.is_object() && !value.is_array()
}

/// The redacted form of a value; equal values have equal forms.
fn hidden(value: &Value) -> Value {
    let text = match value {
        Value::Null => return Value::Null,
        Value::String(text) if text.is_empty() => return json!(""),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let length = text.chars().count();
    // The hash of a short value could be reversed by brute force.
    if length < 32 {
        return json!(format!("{MARK}]"));
    }
    let hash = hex(&Sha256::digest(&text)[..4]);
    json!(format!("{MARK}: {length} characters, sha256 {hash}...]"))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string can't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The records that can be recovered from a broken document, in clear text.
pub(crate) fn salvage(broken: &Bytes) -> msal_cache::Result<String> {
    check::salvage(broken.expose())
}
