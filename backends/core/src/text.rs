//! The JSON document that all MSAL libraries share, taken apart no further than is asked for.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hashbrown::HashMap;
use serde::de::IgnoredAny;

use crate::draft::Draft;
use crate::out::Out;
use crate::parse;
use crate::partition::Place;
use crate::wipe::wipe;
use crate::{CredentialType, Error, Json, Op, Partition, Record, Result, Revision};

/// A document, and where in its text each record stands.
///
/// Values stay text: what isn't changed is written back as it was read. To which partition a
/// record belongs is found out when it matters: a program that looks for one token reads past all
/// others.
pub(crate) struct Text {
    json: Json,
    members: Vec<Member>,
    parts: Mutex<Parts>,
    /// Stands for the whole document.
    pub(crate) revision: Revision,
}

/// A member of the document.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: CredentialType,
    pub(crate) body: Body,
}

#[derive(Clone)]
pub(crate) enum Body {
    /// A section: an object of records.
    Section(Vec<Slot>),
    /// `null`, which becomes a section when it gets a record.
    Null,
    /// Anything else that somebody wrote into the document, kept whole.
    Whole(Source),
}

/// A record.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) key: Arc<str>,
    pub(crate) value: Source,
    place: OnceLock<Place>,
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
    /// Whether all of them are in `found`.
    complete: bool,
}

/// The records of one partition, as places in `members`.
#[derive(Default)]
struct Part {
    slots: Vec<(usize, usize)>,
    revision: OnceLock<Revision>,
}

/// How many partitions are looked for one by one, before all are told apart at once. Looking for
/// one is a search for its name in the text and takes a tenth of the time.
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

    /// The keys of the records that expire before `now`.
    pub(crate) fn expired(
        &self,
        now: i64,
    ) -> impl Iterator<Item = (&Partition, &CredentialType, &Arc<str>)> {
        // No others expire.
        let tokens = self.members.iter().filter(|it| it.name == CredentialType::AccessToken);
        tokens.flat_map(move |member| {
            let slots = member.body.records().unwrap_or_default();
            slots.iter().filter_map(move |slot| {
                let place = slot.place(&member.name, self.expose());
                let expired = place.expires_on.is_some_and(|at| at < now);
                expired.then_some((&place.partition, &member.name, &slot.key))
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
                        out.name(&slot.key);
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

    fn part(&self, partition: &Partition) -> Arc<Part> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts.found.get(partition) {
            return part.clone();
        }
        if parts.complete {
            return Arc::default();
        }
        if parts.found.len() < ONE_BY_ONE {
            let part = Arc::new(self.look_for(partition));
            parts.found.insert(partition.clone(), part.clone());
            return part;
        }
        for (partition, part) in self.all_parts() {
            parts.found.entry(partition).or_insert_with(|| Arc::new(part));
        }
        parts.complete = true;
        parts.found.get(partition).cloned().unwrap_or_default()
    }

    fn look_for(&self, partition: &Partition) -> Part {
        let clue = partition.clue();
        let mut part = Part::default();
        for (at, member) in self.members.iter().enumerate() {
            let Some(slots) = member.body.records() else {
                if *partition == Partition::unowned() {
                    part.slots.push((at, 0));
                }
                continue;
            };
            if !clue.fits_section(&member.name) {
                continue;
            }
            for (slot, it) in slots.iter().enumerate() {
                if clue.fits(it.value.text(self.expose()))
                    && it.place(&member.name, self.expose()).partition == *partition
                {
                    part.slots.push((at, slot));
                }
            }
        }
        part
    }

    fn all_parts(&self) -> HashMap<Partition, Part> {
        let mut parts: HashMap<Partition, Part> = HashMap::new();
        for (at, member) in self.members.iter().enumerate() {
            match member.body.records() {
                Some(slots) => {
                    for (slot, it) in slots.iter().enumerate() {
                        let partition = it.place(&member.name, self.expose()).partition.clone();
                        parts.entry(partition).or_default().slots.push((at, slot));
                    }
                }
                None => parts.entry(Partition::unowned()).or_default().slots.push((at, 0)),
            }
        }
        parts
    }

    fn record(&self, at: (usize, usize)) -> Record {
        let [_, _, value] = self.parts(at);
        let member = &self.members[at.0];
        let (credential_type, key) = match &member.body {
            Body::Section(slots) if !slots.is_empty() => {
                (member.name.clone(), slots[at.1].key.clone())
            }
            _ => (CredentialType::document(), member.name.as_str().into()),
        };
        Record::new(credential_type, key, Json::checked(value.to_owned()))
    }

    /// Section, key and value of a record.
    fn parts(&self, at: (usize, usize)) -> [&str; 3] {
        let member = &self.members[at.0];
        match &member.body {
            Body::Section(slots) if slots.is_empty() => ["", member.name.as_str(), "{}"],
            Body::Section(slots) => {
                let slot = &slots[at.1];
                [member.name.as_str(), &slot.key, slot.value.text(self.expose())]
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

impl Member {
    /// How many records it is.
    pub(crate) fn len(&self) -> usize {
        self.body.records().map_or(1, <[Slot]>::len)
    }

    /// About how long it will be, in bytes.
    fn written_len(&self, document: &str) -> usize {
        let body = match &self.body {
            Body::Null => 0,
            Body::Whole(value) => value.text(document).len(),
            Body::Section(slots) => {
                slots.iter().map(|it| it.key.len() + it.value.text(document).len() + 8).sum()
            }
        };
        self.name.as_str().len() + body + 16
    }

    /// The places of the records; the one of the member itself, if it is no section.
    fn places(&self, at: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        (0..self.len()).map(move |slot| (at, slot))
    }
}

impl Body {
    /// The records, unless there are none: an empty section is kept like a member that is none.
    fn records(&self) -> Option<&[Slot]> {
        match self {
            Self::Section(slots) if !slots.is_empty() => Some(slots),
            _ => None,
        }
    }
}

impl Slot {
    pub(crate) fn new(key: Arc<str>, value: Source) -> Self {
        Self { key, value, place: OnceLock::new() }
    }

    /// Where the record belongs, where `document` is the text of the document.
    pub(crate) fn place(&self, section: &CredentialType, document: &str) -> &Place {
        self.place.get_or_init(|| Place::of(section, self.value.text(document)))
    }
}

impl Source {
    /// The text, where `document` is that of the document.
    pub(crate) fn text<'a>(&'a self, document: &'a str) -> &'a str {
        match self {
            Self::Here(range) => &document[range.clone()],
            Self::New(json) => json.expose(),
        }
    }
}
