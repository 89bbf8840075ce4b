//! The parts of a document: its members, its records, and where in the text each of them is.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::placement::Placement;
use crate::{CredentialType, Error, Partition, Record};

/// A member of the document. `K` is what is kept of each record.
#[derive(Clone)]
pub(crate) struct Member<K = Slot> {
    pub(crate) name: CredentialType,
    pub(crate) body: Body<K>,
}

#[derive(Clone)]
pub(crate) enum Body<K = Slot> {
    /// A section: an object of records.
    Section(Vec<K>),
    /// `null`, which becomes a section when it gets a record.
    Null,
    /// Any other value, kept as it is.
    Whole(Source),
}

/// A record, kept small: a file has thousands, and one is wanted.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) key: Key,
    pub(crate) value: Source,
    /// The [`Partition::tag`] of its partition.
    pub(crate) tag: u64,
    pub(crate) expires_on: Option<i64>,
}

#[derive(Clone)]
pub(crate) enum Key {
    /// In the text of this document.
    Here(Range<usize>),
    /// In a record that is about to be written, or escaped in the text.
    Own(Arc<str>),
}

/// The index of a member, and the index of a record in it.
pub(crate) type RecordAt = (usize, usize);

/// Where a value's text is.
#[derive(Clone)]
pub(crate) enum Source {
    /// In the text of this document.
    Here(Range<usize>),
    /// In a record that is about to be written.
    New(Record),
}

/// Why a text is not a document.
#[derive(Clone, Debug)]
pub(crate) struct DocumentFault {
    pub(crate) reason: Cow<'static, str>,
    pub(crate) position: Option<(usize, usize)>,
}

impl DocumentFault {
    pub(crate) fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), position: None }
    }

    pub(crate) fn at(&self, place: &str) -> Error {
        Error::Corrupt {
            place: place.into(),
            reason: self.reason.clone().into_owned(),
            position: self.position,
        }
    }
}

impl From<serde_json::Error> for DocumentFault {
    fn from(error: serde_json::Error) -> Self {
        match Error::not_json("", &error) {
            Error::Corrupt { reason, position, .. } => Self { reason: reason.into(), position },
            _ => Self::new("it is not valid JSON"),
        }
    }
}

impl<K> Member<K> {
    /// The number of records. A member that isn't a section counts as one.
    pub(crate) fn len(&self) -> usize {
        self.body.records().map_or(1, <[K]>::len)
    }
}

impl Member {
    /// Its length when it is written, approximately and in bytes.
    pub(crate) fn written_len(&self, document: &str) -> usize {
        let body = match &self.body {
            Body::Null => 0,
            Body::Whole(value) => value.text(document).len(),
            Body::Section(slots) => {
                let len = |it: &Slot| it.key(document).len() + it.value.text(document).len() + 8;
                slots.iter().map(len).sum()
            }
        };
        self.name.as_str().len() + body + 16
    }

    /// Its records, or itself where it isn't a section.
    pub(crate) fn positions(&self, at: usize) -> impl Iterator<Item = RecordAt> + use<> {
        (0..self.len()).map(move |slot| (at, slot))
    }
}

impl<K> Body<K> {
    /// The records. An empty section has `None`, since it is kept like a member that isn't a
    /// section.
    pub(crate) fn records(&self) -> Option<&[K]> {
        match self {
            Self::Section(slots) if !slots.is_empty() => Some(slots),
            _ => None,
        }
    }
}

impl Slot {
    /// A record that is about to be written.
    pub(crate) fn new(record: &Record) -> Self {
        let key = Key::Own(record.shared_key().clone());
        let (tag, expires_on) = (record.partition().tag(), record.expires_on());
        Self { key, value: Source::New(record.clone()), tag, expires_on }
    }

    /// The key, where `document` is the text of the document.
    pub(crate) fn key<'a>(&'a self, document: &'a str) -> &'a str {
        match &self.key {
            Key::Here(range) => &document[range.clone()],
            Key::Own(key) => key,
        }
    }

    /// The key, to keep.
    pub(crate) fn shared_key(&self, document: &str) -> Arc<str> {
        match &self.key {
            Key::Here(range) => document[range.clone()].into(),
            Key::Own(key) => key.clone(),
        }
    }

    /// The partition of the record, where `document` is the text of the document.
    pub(crate) fn partition(&self, section: &CredentialType, document: &str) -> Partition {
        Placement::of(section, self.value.text(document)).partition
    }
}

/// What is kept of each record of a document.
pub(crate) trait Keep<'a>: Sized {
    /// Keeps a record of `document`.
    fn keep(
        document: &'a str,
        section: &CredentialType,
        key: Cow<'a, str>,
        value: &'a str,
        placement: Placement,
    ) -> Self;

    /// The key of the record.
    fn key<'s>(&'s self, document: &'s str) -> &'s str;
}

impl<'a> Keep<'a> for Slot {
    fn keep(
        document: &'a str,
        _: &CredentialType,
        key: Cow<'a, str>,
        value: &'a str,
        placement: Placement,
    ) -> Self {
        let key = match key {
            Cow::Borrowed(key) => Key::Here(range(document, key)),
            Cow::Owned(key) => Key::Own(key.into()),
        };
        let (tag, expires_on) = (placement.partition.tag(), placement.expires_on);
        Self { key, value: Source::part(document, value), tag, expires_on }
    }

    fn key<'s>(&'s self, document: &'s str) -> &'s str {
        self.key(document)
    }
}

/// The range of a part of the document.
fn range(document: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - document.as_ptr() as usize;
    start..start + part.len()
}

impl Source {
    /// A part of the document.
    pub(crate) fn part(document: &str, part: &str) -> Self {
        Self::Here(range(document, part))
    }

    /// The text, where `document` is the text of the document.
    pub(crate) fn text<'a>(&'a self, document: &'a str) -> &'a str {
        match self {
            Self::Here(range) => &document[range.clone()],
            Self::New(record) => record.value().expose(),
        }
    }
}
