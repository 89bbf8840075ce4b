//! The JSON document that all MSAL libraries share, taken apart no further than to its records.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;
use serde::de::IgnoredAny;

use crate::draft::{Draft, Out};
use crate::object::for_each_member;
use crate::{CredentialType, Error, Json, Op, Partition, Record, Result, Revision};

/// A document, and where in its text each record stands.
///
/// Values stay text: what isn't changed is written back as it was read.
pub(crate) struct Text {
    json: Json,
    members: Vec<Member>,
    partitions: HashMap<Partition, Part>,
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
    pub(crate) partition: Partition,
    pub(crate) expires_on: Option<i64>,
}

/// Where a value's text is.
#[derive(Clone)]
pub(crate) enum Source {
    /// In the text of this document.
    Here(Range<usize>),
    /// In a record that is about to be written.
    New(Json),
}

/// The records of one partition, as places in `members`.
#[derive(Default)]
struct Part {
    slots: Vec<(usize, usize)>,
    revision: OnceLock<Revision>,
}

/// Why a text is not a document.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    reason: Cow<'static, str>,
    position: Option<(usize, usize)>,
}

impl Fault {
    fn new(reason: impl Into<Cow<'static, str>>) -> Self {
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
        Self {
            json: Json::from_stored("{}"),
            members: Vec::new(),
            partitions: HashMap::new(),
            revision: Revision::ABSENT,
        }
    }

