//! A document that is being edited.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

use crate::document::index::KeyIndex;
use crate::document::layout::{Body, Member, Slot, Source};
use crate::{CredentialType, Error, Partition, Record, Result};

/// Members that are being changed. Deleted slots stay as gaps until the end, so that indexes
/// remain valid.
///
/// While operations are applied, a name may hold both records and another value: the order of
/// operations in a commit depends on its partitions, so only the result is checked.
pub(crate) struct Edit<'a> {
    /// The text that holds the values of the old members.
    text: &'a str,
    members: Vec<(CredentialType, EditedBody)>,
    /// The indexes of the members of each name.
    names: HashMap<CredentialType, SmallVec<[usize; 2]>>,
    /// For each member, the indexes of its keys; made for an edit of many records.
    keys: Option<Vec<KeyIndex>>,
    looked_up: usize,
}

/// How many keys are looked up by a scan before all keys are indexed.
const FEW: usize = 16;

enum EditedBody {
    /// A section that has or had records.
    Records(Vec<Option<Slot>>),
    /// The empty section, which records replace.
    Empty,
    /// `null`, which records replace.
    Null,
    Whole(Source),
    Deleted,
}

impl EditedBody {
    fn holds_records(&self) -> bool {
        matches!(self, Self::Records(slots) if slots.iter().any(Option::is_some))
    }

    fn is_placeholder(&self) -> bool {
        matches!(self, Self::Empty | Self::Null)
    }
}

impl<'a> Edit<'a> {
    /// Members whose values are in `text`.
    pub(crate) fn new(text: &'a str, members: Vec<Member>) -> Self {
        let mut edit =
            Self { text, members: Vec::new(), names: HashMap::new(), keys: None, looked_up: 0 };
        for Member { name, body } in members {
            let body = match body {
                Body::Null => EditedBody::Null,
                Body::Whole(value) => EditedBody::Whole(value),
                Body::Section(slots) if slots.is_empty() => EditedBody::Empty,
                Body::Section(slots) => EditedBody::Records(slots.into_iter().map(Some).collect()),
            };
            edit.add(name, body);
        }
        edit
    }

    /// Adds a member, and returns its index.
    fn add(&mut self, name: CredentialType, body: EditedBody) -> usize {
        let at = self.members.len();
        self.names.entry(name.clone()).or_default().push(at);
        self.members.push((name, body));
        at
    }

    /// The index of a record in a section.
    fn find(&mut self, section: usize, key: &str) -> Option<usize> {
        self.looked_up += 1;
        if self.looked_up > FEW && self.keys.is_none() {
            self.keys = Some(self.index());
        }
        let (_, EditedBody::Records(slots)) = &self.members[section] else { return None };
        let is_it = |slot: &Option<Slot>| slot.as_ref().is_some_and(|it| it.key(self.text) == key);
        match &self.keys {
            Some(keys) => keys.get(section)?.find(key, |at| is_it(&slots[at])),
            None => slots.iter().position(is_it),
        }
    }

    fn index(&self) -> Vec<KeyIndex> {
        let index = |(_, body): &(CredentialType, EditedBody)| {
            let mut index = KeyIndex::default();
            if let EditedBody::Records(slots) = body {
                for (at, slot) in slots.iter().enumerate() {
                    if let Some(slot) = slot {
                        // Keys are unique.
                        index.find_or_insert(slot.key(self.text), at, |_| false);
                    }
                }
            }
            index
        };
        self.members.iter().map(index).collect()
    }

    fn position(
        &self,
        name: &CredentialType,
        is_it: impl Fn(&EditedBody) -> bool,
    ) -> Option<usize> {
        let named = self.names.get(name)?;
        named.iter().copied().find(|at| is_it(&self.members[*at].1))
    }

    /// The index of the records of this name.
    fn records(&self, name: &CredentialType) -> Option<usize> {
        self.position(name, |it| matches!(it, EditedBody::Records(_)))
    }

    /// The index of the value under this name that isn't a section.
    fn member(&self, name: &CredentialType) -> Option<usize> {
        self.position(name, |it| it.is_placeholder() || matches!(it, EditedBody::Whole(_)))
    }

