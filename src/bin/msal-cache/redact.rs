//! The one place where secrets come out of an entry. What leaves it is redacted, unless the
//! caller passes [`Secrets::Shown`], which stands for a flag that the user gave.

use std::borrow::Cow;

use msal_cache::{AccessToken, Bytes, CredentialType, Entry, check};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Whether the user asked for secrets, by a flag that says so.
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

/// The fields that hold no secret. Whatever isn't here might, and is hidden: what a library
/// invents next is hidden until somebody has looked at it.
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

/// What an ID token says about its user and itself that is fit to be shown.
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

/// How a redacted text begins, so that it is known again.
const MARK: &str = "[redacted";

/// A short name for an entry: 8 hexadecimal digits of a hash of its section and key, which
/// stays the same while the entry does.
pub(crate) fn id(entry: &Entry) -> String {
    let mut hash = Sha256::new();
    hash.update(entry.credential_type().as_str());
    hash.update([0]);
    hash.update(entry.key());
    hex(&hash.finalize()[..4])
}

/// How many bytes the entry takes, without its key.
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
                    let shown = if is_public(&name, &value) { value } else { hidden(&value) };
                    (name, shown)
                })
                .collect(),
        ),
        Ok(Value::Null) => Value::Null,
        Ok(value) => hidden(&value),
        Err(_) => json!("[unreadable]"),
    }
}

/// The text of an entry's field as it is shown in a table; secrets never are.
pub(crate) fn text<'a>(entry: &'a Entry, name: &str) -> Option<Cow<'a, str>> {
    PUBLIC.contains(&name).then(|| entry.get(name)).flatten().filter(|text| !text.is_empty())
}

/// A document of these entries in the schema of the MSAL libraries, without its secrets.
pub(crate) fn document(entries: &[Entry]) -> Value {
    let mut document = Map::new();
    for entry in entries {
        let section = entry.credential_type();
        // Members that are no sections stand in the document itself.
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

/// Whether the entry came out of a redacted export.
pub(crate) fn is_redacted(entry: &Entry) -> bool {
    entry.json().expose().contains(&format!("\"{MARK}"))
}

/// The claims of an ID token that are fit to be shown.
pub(crate) fn claims(entry: &Entry) -> Map<String, Value> {
    let claims = entry.id_token().and_then(|token| token.claims().ok());
    let Some(claims) = claims else { return Map::new() };
    PUBLIC_CLAIMS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), claims.get(name)?.clone())))
        .filter(|(_, value)| value.is_string() || value.is_number())
        .collect()
}

/// A token in clear, for the subcommand that is there to print one.
pub(crate) fn bearer(token: AccessToken<'_>) -> &str {
    token.secret().expose()
}

/// The names of the fields in which two versions of an entry differ.
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

/// What is said of a value instead of it: enough to tell whether two are the same.
fn hidden(value: &Value) -> Value {
    let text = match value {
        Value::Null => return Value::Null,
        Value::String(text) if text.is_empty() => return json!(""),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let length = text.chars().count();
    // A hash of what is short can be found by trying.
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

/// What can be read of a broken document, in clear, for the store that it is put into.
pub(crate) fn salvaged(broken: &Bytes) -> msal_cache::Result<String> {
    check::salvage(broken.expose())
}
