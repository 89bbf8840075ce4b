//! A document that is being changed.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::text::{Body, Member, Slot, Source};
use crate::{CredentialType, Error, Json, Partition, Record, Result};

/// Members that are being changed. Deleted slots stay as gaps until the end, so that places
/// remain valid.
pub(crate) struct Draft<'a> {
    /// The text in which the values of the old members are.
    text: &'a str,
    members: Vec<(CredentialType, Piece)>,
    /// Places of keys, for a change of many records; one of a few looks at each record instead.
    keys: Option<HashMap<(usize, Arc<str>), usize>>,
    looked: usize,
}

/// How many times all records are looked at, before their keys are indexed.
const FEW: usize = 16;

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

impl<'a> Draft<'a> {
    /// Members whose values are in `text`.
    pub(crate) fn new(text: &'a str, members: Vec<Member>) -> Self {
        let members = members.into_iter().map(|member| {
            let piece = match member.body {
                Body::Null => Piece::Null,
                Body::Whole(value) => Piece::Whole(value),
                Body::Section(slots) => Piece::Section(slots.into_iter().map(Some).collect()),
            };
            (member.name, piece)
        });
        Self { text, members: members.collect(), keys: None, looked: 0 }
    }

    /// The place of a record in a section.
    fn find(&mut self, section: usize, key: &Arc<str>) -> Option<usize> {
        if let Some(keys) = &self.keys {
            return keys.get(&(section, key.clone())).copied();
        }
        self.looked += 1;
        if self.looked > FEW {
            let mut keys = HashMap::new();
            for (at, (_, piece)) in self.members.iter().enumerate() {
                let Piece::Section(slots) = piece else { continue };
                let slots = slots.iter().enumerate();
                keys.extend(slots.filter_map(|(i, it)| Some(((at, it.as_ref()?.key.clone()), i))));
            }
            return self.keys.insert(keys).get(&(section, key.clone())).copied();
        }
        let (_, Piece::Section(slots)) = &self.members[section] else { return None };
        slots.iter().position(|slot| slot.as_ref().is_some_and(|slot| slot.key == *key))
    }

    fn position(&self, name: &CredentialType) -> Option<usize> {
        self.members.iter().position(|(it, body)| it == name && !matches!(body, Piece::Gone))
    }

    /// The place of the section, which is made if it isn't there. It takes the place of what is
    /// no section.
    fn section(&mut self, name: CredentialType) -> usize {
        let at = self.position(&name).unwrap_or_else(|| {
            self.members.push((name, Piece::Section(Vec::new())));
            self.members.len() - 1
        });
        if !matches!(self.members[at].1, Piece::Section(_)) {
            self.members[at].1 = Piece::Section(Vec::new());
        }
        at
    }

    /// Puts a member that is no section.
    fn set_whole(&mut self, name: CredentialType, value: Source) {
        let null = value.text(self.text) == "null";
        let body = if null { Piece::Null } else { Piece::Whole(value) };
        match self.position(&name) {
            Some(at) => self.members[at].1 = body,
            None => self.members.push((name, body)),
        }
    }

    /// Puts a record into a section, and says whether that changed anything.
    fn put(&mut self, section: usize, key: Arc<str>, value: Source) -> bool {
        let known = self.find(section, &key);
        let (_, Piece::Section(slots)) = &mut self.members[section] else { return false };
        if let Some(at) = known {
            let same = slots[at]
                .as_ref()
                .is_some_and(|slot| slot.value.text(self.text) == value.text(self.text));
            slots[at] = Some(Slot::new(key, value));
            return !same;
        }
        if let Some(keys) = &mut self.keys {
            keys.insert((section, key.clone()), slots.len());
        }
        slots.push(Some(Slot::new(key, value)));
        true
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
        Ok(self.put(section, record.key.clone(), Source::New(value.clone())))
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
        let same = at.is_some_and(|at| match &self.members[at].1 {
            Piece::Section(_) => empty_section,
            Piece::Null => value.expose() == "null",
            Piece::Whole(source) => source.text(self.text) == value.expose(),
            Piece::Gone => false,
        });
        if empty_section {
            self.section(name);
        } else {
            self.set_whole(name, Source::New(value.clone()));
        }
        Ok(!same)
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
        let Some(at) = self.find(section, key) else { return false };
        let (_, Piece::Section(slots)) = &mut self.members[section] else { return false };
        let owned = slots[at]
            .as_ref()
            .is_some_and(|slot| slot.place(name, self.text).partition == *partition);
        if owned {
            slots[at] = None;
            if let Some(keys) = &mut self.keys {
                keys.remove(&(section, key.clone()));
            }
        }
        owned
    }

    /// The members without their gaps. A section that has lost its last record goes; one that
    /// never had any stays as it was found.
    pub(crate) fn finish(self) -> Vec<Member> {
        let members = self.members.into_iter().filter_map(|(name, body)| {
            let body = match body {
                Piece::Gone => return None,
                Piece::Null => Body::Null,
                Piece::Whole(value) => Body::Whole(value),
                Piece::Section(slots) => {
                    let had_records = !slots.is_empty();
                    let slots: Vec<_> = slots.into_iter().flatten().collect();
                    if slots.is_empty() && had_records {
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
