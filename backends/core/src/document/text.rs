//! The text of a document, and what has been found in it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hashbrown::HashMap;
use serde::de::IgnoredAny;
use smallvec::SmallVec;

use crate::document::edit::Edit;
use crate::document::layout::{Body, DocumentFault, Key, Member, RecordAt};
use crate::document::out::DocumentWriter;
use crate::document::parse;
use crate::wipe::wipe;
use crate::{
    Batch, CredentialType, Error, Json, Load, Op, Partition, Record, Result, Revision, Snapshot,
};

/// A document, and where in its text each record is.
///
/// Values stay text: unchanged values are written back as they were read. Each record has the tag
/// of its partition, so a program that looks for one token decodes no other.
pub(crate) struct DocumentText {
    json: Json,
    members: Vec<Member>,
    parts: Mutex<PartitionIndex>,
    /// The revision of the whole document.
    pub(crate) revision: Revision,
}

/// The partitions that have been looked up.
#[derive(Default)]
struct PartitionIndex {
    found: HashMap<Partition, Arc<PartitionSlots>>,
    /// How many were looked up by a scan, including misses.
    looked: usize,
    /// The records of each tag; made once many partitions are looked up.
    tagged: Option<HashMap<u64, SmallVec<[RecordAt; 2]>>>,
}

/// The records of one partition.
#[derive(Default)]
struct PartitionSlots {
    slots: Vec<RecordAt>,
    revision: OnceLock<Revision>,
}

/// How many partitions are looked up by a scan before all records are indexed.
const SCANS: usize = 4;

impl DocumentText {
    /// A document without members.
    pub(crate) fn empty() -> Self {
        let (json, revision) = (Json::from_stored("{}"), Revision::ABSENT);
        Self { json, members: Vec::new(), parts: Mutex::default(), revision }
    }

