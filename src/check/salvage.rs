//! Recovers the intact records of a damaged document.

use std::collections::HashMap;

use msal_cache_core::internal::{Pieces, StringAt, compose};
use msal_cache_core::{CredentialType, Json, Record, Result};

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
    let mut records = Records::default();
    let mut pieces = Pieces::of(&text);
    let mut section: Option<CredentialType> = None;
    let mut at = 0;
    // After a damaged string, any quote may begin a name.
    while let Some(quote) = text.get(at..).and_then(|rest| rest.find('"')) {
        let (name, value) = match pieces.string(at + quote) {
            StringAt::Name { name, object } => (name, object),
            StringAt::Other { next } => {
                at = next;
                continue;
            }
        };
        at = value + 1;
        let named = CredentialType::from(&*name);
        match &section {
            Some(of) if !CredentialType::KNOWN.contains(&named) => {
                // An object within a damaged record may be an intact record.
                let Some(json) = pieces.object(value, MARK) else { continue };
                records.put(of, &name, json);
                at = value + json.len();
                if text[at..].trim_start().starts_with('}') {
                    section = None;
                }
            }
            // The empty name is not that of a section.
            _ => section = (!name.is_empty()).then_some(named),
        }
    }
    compose(records.records)
}

/// The field that every record has.
const MARK: &str = "environment";

/// Records by section and key. Of a key that occurs twice, the last one counts, as in a document.
#[derive(Default)]
struct Records {
    records: Vec<Record>,
    indexes: HashMap<(CredentialType, String), usize>,
}

impl Records {
    fn put(&mut self, section: &CredentialType, key: &str, json: &str) {
        let record = Record::new(section.clone(), key, Json::from_stored(json));
        let next = self.records.len();
        let at = *self.indexes.entry((section.clone(), key.to_owned())).or_insert(next);
        match self.records.get_mut(at) {
            Some(known) => *known = record,
            None => self.records.push(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use msal_cache_core::internal::for_each_member;
    use proptest::prelude::*;
    use serde_json::value::RawValue;
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
    fn of_a_key_that_occurs_twice_the_last_record_is_recovered() {
        let text = r#"{"Account": {"k": {"environment": "1"}, "k": {"environment": "2"}},"#;
        assert_eq!(recovered(text), json!({"Account": {"k": {"environment": "2"}}}));
    }

    #[test]
    fn a_section_has_a_name() {
        let text =
            r#"{"": {"Account": {"environment": "1"}}, "Account": {"k": {"environment": "2"}}"#;
        assert_eq!(recovered(text), json!({"Account": {"k": {"environment": "2"}}}));
        let text = r#"{"": {"k": {"environment": "1"}}, "#;
        assert_eq!(recovered(text), json!({}));
    }

    #[test]
    fn a_text_without_records_gives_an_empty_document() {
        for text in ["", " ", "null", "[]", "CANARY", "{\"a\": {\"b\": {\"c\": 1}}}"] {
            assert_eq!(recovered(text), json!({}), "{text}");
        }
    }

    /// The same records, found by parsing anew from each position.
    fn parsed_from_each_position(text: &str) -> String {
        let first = |text: &'static str| {
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
            let value = values.next()?.ok()?;
            Some((value.get(), values.byte_offset()))
        };
        let text: &'static str = text.to_owned().leak();
        let member = |at: usize| {
            let (name, length) = first(&text[at..])?;
            let value = text[at + length..].trim_ascii_start().strip_prefix(':')?;
            let value = value.trim_ascii_start();
            value.starts_with('{').then_some(())?;
            let mut decoded = None;
            for_each_member(&format!("{{{name}: 1}}"), |name, _| {
                decoded = Some(name.into_owned());
            })
            .unwrap();
            Some((decoded?, text.len() - value.len()))
        };
        let (mut records, mut section, mut at) = (Records::default(), None::<CredentialType>, 0);
        while let Some(quote) = text.get(at..).and_then(|rest| rest.find('"')) {
            at += quote;
            let Some((name, value)) = member(at) else {
                at += 1;
                continue;
            };
            at = value + 1;
            let named = CredentialType::from(&*name);
            match &section {
                Some(of) if !CredentialType::KNOWN.contains(&named) => {
                    let Some((json, length)) = first(&text[value..]) else { continue };
                    let mut is_record = false;
                    let read = for_each_member(json, |name, _| is_record |= name == MARK);
                    if read.is_ok() && is_record {
                        records.put(of, &name, json);
                        at = value + length;
                        if text[at..].trim_start().starts_with('}') {
                            section = None;
                        }
                    }
                }
                _ => section = (!name.is_empty()).then_some(named),
            }
        }
        compose(records.records).unwrap()
    }

    fn damaged() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\",
            " ",
            "1",
            "null",
            "\"a\"",
            "\"\\\"",
            "\"a\":{",
            "\"environment\":1",
            "\"\\u0065nvironment\":{}",
            "\"Account\":{",
            "\":{\"",
            "\0",
            "\":\"",
            "\"environment\":\"e\"},",
            "tru",
            "\"\\ud800\"",
            "\"\":{",
            "\\\"",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn records_are_recovered_as_if_each_position_were_parsed(text in damaged()) {
            prop_assert_eq!(salvage(text.as_bytes()).unwrap(), parsed_from_each_position(&text));
        }
    }
}
