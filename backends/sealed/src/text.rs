//! The text of a key ring.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msal_cache_core::Result;
use zeroize::Zeroizing;

use crate::error::SealFailure;
use crate::key::{Key, Text};

/// Keys by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) sealing: BTreeMap<u32, Arc<Key>>,
}

impl Keys {
    /// A new key, with the number 1.
    pub(crate) fn generate() -> Result<Self> {
        let mut keys = Self::default();
        keys.sealing.insert(1, Arc::new(Key::generate()?));
        Ok(keys)
    }

    /// Adds a new key, and returns its number.
    pub(crate) fn add(&mut self, place: &str) -> Result<u32> {
        let last = self.sealing.last_key_value().map_or(0, |(number, _)| *number);
        let next = last.checked_add(1).ok_or_else(|| SealFailure::keys(place, "it is full"))?;
        self.sealing.insert(next, Arc::new(Key::generate()?));
        Ok(next)
    }

    /// Removes a key. Not the newest: a later key would get its number.
    pub(crate) fn remove(&mut self, place: &str, number: u32) -> Result<()> {
        if self.sealing.last_key_value().is_some_and(|(newest, _)| *newest == number) {
            let reason = format!("key {number} is the newest, and seals; add another one first");
            return Err(SealFailure::keys(place, reason));
        }
        match self.sealing.remove(&number) {
            Some(_) => Ok(()),
            None => Err(SealFailure::keys(place, format!("it has no key {number}"))),
        }
    }

    /// Parses lines of a number and a key in Base64. Blank lines and those that begin with `#` are
    /// comments.
    pub(crate) fn parse(place: &str, text: &str) -> Result<Self> {
        let mut keys = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong =
                |reason: &str| SealFailure::keys(place, format!("line {}: {reason}", index + 1));
            let (name, key) = line
                .split_once(char::is_whitespace)
                .ok_or_else(|| wrong("a line has a number and a key in Base64"))?;
            let bytes = Zeroizing::new(
                STANDARD.decode(key.trim_start()).map_err(|_| wrong("the key is not Base64"))?,
            );
            let key = Key::from_bytes(&bytes)
                .map_err(|_| wrong("the key has another size than 32 bytes"))?;
            let number = name.parse().map_err(|_| wrong("the number is not one"))?;
            if keys.sealing.insert(number, Arc::new(key)).is_some() {
                return Err(wrong("there is a second key of this number"));
            }
        }
        keys.checked(place)
    }

    pub(crate) fn checked(self, place: &str) -> Result<Self> {
        if self.sealing.is_empty() {
            return Err(SealFailure::keys(place, "it has no key"));
        }
        Ok(self)
    }

    /// The text that [`parse`](Self::parse) reads.
    pub(crate) fn text(&self) -> Text {
        // Sized at once, so that no part of it is left behind by a reallocation.
        let mut text = Text::new(String::with_capacity(256 + 64 * (self.sealing.len() + 1)));
        text.push_str("# Keys of msal-cache: a number and a key. The highest number seals.\n");
        for (number, key) in &self.sealing {
            line(&mut text, &number.to_string(), key);
        }
        text
    }
}

fn line(text: &mut Text, name: &str, key: &Key) {
    text.push_str(name);
    text.push(' ');
    STANDARD.encode_string(key.expose(), text);
    text.push('\n');
}
