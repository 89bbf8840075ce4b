//! Sealing what is stored already: by the newest key, for the first time, and the way back.

use std::collections::{BTreeMap, BTreeSet};

use msal_cache_core::internal::{Next, Retry, now};
use msal_cache_core::{
    AsyncCacheStore, Batch, Blob, BlobStore, CacheStore, CredentialType, Error, Expect, Json, Load,
    Partition, Ready, Record, Result, Revision, retry,
};

use crate::SealFailure;
use crate::blob::{SealedBlob, key_of_document};
use crate::header::{Header, KEY, PLACE, SECTION, is_header};
use crate::names::Names;
use crate::record::{hidden_place, is_sealed, number_of};
use crate::store::{Sealed, records};

/// The number of the key that sealed a stored record. No key is needed.
///
/// # Errors
///
/// [`SealFailure::NotSealed`] and
/// [`SealFailure::Version`].
pub fn key_of_record(stored: &Record) -> Result<u32> {
    number_of(stored)
}

/// Whether a stored record looks sealed. No key is needed.
pub fn is_sealed_record(stored: &Record) -> bool {
    is_sealed(stored)
}

impl<S> Sealed<S> {
    async fn are_names_hidden_in(&self, store: &impl AsyncCacheStore) -> Result<Option<bool>> {
        let header = self.read_header(store).await?;
        Ok(header.map(|Header { names, .. }| names.are_hidden()))
    }

    async fn keys_in_use_of(&self, store: &impl AsyncCacheStore) -> Result<BTreeMap<u32, usize>> {
        let mut counts = BTreeMap::new();
        for record in records(store.list(None, None).await?)? {
            *counts.entry(number_of(&record)?).or_default() += 1;
        }
        Ok(counts)
    }

    /// Seals anew, partition by partition, what another key than the newest has sealed.
    async fn rekey_in(&self, store: &impl AsyncCacheStore) -> Result<u64> {
        if self.header(store).await?.is_none() {
            return Ok(0);
        }
        let newest = self.keys().newest();
        let mut partitions = BTreeSet::new();
        for record in records(store.list(None, None).await?)? {
            if number_of(&record)? != newest && !is_header(&record) {
                partitions.insert(self.place_of(&record)?);
            }
        }
        let mut done = 0;
        for partition in partitions.iter().chain([&*PLACE]) {
            let mut attempts = Retry::new();
            done += loop {
                let attempt = self.rekey_partition(store, partition, newest).await;
                match attempts.after(attempt) {
                    Next::Return(done) => break done?,
                    // Other writers of one partition are few, and each attempt reads anew.
                    Next::Retry(_) => {}
                }
            };
        }
        Ok(done)
    }

    async fn rekey_partition(
        &self,
        store: &impl AsyncCacheStore,
        inner: &Partition,
        newest: u32,
    ) -> Result<u64> {
        let Load::Snapshot(snapshot) = store.load(inner, None).await? else { return Ok(0) };
        let mut batch = Batch::new();
        let change = batch.change(inner, Expect::Revision(snapshot.revision()));
        for record in snapshot.records() {
            if number_of(record)? == newest {
                continue;
            }
            if is_header(record) {
                change.put(self.sealer.seal_header(&self.sealer.open_header(record)?)?);
                continue;
            }
            let opened = self.sealer.open(record, None)?;
            if self.place_of(record)? != *inner {
                return Err(SealFailure::Broken {
                    what: "a record that is in another partition".into(),
                    number: number_of(record)?,
                }
                .into());
            }
            let key = record.shared_key().clone();
            change.put(self.sealer.seal_under(self.sealer.hidden, key, inner, &opened)?);
        }
        let count = change.ops().len() as u64;
        if count > 0 {
            store.commit(&batch).await?;
        }
        Ok(count)
    }

    /// The partition in which a sealed record is stored.
    fn place_of(&self, record: &Record) -> Result<Partition> {
        if self.sealer.hidden {
            self.sealer.open(record, None)?;
            return hidden_place(record);
        }
        Ok(self.sealer.open(record, None)?.partition().clone())
    }
}

impl<S: CacheStore> Sealed<S> {
    /// Whether the names in the store are [hidden](Self::hide_names), whatever this handle was opened for;
    /// `None` where the store is empty.
    ///
    /// # Errors
    ///
    /// Those of the store, and a [`SealFailure`] where its header can't be opened.
    pub fn are_names_hidden(&self) -> Result<Option<bool>> {
        now(self.are_names_hidden_in(&Ready(&*self.store)))
    }

