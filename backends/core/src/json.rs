use std::fmt;
use std::sync::Arc;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// The text of one JSON value, kept as it was written.
///
/// A record is text and not a tree, because nothing may be lost of what another library wrote:
/// unknown fields, odd types, the digits of a number. Cloning shares the text; dropping the last
/// clone overwrites it. It holds secrets, so `Debug` prints its length alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Arc<Zeroizing<String>>);

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
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    /// The text, secrets and all.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json([{} bytes])", self.0.len())
    }
}
