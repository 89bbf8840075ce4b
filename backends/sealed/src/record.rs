//! Sealed records, as JSON objects: the expiry and the partition are legible, the rest is not.

use std::borrow::Cow;
use std::sync::Arc;

use base64_simd::STANDARD_NO_PAD;
use msal_cache_core::{Bytes, CredentialType, Error, Json, Partition, Record, Result};

use crate::envelope::{self, Context, length};
use crate::error::SealFailure;
use crate::header::{SECTION, is_header};
use crate::names::Names;
use crate::ring::KeyRing;

/// How the records of one cache are sealed.
#[derive(Clone, Debug)]
pub(crate) struct Sealer {
    /// The name of the cache.
    pub(crate) name: String,
    pub(crate) ring: KeyRing,
    /// Whether keys and partitions are to be hidden in the store.
    pub(crate) hidden: bool,
}

/// The first field of the authenticated data.
const LEGIBLE: &str = "msal-cache record";
const HIDDEN: &str = "msal-cache hidden record";

/// The members of the JSON object of a sealed record.
pub(crate) struct Stored<'a> {
    pub(crate) expires_on: Option<&'a str>,
    pub(crate) partition: Cow<'a, str>,
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

/// An object with the envelope `bytes`.
pub(crate) fn text(expires_on: Option<&str>, partition: &str, bytes: &[u8]) -> String {
    let mut text = head(expires_on, partition);
    text.reserve_exact(bytes.len().div_ceil(3) * 4 + TAIL.len());
    STANDARD_NO_PAD.encode_append(bytes, &mut text);
    text.push_str(TAIL);
    text
}

fn what(section: &CredentialType) -> String {
    match section {
        CredentialType::Other(name) if **name == *SECTION => "the header of the store".into(),
        // The name of another section is text of the cache.
        CredentialType::Other(_) => "a record of another section".into(),
        known => format!("a record of {}", known.as_str()),
    }
}

impl<'a> Stored<'a> {
    /// Parses what [`Sealer::seal`] writes, to the byte, and nothing else. A general parser takes longer than
    /// the decryption.
    pub(crate) fn parse(record: &'a Record) -> Result<Self> {
        Self::parse_text(record.value().expose()).ok_or_else(|| Self::not_sealed(record))
    }

    fn parse_text(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix('{')?;
        let (expires_on, rest) = match rest.strip_prefix(r#""expires_on":""#) {
            Some(rest) => {
                let (at, rest) = rest.split_once(r#"","#)?;
                // As a number is written.
                (at.parse::<i64>().is_ok_and(|it| it.to_string() == at).then_some(Some(at))?, rest)
            }
            None => (None, rest),
        };
        let rest = rest.strip_prefix(r#""partition":"#)?;
        // Not within the partition, where quotation marks are escaped.
        let (partition, rest) = rest.split_once(r#","sealed":""#)?;
        let name = partition.strip_prefix('"')?.strip_suffix('"')?;
        let partition = if name.bytes().all(is_unescaped) {
            Cow::Borrowed(name)
        } else {
            let name: String = serde_json::from_str(partition).ok()?;
            (serde_json::to_string(&name).ok()? == partition).then_some(Cow::Owned(name))?
        };
        let sealed = rest.strip_suffix(TAIL)?;
        Some(Self { expires_on, partition, sealed })
    }

    fn not_sealed(record: &Record) -> Error {
        SealFailure::not_sealed(record).into()
    }

    pub(crate) fn envelope(&self, record: &Record) -> Result<Vec<u8>> {
        STANDARD_NO_PAD.decode_to_vec(self.sealed).map_err(|_| Self::not_sealed(record))
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

impl SealFailure {
    pub(crate) fn not_sealed(record: &Record) -> Self {
        Self::NotSealed { what: what(record.credential_type()) }
    }
}

impl Sealer {
    /// Seals a record, which is stored in `partition` (the result of [`Names::partition`]).
    pub(crate) fn seal(
        &self,
        names: &Names,
        partition: &Partition,
        record: &Record,
    ) -> Result<Record> {
        if is_header(record) {
            return Err(Error::invalid("record", "its section is the one of the header"));
        }
        let key = names.key(&self.name, record.credential_type(), record.shared_key());
        self.seal_under(names.are_hidden(), key, partition, record)
    }

    /// Seals a record, which is stored under `key`.
    pub(crate) fn seal_under(
        &self,
        hidden: bool,
        key: Arc<str>,
        partition: &Partition,
        record: &Record,
    ) -> Result<Record> {
        let section = record.credential_type();
        let expires = record.expires_on();
        let expires_on = expires.map(|at| at.to_string());
        let name = length(record.key().len());
        let plain = if hidden { [&name[..], record.key().as_bytes()] } else { [&[][..], &[]] };
        let context =
            self.context(hidden, partition.as_str(), section, &key, expires_on.as_deref());
        let mut bytes = Vec::new();
        let value = record.value().expose().as_bytes();
        envelope::seal(&self.ring, context, [plain[0], plain[1], value], &mut bytes)?;
        let value = Json::from_stored(text(expires_on.as_deref(), partition.as_str(), &bytes));
        let sealed = Record::new(section.clone(), key, value);
        Ok(sealed.placed(|| partition.clone(), expires))
    }

    fn context(
        &self,
        hidden: bool,
        partition: &str,
        section: &CredentialType,
        key: &str,
        expires_on: Option<&str>,
    ) -> Context {
        let kind = if hidden { HIDDEN } else { LEGIBLE };
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
        let expires_on = stored.expires_on;
        let context =
            self.context(self.hidden, &stored.partition, section, record.key(), expires_on);
        let mut text = envelope::open(&self.ring, context, envelope, 0, what)?;
        let mut key = None;
        if self.hidden {
            // The stored key needs no check: it is authenticated, as what it was made of.
            key = Some(take_field(&mut text).ok_or_else(broken)?);
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
        let expires_on = expires_on.map(str::parse).transpose().map_err(|_| broken())?;
        Ok(match from {
            Some((partition, _)) => opened.placed(|| partition.clone(), expires_on),
            None => opened,
        })
    }
}

/// The partition in which a sealed record with hidden names is.
pub(crate) fn hidden_place(record: &Record) -> Result<Partition> {
    let stored = Stored::parse(record)?;
    let name = stored.partition.strip_prefix("user/");
    name.map(Partition::user).ok_or_else(|| Stored::not_sealed(record))
}

/// Whether JSON has a byte of a text as it is.
fn is_unescaped(byte: u8) -> bool {
    !matches!(byte, 0..0x20 | b'"' | b'\\')
}

/// Takes a text and its length from the front.
fn take_field(bytes: &mut Vec<u8>) -> Option<String> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let field = String::from_utf8(rest.get(..length)?.to_vec()).ok()?;
    bytes.drain(..4 + length);
    Some(field)
}
