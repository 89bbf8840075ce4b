//! A document that is being changed.

use std::sync::Arc;

use hashbrown::HashSet;

use crate::index::Index;
use crate::text::{Body, Member, Slot, Source};
use crate::{CredentialType, Error, Json, Partition, Record, Result};

/// Members that are being changed. Deleted slots stay as gaps until the end, so that places
/// remain valid.
///
/// While operations are applied, a name may stand for records and for something else: which of
/// them comes first in a commit follows from its partitions, so the commit is judged by its end.
pub(crate) struct Draft<'a> {
    /// The text in which the values of the old members are.
    text: &'a str,
    members: Vec<(CredentialType, Piece)>,
    /// For each member, the places of its keys, for a change of many records; one of a few looks
    /// at each record instead.
    keys: Option<Vec<Index>>,
    looked: usize,
}

/// How many times all records are looked at, before their keys are indexed.
const FEW: usize = 16;

enum Piece {
    /// A section, which has or had records.
    Records(Vec<Option<Slot>>),
    /// The empty section, which gives way to one with records.
    Empty,
    /// `null`, which does so too.
    Null,
    Whole(Source),
    Gone,
}

impl Piece {
    fn holds_records(&self) -> bool {
        matches!(self, Self::Records(slots) if slots.iter().any(Option::is_some))
    }

    fn is_placeholder(&self) -> bool {
        matches!(self, Self::Empty | Self::Null)
    }
}

impl<'a> Draft<'a> {
    /// Members whose values are in `text`.
    pub(crate) fn new(text: &'a str, members: Vec<Member>) -> Self {
        let members = members.into_iter().map(|member| {
            let piece = match member.body {
                Body::Null => Piece::Null,
                Body::Whole(value) => Piece::Whole(value),
                Body::Section(slots) if slots.is_empty() => Piece::Empty,
                Body::Section(slots) => Piece::Records(slots.into_iter().map(Some).collect()),
            };
            (member.name, piece)
        });
        Self { text, members: members.collect(), keys: None, looked: 0 }
    }

    /// The place of a record in a section.
    fn find(&mut self, section: usize, key: &str) -> Option<usize> {
        self.looked += 1;
        if self.looked > FEW && self.keys.is_none() {
            self.keys = Some(self.index());
        }
        let (_, Piece::Records(slots)) = &self.members[section] else { return None };
        let is_it = |slot: &Option<Slot>| slot.as_ref().is_some_and(|it| it.key(self.text) == key);
        match &self.keys {
            Some(keys) => keys.get(section)?.find(key, |at| is_it(&slots[at])),
            None => slots.iter().position(is_it),
        }
    }

    fn index(&self) -> Vec<Index> {
        let index = |(_, piece): &(CredentialType, Piece)| {
            let mut index = Index::default();
            if let Piece::Records(slots) = piece {
                for (at, slot) in slots.iter().enumerate() {
                    if let Some(slot) = slot {
                        // A key stands in one place at most.
                        index.find_or_insert(slot.key(self.text), at, |_| false);
                    }
                }
            }
            index
        };
        self.members.iter().map(index).collect()
    }

    fn position(&self, name: &CredentialType, is_it: impl Fn(&Piece) -> bool) -> Option<usize> {
        self.members.iter().position(|(it, piece)| it == name && is_it(piece))
    }

    /// The place of the records of this name.
    fn records(&self, name: &CredentialType) -> Option<usize> {
        self.position(name, |it| matches!(it, Piece::Records(_)))
    }

    /// The place of what stands under this name and is no record.
    fn member(&self, name: &CredentialType) -> Option<usize> {
        self.position(name, |it| it.is_placeholder() || matches!(it, Piece::Whole(_)))
    }

    /// The place of the section, which is made if it isn't there.
    fn section(&mut self, name: &CredentialType) -> usize {
        self.records(name).unwrap_or_else(|| {
            let records = Piece::Records(Vec::new());
            if let Some(at) = self.position(name, Piece::is_placeholder) {
                self.members[at].1 = records;
                return at;
            }
            self.members.push((name.clone(), records));
            self.members.len() - 1
        })
    }

