//! The JSON document that all MSAL libraries share, taken apart no further than is asked for.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hashbrown::HashMap;
use serde::de::IgnoredAny;
use smallvec::SmallVec;

use crate::draft::Draft;
use crate::out::Out;
use crate::parse::{self, Keep};
use crate::partition::Place;
use crate::wipe::wipe;
use crate::{CredentialType, Error, Json, Op, Partition, Record, Result, Revision};

/// A document, and where in its text each record stands.
///
/// Values stay text: what isn't changed is written back as it was read. To which partition a
/// record belongs is told by a tag: a program that looks for one token reads past all others.
pub(crate) struct Text {
    json: Json,
    members: Vec<Member>,
    parts: Mutex<Parts>,
    /// Stands for the whole document.
    pub(crate) revision: Revision,
}

/// A member of the document, of whose records something is kept.
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
    /// Anything else that somebody wrote into the document, kept whole.
    Whole(Source),
}

/// A record. There is one for each record of a file, of which mostly one is looked for, so this is
/// what it takes to find it.
#[derive(Clone)]
pub(crate) struct Slot {
    key: Key,
    pub(crate) value: Source,
    /// The [`Partition::tag`] of the partition to which it belongs.
    tag: u64,
    expires_on: Option<i64>,
}

#[derive(Clone)]
enum Key {
    /// In the text of this document.
    Here(Range<usize>),
    /// In a record that is about to be written, or not as it stands in the text.
    Own(Arc<str>),
}

/// Where a value's text is.
#[derive(Clone)]
pub(crate) enum Source {
    /// In the text of this document.
    Here(Range<usize>),
    /// In a record that is about to be written.
    New(Json),
}

/// The partitions that have been asked for.
#[derive(Default)]
struct Parts {
    found: HashMap<Partition, Arc<Part>>,
    /// How many were looked for one by one, with or without success.
    looked: usize,
    /// For each tag, the places of its records; made where many partitions are asked for.
    tagged: Option<HashMap<u64, SmallVec<[At; 2]>>>,
}

/// Where a record is: the place of its member, and its place in that.
type At = (usize, usize);

/// The records of one partition.
#[derive(Default)]
struct Part {
    slots: Vec<At>,
    revision: OnceLock<Revision>,
}

/// How many partitions are looked for one by one, before all records are indexed.
const ONE_BY_ONE: usize = 4;

/// Why a text is not a document.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    reason: Cow<'static, str>,
    position: Option<(usize, usize)>,
}

impl Fault {
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

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        match Error::not_json("", &error) {
            Error::Corrupt { reason, position, .. } => Self { reason: reason.into(), position },
            _ => Self::new("it is not valid JSON"),
        }
    }
}

impl Text {
    /// A document without members.
    pub(crate) fn empty() -> Self {
        let (json, revision) = (Json::from_stored("{}"), Revision::ABSENT);
        Self { json, members: Vec::new(), parts: Mutex::default(), revision }
    }

