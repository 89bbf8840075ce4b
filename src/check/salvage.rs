//! Saving what can be read of a document that can't be read.

use msal_cache_core::{CredentialType, Json, Record, Result, compose, for_each_member};
use serde_json::value::RawValue;

/// The document of all records that are whole in a text which is none any more: cut off in the
/// middle, with garbage behind it, with bytes that were changed. A document without members,
/// where there are none.
///
/// A record is taken as it stands or not at all; one without an `environment`, which every library
/// writes, can't be told from what stands within another. Bytes that are no UTF-8 break the record in which
/// they are and no other.
///
/// # Errors
///
/// None that a text could cause: a record that is taken is JSON, and so is what is made of it.
///
/// ```
/// let cut_off = br#"{"Account": {
///     "a": {"home_account_id": "u.t", "environment": "login.example"},
///     "b": {"home_account_id": "v.t", "envir"#;
/// let saved = msal_cache::check::salvage(cut_off)?;
/// let cache = msal_cache::TokenCache::in_memory();
/// cache.deserialize(&saved)?;
/// assert_eq!(cache.entries(None)?.len(), 1);
/// # Ok::<(), msal_cache::Error>(())
/// ```
pub fn salvage(broken: &[u8]) -> Result<String> {
    // In place of what is no text stands a character that no JSON string may have in it.
    let mut text = String::with_capacity(broken.len());
    for chunk in broken.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\0'));
    }
    let text = zeroize::Zeroizing::new(text);
    let mut records = Vec::new();
    let mut section: Option<CredentialType> = None;
    let mut at = 0;
    while let Some(quote) = text[at..].find('"') {
        at += quote;
        // Any quote may be the one with which a name begins: behind a broken text nobody knows.
        let Some((name, value)) = member(&text, at) else {
            at += 1;
            continue;
        };
        let named = CredentialType::from(&*name);
        at = value + 1;
        match &section {
            Some(of) if !CredentialType::KNOWN.contains(&named) => {
                // What is whole within a broken record may be records too.
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

/// The name that begins here and the place of its value, if this is a member with an object.
fn member(text: &str, at: usize) -> Option<(String, usize)> {
    let (name, length) = first(&text[at..])?;
    let behind = text[at + length..].trim_start().strip_prefix(':')?.trim_start();
    behind.starts_with('{').then_some(())?;
    Some((serde_json::from_str(name).ok()?, text.len() - behind.len()))
}

/// The text of the JSON value with which a text begins, and where that ends.
fn first(text: &str) -> Option<(&str, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?;
    Some((value.get(), values.byte_offset()))
}

/// Whether this is an object with the field that every record has, and nothing within one.
fn is_record(json: &str) -> bool {
    let mut known = false;
    let read = for_each_member(json, |name, _| known |= name == "environment");
    read.is_ok() && known
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn saved(broken: impl AsRef<[u8]>) -> Value {
        serde_json::from_str(&salvage(broken.as_ref()).unwrap()).unwrap()
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
    fn what_is_whole_is_saved_wherever_the_text_ends() {
        let text = serde_json::to_string_pretty(&whole()).unwrap();
        assert_eq!(saved(&text), whole());
        assert_eq!(saved(format!("\u{feff}{text},garbage")), whole());
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
            let saved = saved(&text.as_bytes()[..end]);
            for (section, found) in saved.as_object().unwrap() {
                for (key, record) in found.as_object().unwrap() {
                    assert_eq!(whole()[section].get(key), Some(record));
                }
            }
            counts.push(records(&saved));
        }
        assert!(counts.is_sorted());
        assert_eq!(counts.last(), Some(&4));
    }

    #[test]
    fn a_changed_byte_costs_one_record_at_most_where_it_is() {
        let text = serde_json::to_string(&whole()).unwrap();
        let at = text.find("\"t\"").unwrap() + 1;
        for byte in [b'\n', 0xff, b'"'] {
            let mut broken = text.clone().into_bytes();
            broken[at] = byte;
            let saved = saved(broken);
            assert!(saved["AccessToken"].get("a2").is_none(), "{byte}");
            assert_eq!(saved["AccessToken"]["a\"1"], whole()["AccessToken"]["a\"1"], "{byte}");
            assert_eq!(saved["RefreshToken"], whole()["RefreshToken"], "{byte}");
        }
    }

    #[test]
    fn where_there_is_nothing_nothing_is_saved() {
        for text in ["", " ", "null", "[]", "CANARY", "{\"a\": {\"b\": {\"c\": 1}}}"] {
            assert_eq!(saved(text), json!({}), "{text}");
        }
    }
}
