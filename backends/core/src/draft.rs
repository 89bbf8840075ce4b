//! A document that is being changed, and how it is written.

use std::fmt::Write;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::partition::Place;
use crate::text::{Body, Member, Slot, Source};
use crate::{CredentialType, Error, Json, Partition, Record, Result};

/// Members that are being changed. Deleted slots stay as gaps until the end, so that places
/// remain valid.
#[derive(Default)]
pub(crate) struct Draft {
    members: Vec<(CredentialType, Piece)>,
    keys: HashMap<(usize, Arc<str>), usize>,
}

enum Piece {
    Section(Vec<Option<Slot>>),
    Null,
    Whole(Source),
    Gone,
}

impl Piece {
    fn holds_records(&self) -> bool {
        matches!(self, Self::Section(slots) if slots.iter().any(Option::is_some))
    }
}

impl From<Vec<Member>> for Draft {
    fn from(members: Vec<Member>) -> Self {
        let mut draft = Self::default();
        for member in members {
            match member.body {
                Body::Null => draft.members.push((member.name, Piece::Null)),
                Body::Whole(value) => draft.members.push((member.name, Piece::Whole(value))),
                Body::Section(slots) => {
                    let at = draft.members.len();
                    let keys =
                        slots.iter().enumerate().map(|(i, slot)| ((at, slot.key.clone()), i));
                    draft.keys.extend(keys);
                    let slots = slots.into_iter().map(Some).collect();
                    draft.members.push((member.name, Piece::Section(slots)));
                }
            }
        }
        draft
    }
}

impl Draft {
    fn position(&self, name: &CredentialType) -> Option<usize> {
        self.members.iter().position(|(it, body)| it == name && !matches!(body, Piece::Gone))
    }

    /// The place of the section, which is made if it isn't there. It takes the place of what is
    /// no section.
    pub(crate) fn section(&mut self, name: CredentialType) -> usize {
        let at = self.position(&name).unwrap_or_else(|| {
            self.members.push((name, Piece::Section(Vec::new())));
            self.members.len() - 1
        });
        if !matches!(self.members[at].1, Piece::Section(_)) {
            self.members[at].1 = Piece::Section(Vec::new());
        }
        at
    }

    pub(crate) fn set_whole(&mut self, name: CredentialType, json: &str, value: Source) {
        let body = if json == "null" { Piece::Null } else { Piece::Whole(value) };
        match self.position(&name) {
            // A section that occurs twice, once as no object: the records are worth more.
            Some(at) if self.members[at].1.holds_records() => {}
            Some(at) => self.members[at].1 = body,
            None => self.members.push((name, body)),
        }
    }

    pub(crate) fn put(&mut self, section: usize, key: Arc<str>, value: Source, text: &str) {
        let (name, Piece::Section(slots)) = &mut self.members[section] else { return };
        let Place { partition, expires_on } = Place::of(name, text);
        let slot = Slot { key: key.clone(), value, partition, expires_on };
        match self.keys.entry((section, key)) {
            hashbrown::hash_map::Entry::Occupied(at) => slots[*at.get()] = Some(slot),
            hashbrown::hash_map::Entry::Vacant(at) => {
                at.insert(slots.len());
                slots.push(Some(slot));
            }
        }
    }

    pub(crate) fn put_record(&mut self, record: &Record) -> Result<bool> {
        let (name, value) = (&record.credential_type, &record.value);
        if name.is_document() {
            return self.put_member(CredentialType::from(&*record.key), value);
        }
        if self.position(name).is_some_and(|at| matches!(self.members[at].1, Piece::Whole(_))) {
            let reason = "the document holds something else under this name";
            return Err(Error::invalid(format!("section {:?}", name.as_str()), reason));
        }
        let section = self.section(name.clone());
        self.put(section, record.key.clone(), Source::New(value.clone()), value.expose());
        Ok(true)
    }

    /// Puts a member that is no section, or the empty section.
    fn put_member(&mut self, name: CredentialType, value: &Json) -> Result<bool> {
        let empty_section = value.expose() == "{}" && !name.is_document();
        let at = self.position(&name);
        if at.is_some_and(|at| self.members[at].1.holds_records()) {
            if empty_section || value.expose() == "null" {
                // It says nothing about a section that isn't empty any more.
                return Ok(false);
            }
            let reason = "it would take the place of a section that holds records";
            return Err(Error::invalid(format!("member {:?}", name.as_str()), reason));
        }
        if empty_section {
            self.section(name);
        } else {
            self.set_whole(name, value.expose(), Source::New(value.clone()));
        }
        Ok(true)
    }

    pub(crate) fn delete(
        &mut self,
        partition: &Partition,
        name: &CredentialType,
        key: &Arc<str>,
    ) -> bool {
        if name.is_document() {
            let at = self.position(&CredentialType::from(&**key));
            let Some(at) = at.filter(|at| !self.members[*at].1.holds_records()) else {
                return false;
            };
            self.members[at].1 = Piece::Gone;
            return true;
        }
        let Some(section) = self.position(name) else { return false };
        let (_, Piece::Section(slots)) = &mut self.members[section] else { return false };
        let Some(&at) = self.keys.get(&(section, key.clone())) else { return false };
        let owned = slots[at].as_ref().is_some_and(|slot| slot.partition == *partition);
        if owned {
            slots[at] = None;
            self.keys.remove(&(section, key.clone()));
        }
        owned
    }

    /// The members without their gaps. A section that has lost its last record goes, unless
    /// `keep_empty`: one that never had any stays as it was found.
    pub(crate) fn finish(self, keep_empty: bool) -> Vec<Member> {
        let members = self.members.into_iter().filter_map(|(name, body)| {
            let body = match body {
                Piece::Gone => return None,
                Piece::Null => Body::Null,
                Piece::Whole(value) => Body::Whole(value),
                Piece::Section(slots) => {
                    let had_records = !slots.is_empty();
                    let slots: Vec<_> = slots.into_iter().flatten().collect();
                    if slots.is_empty() && had_records && !keep_empty {
                        return None;
                    }
                    Body::Section(slots)
                }
            };
            Some(Member { name, body })
        });
        members.collect()
    }
}

/// A document that is being written.
pub(crate) struct Out(pub(crate) String);

impl Out {
    pub(crate) fn name(&mut self, name: &str) {
        // A string always serialises; the empty text would be noticed by the next reader.
        let quoted = serde_json::to_string(name).unwrap_or_default();
        self.value(&quoted);
        self.0.push_str(": ");
    }

    /// Writes a value and tells where. In JSON, what is not ASCII stands within strings alone, so
    /// it is escaped without looking at the structure.
    pub(crate) fn value(&mut self, json: &str) -> Source {
        let start = self.0.len();
        if json.is_ascii() {
            self.0.push_str(json);
        } else {
            for char in json.chars() {
                if char.is_ascii() {
                    self.0.push(char);
                } else {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        // Writing to a string can't fail.
                        let _ = write!(self.0, "\\u{unit:04x}");
                    }
                }
            }
        }
        Source::Here(start..self.0.len())
    }
}