    /// The keys that the store still needs, with the number of records that each has sealed. The header of
    /// the store, which says how names are kept, is one of them.
    ///
    /// # Errors
    ///
    /// Those of the store; [`SealFailure::NotSealed`] for a plain one.
    pub fn keys_in_use(&self) -> Result<BTreeMap<u32, usize>> {
        now(self.keys_in_use_of(&Ready(&*self.store)))
    }

    /// Seals by the newest key what other keys have sealed. Returns the number of records.
    ///
    /// Each partition is one commit, and apps can work meanwhile. If it is interrupted, call it again.
    ///
    /// # Errors
    ///
    /// Those of the store, and a [`SealFailure`] of a record that can't be opened.
    pub fn rekey(&self) -> Result<u64> {
        now(self.rekey_in(&Ready(&*self.store)))
    }

    /// Seals a plain store in one commit. Sealed records stay. Returns the number of records.
    ///
    /// # Errors
    ///
    /// Those of the store; nothing has changed then. [`SealFailure::Names`] where it has sealed
    /// records, and names of the other kind.
    pub fn seal_plain(&self) -> Result<u64> {
        self.probe()?;
        retry(|| {
            let header = now(self.load_header(&Ready(&*self.store)))?;
            header.as_ref().map_or(Ok(()), |header| self.check_kind(header))?;
            let (listed, mut batch) = self.plan()?;
            let names = match header {
                Some(header) => {
                    batch.change(&*PLACE, Expect::Revision(header.revision));
                    header.names
                }
                None if listed.is_empty() => return Ok(0),
                // The key of the names is lost.
                None if self.sealer.hidden && listed.iter().any(is_sealed) => {
                    return Err(SealFailure::NoHeader.into());
                }
                None => {
                    let names = Names::new(self.sealer.hidden)?;
                    let header = self.sealer.seal_header(&names)?;
                    batch.change(&*PLACE, Expect::Revision(Revision::ABSENT)).put(header);
                    names
                }
            };
            let mut count = 0;
            for record in listed.iter().filter(|it| !is_sealed(it)) {
                let inner = names.partition(&self.sealer.name, record.partition());
                if names.are_hidden() {
                    batch.change(record.partition(), Expect::Any).delete_record(record);
                }
                let sealed = self.sealer.seal(&names, &inner, record)?;
                batch.change(&*inner, Expect::Any).put(sealed);
                count += 1;
            }
            self.apply(&batch)?;
            Ok(count)
        })
    }

    /// Makes a sealed store plain in one commit. Plain records stay. Returns the number of records.
    ///
    /// # Errors
    ///
    /// Those of the store, and a [`SealFailure`] of a record that can't be opened;
    /// nothing has changed then.
    pub fn unseal(&self) -> Result<u64> {
        retry(|| {
            let header = now(self.load_header(&Ready(&*self.store)))?;
            header.as_ref().map_or(Ok(()), |header| self.check_kind(header))?;
            let (listed, mut batch) = self.plan()?;
            if let Some(header) = header {
                let change = batch.change(&*PLACE, Expect::Revision(header.revision));
                change.delete(CredentialType::from(SECTION), KEY.into());
            }
            let mut count = 0;
            for record in listed.iter().filter(|it| is_sealed(it)) {
                let opened = self.sealer.open(record, None)?;
                if self.sealer.hidden {
                    let inner = self.place_of(record)?;
                    batch.change(&inner, Expect::Any).delete_record(record);
                }
                let partition = opened.partition().clone();
                batch.change(&partition, Expect::Any).put(opened);
                count += 1;
            }
            self.apply(&batch)?;
            Ok(count)
        })
    }

