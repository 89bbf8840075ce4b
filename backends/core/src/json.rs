use std::fmt;
use std::mem;
use std::sync::Arc;

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

#[derive(PartialEq, Eq)]
struct Text(String);

impl Drop for Text {
    fn drop(&mut self) {
        wipe(mem::take(&mut self.0).into_bytes());
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
        Self(Arc::new(Text(text.into())))
    }

    /// The text, secrets and all.
    pub fn expose(&self) -> &str {
        &self.0.0
    }

    /// Whether somebody else holds this text too, so that keeping it costs no memory of its own.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The text as a string: the same one, unless somebody else holds a clone.
    pub(crate) fn into_string(self) -> String {
        match Arc::try_unwrap(self.0) {
            Ok(mut text) => mem::take(&mut text.0),
            Err(shared) => shared.0.clone(),
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json([{} bytes])", self.0.0.len())
    }
}
