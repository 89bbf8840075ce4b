//! Writing JSON objects as text, without leaving copies of secrets behind.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

use msal_cache_core::{Json, for_each_member};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::Fields;

/// The value of a member.
pub(crate) enum Part<'a> {
    Null,
    Text(&'a str),
    /// JSON, as it was written.
    Raw(&'a str),
    /// JSON that was made of a value which is no string.
    Made(Zeroizing<String>),
}

impl<'a> From<&'a str> for Part<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Part<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Option<String>> for Part<'a> {
    fn from(text: &'a Option<String>) -> Self {
        text.as_deref().map_or(Self::Null, Self::Text)
    }
}

impl<'a> From<&'a Value> for Part<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::String(text) => Self::Text(text),
            other => Self::Made(Zeroizing::new(other.to_string())),
        }
    }
}

/// The JSON of these members, in their order.
pub(crate) fn write(members: &[(Cow<'_, str>, Part<'_>)]) -> Json {
    write_and_tell(members, |_| ())
}

/// The same, and tells where each value stands.
pub(crate) fn write_and_tell(
    members: &[(Cow<'_, str>, Part<'_>)],
    mut tell: impl FnMut(Range<usize>),
) -> Json {
    // As long as it gets: a string that grows leaves its old buffer behind.
    let part = |part: &Part<'_>| match part {
        Part::Null => 4,
        Part::Text(text) => quoted_len(text),
        Part::Raw(json) => json.len(),
        Part::Made(json) => json.len(),
    };
    let length: usize = members.iter().map(|(name, it)| quoted_len(name) + part(it) + 4).sum();
    let mut out = String::with_capacity(length + 2);
    out.push('{');
    for (at, (name, part)) in members.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        push_quoted(&mut out, name);
        out.push_str(": ");
        let start = out.len();
        match part {
            Part::Null => out.push_str("null"),
            Part::Text(text) => push_quoted(&mut out, text),
            Part::Raw(json) => out.push_str(json),
            Part::Made(json) => out.push_str(json),
        }
        tell(start..out.len());
    }
    out.push('}');
    Json::from_stored(out)
}

/// What becomes of a member that is changed to `null`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    Written,
    LeftOut,
}

/// An object with some members changed, in their places, and new ones at the end. The text of
/// every other member stays as it is.
pub(crate) fn merge(json: &Json, changes: &Fields, nulls: Nulls) -> serde_json::Result<Json> {
    let mut members = Vec::new();
    for_each_member(json.expose(), |name, text| members.push((name, Part::Raw(text))))?;
    for (name, value) in changes.iter() {
        if value.is_null() && nulls == Nulls::LeftOut {
            members.retain(|(known, _)| known != name);
            continue;
        }
        // A name that occurs twice becomes one; readers take the last.
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

/// Whether nothing has to be escaped. Looking at every byte, without a way out, is what a processor
/// does thirty-two at a time.
fn is_plain(text: &str) -> bool {
    let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    !text.bytes().fold(false, |any, byte| any | special(byte))
}

fn quoted_len(text: &str) -> usize {
    // The most that a byte can take.
    text.len() * if is_plain(text) { 1 } else { 6 } + 2
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    if is_plain(text) {
        out.push_str(text);
    } else {
        for char in text.chars() {
            match char {
                '"' | '\\' => out.extend(['\\', char]),
                // Writing to a string can't fail.
                ..' ' => drop(write!(out, "\\u{:04x}", u32::from(char))),
                _ => out.push(char),
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_a_parser_reads() {
        let text = "a\"\\\n\u{0}\u{1f}/é語😀\u{7f}";
        let value = Value::from(vec![Value::Null, text.into(), 1.5.into()]);
        let members = [
            (Cow::from("text"), Part::from(text)),
            (text.into(), (&value).into()),
            ("none".into(), (&None).into()),
            ("raw".into(), Part::Raw("[ 1.50 ]")),
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
