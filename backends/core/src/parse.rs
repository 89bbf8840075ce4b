//! Reading the members and records of a document, in one pass over its text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::CredentialType;
use crate::index::Index;
use crate::name::Name;
use crate::object::for_each_member;
use crate::partition::Place;
use crate::scan::Scanner;
use crate::text::{Body, Fault, Member, Source};

/// What is kept of each record of a document.
pub(crate) trait Keep<'a>: Sized {
    /// Keeps a record with this key and value, of the document `whole`.
    fn keep(
        whole: &'a str,
        section: &CredentialType,
        key: Cow<'a, str>,
        value: &'a str,
        place: Place,
    ) -> Self;

    /// The key of the record.
    fn key<'s>(&'s self, whole: &'s str) -> &'s str;
}

/// The members of a document.
///
/// A name that occurs twice is read as every MSAL's parser reads it, the last one wins; but two
/// parts of one section count as one section, so that nothing is lost.
pub(crate) fn members<'a, K: Keep<'a>>(whole: &'a str) -> Result<Vec<Member<K>>, Fault> {
    // No library writes a byte order mark, editors do.
    let body = whole.strip_prefix('\u{feff}').unwrap_or(whole);
    match body.trim_start().as_bytes().first() {
        None => return Err(Fault::new("it is empty")),
        Some(b'{') => {}
        Some(_) => {
            serde_json::from_str::<IgnoredAny>(body)?;
            return Err(Fault::new("its JSON is not an object"));
        }
    }
    let mut reader = Reader::new(whole);
    if reader.scan(body).is_some() {
        return Ok(reader.members);
    }
    // The parser says what is wrong, or takes what is out of the ordinary.
    let mut reader = Reader::new(whole);
    let mut parser = serde_json::Deserializer::from_str(body);
    let read = parser.deserialize_map(&mut reader).and_then(|()| parser.end());
    match read {
        Ok(()) => Ok(reader.members),
        // The parser met a value of another type than it was asked for.
        Err(error) if error.classify() == Category::Data => {
            let section = reader.members.get(reader.reading).map_or("", |it| it.name.as_str());
            Err(Fault::new(format!("its section {section} is not an object")))
        }
        Err(error) => Err(error.into()),
    }
}

struct Reader<'a, K> {
    whole: &'a str,
    members: Vec<Member<K>>,
    /// For each member, the places of its keys.
    keys: Vec<Index>,
    /// The place of the section whose records are read.
    reading: usize,
}

impl<'a, K: Keep<'a>> Reader<'a, K> {
    fn new(whole: &'a str) -> Self {
        Self { whole, members: Vec::new(), keys: Vec::new(), reading: 0 }
    }

    /// Reads a document without a parser; `None` where it is not one, or is an odd one.
    fn scan(&mut self, body: &'a str) -> Option<()> {
        let mut scanner = Scanner::new(body);
        scanner.object(|it, name| {
            let name = CredentialType::from(&*name);
            if it.peek()? == b'{' && !name.is_document() {
                self.reading = self.member(name.clone(), Body::Section(Vec::new()));
                return it.object(|it, key| {
                    let (value, place) = Place::scan(&name, it)?;
                    self.record(K::keep(self.whole, &name, key, value, place));
                    Some(())
                });
            }
            let json = it.value()?;
            if json == "null" {
                self.member(name, Body::Null);
            } else if CredentialType::KNOWN.contains(&name) {
                return None;
            } else {
                let body = Body::Whole(Source::part(self.whole, json));
                self.member(name, body);
            }
            Some(())
        })?;
        scanner.end()
    }

    /// The place of a member, which is made if it isn't there.
    fn member(&mut self, name: CredentialType, body: Body<K>) -> usize {
        if let Some(at) = self.members.iter().position(|member| member.name == name) {
            // Records are worth more than what is no section.
            if !matches!(self.members[at].body, Body::Section(_)) {
                self.members[at].body = body;
            }
            return at;
        }
        self.members.push(Member { name, body });
        self.keys.push(Index::default());
        self.members.len() - 1
    }

    fn record(&mut self, record: K) {
        let Body::Section(records) = &mut self.members[self.reading].body else { return };
        let key = record.key(self.whole);
        let is_at = |at: usize| records[at].key(self.whole) == key;
        match self.keys[self.reading].find_or_insert(key, records.len(), is_at) {
            Some(at) => records[at] = record,
            None => records.push(record),
        }
    }

    fn parsed(&mut self, key: Cow<'a, str>, value: &'a str) {
        let section = &self.members[self.reading].name;
        let place = Place::of(section, value);
        let record = K::keep(self.whole, section, key, value, place);
        self.record(record);
    }
}

/// The document.
impl<'a, K: Keep<'a>> Visitor<'a> for &mut Reader<'a, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            let name = CredentialType::from(&*name);
            if CredentialType::KNOWN.contains(&name) {
                self.reading = self.member(name, Body::Null);
                map.next_value_seed(Section(self))?;
                continue;
            }
            let json = map.next_value::<&RawValue>()?.get();
            if json.starts_with('{') && !name.is_document() {
                self.reading = self.member(name, Body::Section(Vec::new()));
                // It was read once, so it can be read again.
                let _ = for_each_member(json, |key, value| self.parsed(key, value));
            } else if json == "null" {
                self.member(name, Body::Null);
            } else {
                let body = Body::Whole(Source::part(self.whole, json));
                self.member(name, body);
            }
        }
        Ok(())
    }
}

/// A section of the schema.
struct Section<'r, 'a, K>(&'r mut Reader<'a, K>);

impl<'a, K: Keep<'a>> DeserializeSeed<'a> for Section<'_, 'a, K> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, K: Keep<'a>> Visitor<'a> for Section<'_, 'a, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(reader) = self;
        let body = &mut reader.members[reader.reading].body;
        if !matches!(body, Body::Section(_)) {
            *body = Body::Section(Vec::new());
        }
        while let Some(Name(key)) = map.next_key()? {
            reader.parsed(key, map.next_value::<&RawValue>()?.get());
        }
        Ok(())
    }
}