    /// Reads a document from bytes, which become its text.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Result<Self, Fault> {
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(Json::from_stored(text)),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let before = &error.as_bytes()[..good];
                let line = before.split(|byte| *byte == b'\n').count();
                let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
                wipe(error.into_bytes());
                let position = Some((line, column + 1));
                Err(Fault { reason: "it is not UTF-8".into(), position })
            }
        }
    }

    /// Reads a document.
    pub(crate) fn parse(json: Json) -> Result<Self, Fault> {
        let members = parse::members(json.expose())?;
        Ok(Self { json, members, parts: Mutex::default(), revision: Revision::unique() })
    }

    /// The text.
    pub(crate) fn expose(&self) -> &str {
        self.json.expose()
    }

    /// The text, for its last user.
    pub(crate) fn into_string(self) -> String {
        self.json.into_string()
    }

    /// The records of one partition.
    pub(crate) fn load(&self, partition: &Partition) -> Vec<Record> {
        self.part(partition).slots.iter().map(|at| self.record(*at)).collect()
    }

    /// The revision of one partition. It follows from the contents, so that writers of different
    /// partitions leave each other's revisions alone though the document is one.
    pub(crate) fn revision(&self, partition: &Partition) -> Revision {
        let part = self.part(partition);
        *part.revision.get_or_init(|| {
            let texts = part.slots.iter().map(|at| self.parts(*at));
            Revision::of_contents(texts.flatten().map(str::as_bytes))
        })
    }

    /// The records of one section, or all.
    pub(crate) fn list(&self, credential_type: Option<&CredentialType>) -> Vec<Record> {
        let members = self.members.iter().enumerate().filter(|(_, member)| {
            credential_type.is_none_or(|it| match member.body.records() {
                Some(_) => *it == member.name,
                None => it.is_document(),
            })
        });
        members.flat_map(|(at, member)| member.places(at)).map(|at| self.record(at)).collect()
    }

    /// The partitions and keys of the records that expire before `now`.
    pub(crate) fn expired(
        &self,
        now: i64,
    ) -> impl Iterator<Item = (Partition, &CredentialType, Arc<str>)> {
        // No others expire.
        let tokens = self.members.iter().filter(|it| it.name == CredentialType::AccessToken);
        tokens.flat_map(move |member| {
            let slots = member.body.records().unwrap_or_default();
            let expired = slots.iter().filter(move |it| it.expires_on.is_some_and(|at| at < now));
            expired.map(|slot| {
                let text = self.expose();
                (slot.partition(&member.name, text), &member.name, slot.shared_key(text))
            })
        })
    }

    /// The document after these operations; `None` where they change nothing.
    pub(crate) fn apply<'a>(
        &self,
        ops: impl IntoIterator<Item = (&'a Partition, &'a Op)>,
    ) -> Result<Option<Self>> {
        let mut draft = Draft::new(self.expose(), self.members.clone());
        let mut changed = false;
        for (partition, op) in ops {
            match op {
                Op::Put(record) => {
                    // What isn't JSON would break the document for everybody.
                    if !record.value.is_json() {
                        return Err(not_json(record));
                    }
                    changed |= draft.put_record(record);
                }
                Op::Delete { credential_type, key } => {
                    changed |= draft.delete(partition, credential_type, key);
                }
            }
        }
        if !changed {
            return Ok(None);
        }
        Ok(Some(self.write(draft.finish()?)))
    }

    /// Writes the members, one record a line.
    fn write(&self, mut members: Vec<Member>) -> Self {
        let text = self.expose();
        let mut out = Out::with_capacity(members.iter().map(|it| it.written_len(text)).sum());
        out.push("{");
        for (at, member) in members.iter_mut().enumerate() {
            out.push(if at == 0 { "\n" } else { ",\n" });
            out.name(member.name.as_str());
            match &mut member.body {
                Body::Null => out.push("null"),
                Body::Whole(value) => *value = out.value(value.text(text)),
                Body::Section(slots) => {
                    out.push("{");
                    for (at, slot) in slots.iter_mut().enumerate() {
                        out.push(if at == 0 { "\n" } else { ",\n" });
                        slot.key = match out.name(slot.key(text)) {
                            Some(here) => Key::Here(here),
                            None => Key::Own(slot.shared_key(text)),
                        };
                        slot.value = out.value(slot.value.text(text));
                    }
                    out.push(if slots.is_empty() { "}" } else { "\n}" });
                }
            }
        }
        out.push(if members.is_empty() { "}" } else { "\n}" });
        let (json, revision) = (out.finish(), Revision::unique());
        Self { json, members, parts: Mutex::default(), revision }
    }

    /// Where the records of a partition are.
    fn part(&self, partition: &Partition) -> Arc<Part> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts.found.get(partition) {
            return part.clone();
        }
        let tag = partition.tag();
        let is_theirs = |at: &At| self.tag(*at) == tag && self.partition(*at) == *partition;
        let slots: Vec<_> = if parts.looked < ONE_BY_ONE {
            parts.looked += 1;
            self.places().filter(is_theirs).collect()
        } else {
            let tagged = parts.tagged.get_or_insert_with(|| {
                let mut tagged = HashMap::<_, SmallVec<_>>::new();
                self.places().for_each(|at| tagged.entry(self.tag(at)).or_default().push(at));
                tagged
            });
            tagged.get(&tag).into_iter().flatten().copied().filter(is_theirs).collect()
        };
        if slots.is_empty() {
            // Whoever asks for what isn't there leaves nothing behind.
            return Arc::default();
        }
        let part = Arc::new(Part { slots, revision: OnceLock::new() });
        parts.found.insert(partition.clone(), part.clone());
        part
    }

    /// The places of all records.
    fn places(&self) -> impl Iterator<Item = At> {
        self.members.iter().enumerate().flat_map(|(at, member)| member.places(at))
    }

    /// The tag of the partition to which a record belongs.
    fn tag(&self, (member, slot): At) -> u64 {
        let records = self.members[member].body.records();
        records.map_or_else(|| Partition::unowned().tag(), |slots| slots[slot].tag)
    }

    /// The partition to which a record belongs.
    fn partition(&self, (member, slot): At) -> Partition {
        let Member { name, body } = &self.members[member];
        let slots = body.records();
        slots.map_or_else(Partition::unowned, |it| it[slot].partition(name, self.expose()))
    }

    fn record(&self, at: At) -> Record {
        let [_, _, value] = self.parts(at);
        let member = &self.members[at.0];
        let (credential_type, key) = match &member.body {
            Body::Section(slots) if !slots.is_empty() => {
                (member.name.clone(), slots[at.1].shared_key(self.expose()))
            }
            _ => (CredentialType::document(), member.name.as_str().into()),
        };
        Record::new(credential_type, key, Json::checked(value.to_owned()))
    }

    /// Section, key and value of a record.
    fn parts(&self, at: At) -> [&str; 3] {
        let member = &self.members[at.0];
        match &member.body {
            Body::Section(slots) if slots.is_empty() => ["", member.name.as_str(), "{}"],
            Body::Section(slots) => {
                let slot = &slots[at.1];
                [member.name.as_str(), slot.key(self.expose()), slot.value.text(self.expose())]
            }
            Body::Null => ["", member.name.as_str(), "null"],
            Body::Whole(value) => ["", member.name.as_str(), value.text(self.expose())],
        }
    }
}

