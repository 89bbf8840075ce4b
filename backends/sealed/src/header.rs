//! The header of a sealed store: a record that says how the names in the store are kept.
//!
//! The first commit puts it. Each commit that could write under names of another kind expects that the
//! header is the one that the handle knows, and each read that finds nothing checks that.

use std::sync::{Arc, LazyLock, PoisonError};

use msal_cache_core::{
    AsyncCacheStore, Batch, CredentialType, Error, Expect, Json, Load, Partition, Record, Result,
    Revision,
};
use zeroize::Zeroizing;

use crate::SealFailure;
use crate::envelope::{self, Context};
use crate::key::Key;
use crate::names::Names;
use crate::record::{Sealer, Stored, is_sealed, text};
use crate::store::{Sealed, records};

/// The partition of the header: one that no user has, so that a server doesn't delete it with idle users.
pub(crate) static PLACE: LazyLock<Partition> =
    LazyLock::new(|| Partition::app("msal-cache", "sealed", None));

pub(crate) const SECTION: &str = "MsalCacheSealed";
pub(crate) const KEY: &str = "names";
const LEGIBLE: &[u8] = b"legible";
const HIDDEN: &[u8] = b"hidden";

/// How often a step is repeated where the header changes meanwhile.
pub(crate) const ATTEMPTS: u32 = 8;

/// What the header says, and the revision of its partition.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) revision: Revision,
    pub(crate) names: Names,
}

/// Whether a stored record is the header.
pub(crate) fn is_header(record: &Record) -> bool {
    record.key() == KEY && record.credential_type().as_str() == SECTION
}

impl Sealer {
    fn header_context(&self) -> Context {
        Context::of(["msal-cache header", &self.name, PLACE.as_str(), SECTION, KEY, ""])
    }

    pub(crate) fn seal_header(&self, names: &Names) -> Result<Record> {
        let plain = match names {
            Names::Legible => [LEGIBLE, &[]],
            Names::Hidden(hider) => [HIDDEN, hider.expose()],
        };
        let mut bytes = Vec::new();
        envelope::seal(&self.ring, self.header_context(), plain, &mut bytes)?;
        let value = Json::from_stored(text(None, PLACE.as_str(), &bytes));
        let record = Record::new(CredentialType::from(SECTION), KEY, value);
        Ok(record.placed(|| PLACE.clone(), None))
    }

    pub(crate) fn open_header(&self, record: &Record) -> Result<Names> {
        let stored = Stored::parse(record)?;
        let envelope = stored.envelope(record)?;
        let what = || "the header of the store".to_owned();
        let number = envelope::number(&envelope, what)?;
        let broken = || Error::from(SealFailure::Broken { what: what(), number });
        if stored.partition != PLACE.as_str() || stored.expires_on.is_some() {
            return Err(broken());
        }
        let text = envelope::open(&self.ring, self.header_context(), envelope, 0, what)?;
        let text = Zeroizing::new(text);
        if *text == LEGIBLE {
            return Ok(Names::Legible);
        }
        let key = text.strip_prefix(HIDDEN).ok_or_else(broken)?;
        Ok(Names::hidden_by(Key::from_bytes(key).map_err(|_| broken())?))
    }
}

impl<S> Sealed<S> {
    /// The header, if it was read already.
    pub(crate) fn known_header(&self) -> Option<Arc<Header>> {
        self.header.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, header: Option<Header>) -> Option<Arc<Header>> {
        let header = header.map(Arc::new);
        self.header.write().unwrap_or_else(PoisonError::into_inner).clone_from(&header);
        header
    }

    /// Has the header read again.
    pub(crate) fn forget_header(&self) {
        self.remember(None);
    }

    /// The header; `None` where the store is empty. That of the other kind of names is an error.
    pub(crate) async fn header(&self, store: &impl AsyncCacheStore) -> Result<Option<Arc<Header>>> {
        if let Some(header) = self.known_header() {
            return Ok(Some(header));
        }
        match self.read_header(store).await? {
            Some(header) => {
                self.check_kind(&header)?;
                Ok(self.remember(Some(header)))
            }
            None => Ok(None),
        }
    }

    /// Whether this handle was opened for the names that the store has.
    pub(crate) fn check_kind(&self, header: &Header) -> Result<()> {
        let hidden = header.names.are_hidden();
        if hidden == self.sealer.hidden {
            Ok(())
        } else {
            Err(SealFailure::Names { hidden }.into())
        }
    }

    /// Reads the header, whatever it says. A store without one has to be empty.
    pub(crate) async fn read_header(&self, store: &impl AsyncCacheStore) -> Result<Option<Header>> {
        for _ in 0..ATTEMPTS {
            if let Some(header) = self.load_header(store).await? {
                return Ok(Some(header));
            }
            let found = records(store.list(None, None).await?)?;
            if found.is_empty() {
                return Ok(None);
            }
            if !found.iter().any(is_header) {
                let plain = found.iter().find(|it| !is_sealed(it));
                return Err(plain.map_or(SealFailure::NoHeader, SealFailure::not_sealed).into());
            }
            // Another process has just put it; or the store has it in another partition.
        }
        Err(SealFailure::Document.into())
    }

    /// The header, if it is in its partition.
    pub(crate) async fn load_header(&self, store: &impl AsyncCacheStore) -> Result<Option<Header>> {
        let Load::Snapshot(found) = store.load(&PLACE, None).await? else { return Ok(None) };
        let Some(record) = found.records().iter().find(|it| is_header(it)) else { return Ok(None) };
        Ok(Some(Header { revision: found.revision(), names: self.sealer.open_header(record)? }))
    }

    /// Whether the store has another header by now, which is then read again.
    pub(crate) async fn has_moved(
        &self,
        store: &impl AsyncCacheStore,
        known: Revision,
    ) -> Result<bool> {
        match store.load(&PLACE, Some(known)).await? {
            Load::Unchanged => Ok(false),
            Load::Snapshot(_) => {
                self.forget_header();
                Ok(true)
            }
        }
    }

    /// Notes the header that a commit has put.
    pub(crate) fn has_put(&self, names: Names, revision: Revision) {
        self.remember(Some(Header { revision, names }));
    }

    /// The partition of a guard. Where the store is empty, it gets its header, since a hidden name
    /// depends on it.
    pub(crate) async fn guarded_partition(
        &self,
        store: &impl AsyncCacheStore,
        partition: &Partition,
    ) -> Result<Partition> {
        if !self.sealer.hidden {
            return Ok(partition.clone());
        }
        for _ in 0..ATTEMPTS {
            if let Some(header) = self.header(store).await? {
                return Ok(header.names.partition(&self.sealer.name, partition).into_owned());
            }
            let names = Names::new(true)?;
            let mut batch = Batch::new();
            let expect = Expect::Revision(Revision::ABSENT);
            batch.change(&*PLACE, expect).put(self.sealer.seal_header(&names)?);
            match store.commit(&batch).await {
                Ok(revisions) => match revisions.first() {
                    Some(&revision) if revision != Revision::ABSENT => {
                        self.has_put(names, revision);
                    }
                    _ => return Err(SealFailure::Document.into()),
                },
                Err(Error::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(contended())
    }
}

/// The error where the header keeps changing.
pub(crate) fn contended() -> Error {
    Error::Contended { place: "the header of the sealed store".into(), attempts: ATTEMPTS }
}
