//! Names of members: the keys of records, and the fields within them.

use std::borrow::Cow;
use std::fmt::Write;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

/// A name, borrowed unless it is escaped.
///
/// JSON can write half of a surrogate pair (`"\ud800"`), which isn't Unicode text, so a Rust string
/// can't hold it. Parsers of other languages accept it, so a cache file may have it, and one odd key
/// must not make the file unreadable. The half is kept as [`MARK`] and its four digits, and
/// [`quoted_name`] reverses that.
pub(crate) struct MemberName<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for MemberName<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let quoted = <&RawValue>::deserialize(deserializer)?.get();
        let not_a_name = || D::Error::custom("a name is a string");
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let inner = inner.ok_or_else(not_a_name)?;
        if !inner.contains(['\\', MARK]) {
            return Ok(Self(inner.into()));
        }
        unescape(inner).map(|name| Self(name.into())).ok_or_else(not_a_name)
    }
}

/// Precedes the digits of half a surrogate pair. It is a noncharacter, which Unicode reserves for
/// internal use.
const MARK: char = '\u{fdd0}';

/// The digits for [`MARK`] itself, where it would be read as the mark of a half.
const MARK_ITSELF: &str = "fdd0";

/// Unescapes the inside of a string that a parser has accepted.
fn unescape(inner: &str) -> Option<String> {
    // Pairs are joined below.
    let mut units = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('\\') {
        units.extend(before.encode_utf16());
        let escaped = after.chars().next()?;
        rest = &after[escaped.len_utf8()..];
        units.push(match escaped {
            'b' => 0x8,
            'f' => 0xc,
            'n' => 0xa,
            'r' => 0xd,
            't' => 0x9,
            'u' => {
                let (unit, after) = digits(rest)?;
                rest = after;
                unit
            }
            other => u16::try_from(other).ok()?,
        });
    }
    units.extend(rest.encode_utf16());
    let mut name = String::with_capacity(inner.len());
    // The ends of the marks that the text has.
    let mut marks = Vec::new();
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(char) => {
                name.push(char);
                if char == MARK {
                    marks.push(name.len());
                }
            }
            // Writing to a string can't fail.
            Err(half) => drop(write!(name, "{MARK}{:04x}", half.unpaired_surrogate())),
        }
    }
    if !marks.iter().any(|at| marked(&name[*at..]).is_some()) {
        return Some(name);
    }
    let mut distinct = String::with_capacity(name.len() + marks.len() * MARK_ITSELF.len());
    let mut copied = 0;
    for at in marks {
        distinct.push_str(&name[copied..at]);
        copied = at;
        if marked(&name[at..]).is_some() {
            distinct.push_str(MARK_ITSELF);
        }
    }
    distinct.push_str(&name[copied..]);
    Some(distinct)
}

/// Four hexadecimal digits, and the text that follows them.
fn digits(text: &str) -> Option<(u16, &str)> {
    let (digits, after) = text.split_at_checked(4)?;
    let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    all.then(|| u16::from_str_radix(digits, 16).ok()).flatten().map(|unit| (unit, after))
}

/// Digits that [`MARK`] precedes: those of half a pair, or its own.
fn marked(text: &str) -> Option<(u16, &str)> {
    digits(text).filter(|(unit, _)| matches!(unit, 0xd800..0xe000 | 0xfdd0))
}

/// The JSON of a name that [`for_each_member`](crate::internal::for_each_member) has read, or of a new one.
pub fn quoted_name(name: &str) -> String {
    // A string always serialises.
    let quoted = serde_json::to_string(name).unwrap_or_default();
    if !quoted.contains(MARK) {
        return quoted;
    }
    let mut unmarked = String::with_capacity(quoted.len());
    let mut rest = &*quoted;
    while let Some((before, after)) = rest.split_once(MARK) {
        unmarked.push_str(before);
        rest = if let Some((unit, after)) = marked(after) {
            // Writing to a string can't fail.
            let _ = write!(unmarked, "\\u{unit:04x}");
            after
        } else {
            unmarked.push(MARK);
            after
        };
    }
    unmarked + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> String {
        serde_json::from_str::<MemberName<'_>>(json).unwrap().0.into_owned()
    }

    #[test]
    fn names_are_read_as_a_parser_reads_strings() {
        for text in ["", "a-b.c", "\"\\/\u{8}\u{c}\n\r\t", "aé語😀\u{7f}\u{fdd0}", "\u{fdd0}d7ff"]
        {
            for json in [serde_json::to_string(text).unwrap(), escaped(text)] {
                assert_eq!(read(&json), text, "{json}");
                assert_eq!(read(&quoted_name(&read(&json))), text, "{json}");
            }
        }
        assert_eq!(read(r#""\/\ud83d\ude00""#), "/😀");
    }

    /// Every character as an escape.
    fn escaped(text: &str) -> String {
        let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        format!("\"{}\"", units.collect::<String>())
    }

    #[test]
    fn half_a_surrogate_pair_is_kept() {
        for (json, written) in [
            (r#""\ud800""#, r#""\ud800""#),
            (r#""a\uDFFFb""#, r#""a\udfffb""#),
            (r#""\udc00\ud800""#, r#""\udc00\ud800""#),
            (r#""\ud83d-\ude00""#, r#""\ud83d-\ude00""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ud83d😀""#),
            (r#""\ufdd0\ud800""#, "\"\u{fdd0}\\ud800\""),
        ] {
            assert_eq!(quoted_name(&read(json)), written);
        }
    }

    #[test]
    fn text_that_looks_like_a_kept_half_is_unchanged() {
        for text in ["\u{fdd0}d800", "\u{fdd0}fdd0", "\u{fdd0}fdd0d800", "\u{fdd0}\u{fdd0}dfff"] {
            for json in [serde_json::to_string(text).unwrap(), escaped(text)] {
                let name = read(&json);
                let again: String = serde_json::from_str(&quoted_name(&name)).unwrap();
                assert_eq!(again, text, "{json}");
            }
        }
        assert_ne!(read(r#""\ud800""#), read("\"\u{fdd0}d800\""));
    }

    #[test]
    fn a_value_that_is_not_a_string_is_not_a_name() {
        for json in ["1", "null", "{}", "\"\\x\"", "\"\\u12g4\"", "\"a"] {
            assert!(serde_json::from_str::<MemberName<'_>>(json).is_err(), "{json}");
        }
    }
}