    /// Reads a document from bytes, which become its text.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Result<Self, Fault> {
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(Json::from_stored(text)),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let bytes = zeroize::Zeroizing::new(error.into_bytes());
                let before = &bytes[..good];
                let line = before.split(|byte| *byte == b'\n').count();
                let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
                let position = Some((line, column + 1));
                Err(Fault { reason: "it is not UTF-8".into(), position })
            }
        }
    }

    /// Reads a document.
    ///
    /// A name that occurs twice is read as every MSAL's parser reads it, the last one wins; but
    /// two parts of one section count as one section, so that nothing is lost.
    pub(crate) fn parse(json: Json) -> Result<Self, Fault> {
        let whole = json.expose();
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
        let range = |part: &str| {
            let start = part.as_ptr() as usize - whole.as_ptr() as usize;
            start..start + part.len()
        };
        let mut sections = Vec::new();
        for_each_member(body, |name, text| sections.push((CredentialType::from(&*name), text)))?;
        let mut draft = Draft::default();
        for (name, text) in sections {
            if !text.starts_with('{') || name.is_document() {
                if text != "null" && CredentialType::KNOWN.contains(&name) {
                    let reason = format!("its section {name} is not an object");
                    return Err(Fault::new(reason));
                }
                draft.set_whole(name, text, Source::Here(range(text)));
                continue;
            }
            let section = draft.section(name);
            for_each_member(text, |key, value| {
                draft.put(section, key.into(), Source::Here(range(value)), value);
            })?;
        }
        let members = draft.finish(true);
        Ok(Self { partitions: index(&members), json, members, revision: Revision::unique() })
    }

    /// The text.
    pub(crate) fn expose(&self) -> &str {
        self.json.expose()
    }

    /// The records of one partition.
    pub(crate) fn load(&self, partition: &Partition) -> Vec<Record> {
        let part = self.partitions.get(partition);
        part.into_iter().flat_map(|part| &part.slots).map(|at| self.record(*at)).collect()
    }

    /// The revision of one partition. It follows from the contents, so that writers of different
    /// partitions leave each other's revisions alone though the document is one.
    pub(crate) fn revision(&self, partition: &Partition) -> Revision {
        self.partitions.get(partition).map_or(Revision::ABSENT, |part| {
            *part.revision.get_or_init(|| {
                let texts = part.slots.iter().map(|at| self.parts(*at));
                Revision::of_contents(texts.flatten().map(str::as_bytes))
            })
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
        members
            .flat_map(|(at, member)| {
                let records = member.body.records().map_or(1, <[Slot]>::len);
                (0..records).map(move |slot| (at, slot))
            })
            .map(|at| self.record(at))
            .collect()
    }

    /// The keys of the records that expire before `now`.
    pub(crate) fn expired(
        &self,
        now: i64,
    ) -> impl Iterator<Item = (&Partition, &CredentialType, &Arc<str>)> {
        self.members.iter().flat_map(move |member| {
            let slots = member.body.records().unwrap_or_default();
            let expired =
                slots.iter().filter(move |slot| slot.expires_on.is_some_and(|at| at < now));
            expired.map(|slot| (&slot.partition, &member.name, &slot.key))
        })
    }

    /// The document after these operations; `None` where they change nothing.
    pub(crate) fn apply<'a>(
        &self,
        ops: impl IntoIterator<Item = (&'a Partition, &'a Op)>,
    ) -> Result<Option<Self>> {
        let mut draft = Draft::from(self.members.clone());
        let mut changed = false;
        for (partition, op) in ops {
            match op {
                Op::Put(record) => {
                    // What isn't JSON would break the document for everybody.
                    serde_json::from_str::<IgnoredAny>(record.value.expose())
                        .map_err(|error| Error::not_json("the record to write", &error))?;
                    if self.holds(record) {
                        continue;
                    }
                    changed |= draft.put_record(record)?;
                }
                Op::Delete { credential_type, key } => {
                    changed |= draft.delete(partition, credential_type, key);
                }
            }
        }
        Ok(changed.then(|| self.write(draft.finish(false))))
    }

    /// Whether putting this record would change nothing.
    fn holds(&self, record: &Record) -> bool {
        let part = self.partitions.get(&record.partition());
        part.is_some_and(|part| {
            part.slots.iter().any(|at| {
                let [credential_type, key, value] = self.parts(*at);
                record.credential_type.as_str() == credential_type
                    && *record.key == *key
                    && record.value.expose() == value
            })
        })
    }

    /// Writes the members, one record a line, in ASCII: MSAL Python reads a file in the encoding
    /// of its locale, and not every locale is UTF-8.
    fn write(&self, mut members: Vec<Member>) -> Self {
        let mut out = Out(String::with_capacity(self.json.expose().len() + 4096));
        out.0.push('{');
        for (at, member) in members.iter_mut().enumerate() {
            out.0.push_str(if at == 0 { "\n" } else { ",\n" });
            out.name(member.name.as_str());
            match &mut member.body {
                Body::Null => out.0.push_str("null"),
                Body::Whole(value) => *value = out.value(value.text(self)),
                Body::Section(slots) => {
                    out.0.push('{');
                    for (at, slot) in slots.iter_mut().enumerate() {
                        out.0.push_str(if at == 0 { "\n" } else { ",\n" });
                        out.name(&slot.key);
                        slot.value = out.value(slot.value.text(self));
                    }
                    out.0.push_str(if slots.is_empty() { "}" } else { "\n}" });
                }
            }
        }
        out.0.push_str(if members.is_empty() { "}" } else { "\n}" });
        Self {
            json: Json::from_stored(out.0),
            partitions: index(&members),
            members,
            revision: Revision::unique(),
        }
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
        Record::new(credential_type, key, Json::from_stored(value))
    }

    /// Section, key and value of a record.
    fn parts(&self, at: (usize, usize)) -> [&str; 3] {
        let member = &self.members[at.0];
        match &member.body {
            Body::Section(slots) if slots.is_empty() => ["", member.name.as_str(), "{}"],
            Body::Section(slots) => {
                let slot = &slots[at.1];
                [member.name.as_str(), &slot.key, slot.value.text(self)]
            }
            Body::Null => ["", member.name.as_str(), "null"],
            Body::Whole(value) => ["", member.name.as_str(), value.text(self)],
        }
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

impl Source {
    fn text<'a>(&'a self, document: &'a Text) -> &'a str {
        match self {
            Self::Here(range) => &document.json.expose()[range.clone()],
            Self::New(json) => json.expose(),
        }
    }
}

fn index(members: &[Member]) -> HashMap<Partition, Part> {
    let mut partitions: HashMap<Partition, Part> = HashMap::new();
    for (at, member) in members.iter().enumerate() {
        match member.body.records() {
            Some(slots) => {
                for (slot, it) in slots.iter().enumerate() {
                    partitions.entry(it.partition.clone()).or_default().slots.push((at, slot));
                }
            }
            None => {
                partitions.entry(Partition::unowned()).or_default().slots.push((at, 0));
            }
        }
    }
    partitions
}
