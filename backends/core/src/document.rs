use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hashbrown::HashSet;

use crate::out::Out;
use crate::parse::{self, Keep};
use crate::partition::Place;
use crate::text::{Body, Fault, Member, Text, not_json};
use crate::{
    Batch, Blob, BlobStore, CacheStore, Change, CredentialType, Error, Expect, Hold, Json, Load,
    Op, Partition, Record, Result, Revision, Snapshot, retry,
};

/// A [`CacheStore`] over any string that can be read and swapped: the one JSON document that all
/// MSAL libraries read and write.
///
/// A commit reads the string again, changes the records of the batch in it and nothing else, and
/// swaps it: the work of other writers is merged record by record and never overwritten. The
/// document is taken apart once for each change of the string.
///
/// A string that can't be read may be one that somebody is writing this moment, so it is read
/// again for a while, at last with other writers held off, before it is
/// [`Error::Corrupt`].
pub struct Document<B> {
    blob: B,
    known: Mutex<Known>,
}

/// The last string that was read.
#[derive(Clone)]
enum Known {
    Nothing,
    Text(Revision, Arc<Text>),
    Broken(Revision, Fault),
}

/// How long a string that can't be read is given to become whole: other libraries write in
/// place, which takes milliseconds.
const PATIENCE: [u64; 6] = [1, 4, 10, 25, 60, 100];

impl<B: BlobStore> Document<B> {
    /// The document in this string.
    pub fn new(blob: B) -> Self {
        Self { blob, known: Mutex::new(Known::Nothing) }
    }

    /// The string's store.
    pub fn blob(&self) -> &B {
        &self.blob
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the string once.
    fn read_once(&self) -> Result<Known> {
        let known = self.known();
        let (revision, text) = match &known {
            Known::Nothing => (None, None),
            Known::Text(revision, text) => (Some(*revision), Some(text)),
            Known::Broken(revision, _) => (Some(*revision), None),
        };
        let read = match self.blob.read(revision)? {
            Blob::Unchanged => return Ok(known),
            Blob::Absent => Known::Text(Revision::ABSENT, Arc::new(Text::empty())),
            Blob::Present(revision, bytes) => match text {
                Some(text) if text.expose().as_bytes() == bytes.expose() => {
                    Known::Text(revision, text.clone())
                }
                _ => match Text::from_bytes(bytes.into_vec()) {
                    Ok(text) => Known::Text(revision, Arc::new(text)),
                    Err(fault) => Known::Broken(revision, fault),
                },
            },
        };
        self.remember(read.clone());
        Ok(read)
    }

    fn remember(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Reads the string until it is whole or patience ends.
    fn read_patiently(&self) -> Result<Known> {
        let mut read = self.read_once()?;
        for pause in PATIENCE {
            if !matches!(read, Known::Broken(..)) {
                break;
            }
            thread::sleep(Duration::from_millis(pause));
            read = self.read_once()?;
        }
        Ok(read)
    }

    /// The document, for a reader.
    fn read(&self) -> Result<Arc<Text>> {
        let before = self.known();
        let mut read = self.read_once()?;
        if let (Known::Broken(known, fault), Known::Broken(now, _)) = (&before, &read)
            && known == now
        {
            // It was given its time when it was first met.
            return Err(fault.at(&self.blob.place()));
        }
        if matches!(read, Known::Broken(..)) {
            read = self.read_patiently()?;
        }
        if let Known::Broken(_, fault) = &read {
            // A reader needs no lock. This one asks for it to be sure; where it can't have it,
            // what it has seen has to do.
            let fault = fault.at(&self.blob.place());
            let Ok(_hold) = self.blob.hold() else { return Err(fault) };
            read = self.read_once()?;
        }
        match read {
            Known::Text(_, text) => Ok(text),
            Known::Broken(_, fault) => Err(fault.at(&self.blob.place())),
            Known::Nothing => Err(Error::backend("blob", "it reported `Unchanged` unasked")),
        }
    }

    /// The document, for a writer who holds others off. One that can't be read is moved out of
    /// the way if the store is willing to, so that a new sign-in can mend the cache; but only for
    /// a writer who `adds` something, since removing from what can't be read mends nothing.
    fn read_to_write(&self, adds: bool) -> Result<(Revision, Arc<Text>)> {
        match self.read_patiently()? {
            Known::Text(revision, text) => Ok((revision, text)),
            Known::Broken(revision, fault) => {
                if !adds || !self.blob.quarantine(revision)? {
                    return Err(fault.at(&self.blob.place()));
                }
                Ok((Revision::ABSENT, Arc::new(Text::empty())))
            }
            Known::Nothing => Err(Error::backend("blob", "it reported `Unchanged` unasked")),
        }
    }

    /// Reads, plans and swaps, again if somebody else swapped in between. `plan` sees the
    /// document and says what to do, and `adds` whether that puts anything in; the plan's own
    /// error ends it.
    fn write<T>(
        &self,
        adds: bool,
        plan: impl Fn(&Text) -> Result<(Batch, T)>,
    ) -> Result<(Arc<Text>, T)> {
        // A conflict of the plan is the caller's; one of the swap is settled here.
        retry(|| {
            let _hold = self.blob.hold()?;
            let (revision, text) = self.read_to_write(adds)?;
            let (batch, planned) = match plan(&text) {
                Ok(planned) => planned,
                Err(error) => return Ok(Err(error)),
            };
            let changes = batch.changes().iter();
            let ops =
                changes.flat_map(|change| change.ops().iter().map(|op| (change.partition(), op)));
            let Some(written) = text.apply(ops)? else { return Ok(Ok((text, planned))) };
            let revision = self.blob.swap(revision, written.expose().as_bytes())?;
            let written = Arc::new(written);
            self.remember(Known::Text(revision, written.clone()));
            Ok(Ok((written, planned)))
        })?
    }
}

impl<B: BlobStore> CacheStore for Document<B> {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        let text = self.read()?;
        let revision = text.revision(partition);
        if known == Some(revision) {
            return Ok(Load::Unchanged);
        }
        Ok(Load::Snapshot(Snapshot { revision, records: text.load(partition) }))
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        let mut ops = batch.changes().iter().flat_map(Change::ops);
        let adds = ops.any(|op| matches!(op, Op::Put(_)));
        let (text, ()) = self.write(adds, |text| {
            for change in batch.changes() {
                if let Expect::Revision(expected) = change.expect()
                    && expected != text.revision(change.partition())
                {
                    return Err(Error::Conflict);
                }
            }
            Ok((batch.clone(), ()))
        })?;
        Ok(batch.changes().iter().map(|change| text.revision(change.partition())).collect())
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        let text = self.read()?;
        if known == Some(text.revision) {
            return Ok(Load::Unchanged);
        }
        let records = text.list(credential_type);
        Ok(Load::Snapshot(Snapshot { revision: text.revision, records }))
    }

    fn purge(&self, now: i64) -> Result<u64> {
        if self.read()?.expired(now).next().is_none() {
            return Ok(0);
        }
        let (_, purged) = self.write(false, |text| {
            let mut batch = Batch::new();
            let mut purged = 0;
            for (partition, credential_type, key) in text.expired(now) {
                batch.change(partition, Expect::Any).delete(credential_type.clone(), key);
                purged += 1;
            }
            Ok((batch, purged))
        })?;
        Ok(purged)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<Hold<'_>> {
        self.blob.guard(partition, wait)
    }
}

impl<B: fmt::Debug> fmt::Debug for Document<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Document").field(&self.blob).finish()
    }
}

