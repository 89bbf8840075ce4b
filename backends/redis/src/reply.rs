//! From the replies of the scripts to records.

use msal_cache_core::{CredentialType, Error, Json, Load, Record, Result, Revision, Snapshot};
use redis::Value;

use crate::error::{RedisFailure, corrupt};

/// A revision as it is stored: 32 hexadecimal digits, or `0`. In a partition, it is followed by what
/// its expiry depends on.
pub(crate) fn hex(revision: Revision) -> String {
    if revision == Revision::ABSENT {
        return "0".into();
    }
    format!("{:032x}", revision.as_u128())
}

/// Reads the replies of one server.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'a> {
    pub(crate) server: &'a str,
}

/// A record and its position.
pub(crate) type Placed = (u64, Record);

impl Reply<'_> {
    pub(crate) fn unexpected(self) -> Error {
        RedisFailure::Reply { server: self.server.into() }.into()
    }

    fn foreign(self) -> Error {
        corrupt(self.server, "a key of the cache holds data of another program")
    }

    pub(crate) fn items(self, value: Value) -> Result<Vec<Value>> {
        match value {
            Value::Array(items) => Ok(items),
            _ => Err(self.unexpected()),
        }
    }

    pub(crate) fn text(self, value: Option<Value>) -> Result<String> {
        match value {
            Some(Value::BulkString(bytes)) => String::from_utf8(bytes).map_err(|_| self.foreign()),
            Some(Value::Int(number)) => Ok(number.to_string()),
            _ => Err(self.unexpected()),
        }
    }

    pub(crate) fn revision(self, value: Option<Value>) -> Result<Revision> {
        let text = self.text(value)?;
        // A partition keeps more behind it.
        let text = text.split(' ').next().unwrap_or_default();
        let bits = u128::from_str_radix(text, 16).map_err(|_| self.foreign())?;
        Ok(Revision::from_u128(bits))
    }

    /// One element of the reply to a load.
    pub(crate) fn load(self, value: Value) -> Result<Load> {
        let items = match value {
            Value::Int(_) => return Ok(Load::Unchanged),
            value => self.items(value)?,
        };
        if items.is_empty() {
            return Ok(Load::Snapshot(Snapshot::new(Revision::ABSENT, Vec::new())));
        }
        let (revision, mut records) = self.fields(items)?;
        let revision = revision.ok_or_else(|| self.foreign())?;
        records.sort_unstable_by_key(|(position, _)| *position);
        let records = records.into_iter().map(|(_, record)| record).collect();
        Ok(Load::Snapshot(Snapshot::new(revision, records)))
    }

    /// The fields of a partition: its revision, if it is among them, and the records.
    pub(crate) fn fields(self, items: Vec<Value>) -> Result<(Option<Revision>, Vec<Placed>)> {
        let (mut revision, mut records) = (None, Vec::with_capacity(items.len() / 2));
        let mut items = items.into_iter();
        while let Some(field) = items.next() {
            let (field, value) = (self.text(Some(field))?, items.next());
            match field.split_once('\0') {
                Some((section, key)) => records.push(self.record(section, key, value)?),
                None if field == "r" => revision = Some(self.revision(value)?),
                None => return Err(self.foreign()),
            }
        }
        Ok((revision, records))
    }

    fn record(self, section: &str, key: &str, value: Option<Value>) -> Result<Placed> {
        let mut text = self.text(value)?;
        let at = text.find(':').ok_or_else(|| self.foreign())?;
        let position = text[..at].parse().map_err(|_| self.foreign())?;
        text.drain(..=at);
        let record = Record::new(CredentialType::from(section), key, Json::from_stored(text));
        Ok((position, record))
    }
}
