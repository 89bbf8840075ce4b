//! Intact pieces of a text that may be damaged.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::json::scan::Scanner;

/// Finds strings and objects in a text that is not JSON as a whole.
///
/// Finding all of them takes time in proportion to the length of the text, although each position
/// may begin a piece: what a scan has found is not scanned again. The positions that are asked for
/// must not decrease.
#[derive(Debug)]
pub struct Pieces<'a> {
    text: &'a str,
    /// The objects with the wanted member, by their positions: where they end.
    found: HashMap<usize, usize>,
    /// How far objects have been scanned from positions with an even, and with an odd number of
    /// quotes before them. Quotes alternately begin and end strings, so that two scans over one
    /// part of the text find the same brackets, unless one takes for a string what the other takes
    /// for the text between two strings.
    scanned: [usize; 2],
    /// The number of quotes without an escape before a position.
    quotes: (usize, usize),
}

/// What begins at a quote.
#[derive(Debug)]
pub enum StringAt<'a> {
    /// The name of a member whose value is an object.
    Name {
        /// The name.
        name: Cow<'a, str>,
        /// The position of the object.
        object: usize,
    },
    /// Another string, or none. No name begins before this position.
    Other {
        /// Where to look on.
        next: usize,
    },
}

impl<'a> Pieces<'a> {
    /// The pieces of a text.
    pub fn of(text: &'a str) -> Self {
        Self { text, found: HashMap::new(), scanned: [0; 2], quotes: (0, 0) }
    }

    /// Reads the string that begins at the quote at `at`.
    pub fn string(&self, at: usize) -> StringAt<'a> {
        let mut scanner = Scanner::new_at(self.text, at);
        if scanner.quoted_name().is_none() {
            // An escaped quote within this string begins another string with the same error.
            return StringAt::Other { next: scanner.at().max(at + 1) };
        }
        let end = scanner.at();
        let is_name = scanner.take(b':').is_some() && scanner.peek() == Some(b'{');
        let object = scanner.at();
        let name = is_name.then(|| Scanner::new_at(self.text, at).name()).flatten();
        match name {
            Some(name) => StringAt::Name { name, object },
            // The quote that ends it may begin another one.
            None => StringAt::Other { next: end - 1 },
        }
    }

    /// The object at `at`, if it is intact and has a member `name`. `name` is the same in all calls.
    pub fn object(&mut self, at: usize, name: &str) -> Option<&'a str> {
        let parity = self.parity(at);
        if self.scanned[parity] <= at {
            let found = &mut self.found;
            let mut scanner = Scanner::new_at(self.text, at);
            let _ = objects(&mut scanner, name, |start, end| {
                found.insert(start, end);
            });
            self.scanned[parity] = scanner.at();
        }
        self.text.get(at..*self.found.get(&at)?)
    }

    /// Whether the number of quotes before `at` is odd.
    fn parity(&mut self, at: usize) -> usize {
        let (mut number, from) = self.quotes;
        let bytes = self.text.as_bytes();
        // A quote is escaped by an odd number of backslashes.
        let mut escapes = bytes[..from].iter().rev().take_while(|byte| **byte == b'\\').count();
        for byte in &bytes[from..at] {
            number += usize::from(*byte == b'"' && escapes.is_multiple_of(2));
            escapes = if *byte == b'\\' { escapes + 1 } else { 0 };
        }
        self.quotes = (number, at);
        number % 2
    }
}

/// An object or an array that has begun.
struct Begun {
    at: usize,
    close: u8,
    has_member: bool,
}

/// Scans a value, and calls `found` with the start and the end of each object in it that has a
/// member `name`. Objects within an object come before it.
fn objects(
    scanner: &mut Scanner<'_>,
    name: &str,
    mut found: impl FnMut(usize, usize),
) -> Option<()> {
    let mut begun: Vec<Begun> = Vec::new();
    loop {
        match scanner.peek()? {
            bracket @ (b'{' | b'[') => {
                let at = scanner.at();
                scanner.take(bracket)?;
                let close = bracket + 2;
                if scanner.peek()? != close {
                    let has_member = close == b'}' && member(scanner, name)?;
                    begun.push(Begun { at, close, has_member });
                    continue;
                }
                scanner.take(close)?;
            }
            _ => scanner.scalar()?,
        }
        loop {
            let Some(inner) = begun.last_mut() else { return Some(()) };
            if scanner.take(b',').is_some() {
                if inner.close == b'}' {
                    inner.has_member |= member(scanner, name)?;
                }
                break;
            }
            scanner.take(inner.close)?;
            if inner.has_member {
                found(inner.at, scanner.at());
            }
            begun.pop();
        }
    }
}

/// Scans the name of a member and the colon. Returns whether it is `wanted`.
fn member(scanner: &mut Scanner<'_>, wanted: &str) -> Option<bool> {
    let name = scanner.name()?;
    scanner.take(b':')?;
    Some(name == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_with_the_member_are_found_in_damaged_text() {
        let text = r#"{"a": {"e": 1, "b": {"c": [{"\u0065": {}}]}}, "d": {"e": tru"#;
        let mut pieces = Pieces::of(text);
        let mut intact = Vec::new();
        for (at, _) in text.match_indices('{') {
            intact.extend(pieces.object(at, "e"));
        }
        assert_eq!(intact, [r#"{"e": 1, "b": {"c": [{"\u0065": {}}]}}"#, r#"{"\u0065": {}}"#]);
    }

    #[test]
    fn an_object_begins_in_what_another_scan_takes_for_a_string() {
        let text = r#"{"x": " : {", "e": 1, "y": "}"#;
        let mut pieces = Pieces::of(text);
        assert_eq!(pieces.object(0, "e"), None);
        // As if the first quote were missing.
        assert_eq!(pieces.object(text.rfind('{').unwrap(), "e"), None);
        let text = r#"{"x": ":{" , "y":"e":1}", "#;
        let mut pieces = Pieces::of(text);
        assert_eq!(pieces.object(0, "e"), None);
        assert_eq!(pieces.object(text.rfind('{').unwrap(), " , "), None);
    }

    #[test]
    fn names_are_followed_by_objects() {
        let text = r#" "a\"b" : {"c": 1}, "d\x": {"#;
        let pieces = Pieces::of(text);
        let StringAt::Name { name, object } = pieces.string(1) else { panic!() };
        assert_eq!((&*name, object), ("a\"b", 10));
        // The escaped quote.
        let StringAt::Name { name, .. } = pieces.string(4) else { panic!() };
        assert_eq!(name, "b");
        let StringAt::Other { next } = pieces.string(11) else { panic!() };
        assert_eq!(next, 13);
        let StringAt::Other { next } = pieces.string(20) else { panic!() };
        assert!(next > 22, "{next}");
    }
}