/// Takes a document apart into its records, members that are no sections included, and tells the
/// partition of each.
///
/// # Errors
///
/// [`Error::Corrupt`] where the text is not a JSON object, or a section of the schema is not one.
pub fn decompose(document: &str) -> Result<Vec<(Partition, Record)>> {
    let members: Vec<Member<Whole>> =
        parse::members(document).map_err(|fault| fault.at("the document"))?;
    let mut records = Vec::with_capacity(members.iter().map(Member::len).sum());
    for Member { name, body } in members {
        let value = match body {
            Body::Section(section) if !section.is_empty() => {
                records.extend(section.into_iter().map(|Whole(partition, it)| (partition, it)));
                continue;
            }
            Body::Section(_) => "{}",
            Body::Null => "null",
            Body::Whole(ref value) => value.text(document),
        };
        let value = Json::checked(value.to_owned());
        let record = Record::new(CredentialType::document(), name.as_str(), value);
        records.push((Partition::unowned(), record));
    }
    Ok(records)
}

/// A record that is kept whole.
struct Whole(Partition, Record);

impl<'a> Keep<'a> for Whole {
    fn keep(
        _: &'a str,
        section: &CredentialType,
        key: Cow<'a, str>,
        value: &'a str,
        place: Place,
    ) -> Self {
        let value = Json::checked(value.to_owned());
        Self(place.partition, Record::new(section.clone(), &*key, value))
    }

    fn key<'s>(&'s self, _: &'s str) -> &'s str {
        &self.1.key
    }
}

/// Writes records as one document, the reverse of [`decompose`]: ASCII, one record a line, the
/// sections of the schema first.
///
/// # Errors
///
/// [`Error::Corrupt`] where the value of a record is not JSON.
pub fn compose(records: impl IntoIterator<Item = Record>) -> Result<String> {
    let mut records: Vec<_> = records.into_iter().collect();
    let rank = |it: &Record| {
        let known = CredentialType::KNOWN.iter().position(|known| *known == it.credential_type);
        known.unwrap_or(CredentialType::KNOWN.len())
    };
    records.sort_by_cached_key(rank);
    if let Some(composed) = compose_sections(&records)? {
        return Ok(composed);
    }
    let partition = Partition::unowned();
    let puts: Vec<_> = records.into_iter().map(Op::Put).collect();
    let composed = Text::empty().apply(puts.iter().map(|put| (&partition, put)))?;
    Ok(composed.unwrap_or_else(Text::empty).into_string())
}

/// Writes records that are sorted by section; nothing where that isn't all there is to it: where
/// they are members of the document, in sections that nobody knows, or two under one key.
fn compose_sections(records: &[Record]) -> Result<Option<String>> {
    let mut keys: HashSet<&str> = HashSet::new();
    let mut length = 2;
    for (at, record) in records.iter().enumerate() {
        let is_next = at > 0 && records[at - 1].credential_type != record.credential_type;
        if at == 0 || is_next {
            keys.clear();
            keys.reserve(records.len() - at);
            length += record.credential_type.as_str().len() + 16;
        }
        if !keys.insert(&record.key) || matches!(record.credential_type, CredentialType::Other(_)) {
            return Ok(None);
        }
        if !record.value.is_json() {
            return Err(not_json(record));
        }
        length += record.key.len() + record.value.expose().len() + 8;
    }
    let mut out = Out::with_capacity(length);
    out.push("{");
    let mut section = None;
    for record in records {
        if section == Some(&record.credential_type) {
            out.push(",\n");
        } else {
            out.push(if section.is_some() { "\n},\n" } else { "\n" });
            out.name(record.credential_type.as_str());
            out.push("{\n");
            section = Some(&record.credential_type);
        }
        out.name(&record.key);
        if record.value.is_ascii() {
            out.push(record.value.expose());
        } else {
            out.value(record.value.expose());
        }
    }
    out.push(if section.is_some() { "\n}\n}" } else { "}" });
    Ok(Some(out.finish().into_string()))
}
