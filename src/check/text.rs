//! What the libraries do with the bytes of a cache file.

use std::borrow::Cow;
use std::fmt;

use msal_cache_core::internal::for_each_member;
use serde::de::IgnoredAny;

/// Whether the MSAL libraries can read a cache file, and why one of them can't.
///
/// The libraries parse JSON with the means of their languages, which differ for text that is not
/// quite JSON. MSAL Python reads the file in the encoding of the locale, which is UTF-8 here. The
/// values were compared with MSAL Python 1.39 on Python 3.11, and MSAL Node 7.2.
///
/// ```
/// use msal_cache::check::{TextFault, readers};
///
/// let found = readers(b"\xef\xbb\xbf{}");
/// assert!(!found.python && !found.node);
/// assert_eq!(found.fault, Some(TextFault::ByteOrderMark));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readers {
    /// Whether MSAL Python can read it.
    pub python: bool,
    /// Whether MSAL Node can read it.
    pub node: bool,
    /// The first reason for which a library can't read it, or reads nothing.
    pub fault: Option<TextFault>,
}

/// Why a library can't read a cache file, or reads nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextFault {
    /// It has no bytes. The libraries begin with an empty cache.
    Empty,
    /// It begins with a byte order mark.
    ByteOrderMark,
    /// It is not UTF-8.
    NotUtf8,
    /// It is not JSON.
    NotJson,
    /// It has `NaN` or `Infinity`, which Python's parser accepts.
    NotFinite,
    /// It has an integer of more than 4,300 digits, which Python doesn't convert.
    LongInteger,
    /// Its values are nested deeper than Python's parser allows by default.
    Nested,
    /// It is not a JSON object.
    NotAnObject,
    /// This section is not an object.
    Section(String),
}

impl fmt::Display for TextFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::ByteOrderMark => f.write_str("it begins with a byte order mark"),
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
            Self::NotJson => f.write_str("it is not valid JSON"),
            Self::NotFinite => f.write_str("it has a number that is not finite"),
            Self::LongInteger => f.write_str("it has an integer of more than 4,300 digits"),
            Self::Nested => f.write_str("its values are nested too deeply"),
            Self::NotAnObject => f.write_str("its JSON is not an object"),
            Self::Section(name) => write!(f, "its section {name} is not an object"),
        }
    }
}

/// Python raises `ValueError` for an integer with more digits (`sys.int_info`).
const DIGITS: usize = 4300;

/// Python's limit of nested calls is 1,000, of which the program uses some.
const LEVELS: usize = 900;

/// The sections that the libraries search for every account and token.
const SEARCHED: [&str; 2] = ["Account", "AccessToken"];

/// Finds out whether the MSAL libraries can read the bytes of a cache file.
pub fn readers(bytes: &[u8]) -> Readers {
    if bytes.is_empty() {
        return Readers { python: true, node: true, fault: Some(TextFault::Empty) };
    }
    let mut found = Readers { python: true, node: true, fault: None };
    // Python is strict, and Node replaces what it can't decode.
    let text = String::from_utf8_lossy(bytes);
    if matches!(text, Cow::Owned(_)) {
        found.python_fails(TextFault::NotUtf8);
    }
    if text.starts_with('\u{feff}') {
        found.both_fail(TextFault::ByteOrderMark);
        return found;
    }
    let text = Scanned::of(&text);
    if serde_json::from_str::<IgnoredAny>(&text.json).is_err() {
        found.both_fail(TextFault::NotJson);
        return found;
    }
    if text.has_constants {
        found.node_fails(TextFault::NotFinite);
    }
    if text.digits > DIGITS {
        found.python_fails(TextFault::LongInteger);
    }
    if text.levels > LEVELS {
        found.python_fails(TextFault::Nested);
    }
    let mut odd = None;
    let members = for_each_member(&text.json, |name, value| {
        if SEARCHED.contains(&&*name) {
            // The last one counts.
            let is_odd = !value.starts_with('{');
            odd = odd.take().filter(|known| *known != name).or(is_odd.then_some(name));
        }
    });
    if members.is_err() {
        found.python_fails(TextFault::NotAnObject);
        // Node takes the members of any value but this one.
        found.node &= text.json.trim() != "null";
    } else if let Some(section) = odd {
        found.python_fails(TextFault::Section(section.into_owned()));
    }
    found
}

