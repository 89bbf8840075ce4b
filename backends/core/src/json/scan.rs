//! A scanner over JSON text, which builds nothing.
//!
//! It accepts exactly what [`serde_json`] accepts, as a test shows; a caller whose text is not
//! accepted gets the reason from that parser. Most of a cache is long strings without an escape,
//! which are scanned many bytes at a time.

use std::borrow::Cow;

use crate::json::name::MemberName;

/// A text, and how far it has been scanned. Each step is `None` where the text is not JSON.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Begins in the middle of a text.
    pub(crate) fn new_at(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    /// How far the text has been scanned. Where a step returns `None`, no part of the text before
    /// this position makes the step succeed.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Skips white space, and returns the byte that follows.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Accepts the end of the text, after white space.
    pub(crate) fn end(mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// Scans an object. `each` gets the name of every member, and has to scan the value.
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, Cow<'a, str>) -> Option<()>,
    ) -> Option<()> {
        self.list(b'{', b'}', |it| {
            let name = it.name()?;
            it.take(b':')?;
            each(it, name)
        })
    }

    /// Scans a value, and returns its text. Where it is an object, `each` gets the name and the text
    /// of every member; the name is only good for comparison with ASCII names.
    pub(crate) fn value_and(&mut self, mut each: impl FnMut(&str, &'a str)) -> Option<&'a str> {
        if self.peek()? != b'{' {
            return self.value();
        }
        let start = self.at;
        self.list(b'{', b'}', |it| {
            let (name, is_escaped) = it.quoted_name()?;
            it.take(b':')?;
            let value = it.value()?;
            if is_escaped {
                let MemberName(name) = serde_json::from_str(name).ok()?;
                each(&name, value);
            } else {
                each(&name[1..name.len() - 1], value);
            }
            Some(())
        })?;
        self.text.get(start..self.at)
    }

    /// Scans a value, and returns its text.
    pub(crate) fn value(&mut self) -> Option<&'a str> {
        self.peek()?;
        let start = self.at;
        // The closing brackets that are due. Most values have none, so nothing is allocated.
        let mut open = Vec::new();
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    let close = bracket + 2;
                    if self.peek()? != close {
                        open.push(close);
                        self.colon(close)?;
                        continue;
                    }
                    self.at += 1;
                }
                _ => self.scalar()?,
            }
            loop {
                let Some(close) = open.last().copied() else {
                    return self.text.get(start..self.at);
                };
                let next = self.peek()?;
                self.at += 1;
                match next {
                    b',' => break self.colon(close)?,
                    _ if next == close => drop(open.pop()),
                    _ => return None,
                }
            }
        }
    }

    /// Scans a value that isn't an object or an array.
    #[inline]
    pub(crate) fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    /// Scans the name and the colon before a value, within an object.
    fn colon(&mut self, close: u8) -> Option<()> {
        if close == b'}' {
            self.quoted_name()?;
            self.take(b':')?;
        }
        Some(())
    }

    /// Scans items between two brackets, separated by commas.
    #[inline]
    fn list(
        &mut self,
        open: u8,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(open)?;
        if self.peek()? == close {
            self.at += 1;
        } else {
            loop {
                item(self)?;
                let next = self.peek()?;
                self.at += 1;
                match next {
                    b',' => {}
                    _ if next == close => break,
                    _ => return None,
                }
            }
        }
        Some(())
    }

    pub(crate) fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    #[inline]
    pub(crate) fn name(&mut self) -> Option<Cow<'a, str>> {
        let (quoted, is_escaped) = self.quoted_name()?;
        if is_escaped || !quoted.is_ascii() {
            let MemberName(name) = serde_json::from_str(quoted).ok()?;
            return Some(name);
        }
        Some(quoted[1..quoted.len() - 1].into())
    }

    /// Scans the name of a member. Returns it as it is written, and whether it has an escape.
    #[inline]
    pub(crate) fn quoted_name(&mut self) -> Option<(&'a str, bool)> {
        self.peek()?;
        let start = self.at;
        let is_escaped = self.string()?;
        Some((self.text.get(start..self.at)?, is_escaped))
    }

    /// Scans a string, and returns whether it has an escape.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        let bytes = self.text.as_bytes();
        if *bytes.get(self.at)? != b'"' {
            return None;
        }
        self.at += 1;
        self.at += plain(bytes.get(self.at..)?);
        if *bytes.get(self.at)? == b'"' {
            self.at += 1;
            return Some(false);
        }
        self.escaped().then_some(true)
    }

    /// Scans the rest of a string, from its first special byte.
    #[cold]
    fn escaped(&mut self) -> bool {
        let mut scan = || {
            let bytes = self.text.as_bytes();
            loop {
                let special = *bytes.get(self.at)?;
                self.at += 1;
                match special {
                    b'"' => return Some(()),
                    b'\\' => {
                        let kind = *bytes.get(self.at)?;
                        self.at += 1;
                        match kind {
                            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                            b'u' => {
                                let digits = bytes.get(self.at..self.at + 4)?;
                                if !digits.iter().all(u8::is_ascii_hexdigit) {
                                    return None;
                                }
                                self.at += 4;
                            }
                            _ => return None,
                        }
                    }
                    // A control character.
                    _ => return None,
                }
                self.at += plain(bytes.get(self.at..)?);
            }
        };
        scan().is_some()
    }

    fn number(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let digits = |at: usize| {
            let rest = bytes.get(at..).unwrap_or_default();
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let mut at = self.at;
        at += usize::from(bytes.get(at) == Some(&b'-'));
        at += match bytes.get(at)? {
            b'0' => 1,
            b'1'..=b'9' => digits(at),
            _ => return None,
        };
        if bytes.get(at) == Some(&b'.') {
            let fraction = digits(at + 1);
            at += (fraction > 0).then_some(1 + fraction)?;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            let exponent = digits(at);
            at += (exponent > 0).then_some(exponent)?;
        }
        self.at = at;
        Some(())
    }
}