    /// Reads a document from bytes, which become its text.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Result<Self, DocumentFault> {
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(Json::from_stored(text)),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let before = &error.as_bytes()[..good];
                let line = before.split(|byte| *byte == b'\n').count();
                let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
                wipe(error.into_bytes());
                let position = Some((line, column + 1));
                Err(DocumentFault { reason: "it is not UTF-8".into(), position })
            }
        }
    }

    /// Reads a document.
    pub(crate) fn parse(json: Json) -> Result<Self, DocumentFault> {
        let members = parse::members(json.expose())?;
        Ok(Self { json, members, parts: Mutex::default(), revision: Revision::unique() })
    }

    /// The text.
    pub(crate) fn expose(&self) -> &str {
        self.json.expose()
    }

    /// The text, without a copy.
    pub(crate) fn into_string(self) -> String {
        self.json.into_string()
    }

    /// The records of one partition, unless it is still at `known`.
    pub(crate) fn load_since(&self, partition: &Partition, known: Option<Revision>) -> Load {
        let revision = self.revision(partition);
        if known == Some(revision) {
            return Load::Unchanged;
        }
        Load::Snapshot(Snapshot::new(revision, self.load(partition)))
    }

    /// The records of one partition.
    pub(crate) fn load(&self, partition: &Partition) -> Vec<Record> {
        self.part(partition).slots.iter().map(|at| self.record(*at)).collect()
    }

    /// The revision of one partition. It is made of the contents, so that a writer changes the
    /// revisions of its own partitions only, although the document is one string.
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
        members.flat_map(|(at, member)| member.positions(at)).map(|at| self.record(at)).collect()
    }

    /// The partitions and keys of the records that expire before `now`.
    pub(crate) fn expired(
        &self,
        now: i64,
    ) -> impl Iterator<Item = (Partition, &CredentialType, Arc<str>)> {
        // Only access tokens expire.
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

    /// The document after this batch; `None` where the batch changes nothing. The caller checks the
    /// expectations.
    pub(crate) fn apply(&self, batch: &Batch) -> Result<Option<Self>> {
        let mut edit = Edit::new(self.expose(), self.members.clone());
        let mut changed = false;
        let ops =
            batch.changes().iter().flat_map(|it| it.ops().iter().map(|op| (it.partition(), op)));
        for (partition, op) in ops {
            match op {
                Op::Put(record) => {
                    // A value that isn't JSON would break the whole document.
                    if !record.value().is_json() {
                        return Err(not_json(record));
                    }
                    changed |= edit.put_record(record);
                }
                Op::Delete { credential_type, key } => {
                    changed |= edit.delete(partition, credential_type, key);
                }
            }
        }
        if !changed {
            return Ok(None);
        }
        Ok(Some(self.write(edit.finish()?)))
    }

    /// Writes the members, one record a line.
    fn write(&self, mut members: Vec<Member>) -> Self {
        let text = self.expose();
        let mut out =
            DocumentWriter::with_capacity(members.iter().map(|it| it.written_len(text)).sum());
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
    fn part(&self, partition: &Partition) -> Arc<PartitionSlots> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts.found.get(partition) {
            return part.clone();
        }
        let tag = partition.tag();
        let is_of_partition =
            |at: &RecordAt| self.tag(*at) == tag && self.partition(*at) == *partition;
        let slots: Vec<_> = if parts.looked < SCANS {
            parts.looked += 1;
            self.positions().filter(is_of_partition).collect()
        } else {
            let tagged = parts.tagged.get_or_insert_with(|| {
                let mut tagged = HashMap::<_, SmallVec<_>>::new();
                self.positions().for_each(|at| tagged.entry(self.tag(at)).or_default().push(at));
                tagged
            });
            tagged.get(&tag).into_iter().flatten().copied().filter(is_of_partition).collect()
        };
        if slots.is_empty() {
            // Misses are not cached.
            return Arc::default();
        }
        let part = Arc::new(PartitionSlots { slots, revision: OnceLock::new() });
        parts.found.insert(partition.clone(), part.clone());
        part
    }

    /// All records.
    fn positions(&self) -> impl Iterator<Item = RecordAt> {
        self.members.iter().enumerate().flat_map(|(at, member)| member.positions(at))
    }

    /// The tag of the partition to which a record belongs.
    fn tag(&self, (member, slot): RecordAt) -> u64 {
        let records = self.members[member].body.records();
        records.map_or_else(|| Partition::unowned().tag(), |slots| slots[slot].tag)
    }

    /// The partition to which a record belongs.
    fn partition(&self, (member, slot): RecordAt) -> Partition {
        let Member { name, body } = &self.members[member];
        let slots = body.records();
        slots.map_or_else(Partition::unowned, |it| it[slot].partition(name, self.expose()))
    }

    fn record(&self, at: RecordAt) -> Record {
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
    fn parts(&self, at: RecordAt) -> [&str; 3] {
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

/// The error of a record whose value is not JSON.
pub(crate) fn not_json(record: &Record) -> Error {
    match serde_json::from_str::<IgnoredAny>(record.value().expose()) {
        Err(error) => Error::not_json("the record to write", &error),
        Ok(_) => Error::invalid("the record to write", "it is not JSON"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_indexed_after_a_few_scans_including_misses() {
        let json = r#"{"Account": {"k": {"home_account_id": "u"}, "l": {"home_account_id": "v"}}}"#;
        let text = DocumentText::parse(Json::from_stored(json)).unwrap();
        let has_index = || text.parts.lock().unwrap().tagged.is_some();
        assert_eq!(text.load(&Partition::user("u")).len(), 1);
        for absent in 1..SCANS {
            assert!(text.load(&Partition::user(&absent.to_string())).is_empty());
        }
        assert!(!has_index());
        assert!(text.load(&Partition::user("absent")).is_empty());
        assert!(has_index());
        assert_eq!(text.load(&Partition::user("v")).len(), 1);
        assert_eq!(text.load(&Partition::user("u")).len(), 1);
    }
}
