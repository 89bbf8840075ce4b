//! From a document to its records and back.

use std::borrow::Cow;

use hashbrown::HashSet;

use crate::document::layout::{Body, Keep, Member};
use crate::document::out::DocumentWriter;
use crate::document::parse;
use crate::document::text::{DocumentText, not_json};
use crate::placement::Placement;
use crate::{Batch, CredentialType, Error, Expect, Json, Record, Result};

/// The records of a document, including its members that aren't sections.
///
/// # Errors
///
/// [`Error::Corrupt`] where the text, or a section of the schema, is not a JSON object.
pub fn decompose(document: &str) -> Result<Vec<Record>> {
    let members: Vec<Member<WholeRecord>> =
        parse::members(document).map_err(|fault| fault.at("the document"))?;
    let mut records = Vec::with_capacity(members.iter().map(Member::len).sum());
    for Member { name, body } in members {
        let value = match body {
            Body::Section(section) if !section.is_empty() => {
                records.extend(section.into_iter().map(|WholeRecord(record)| record));
                continue;
            }
            Body::Section(_) => "{}",
            Body::Null => "null",
            Body::Whole(ref value) => value.text(document),
        };
        let value = Json::checked(value.to_owned());
        records.push(Record::new(CredentialType::document(), name.as_str(), value));
    }
    Ok(records)
}

/// A record with its text.
struct WholeRecord(Record);

impl<'a> Keep<'a> for WholeRecord {
    fn keep(
        _: &'a str,
        section: &CredentialType,
        key: Cow<'a, str>,
        value: &'a str,
        placement: Placement,
    ) -> Self {
        let value = Json::checked(value.to_owned());
        Self(Record::with_placement(section.clone(), &*key, value, placement))
    }

    fn key<'s>(&'s self, _: &'s str) -> &'s str {
        self.0.key()
    }
}

/// Writes records as one document, the reverse of [`decompose`]: ASCII, one record a line, the
/// sections of the schema first.
///
/// # Errors
///
/// [`Error::Corrupt`] where the value of a record is not JSON, and where two records have one key:
/// a document would lose one of them.
pub fn compose(records: impl IntoIterator<Item = Record>) -> Result<String> {
    let mut records: Vec<_> = records.into_iter().collect();
    let rank = |it: &Record| {
        let known = CredentialType::KNOWN.iter().position(|known| known == it.credential_type());
        known.unwrap_or(CredentialType::KNOWN.len())
    };
    records.sort_by_cached_key(rank);
    let mut keys = HashSet::with_capacity(records.len());
    let twice = records.iter().find(|it| !keys.insert((it.credential_type(), it.key())));
    if let Some(twice) = twice {
        return Err(Error::Corrupt {
            place: "the store".into(),
            reason: format!("it holds two records under one key of {}", twice.credential_type()),
            position: None,
        });
    }
    let is_other = |it: &Record| matches!(it.credential_type(), CredentialType::Other(_));
    if !records.iter().any(is_other) {
        return compose_sections(&records);
    }
    let mut batch = Batch::new();
    for record in &records {
        batch.change(record.partition(), Expect::Any).put(record.clone());
    }
    let composed = DocumentText::empty().apply(&batch)?;
    Ok(composed.unwrap_or_else(DocumentText::empty).into_string())
}

/// Writes records that are sorted by section, all of them in sections of the schema.
fn compose_sections(records: &[Record]) -> Result<String> {
    let mut length = 2;
    for record in records {
        if !record.value().is_json() {
            return Err(not_json(record));
        }
        length += record.key().len() + record.value().expose().len() + 8;
    }
    length += CredentialType::KNOWN.iter().map(|it| it.as_str().len() + 16).sum::<usize>();
    let mut out = DocumentWriter::with_capacity(length);
    out.push("{");
    let mut section = None;
    for record in records {
        if section == Some(record.credential_type()) {
            out.push(",\n");
        } else {
            out.push(if section.is_some() { "\n},\n" } else { "\n" });
            out.name(record.credential_type().as_str());
            out.push("{\n");
            section = Some(record.credential_type());
        }
        out.name(record.key());
        if record.value().is_ascii() {
            out.push(record.value().expose());
        } else {
            out.value(record.value().expose());
        }
    }
    out.push(if section.is_some() { "\n}\n}" } else { "}" });
    Ok(out.finish().into_string())
}
