//! Recovers the intact records of a damaged document.

use msal_cache_core::internal::{compose, for_each_member};
use msal_cache_core::{CredentialType, Json, Record, Result};
use serde_json::value::RawValue;

/// Returns a document with all intact records of a damaged one: truncated, followed by garbage, or
/// with changed bytes. The document is empty if there are no intact records.
///
/// A record is recovered unchanged or not at all. It needs an `environment`, which every library
/// writes; without it, a record can't be distinguished from an object within another record.
/// Invalid UTF-8 damages the record that contains it and no other.
///
/// # Errors
///
/// No input causes an error: the recovered records are valid JSON.
///
/// ```
/// let truncated = br#"{"Account": {
///     "a": {"home_account_id": "u.t", "environment": "login.example"},
///     "b": {"home_account_id": "v.t", "envir"#;
/// let recovered = msal_cache::check::salvage(truncated)?;
/// let cache = msal_cache::TokenCache::in_memory();
/// cache.deserialize(&recovered)?;
/// assert_eq!(cache.entries(None)?.len(), 1);
/// # Ok::<(), msal_cache::Error>(())
/// ```
pub fn salvage(damaged: &[u8]) -> Result<String> {
    // Replace invalid UTF-8 by NUL, which JSON strings can't contain.
    let mut text = String::with_capacity(damaged.len());
    for chunk in damaged.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\0'));
    }
    let text = zeroize::Zeroizing::new(text);
    let mut records = Vec::new();
    let mut section: Option<CredentialType> = None;
    let mut at = 0;
    while let Some(quote) = text[at..].find('"') {
        at += quote;
        // After a damaged string, any quote may begin a name.
        let Some((name, value)) = member(&text, at) else {
            at += 1;
            continue;
        };
        let named = CredentialType::from(&*name);
        at = value + 1;
        match &section {
            Some(of) if !CredentialType::KNOWN.contains(&named) => {
                // An object within a damaged record may be an intact record.
                let Some((json, length)) = first(&text[value..]) else { continue };
                if is_record(json) {
                    records.push(Record::new(of.clone(), name, Json::from_stored(json)));
                    at = value + length;
                    if text[at..].trim_start().starts_with('}') {
                        section = None;
                    }
                }
            }
            _ => section = Some(named),
        }
    }
    compose(records)
}

/// The name that begins at `at` and the offset of its value, if this is a member with an object.
fn member(text: &str, at: usize) -> Option<(String, usize)> {
    let (name, length) = first(&text[at..])?;
    let value = text[at + length..].trim_start().strip_prefix(':')?.trim_start();
    value.starts_with('{').then_some(())?;
    Some((serde_json::from_str(name).ok()?, text.len() - value.len()))
}

/// The JSON value at the beginning of a text, and its length.
fn first(text: &str) -> Option<(&str, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?;
    Some((value.get(), values.byte_offset()))
}

/// Whether this is an object with an `environment`, the field that every record has.
fn is_record(json: &str) -> bool {
    let mut known = false;
    let read = for_each_member(json, |name, _| known |= name == "environment");
    read.is_ok() && known
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn recovered(damaged: impl AsRef<[u8]>) -> Value {
        serde_json::from_str(&salvage(damaged.as_ref()).unwrap()).unwrap()
    }

    fn whole() -> Value {
        json!({
            "AccessToken": {
                "a\"1": {"environment": "e", "secret": "s", "ext": {"client_id": "{"}},
                "a2": {"environment": "e", "secret": "t"},
            },
            "Invented": {"i": {"environment": "e"}},
            "RefreshToken": {"r": {"environment": "e", "secret": "u"}},
        })
    }

    #[test]
    fn intact_records_are_recovered_wherever_the_text_ends() {
        let text = serde_json::to_string_pretty(&whole()).unwrap();
        assert_eq!(recovered(&text), whole());
        assert_eq!(recovered(format!("\u{feff}{text},garbage")), whole());
        let records = |value: &Value| {
            value
                .as_object()
                .unwrap()
                .values()
                .map(|it| it.as_object().unwrap().len())
                .sum::<usize>()
        };
        let mut counts = Vec::new();
        for end in 0..=text.len() {
            let recovered = recovered(&text.as_bytes()[..end]);
            for (section, found) in recovered.as_object().unwrap() {
                for (key, record) in found.as_object().unwrap() {
                    assert_eq!(whole()[section].get(key), Some(record));
                }
            }
            counts.push(records(&recovered));
        }
        assert!(counts.is_sorted());
        assert_eq!(counts.last(), Some(&4));
    }

    #[test]
    fn a_changed_byte_damages_its_own_record_only() {
        let text = serde_json::to_string(&whole()).unwrap();
        let at = text.find("\"t\"").unwrap() + 1;
        for byte in [b'\n', 0xff, b'"'] {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = byte;
            let recovered = recovered(damaged);
            assert!(recovered["AccessToken"].get("a2").is_none(), "{byte}");
            assert_eq!(recovered["AccessToken"]["a\"1"], whole()["AccessToken"]["a\"1"], "{byte}");
            assert_eq!(recovered["RefreshToken"], whole()["RefreshToken"], "{byte}");
        }
    }

    #[test]
    fn a_text_without_records_gives_an_empty_document() {
        for text in ["", " ", "null", "[]", "CANARY", "{\"a\": {\"b\": {\"c\": 1}}}"] {
            assert_eq!(recovered(text), json!({}), "{text}");
        }
    }
}
