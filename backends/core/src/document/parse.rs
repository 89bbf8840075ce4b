//! Reads the members and records of a document in one pass over its text.

use serde::de::IgnoredAny;

use crate::CredentialType;
use crate::document::index::KeyIndex;
use crate::document::layout::{Body, DocumentFault, Keep, Member, Source};
use crate::json::Scanner;
use crate::placement::Placement;

/// The members of a document.
///
/// Of a name that occurs twice, the last value counts, as in the parsers of all MSAL libraries. Two
/// parts of one section count as one section, so that nothing is lost.
pub(crate) fn members<'a, K: Keep<'a>>(document: &'a str) -> Result<Vec<Member<K>>, DocumentFault> {
    // Libraries write no byte order mark, but editors do.
    let body = document.strip_prefix('\u{feff}').unwrap_or(document);
    match body.trim_start().as_bytes().first() {
        None => return Err(DocumentFault::new("it is empty")),
        Some(b'{') => {}
        Some(_) => {
            serde_json::from_str::<IgnoredAny>(body)?;
            return Err(DocumentFault::new("its JSON is not an object"));
        }
    }
    let mut reader = Reader::new(document);
    if reader.scan(body).is_some() {
        return Ok(reader.members);
    }
    // The parser finds the error and its position.
    serde_json::from_str::<IgnoredAny>(body)?;
    let section = reader.odd.as_ref().map_or("", CredentialType::as_str);
    Err(DocumentFault::new(format!("its section {section} is not an object")))
}

struct Reader<'a, K> {
    document: &'a str,
    members: Vec<Member<K>>,
    /// The indexes of the members, by name.
    names: KeyIndex,
    /// For each member, the indexes of its keys.
    keys: Vec<KeyIndex>,
    /// The index of the section whose records are read.
    reading: usize,
    /// A section of the schema that is not an object.
    odd: Option<CredentialType>,
}

impl<'a, K: Keep<'a>> Reader<'a, K> {
    fn new(document: &'a str) -> Self {
        let (members, names, keys) = (Vec::new(), KeyIndex::default(), Vec::new());
        Self { document, members, names, keys, reading: 0, odd: None }
    }

    /// Reads a document; `None` where the text is not one.
    fn scan(&mut self, body: &'a str) -> Option<()> {
        let mut scanner = Scanner::new(body);
        scanner.object(|it, name| {
            let name = CredentialType::from(&*name);
            if it.peek()? == b'{' && !name.is_document() {
                self.reading = self.member(name.clone(), Body::Section(Vec::new()));
                return it.object(|it, key| {
                    let (value, placement) = Placement::scan(&name, it)?;
                    self.record(K::keep(self.document, &name, key, value, placement));
                    Some(())
                });
            }
            let json = it.value()?;
            if json == "null" {
                self.member(name, Body::Null);
            } else if CredentialType::KNOWN.contains(&name) {
                self.odd.get_or_insert(name);
                return None;
            } else {
                let body = Body::Whole(Source::part(self.document, json));
                self.member(name, body);
            }
            Some(())
        })?;
        scanner.end()
    }

    /// The index of a member, which is added if it is missing.
    fn member(&mut self, name: CredentialType, body: Body<K>) -> usize {
        let members = &self.members;
        let is_at = |at: usize| members[at].name == name;
        if let Some(at) = self.names.find_or_insert(name.as_str(), members.len(), is_at) {
            // A value that isn't a section doesn't replace records.
            if !matches!(self.members[at].body, Body::Section(_)) {
                self.members[at].body = body;
            }
            return at;
        }
        self.members.push(Member { name, body });
        self.keys.push(KeyIndex::default());
        self.members.len() - 1
    }

    fn record(&mut self, record: K) {
        let Body::Section(records) = &mut self.members[self.reading].body else { return };
        let key = record.key(self.document);
        let is_at = |at: usize| records[at].key(self.document) == key;
        match self.keys[self.reading].find_or_insert(key, records.len(), is_at) {
            Some(at) => records[at] = record,
            None => records.push(record),
        }
    }
}
