//! Sealed records, as JSON objects: the expiry and the partition are legible, the rest is not.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use msal_cache_core::{Bytes, CredentialType, Error, Json, Partition, Record, Result};
use serde::Deserialize;

use crate::envelope::{self, Context, length};
use crate::error::SealFailure;
use crate::key::Key;
use crate::ring::KeyRing;

/// How the records of one cache are sealed.
#[derive(Clone, Debug)]
pub(crate) struct Sealer {
    /// The name of the cache.
    pub(crate) name: String,
    pub(crate) ring: KeyRing,
    /// Whether keys and partitions are hidden.
    pub(crate) hidden: bool,
}

/// The first field of the authenticated data.
const LEGIBLE: &str = "msal-cache record";
const HIDDEN: &str = "msal-cache hidden record";

/// The JSON object of a sealed record.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    #[serde(borrow, default)]
    expires_on: Option<Cow<'a, str>>,
    #[serde(borrow)]
    partition: Cow<'a, str>,
    /// Base64, which needs no escapes.
    sealed: &'a str,
}

/// An object up to its envelope.
fn head(expires_on: Option<&str>, partition: &str) -> String {
    let partition = serde_json::to_string(partition).expect("a text is JSON");
    match expires_on {
        Some(at) => format!(r#"{{"expires_on":"{at}","partition":{partition},"sealed":""#),
        None => format!(r#"{{"partition":{partition},"sealed":""#),
    }
}

/// The object after its envelope.
const TAIL: &str = "\"}";

fn what(section: &CredentialType) -> String {
    match section {
        // The name of another section is text of the cache.
        CredentialType::Other(_) => "a record of another section".into(),
        known => format!("a record of {}", known.as_str()),
    }
}

impl<'a> Stored<'a> {
    /// Parses what [`Sealer::seal`] writes, to the byte.
    fn parse(record: &'a Record) -> Result<Self> {
        let text = record.value().expose();
        let stored: Self = serde_json::from_str(text).map_err(|_| Self::not_sealed(record))?;
        let head = head(stored.expires_on.as_deref(), &stored.partition);
        let is_whole = text.len() == head.len() + stored.sealed.len() + TAIL.len();
        if is_whole && text.starts_with(&head) && text.ends_with(TAIL) {
            return Ok(stored);
        }
        Err(Self::not_sealed(record))
    }

    fn not_sealed(record: &Record) -> Error {
        SealFailure::NotSealed { what: what(record.credential_type()) }.into()
    }

    fn envelope(&self, record: &Record) -> Result<Vec<u8>> {
        STANDARD_NO_PAD.decode(self.sealed).map_err(|_| Self::not_sealed(record))
    }
}

/// The number of the key that sealed a record. No key is needed.
pub(crate) fn number_of(record: &Record) -> Result<u32> {
    let stored = Stored::parse(record)?;
    envelope::number(&stored.envelope(record)?, || what(record.credential_type()))
}

/// Whether a record looks sealed: an object with these members, which no MSAL library writes.
pub(crate) fn is_sealed(record: &Record) -> bool {
    Stored::parse(record).is_ok()
}

impl Sealer {
    fn names(&self) -> Result<std::sync::Arc<Key>> {
        let lacks = "it has no key that hides names; add a line `names`";
        self.ring.names().ok_or_else(|| SealFailure::keys("the key ring", lacks))
    }

    /// 128 bits of an HMAC over these texts, as hexadecimal digits.
    fn hide(&self, fields: [&str; 3]) -> Result<String> {
        let mut text = Vec::new();
        for field in [self.name.as_str()].into_iter().chain(fields) {
            text.extend_from_slice(&length(field.len()));
            text.extend_from_slice(field.as_bytes());
        }
        let mac = self.names()?.mac(&text);
        let bits = mac[..16].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte));
        Ok(format!("{bits:032x}"))
    }

    /// The partition in which the sealed records of this one are.
    pub(crate) fn partition<'p>(&self, partition: &'p Partition) -> Result<Cow<'p, Partition>> {
        if !self.hidden {
            return Ok(Cow::Borrowed(partition));
        }
        Ok(Cow::Owned(Partition::user(&self.hide(["partition", partition.as_str(), ""])?)))
    }

    /// The key under which a sealed record is stored.
    pub(crate) fn key(&self, section: &CredentialType, key: &str) -> Result<String> {
        self.hide(["key", section.as_str(), key])
    }

    /// Seals a record, which is stored in `partition` (the result of [`Sealer::partition`]).
    pub(crate) fn seal(&self, partition: &Partition, record: &Record) -> Result<Record> {
        let section = record.credential_type();
        let expires = record.expires_on();
        let expires_on = expires.map(|at| at.to_string());
        let hidden = if self.hidden { Some(self.key(section, record.key())?) } else { None };
        let context = self.context(
            partition.as_str(),
            section,
            hidden.as_deref().unwrap_or(record.key()),
            expires_on.as_deref(),
        );
        let key = if self.hidden {
            [&length(record.key().len())[..], record.key().as_bytes()].concat()
        } else {
            Vec::new()
        };
        let mut bytes = Vec::new();
        envelope::seal(
            &self.ring,
            context,
            [&key, record.value().expose().as_bytes()],
            &mut bytes,
        )?;
        let mut text = head(expires_on.as_deref(), partition.as_str());
        text.reserve_exact(bytes.len().div_ceil(3) * 4 + TAIL.len());
        STANDARD_NO_PAD.encode_string(&bytes, &mut text);
        text.push_str(TAIL);
        let value = Json::from_stored(text);
        let sealed = match hidden {
            None => record.with_value(value),
            Some(key) => Record::new(section.clone(), key, value),
        };
        Ok(sealed.placed(|| partition.clone(), expires))
    }

    fn context(
        &self,
        partition: &str,
        section: &CredentialType,
        key: &str,
        expires_on: Option<&str>,
    ) -> Context {
        let kind = if self.hidden { HIDDEN } else { LEGIBLE };
        Context::of([
            kind,
            &self.name,
            partition,
            section.as_str(),
            key,
            expires_on.unwrap_or_default(),
        ])
    }

    /// Opens a sealed record. Where it was read from a partition, that is `from`, and the one in which
    /// its sealed form is stored.
    pub(crate) fn open(
        &self,
        record: &Record,
        from: Option<(&Partition, &Partition)>,
    ) -> Result<Record> {
        let section = record.credential_type();
        let stored = Stored::parse(record)?;
        let what = || what(section);
        let envelope = stored.envelope(record)?;
        let number = envelope::number(&envelope, what)?;
        let broken = || Error::from(SealFailure::Broken { what: what(), number });
        if from.is_some_and(|(_, inner)| inner.as_str() != stored.partition) {
            return Err(broken());
        }
        let context =
            self.context(&stored.partition, section, record.key(), stored.expires_on.as_deref());
        let mut text = envelope::open(&self.ring, context, envelope, what)?;
        let mut key = None;
        if self.hidden {
            let name = take_field(&mut text).ok_or_else(broken)?;
            if *self.key(section, &name)? != *record.key() {
                return Err(broken());
            }
            key = Some(name);
        }
        let text = match String::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                drop(Bytes::from(error.into_bytes())); // overwrites them
                return Err(broken());
            }
        };
        let value = Json::from_stored(text);
        let opened = match key {
            None => record.with_value(value),
            Some(key) => Record::new(section.clone(), key, value),
        };
        let expires_on =
            stored.expires_on.as_deref().map(str::parse).transpose().map_err(|_| broken())?;
        Ok(match from {
            Some((partition, _)) => opened.placed(|| partition.clone(), expires_on),
            None => opened,
        })
    }
}

/// Takes a text and its length from the front.
fn take_field(bytes: &mut Vec<u8>) -> Option<String> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let field = String::from_utf8(rest.get(..length)?.to_vec()).ok()?;
    bytes.drain(..4 + length);
    Some(field)
}
