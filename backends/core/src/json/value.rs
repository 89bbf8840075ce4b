use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::json::Scanner;
use crate::wipe::wipe;
use crate::{Error, Result};
use serde::de::IgnoredAny;

/// The text of one JSON value, kept as it was written.
///
/// A record is text and not a tree, so that everything that another library wrote is kept: unknown
/// fields, odd types, the digits of a number. Dropping it overwrites the text. It holds secrets, so
/// `Debug` prints only its length. Cloning copies the text; clones of a [`Record`](crate::Record)
/// share it.
#[derive(Clone)]
pub struct Json {
    text: String,
    valid: Memo,
    ascii: Memo,
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

impl Clone for Memo {
    fn clone(&self) -> Self {
        Self(AtomicU8::new(self.0.load(Ordering::Relaxed)))
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Json {}

impl Drop for Json {
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

    /// Takes a text that a store was given as [`Json`] and now returns; it isn't checked again.
    ///
    /// A text that is not JSON doesn't affect other records: it is skipped when it is read, and no
    /// document is written with it.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self { text: text.into(), valid: Memo::unknown(), ascii: Memo::unknown() }
    }

    /// Takes a text that was found to be JSON.
    pub(crate) fn checked(text: String) -> Self {
        Self { text, valid: Memo::yes(), ascii: Memo::unknown() }
    }

    /// Whether it is JSON. In a document, a text that isn't JSON would break all records.
    pub(crate) fn is_json(&self) -> bool {
        self.valid.get_or(|| {
            let mut scanner = Scanner::new(self.expose());
            scanner.value().and_then(|_| scanner.end()).is_some()
        })
    }

    pub(crate) fn is_ascii(&self) -> bool {
        self.ascii.get_or(|| self.expose().is_ascii())
    }

    /// The text, secrets included.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The text as a string, without a copy.
    pub(crate) fn into_string(mut self) -> String {
        mem::take(&mut self.text)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json([{} bytes])", self.expose().len())
    }
}