/// Whether a text can be written as a JSON string without an escape.
pub fn is_plain(text: &str) -> bool {
    // Most texts are. Unlike `plain`, this needs no position, and the compiler compares the bytes of
    // a chunk at once.
    let special =
        |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    let any = |chunk: &[u8; 16]| chunk.iter().fold(0, |any, byte| any | special(*byte)) != 0;
    let (chunks, rest) = text.as_bytes().as_chunks();
    let mut last = [b' '; 16];
    last[..rest.len()].copy_from_slice(rest);
    !chunks.iter().any(any) && !any(&last)
}

/// The number of bytes before a quote, a backslash or a control character.
///
/// Names and ids are short, and end within a few words of eight bytes. Tokens are long.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    const SHORT: usize = 8;
    let (words, rest) = bytes.as_chunks();
    for (nth, word) in words.iter().take(SHORT).enumerate() {
        if let Some(special) = first_special(*word) {
            return nth * 8 + special;
        }
    }
    if words.len() > SHORT {
        return SHORT * 8 + plain_and_long(&bytes[SHORT * 8..]);
    }
    let mut last = [b'"'; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.len() * 8 + first_special(last).unwrap_or_default().min(rest.len())
}

/// [`plain`] for text that is likely long.
fn plain_and_long(bytes: &[u8]) -> usize {
    let end = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
    let run = &bytes[..end];
    // Without an early exit, so that the compiler can use wide instructions.
    if run.iter().fold(0, |any, byte| any | u8::from(*byte < b' ')) == 0 {
        return end;
    }
    run.iter().take_while(|byte| **byte >= b' ').count()
}

/// The index of the first special byte, found in all eight at once: the highest bit of each byte is
/// set if it is special, up to the first that is.
#[inline]
fn first_special(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(word);
    let is = |byte: u8| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
    let is_control = word.wrapping_sub(ONES * u64::from(b' '));
    let special = (is_control | is(b'"') | is(b'\\')) & !word & HIGH;
    (special != 0).then(|| special.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn is_accepted(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value().and_then(|_| scanner.end()).is_some()
    }

    fn is_json(text: &str) -> bool {
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    #[test]
    fn the_scanner_accepts_what_the_parser_accepts() {
        for text in [
            "",
            " ",
            "{}",
            " { } ",
            "{,}",
            "{\"a\":1,}",
            "{\"a\" : [1, -0.5e+10, {\"b\":null}]}",
            "[]",
            "[1,]",
            "[1 2]",
            "-",
            "01",
            "1.",
            "1.0",
            ".5",
            "1e",
            "1e5",
            "-0",
            "+1",
            "0x1",
            "true",
            "tru",
            "truefalse",
            "nul",
            "\"\"",
            "\"a",
            "\"\\\"",
            "\"\\\"\"",
            "\"\\u00e9\"",
            "\"\\u00g0\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"a\nb\"",
            "\"a\u{7f}b\"",
            "\"\u{1f}\"",
            "{1:2}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\" 1}",
            "{\"\\u0061\":1}",
            "\u{feff}{}",
            "nan",
            "{\"a long name, longer than a chunk\": \"and a value\\n\u{e9} that is even longer\"}",
        ] {
            assert_eq!(is_accepted(text), is_json(text), "{text:?}");
        }
    }

    #[test]
    fn depth_has_no_limit() {
        let deep = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(is_accepted(&deep(100_000)));
        assert!(!is_accepted(&deep(3)[1..]));
    }

    #[test]
    fn plain_text_ends_at_the_first_special_byte() {
        for length in 0..150 {
            for special in ["\"", "\\", "\n", "\0"] {
                let text = ["x\u{e9}".repeat(length), special.into(), "more".into()].concat();
                assert_eq!(plain(text.as_bytes()), 3 * length);
                assert!(!is_plain(&text));
            }
            assert_eq!(plain("y".repeat(length).as_bytes()), length);
            assert!(is_plain(&"y\u{e9}".repeat(length)));
        }
    }

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?",
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            "\"[a-z\\\\\"u0-9\n]{0,20}\"",
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            let name = any::<String>().prop_map(|name| serde_json::to_string(&name).unwrap());
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(" ,"))),
                prop::collection::vec((name, inner), 0..4).prop_map(|members| {
                    let members: Vec<_> =
                        members.into_iter().map(|(name, it)| format!("{name}:\n{it}")).collect();
                    format!("{{ {} }}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_scanner_accepts_random_text_where_the_parser_does(
            text in json(), at in any::<prop::sample::Index>(), with in "[\"{}\\[\\]:,0e\\\\ x]?",
        ) {
            prop_assert_eq!(is_accepted(&text), is_json(&text), "{:?}", text);
            // With one character replaced.
            let mut chars: Vec<_> = text.chars().map(String::from).collect();
            if !chars.is_empty() {
                let at = at.index(chars.len());
                chars[at] = with;
                let text = chars.concat();
                prop_assert_eq!(is_accepted(&text), is_json(&text), "{:?}", text);
            }
        }
    }
}