    /// The index of the section, which is added if it is missing.
    fn section(&mut self, name: &CredentialType) -> usize {
        self.records(name).unwrap_or_else(|| {
            let records = EditedBody::Records(Vec::new());
            if let Some(at) = self.position(name, EditedBody::is_placeholder) {
                self.members[at].1 = records;
                return at;
            }
            self.add(name.clone(), records)
        })
    }

    /// Puts a record, and returns whether that changed anything.
    pub(crate) fn put_record(&mut self, record: &Record) -> bool {
        let (name, value) = (record.credential_type(), record.value());
        if name.is_document() {
            return self.put_member(record);
        }
        let section = self.section(name);
        let known = self.find(section, record.key());
        let (_, EditedBody::Records(slots)) = &mut self.members[section] else { return false };
        let new = Slot::new(record);
        if let Some(at) = known {
            let old = slots[at].take();
            if old.as_ref().is_some_and(|old| old.tag == new.tag) {
                slots[at] = Some(new);
                return old.is_none_or(|old| old.value.text(self.text) != value.expose());
            }
            // The key moves from another partition, and is new in this one.
        }
        if let Some(keys) = &mut self.keys {
            // The section may be new.
            keys.resize_with(keys.len().max(section + 1), KeyIndex::default);
            keys[section].find_or_insert(record.key(), slots.len(), |_| false);
        }
        slots.push(Some(new));
        true
    }

    /// Puts a member that isn't a section, or the empty section.
    fn put_member(&mut self, record: &Record) -> bool {
        let name = CredentialType::from(record.key());
        let body = match record.value().expose() {
            "null" => EditedBody::Null,
            "{}" if !name.is_document() => EditedBody::Empty,
            _ => EditedBody::Whole(Source::New(record.clone())),
        };
        // It has no effect on a section with records.
        let hidden = body.is_placeholder()
            && self.records(&name).is_some_and(|at| self.members[at].1.holds_records());
        let Some(at) = self.member(&name) else {
            self.add(name, body);
            return !hidden;
        };
        let same = match (&self.members[at].1, &body) {
            (EditedBody::Empty, EditedBody::Empty) | (EditedBody::Null, EditedBody::Null) => true,
            (EditedBody::Whole(old), EditedBody::Whole(new)) => {
                old.text(self.text) == new.text(self.text)
            }
            _ => false,
        };
        self.members[at].1 = body;
        !same
    }

    pub(crate) fn delete(
        &mut self,
        partition: &Partition,
        name: &CredentialType,
        key: &Arc<str>,
    ) -> bool {
        if name.is_document() {
            if *partition != Partition::unowned() {
                return false;
            }
            let Some(at) = self.member(&CredentialType::from(&**key)) else { return false };
            self.members[at].1 = EditedBody::Deleted;
            return true;
        }
        let Some(section) = self.records(name) else { return false };
        let Some(at) = self.find(section, key) else { return false };
        let (_, EditedBody::Records(slots)) = &mut self.members[section] else { return false };
        let owned =
            slots[at].as_ref().is_some_and(|slot| slot.partition(name, self.text) == *partition);
        if owned {
            slots[at] = None;
        }
        owned
    }

    /// The members without their gaps. A section that has lost its last record is removed; one
    /// that was empty stays.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where a name holds both records and another value.
    pub(crate) fn finish(self) -> Result<Vec<Member>> {
        let with_records: HashSet<CredentialType> = self
            .members
            .iter()
            .filter(|(_, body)| body.holds_records())
            .map(|(name, _)| name.clone())
            .collect();
        let mut members = Vec::with_capacity(self.members.len());
        for (name, body) in self.members {
            let body = match body {
                EditedBody::Empty | EditedBody::Null if with_records.contains(&name) => continue,
                EditedBody::Whole(_) if with_records.contains(&name) => {
                    let reason = "the document can't hold both records and another value under it";
                    return Err(Error::invalid(format!("the name {:?}", name.as_str()), reason));
                }
                EditedBody::Deleted => continue,
                EditedBody::Empty => Body::Section(Vec::new()),
                EditedBody::Null => Body::Null,
                EditedBody::Whole(value) => Body::Whole(value),
                EditedBody::Records(slots) => {
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
