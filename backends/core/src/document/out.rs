//! Writes a document.

use std::fmt::Write;
use std::mem;
use std::ops::Range;

use crate::Json;
use crate::document::layout::Source;
use crate::json::quoted_name;
use crate::wipe::wipe;

/// A document that is being written. It is ASCII: MSAL Python reads a file in the encoding of its
/// locale, which may not be UTF-8.
pub(crate) struct DocumentWriter(String);

impl DocumentWriter {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Writes text that needs no escape.
    pub(crate) fn push(&mut self, text: &str) {
        self.reserve(text.len());
        self.0.push_str(text);
    }

    /// Writes the name of a member. Returns its range, unless it was escaped.
    pub(crate) fn name(&mut self, name: &str) -> Option<Range<usize>> {
        let special = |byte: u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
        if !name.bytes().fold(false, |any, byte| any | special(byte)) {
            self.reserve(name.len() + 4);
            for part in ["\"", name, "\": "] {
                self.0.push_str(part);
            }
            let end = self.0.len() - "\": ".len();
            return Some(end - name.len()..end);
        }
        self.value(&quoted_name(name));
        self.push(": ");
        None
    }

    /// Writes a value, and returns where it is. In JSON, only strings hold text that is not ASCII,
    /// so that text is escaped without parsing.
    pub(crate) fn value(&mut self, json: &str) -> Source {
        let start = self.0.len();
        if json.is_ascii() {
            self.push(json);
        } else {
            // The most that a character grows by: two bytes become the six of an escape.
            self.reserve(json.len() * 3);
            for char in json.chars() {
                if char.is_ascii() {
                    self.0.push(char);
                } else {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        // Writing to a string can't fail.
                        let _ = write!(self.0, "\\u{unit:04x}");
                    }
                }
            }
        }
        Source::Here(start..self.0.len())
    }

    pub(crate) fn finish(self) -> Json {
        Json::from_stored(self.0)
    }

    /// A `String` that grows leaves its old buffer behind, with secrets in it.
    fn reserve(&mut self, more: usize) {
        let needed = self.0.len() + more;
        if needed > self.0.capacity() {
            let mut larger = String::with_capacity(needed.max(self.0.capacity() * 2));
            larger.push_str(&self.0);
            wipe(mem::replace(&mut self.0, larger).into_bytes());
        }
    }
}