impl Readers {
    fn python_fails(&mut self, fault: TextFault) {
        self.python = false;
        self.fault.get_or_insert(fault);
    }

    fn node_fails(&mut self, fault: TextFault) {
        self.node = false;
        self.fault.get_or_insert(fault);
    }

    fn both_fail(&mut self, fault: TextFault) {
        self.node_fails(fault.clone());
        self.python_fails(fault);
    }
}

/// A text as JSON, if it is what Python's parser accepts.
struct Scanned {
    /// With zeros in place of what only Python accepts.
    json: String,
    has_constants: bool,
    /// The length of the longest integer.
    digits: usize,
    /// How deep values are nested.
    levels: usize,
}

impl Scanned {
    fn of(text: &str) -> Self {
        let json = String::with_capacity(text.len());
        let mut scanned = Self { json, has_constants: false, digits: 0, levels: 0 };
        let (mut rest, mut open) = (text, 0_usize);
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' => string(rest),
                '{' | '[' => {
                    open += 1;
                    scanned.levels = scanned.levels.max(open);
                    1
                }
                '}' | ']' => {
                    open = open.saturating_sub(1);
                    1
                }
                '-' | '0'..='9' => scanned.number(rest),
                'N' | 'I' => scanned.constant(rest),
                other => other.len_utf8(),
            };
            if length > 0 {
                scanned.json.push_str(&rest[..length]);
                rest = &rest[length..];
            } else {
                // A constant.
                scanned.json.push('0');
                let letters = |char: char| char != '-' && !char.is_ascii_alphabetic();
                rest = &rest[rest.find(letters).unwrap_or(rest.len())..];
            }
        }
        scanned
    }

    /// The length of a number; 0 of negative infinity.
    fn number(&mut self, text: &str) -> usize {
        if text.starts_with("-Infinity") {
            return self.constant(&text[1..]);
        }
        let is_part = |char: char| char.is_ascii_alphanumeric() || "+-.".contains(char);
        let length = text.find(|char| !is_part(char)).unwrap_or(text.len());
        let number = &text[..length];
        if !number.contains(['.', 'e', 'E']) {
            self.digits = self.digits.max(number.trim_start_matches('-').len());
        }
        length
    }

    /// 0 for a constant that only Python accepts.
    fn constant(&mut self, text: &str) -> usize {
        let word = text.split(|char: char| !char.is_ascii_alphabetic()).next();
        let is_constant = matches!(word, Some("NaN" | "Infinity"));
        self.has_constants |= is_constant;
        usize::from(!is_constant)
    }
}

/// The length of a string, or of the rest of the text if it doesn't end.
fn string(text: &str) -> usize {
    let mut is_escaped = true;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            // The first one.
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    // `tests/peers` compares with the libraries.
    #[test]
    fn the_first_fault_is_reported() {
        for (text, python, node, fault) in [
            ("{\"a\": \"NaN -Infinity [\"}", true, true, None),
            ("{\"a\": NaN}", true, false, Some(TextFault::NotFinite)),
            ("{\"a\": [-Infinity, -1]}", true, false, Some(TextFault::NotFinite)),
            ("{\"a\": NaNx}", false, false, Some(TextFault::NotJson)),
            ("{\"a\": -NaN}", false, false, Some(TextFault::NotJson)),
            ("{\"a\": \"\\\"NaN", false, false, Some(TextFault::NotJson)),
            ("7", false, true, Some(TextFault::NotAnObject)),
            (" null\n", false, false, Some(TextFault::NotAnObject)),
            ("{\"Account\": []}", false, true, Some(TextFault::Section("Account".into()))),
            ("{\"Account\": [], \"Account\": {}}", true, true, None),
        ] {
            assert_eq!(readers(text.as_bytes()), Readers { python, node, fault }, "{text}");
        }
    }
}
