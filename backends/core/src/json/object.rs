//! Members and scalars in the text of a JSON object.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, IgnoredAny};
use smallvec::SmallVec;

use crate::json::scan::Scanner;

/// Calls `each` with the name and the text of every member of a JSON object, in order and with
/// repetitions. [`quoted_name`](crate::internal::quoted_name) writes a name as it was read.
///
/// # Errors
///
/// The parser's, where the text is not a JSON object.
pub fn for_each_member<'a>(
    text: &'a str,
    mut each: impl FnMut(Cow<'a, str>, &'a str),
) -> serde_json::Result<()> {
    let mut members: SmallVec<[_; 16]> = SmallVec::new();
    let mut scanner = Scanner::new(text);
    let done = scanner.object(|it, name| {
        members.push((name, it.value()?));
        Some(())
    });
    if done.and_then(|()| scanner.end()).is_none() {
        // The parser finds the error and its position.
        serde_json::from_str::<IgnoredAny>(text)?;
        return Err(serde_json::Error::custom("it is not an object"));
    }
    members.into_iter().for_each(|(name, value)| each(name, value));
    Ok(())
}

/// A JSON value, read leniently as text: some libraries write a number where others write a string.
#[derive(Clone, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// `null`.
    Null,
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// A number, with the digits that it was written with.
    Number(&'a str),
    /// `true`, `false`, an array, an object, or a string that is not Unicode: its JSON text.
    Other(&'a str),
}

impl<'a> Scalar<'a> {
    /// Reads the text of a JSON value.
    pub fn of(json: &'a str) -> Self {
        match json.as_bytes().first() {
            Some(b'"') if memchr::memchr(b'\\', json.as_bytes()).is_none() => {
                // A lone quote is not JSON.
                json.get(1..json.len() - 1).map_or(Self::Other(json), |it| Self::Text(it.into()))
            }
            Some(b'"') => unescape(json).map_or(Self::Other(json), |text| Self::Text(text.into())),
            Some(b'-' | b'0'..=b'9') => Self::Number(json),
            Some(b'n') => Self::Null,
            _ => Self::Other(json),
        }
    }

    /// The value as text, if it is a string or a number.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(digits) => Some(digits),
            Self::Null | Self::Other(_) => None,
        }
    }
}

/// Decodes a JSON string; `None` where it isn't one, or isn't Unicode.
///
/// It may be a secret, and the caller overwrites the result. So no copy may remain: neither in a
/// buffer of a parser, nor where a text grew.
fn unescape(json: &str) -> Option<String> {
    let mut rest = json.strip_prefix('"')?.strip_suffix('"')?;
    // No escape is shorter than what it stands for.
    let mut text = String::with_capacity(rest.len());
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        push_plain(&mut text, &rest[..at])?;
        let escape = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        text.push(match escape {
            b'"' | b'\\' | b'/' => escape.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = unit(&mut rest)?;
                let second = match first {
                    0xd800..=0xdbff => {
                        rest = rest.strip_prefix("\\u")?;
                        Some(unit(&mut rest)?)
                    }
                    _ => None,
                };
                let mut chars = char::decode_utf16([first].into_iter().chain(second));
                let char = chars.next()?.ok()?;
                chars.next().is_none().then_some(char)?
            }
            _ => return None,
        });
    }
    push_plain(&mut text, rest)?;
    Some(text)
}

/// Adds a part of a JSON string that has no escape.
fn push_plain(text: &mut String, part: &str) -> Option<()> {
    let is_valid = !part.bytes().any(|byte| byte == b'"' || byte < b' ');
    is_valid.then(|| text.push_str(part))
}

/// Takes the four digits of an escaped UTF-16 unit.
fn unit(rest: &mut &str) -> Option<u16> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    // `from_str_radix` accepts a sign.
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    are_digits.then(|| u16::from_str_radix(digits, 16).ok())?
}

impl fmt::Debug for Scalar<'_> {
    /// Prints the kind of the value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Other(_) => "another value",
        })
    }
}

/// Reads a time as MSAL libraries write it: seconds since the epoch, as a string or a number. A
/// fraction of a second is cut off.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        // A float is exact below 2^53, and no time is beyond that.
        let seconds: f64 = text.parse().ok()?;
        (seconds.abs() < 9_007_199_254_740_992.0).then_some(seconds.trunc() as i64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_in_order_with_repetitions_and_as_written() {
        let mut seen = Vec::new();
        for_each_member(r#" {"b": 1.50, "\u0061": [ 1 ], "b": null} "#, |name, text| {
            seen.push((name.into_owned(), text));
        })
        .unwrap();
        assert_eq!(seen, [("b".into(), "1.50"), ("a".into(), "[ 1 ]"), ("b".into(), "null")]);
    }

    #[test]
    fn a_value_that_is_not_an_object_is_an_error() {
        for text in ["", "null", "[]", "{", "{}x", "\"{}\"", "{\"a\":}"] {
            assert!(for_each_member(text, |_, _| ()).is_err(), "{text}");
        }
    }

    #[test]
    fn scalars_are_read_leniently() {
        assert_eq!(Scalar::of(r#""a\u00e9""#).as_str(), Some("aé"));
        assert_eq!(Scalar::of("12").as_str(), Some("12"));
        assert_eq!(Scalar::of("null"), Scalar::Null);
        assert_eq!(Scalar::of("[1]"), Scalar::Other("[1]"));
        assert_eq!(Scalar::of("\""), Scalar::Other("\""));
        assert_eq!(Scalar::of(r#""\ud800""#), Scalar::Other(r#""\ud800""#));
    }

    #[test]
    fn a_string_is_decoded_as_by_the_parser_and_without_growing() {
        let units = ["0041", "00e9", "20AC", "d83d", "de00", "D800", "+041", "12", "\u{e9}000"];
        let mut texts: Vec<String> = [
            "",
            r"\",
            r#"a"b"#,
            r"\q",
            "\u{1}\\n",
            "\\n\n",
            r"\ué",
            r"😀\/",
            r#"\\\""#,
            r"\b\f\n\r\t",
        ]
        .map(str::to_owned)
        .into();
        for first in units {
            texts.push(format!("a\\u{first}"));
            for second in units {
                texts.push(format!("\\u{first}\\u{second}é"));
                texts.push(format!("\\u{first}{second}\\n"));
            }
        }
        for text in texts {
            let json = format!("\"{text}\"");
            let decoded = unescape(&json);
            assert_eq!(decoded, serde_json::from_str::<String>(&json).ok(), "{json}");
            assert!(decoded.is_none_or(|it| it.capacity() <= text.len()), "{json}");
        }
        assert!(unescape("\"a").is_none() && unescape("\"").is_none() && unescape("a").is_none());
    }

    #[test]
    fn times_are_strings_or_numbers() {
        assert_eq!(seconds("1700000000"), Some(1_700_000_000));
        assert_eq!(seconds(" 17 "), Some(17));
        assert_eq!(seconds("-1"), Some(-1));
        assert_eq!(seconds("1795542748.5"), Some(1_795_542_748));
        for text in ["", "null", "2023-11-14T22:13:20Z", "1e300", "NaN", "inf", "abc"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
