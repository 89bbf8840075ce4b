//! Writes JSON objects as text, without leaving copies of secrets behind.

use std::fmt::Write;
use std::ops::Range;

use msal_cache_core::Json;
use msal_cache_core::internal::{for_each_member, is_plain, quoted_name};
use serde_json::Value;
use smallvec::SmallVec;
use zeroize::Zeroizing;

use crate::model::Fields;

/// The value of a member.
pub(crate) enum FieldValue<'a> {
    Null,
    Text(&'a str),
    /// JSON, as it was written.
    Raw(&'a str),
    /// The JSON of a value that is not a string.
    Made(Zeroizing<String>),
}

impl<'a> From<&'a str> for FieldValue<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for FieldValue<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<Option<&'a str>> for FieldValue<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl<'a> From<&'a Option<String>> for FieldValue<'a> {
    fn from(text: &'a Option<String>) -> Self {
        text.as_deref().into()
    }
}

impl<'a> From<&'a Value> for FieldValue<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::String(text) => Self::Text(text),
            other => Self::Made(Zeroizing::new(other.to_string())),
        }
    }
}

/// The JSON of these members, in their order.
pub(crate) fn write<N: AsRef<str>>(members: &[(N, FieldValue<'_>)]) -> Json {
    write_with_ranges(members, |_, _| ())
}

/// The JSON of these members. `range` is called with the range of each value, and whether that is a
/// string without an escape.
pub(crate) fn write_with_ranges<N: AsRef<str>>(
    members: &[(N, FieldValue<'_>)],
    mut range: impl FnMut(Range<usize>, bool),
) -> Json {
    // The full length: a string that grows leaves its old buffer behind.
    let mut length = 2;
    let mut plain: SmallVec<[_; 16]> = SmallVec::new();
    for (name, value) in members {
        let name = name.as_ref();
        let name_is_plain = name.is_ascii() && is_plain(name);
        let (value_is_plain, value) = match value {
            FieldValue::Null => (false, "null".len()),
            FieldValue::Text(text) if is_plain(text) => (true, text.len() + 2),
            FieldValue::Text(text) => (false, escaped_len(text)),
            FieldValue::Raw(json) => (false, json.len()),
            FieldValue::Made(json) => (false, json.len()),
        };
        let name = if name_is_plain { name.len() + 2 } else { escaped_len(name) };
        length += name + value + ": , ".len();
        plain.push((name_is_plain, value_is_plain));
    }
    let mut out = String::with_capacity(length);
    out.push('{');
    for (nth, ((name, value), (name_is_plain, value_is_plain))) in
        members.iter().zip(&plain).enumerate()
    {
        if nth > 0 {
            out.push_str(", ");
        }
        if *name_is_plain {
            push_plain(&mut out, name.as_ref());
        } else {
            out.push_str(&quoted_name(name.as_ref()));
        }
        out.push_str(": ");
        let start = out.len();
        match value {
            FieldValue::Null => out.push_str("null"),
            FieldValue::Text(text) if *value_is_plain => push_plain(&mut out, text),
            FieldValue::Text(text) => push_escaped(&mut out, text),
            FieldValue::Raw(json) => out.push_str(json),
            FieldValue::Made(json) => out.push_str(json),
        }
        range(start..out.len(), *value_is_plain);
    }
    out.push('}');
    Json::from_stored(out)
}

/// The most bytes that a text takes as a JSON string.
fn escaped_len(text: &str) -> usize {
    text.len() * 6 + 2
}

fn push_plain(out: &mut String, text: &str) {
    out.push('"');
    out.push_str(text);
    out.push('"');
}

fn push_escaped(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            // Writing to a string can't fail.
            ..' ' => drop(write!(out, "\\u{:04x}", u32::from(char))),
            _ => out.push(char),
        }
    }
    out.push('"');
}

/// What to do with a member that is changed to `null`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    Written,
    LeftOut,
}

/// An object with some members changed in place, and new ones at the end. The text of every other
/// member is kept.
pub(crate) fn merge(json: &Json, changes: &Fields, nulls: Nulls) -> serde_json::Result<Json> {
    let mut members = Vec::new();
    for_each_member(json.expose(), |name, text| members.push((name, FieldValue::Raw(text))))?;
    for (name, value) in changes.iter() {
        if value.is_null() && nulls == Nulls::LeftOut {
            members.retain(|(known, _)| known != name);
            continue;
        }
        // A name that occurs twice is written once; of two, readers take the last.
        match members.iter().rposition(|(known, _)| known == name) {
            Some(at) => {
                members[at].1 = value.into();
                let mut index = 0..;
                members.retain(|(known, _)| index.next() == Some(at) || known != name);
            }
            None => members.push((name.into(), value.into())),
        }
    }
    Ok(write(&members))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn what_is_written_is_what_a_parser_reads() {
        let text = "a\"\\\n\u{0}\u{1f}/é語😀\u{7f}";
        let value = Value::from(vec![Value::Null, text.into(), 1.5.into()]);
        let members = [
            (Cow::from("text"), FieldValue::from(text)),
            (text.into(), (&value).into()),
            ("none".into(), (&None).into()),
            ("raw".into(), FieldValue::Raw("[ 1.50 ]")),
        ];
        let json = write(&members);
        let read: Value = serde_json::from_str(json.expose()).unwrap();
        let expected = serde_json::json!({"text": text, text: value, "none": null, "raw": [1.5]});
        assert_eq!(read, expected);
        assert!(json.expose().contains("[ 1.50 ]"));
    }

    #[test]
    fn what_is_not_changed_keeps_its_text() {
        let json = Json::new(r#"{"n":1.50e3, "secret":"old","x":{"deep":[ null ]}, "n2":9e999}"#);
        let changes = Fields::new().set("secret", "new").set("added", 1);
        let merged = merge(&json.unwrap(), &changes, Nulls::Written).unwrap();
        assert_eq!(
            merged.expose(),
            r#"{"n": 1.50e3, "secret": "new", "x": {"deep":[ null ]}, "n2": 9e999, "added": 1}"#
        );
    }

    #[test]
    fn a_name_that_occurs_twice_becomes_one_when_it_is_changed() {
        let json = Json::new(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        let merged = merge(&json, &Fields::new().set("a", 4), Nulls::Written).unwrap();
        assert_eq!(merged.expose(), r#"{"b": 2, "a": 4}"#);
    }

    #[test]
    fn a_null_is_written_or_its_member_left_out() {
        let json = Json::new(r#"{"a":1,"b":null,"a":3}"#).unwrap();
        let changes = Fields::new().set("a", None::<&str>).set("c", None::<&str>);
        let merged = |nulls| merge(&json, &changes, nulls).unwrap();
        assert_eq!(merged(Nulls::Written).expose(), r#"{"b": null, "a": null, "c": null}"#);
        assert_eq!(merged(Nulls::LeftOut).expose(), r#"{"b": null}"#);
    }
}
