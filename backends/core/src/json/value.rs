use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::json::Scanner;
use crate::wipe::wipe;
use crate::{Error, Result};
use serde::de::IgnoredAny;

/// The text of one JSON value, kept as it was written.
///
/// A record is text and not a tree, so that everything that another library wrote is kept: unknown
/// fields, odd types, the digits of a number. Cloning shares the text; dropping the last clone
/// overwrites it. It holds secrets, so `Debug` prints only its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Arc<JsonText>);

struct JsonText {
    json: String,
    is_json: Memo,
    is_ascii: Memo,
}

/// A remembered property of a text.
///
/// It isn't a lock, which would make a processor wait until a text that was just copied has reached
/// its memory: a quarter of the time that reading a document takes. Two threads that compute it at
/// the same time get the same result.
struct Memo(AtomicU8);

impl Memo {
    const UNKNOWN: u8 = 2;

    fn yes() -> Self {
        Self(AtomicU8::new(true.into()))
    }

    fn unknown() -> Self {
        Self(AtomicU8::new(Self::UNKNOWN))
    }

    fn get_or(&self, find: impl FnOnce() -> bool) -> bool {
        match self.0.load(Ordering::Relaxed) {
            Self::UNKNOWN => {
                let found = find();
                self.0.store(found.into(), Ordering::Relaxed);
                found
            }
            known => known == u8::from(true),
        }
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl Eq for JsonText {}

impl Drop for JsonText {
    fn drop(&mut self) {
        wipe(mem::take(&mut self.json).into_bytes());
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

    /// Takes a text that a store was given as [`Json`] and now returns; it isn't checked again.
    ///
    /// A text that is not JSON doesn't affect other records: it is skipped when it is read, and no
    /// document is written with it.
    pub fn from_stored(text: impl Into<String>) -> Self {
        let (is_json, is_ascii) = (Memo::unknown(), Memo::unknown());
        Self(Arc::new(JsonText { json: text.into(), is_json, is_ascii }))
    }

    /// Takes a text that was found to be JSON.
    pub(crate) fn checked(text: String) -> Self {
        Self(Arc::new(JsonText { json: text, is_json: Memo::yes(), is_ascii: Memo::unknown() }))
    }

    /// Whether it is JSON. In a document, a text that isn't JSON would break all records.
    pub(crate) fn is_json(&self) -> bool {
        self.0.is_json.get_or(|| {
            let mut scanner = Scanner::new(self.expose());
            scanner.value().and_then(|_| scanner.end()).is_some()
        })
    }

    pub(crate) fn is_ascii(&self) -> bool {
        self.0.is_ascii.get_or(|| self.expose().is_ascii())
    }

    /// The text, secrets included.
    pub fn expose(&self) -> &str {
        &self.0.json
    }

    /// Whether there are other clones of this text, so that keeping this one takes no more memory.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The text as a string: without a copy, unless there is another clone.
    pub(crate) fn into_string(self) -> String {
        match Arc::try_unwrap(self.0) {
            Ok(mut text) => mem::take(&mut text.json),
            Err(shared) => shared.json.clone(),
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json([{} bytes])", self.expose().len())
    }
}
