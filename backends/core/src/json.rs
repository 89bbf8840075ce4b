use std::fmt;
use std::mem;
use std::sync::{Arc, OnceLock};

use crate::scan::Scanner;
use crate::wipe::wipe;
use crate::{Error, Result};
use serde::de::IgnoredAny;

/// The text of one JSON value, kept as it was written.
///
/// A record is text and not a tree, because nothing may be lost of what another library wrote:
/// unknown fields, odd types, the digits of a number. Cloning shares the text; dropping the last
/// clone overwrites it. It holds secrets, so `Debug` prints its length alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Arc<Text>);

struct Text {
    text: String,
    /// What was found out about it, so that it needn't be found out again.
    traits: OnceLock<Traits>,
}

#[derive(Clone, Copy)]
struct Traits {
    is_json: bool,
    is_ascii: bool,
}

impl Traits {
    fn of(text: &str) -> Self {
        let mut scanner = Scanner::new(text);
        let is_json = scanner.value().and_then(|_| scanner.end()).is_some()
            || serde_json::from_str::<IgnoredAny>(text).is_ok();
        Self { is_json, is_ascii: text.is_ascii() }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Text {}

impl Drop for Text {
    fn drop(&mut self) {
        wipe(mem::take(&mut self.text).into_bytes());
    }
}

impl Json {
    /// Takes a text that may or may not be JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] with line and column where the text stops being JSON.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = Self::from_stored(text);
        serde_json::from_str::<IgnoredAny>(text.expose())
            .map_err(|error| Error::not_json("value", &error))?;
        Ok(text)
    }

    /// Takes a text that a store was given as [`Json`] and now gives back; it isn't checked again.
    ///
    /// A text that is not JSON does no harm to other records: reading skips this one, and
    /// writing a document out of it is refused.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(Arc::new(Text { text: text.into(), traits: OnceLock::new() }))
    }

    /// Takes a text that was found to be JSON.
    pub(crate) fn checked(text: String) -> Self {
        let traits = Traits { is_json: true, is_ascii: text.is_ascii() };
        Self(Arc::new(Text { text, traits: traits.into() }))
    }

    /// Whether it is JSON: what isn't would break a document for everybody.
    pub(crate) fn is_json(&self) -> bool {
        self.traits().is_json
    }

    pub(crate) fn is_ascii(&self) -> bool {
        self.traits().is_ascii
    }

    fn traits(&self) -> Traits {
        *self.0.traits.get_or_init(|| Traits::of(&self.0.text))
    }

    /// The text, secrets and all.
    pub fn expose(&self) -> &str {
        &self.0.text
    }

    /// Whether somebody else holds this text too, so that keeping it costs no memory of its own.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The text as a string: the same one, unless somebody else holds a clone.
    pub(crate) fn into_string(self) -> String {
        match Arc::try_unwrap(self.0) {
            Ok(mut text) => mem::take(&mut text.text),
            Err(shared) => shared.text.clone(),
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json([{} bytes])", self.expose().len())
    }
}