/// The error of a record that would break the document.
pub(crate) fn not_json(record: &Record) -> Error {
    match serde_json::from_str::<IgnoredAny>(record.value.expose()) {
        Err(error) => Error::not_json("the record to write", &error),
        Ok(_) => Error::invalid("the record to write", "it is not JSON"),
    }
}

impl<K> Member<K> {
    /// How many records it is.
    pub(crate) fn len(&self) -> usize {
        self.body.records().map_or(1, <[K]>::len)
    }
}

impl Member {
    /// About how long it will be, in bytes.
    fn written_len(&self, document: &str) -> usize {
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

    /// The places of the records; the one of the member itself, if it is no section.
    fn places(&self, at: usize) -> impl Iterator<Item = At> + use<> {
        (0..self.len()).map(move |slot| (at, slot))
    }
}

impl<K> Body<K> {
    /// The records, unless there are none: an empty section is kept like a member that is none.
    fn records(&self) -> Option<&[K]> {
        match self {
            Self::Section(slots) if !slots.is_empty() => Some(slots),
            _ => None,
        }
    }
}

impl Slot {
    /// A record that is about to be written.
    pub(crate) fn new(record: &Record) -> Self {
        let place = Place::of(&record.credential_type, record.value.expose());
        let (key, value) = (Key::Own(record.key.clone()), Source::New(record.value.clone()));
        Self { key, value, tag: place.partition.tag(), expires_on: place.expires_on }
    }

    /// The key, where `document` is the text of the document.
    pub(crate) fn key<'a>(&'a self, document: &'a str) -> &'a str {
        match &self.key {
            Key::Here(range) => &document[range.clone()],
            Key::Own(key) => key,
        }
    }

    /// The same, to keep.
    pub(crate) fn shared_key(&self, document: &str) -> Arc<str> {
        match &self.key {
            Key::Here(range) => document[range.clone()].into(),
            Key::Own(key) => key.clone(),
        }
    }

    /// Where the record belongs, where `document` is the text of the document.
    pub(crate) fn partition(&self, section: &CredentialType, document: &str) -> Partition {
        Place::of(section, self.value.text(document)).partition
    }
}

impl<'a> Keep<'a> for Slot {
    fn keep(
        whole: &'a str,
        _: &CredentialType,
        key: Cow<'a, str>,
        value: &'a str,
        place: Place,
    ) -> Self {
        let key = match key {
            Cow::Borrowed(key) => Key::Here(range(whole, key)),
            Cow::Owned(key) => Key::Own(key.into()),
        };
        let (tag, expires_on) = (place.partition.tag(), place.expires_on);
        Self { key, value: Source::part(whole, value), tag, expires_on }
    }

    fn key<'s>(&'s self, whole: &'s str) -> &'s str {
        self.key(whole)
    }
}

/// Where a part of the document stands in it.
fn range(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

impl Source {
    /// A part of the document.
    pub(crate) fn part(whole: &str, part: &str) -> Self {
        Self::Here(range(whole, part))
    }

    /// The text, where `document` is that of the document.
    pub(crate) fn text<'a>(&'a self, document: &'a str) -> &'a str {
        match self {
            Self::Here(range) => &document[range.clone()],
            Self::New(json) => json.expose(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_one_by_one_and_by_an_index_and_those_who_aren_t_there_count_too() {
        let json = r#"{"Account": {"k": {"home_account_id": "u"}, "l": {"home_account_id": "v"}}}"#;
        let text = Text::parse(Json::from_stored(json)).unwrap();
        let has_index = || text.parts.lock().unwrap().tagged.is_some();
        assert_eq!(text.load(&Partition::user("u")).len(), 1);
        for nobody in 1..ONE_BY_ONE {
            assert!(text.load(&Partition::user(&nobody.to_string())).is_empty());
        }
        assert!(!has_index());
        assert!(text.load(&Partition::user("nobody")).is_empty());
        assert!(has_index());
        assert_eq!(text.load(&Partition::user("v")).len(), 1);
        assert_eq!(text.load(&Partition::user("u")).len(), 1);
    }
}