    /// Checks, by a record that is deleted again, that the store is no document, which would put sealed
    /// records where they aren't found.
    fn probe(&self) -> Result<()> {
        if !self.store.is_shared() {
            return Ok(());
        }
        let partition = Partition::user("msal-cache-probe");
        let value = Json::from_stored(r#"{"home_account_id":"msal-cache-probe"}"#);
        let probe = Record::new(CredentialType::Account, "msal-cache-probe", value);
        let sealed = self.sealer.seal(&Names::Legible, &partition, &probe)?;
        let mut batch = Batch::new();
        batch.change(&partition, Expect::Any).put(sealed.clone());
        let is_document = self.store.commit(&batch)?.contains(&Revision::ABSENT);
        let mut batch = Batch::new();
        batch.change(&partition, Expect::Any).delete_record(&sealed);
        batch.change(Partition::unowned(), Expect::Any).delete_record(&sealed);
        self.store.commit(&batch)?;
        if is_document { Err(SealFailure::Document.into()) } else { Ok(()) }
    }

    /// All records but the header, and a batch that expects what was read of their partitions.
    fn plan(&self) -> Result<(Vec<Record>, Batch)> {
        let mut batch = Batch::new();
        let mut partitions = BTreeSet::new();
        for record in records(self.store.list(None, None)?)?.iter().filter(|it| !is_header(it)) {
            partitions.insert(if is_sealed(record) {
                self.place_of(record)?
            } else {
                record.partition().clone()
            });
        }
        let mut found = Vec::new();
        for partition in &partitions {
            let Load::Snapshot(snapshot) = self.store.load(partition, None)? else { continue };
            batch.change(partition, Expect::Revision(snapshot.revision()));
            found.extend(snapshot.into_records().into_iter().filter(|it| !is_header(it)));
        }
        Ok((found, batch))
    }

    fn apply(&self, batch: &Batch) -> Result<()> {
        if !batch.is_empty() {
            self.store.commit(batch)?;
            self.forget_header();
        }
        Ok(())
    }
}

impl<S: AsyncCacheStore> Sealed<S> {
    /// [`are_names_hidden`](Self::are_names_hidden) of an async store.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn are_names_hidden_async(&self) -> Result<Option<bool>> {
        self.are_names_hidden_in(&*self.store).await
    }

    /// [`keys_in_use`](Self::keys_in_use) of an async store.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn keys_in_use_async(&self) -> Result<BTreeMap<u32, usize>> {
        self.keys_in_use_of(&*self.store).await
    }

    /// [`rekey`](Self::rekey) of an async store.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn rekey_async(&self) -> Result<u64> {
        self.rekey_in(&*self.store).await
    }
}

impl<B: BlobStore> SealedBlob<B> {
    /// The key that the document needs; `None` where there is no document.
    ///
    /// # Errors
    ///
    /// Those of the blob; [`SealFailure::NotSealed`] for a plain one.
    pub fn key_in_use(&self) -> Result<Option<u32>> {
        match self.blob.read(None)? {
            Blob::Present(_, bytes) => {
                key_of_document(bytes.expose(), &self.blob.place()).map(Some)
            }
            Blob::Absent | Blob::Unchanged => Ok(None),
        }
    }

    /// Seals the document by the newest key, if another one has sealed it. Returns whether it did.
    ///
    /// # Errors
    ///
    /// Those of the blob; a [`SealFailure`] where it can't be opened.
    pub fn rekey(&self) -> Result<bool> {
        self.rewrite(|revision, bytes| {
            let place = self.blob.place();
            if key_of_document(bytes, &place)? == self.keys().newest() {
                return Ok(false);
            }
            let text = self.open(bytes.to_vec(), || place.clone())?;
            self.blob.swap(revision, &self.seal(text.expose())?)?;
            Ok(true)
        })
    }

    /// Seals a plain document. Returns whether it did: a sealed one stays.
    ///
    /// # Errors
    ///
    /// Those of the blob; [`Error::Corrupt`] where it is no JSON.
    pub fn seal_plain(&self) -> Result<bool> {
        self.rewrite(|revision, bytes| {
            if crate::is_sealed_document(bytes) {
                return Ok(false);
            }
            serde_json::from_slice::<serde::de::IgnoredAny>(bytes)
                .map_err(|error| Error::not_json(self.blob.place(), &error))?;
            self.blob.swap(revision, &self.seal(bytes)?)?;
            Ok(true)
        })
    }

    /// Makes a sealed document plain. Returns whether it did: a plain one stays.
    ///
    /// # Errors
    ///
    /// Those of the blob; a [`SealFailure`] where it can't be opened.
    pub fn unseal(&self) -> Result<bool> {
        self.rewrite(|revision, bytes| {
            if !crate::is_sealed_document(bytes) {
                return Ok(false);
            }
            let place = self.blob.place();
            let text = self.open(bytes.to_vec(), || place.clone())?;
            self.blob.swap(revision, text.expose())?;
            Ok(true)
        })
    }

    /// Reads and replaces the stored string, again where another writer was faster.
    fn rewrite(&self, change: impl Fn(Revision, &[u8]) -> Result<bool>) -> Result<bool> {
        retry(|| {
            let _hold = self.blob.hold()?;
            match self.blob.read(None)? {
                Blob::Present(revision, bytes) => change(revision, bytes.expose()),
                Blob::Absent | Blob::Unchanged => Ok(false),
            }
        })
    }
}