    /// Puts a record, and says whether that changed anything.
    pub(crate) fn put_record(&mut self, record: &Record) -> bool {
        let (name, value) = (&record.credential_type, &record.value);
        if name.is_document() {
            return self.put_member(CredentialType::from(&*record.key), value);
        }
        let section = self.section(name);
        let known = self.find(section, &record.key);
        let (_, Piece::Records(slots)) = &mut self.members[section] else { return false };
        if let Some(at) = known {
            let old = slots[at].replace(Slot::new(record));
            return old.is_none_or(|old| old.value.text(self.text) != value.expose());
        }
        if let Some(keys) = &mut self.keys {
            // The section may be new.
            keys.resize_with(keys.len().max(section + 1), Index::default);
            keys[section].find_or_insert(&record.key, slots.len(), |_| false);
        }
        slots.push(Some(Slot::new(record)));
        true
    }

    /// Puts a member that is no section, or the empty section.
    fn put_member(&mut self, name: CredentialType, value: &Json) -> bool {
        let piece = match value.expose() {
            "null" => Piece::Null,
            "{}" if !name.is_document() => Piece::Empty,
            _ => Piece::Whole(Source::New(value.clone())),
        };
        // It says nothing about a section that isn't empty any more.
        let hidden = piece.is_placeholder()
            && self.records(&name).is_some_and(|at| self.members[at].1.holds_records());
        let Some(at) = self.member(&name) else {
            self.members.push((name, piece));
            return !hidden;
        };
        let same = match (&self.members[at].1, &piece) {
            (Piece::Empty, Piece::Empty) | (Piece::Null, Piece::Null) => true,
            (Piece::Whole(old), Piece::Whole(new)) => old.text(self.text) == new.text(self.text),
            _ => false,
        };
        self.members[at].1 = piece;
        !same
    }

    pub(crate) fn delete(
        &mut self,
        partition: &Partition,
        name: &CredentialType,
        key: &Arc<str>,
    ) -> bool {
        if name.is_document() {
            let Some(at) = self.member(&CredentialType::from(&**key)) else { return false };
            self.members[at].1 = Piece::Gone;
            return true;
        }
        let Some(section) = self.records(name) else { return false };
        let Some(at) = self.find(section, key) else { return false };
        let (_, Piece::Records(slots)) = &mut self.members[section] else { return false };
        let owned =
            slots[at].as_ref().is_some_and(|slot| slot.partition(name, self.text) == *partition);
        if owned {
            slots[at] = None;
        }
        owned
    }

    /// The members without their gaps. A section that has lost its last record goes; one that
    /// never had any stays as it was found.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where a name stands for records and for something else.
    pub(crate) fn finish(self) -> Result<Vec<Member>> {
        let with_records: HashSet<CredentialType> = self
            .members
            .iter()
            .filter(|(_, piece)| piece.holds_records())
            .map(|(name, _)| name.clone())
            .collect();
        let mut members = Vec::with_capacity(self.members.len());
        for (name, piece) in self.members {
            let body = match piece {
                Piece::Empty | Piece::Null if with_records.contains(&name) => continue,
                Piece::Whole(_) if with_records.contains(&name) => {
                    let reason = "the document can't hold records and something else under it";
                    return Err(Error::invalid(format!("the name {:?}", name.as_str()), reason));
                }
                Piece::Gone => continue,
                Piece::Empty => Body::Section(Vec::new()),
                Piece::Null => Body::Null,
                Piece::Whole(value) => Body::Whole(value),
                Piece::Records(slots) => {
                    let slots: Vec<_> = slots.into_iter().flatten().collect();
                    if slots.is_empty() {
                        continue;
                    }
                    Body::Section(slots)
                }
            };
            members.push(Member { name, body });
        }
        Ok(members)
    }
}
