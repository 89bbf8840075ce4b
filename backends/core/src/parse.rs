//! Reading the members and records of a document, in one pass over its text.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::CredentialType;
use crate::name::Name;
use crate::object::for_each_member;
use crate::scan::Scanner;
use crate::text::{Body, Fault, Member, Slot, Source};

/// The members of a document.
///
/// A name that occurs twice is read as every MSAL's parser reads it, the last one wins; but two
/// parts of one section count as one section, so that nothing is lost.
pub(crate) fn members(whole: &str) -> Result<Vec<Member>, Fault> {
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

struct Reader<'a> {
    whole: &'a str,
    members: Vec<Member>,
    /// For each member, the places of its keys.
    keys: Vec<HashTable<usize>>,
    /// One for all: a section may come in several parts.
    hasher: DefaultHashBuilder,
    reading: usize,
}

impl<'a> Reader<'a> {
    fn new(whole: &'a str) -> Self {
        let hasher = DefaultHashBuilder::default();
        Self { whole, members: Vec::new(), keys: Vec::new(), hasher, reading: 0 }
    }

    /// Reads a document without a parser; `None` where it is not one, or is an odd one.
    fn scan(&mut self, body: &str) -> Option<()> {
        let mut scanner = Scanner::new(body);
        scanner.object(|it, name| {
            let name = CredentialType::from(&*name);
            if it.peek()? == b'{' && !name.is_document() {
                self.reading = self.member(name, Body::Section(Vec::new()));
                return it.object(|it, key| {
                    let value = it.value()?;
                    self.record(&key, value);
                    Some(())
                });
            }
            let json = it.value()?;
            if json == "null" {
                self.member(name, Body::Null);
            } else if CredentialType::KNOWN.contains(&name) {
                return None;
            } else {
                let body = Body::Whole(self.source(json));
                self.member(name, body);
            }
            Some(())
        })?;
        scanner.end()
    }

    fn source(&self, part: &str) -> Source {
        let start = part.as_ptr() as usize - self.whole.as_ptr() as usize;
        Source::Here(start..start + part.len())
    }

    /// The place of a member, which is made if it isn't there.
    fn member(&mut self, name: CredentialType, body: Body) -> usize {
        if let Some(at) = self.members.iter().position(|member| member.name == name) {
            // Records are worth more than what is no section.
            if !matches!(self.members[at].body, Body::Section(_)) {
                self.members[at].body = body;
            }
            return at;
        }
        self.members.push(Member { name, body });
        self.keys.push(HashTable::new());
        self.members.len() - 1
    }

    fn record(&mut self, key: &str, json: &str) {
        let value = self.source(json);
        let Body::Section(slots) = &mut self.members[self.reading].body else { return };
        let hash = |key: &str| self.hasher.hash_one(key);
        let found = self.keys[self.reading].entry(
            hash(key),
            |at| *slots[*at].key == *key,
            |at| hash(&slots[*at].key),
        );
        match found {
            hashbrown::hash_table::Entry::Occupied(at) => slots[*at.get()].value = value,
            hashbrown::hash_table::Entry::Vacant(at) => {
                at.insert(slots.len());
                slots.push(Slot::new(Arc::from(key), value));
            }
        }
    }
}

/// The document.
impl<'de> Visitor<'de> for &mut Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
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
                let _ = for_each_member(json, |key, json| self.record(&key, json));
            } else if json == "null" {
                self.member(name, Body::Null);
            } else {
                let body = Body::Whole(self.source(json));
                self.member(name, body);
            }
        }
        Ok(())
    }
}

/// A section of the schema.
struct Section<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Section<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Section<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(reader) = self;
        let body = &mut reader.members[reader.reading].body;
        if !matches!(body, Body::Section(_)) {
            *body = Body::Section(Vec::new());
        }
        while let Some(Name(key)) = map.next_key()? {
            reader.record(&key, map.next_value::<&RawValue>()?.get());
        }
        Ok(())
    }
}
