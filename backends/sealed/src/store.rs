use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use msal_cache_core::internal::now;
use msal_cache_core::{
    AsyncCacheStore, Batch, CacheStore, Change, ChangeSignal, CredentialType, Error, Load, Op,
    Partition, Ready, Record, RefreshGuard, Result, Revision, Snapshot, Watch,
};

use crate::SealFailure;
use crate::record::{Sealer, is_sealed};
use crate::ring::KeyRing;

/// A store whose records are encrypted: any [`CacheStore`] or [`AsyncCacheStore`] that keeps records in
/// rows. For a document, such as a file, there is [`SealedBlob`](crate::SealedBlob).
///
/// Legible in the store are the section, the stored key and the partition of a record (unless
/// [`hide_names`](Self::hide_names)), when it expires, its size, and the number of its key. A value that
/// was changed, or moved to another record, user or cache, is refused with a [`SealFailure`]. So is a
/// record that isn't sealed.
///
/// ```
/// use msal_cache_core::Memory;
/// use msal_cache_sealed::{KeyRing, Sealed};
///
/// let keys = KeyRing::generate()?;
/// let store = Sealed::new(Memory::new(), "web", keys);
/// # Ok::<(), msal_cache_core::Error>(())
/// ```
pub struct Sealed<S> {
    pub(crate) store: Arc<S>,
    pub(crate) sealer: Arc<Sealer>,
    /// Whether a listing has shown that this handle can open the store.
    checked: Arc<AtomicBool>,
}

impl<S> Sealed<S> {
    /// Encrypts the records of `store` as those of the cache with this name. Nothing is read yet.
    ///
    /// A name tells caches apart that have the same keys: a record of one is refused in another.
    pub fn new(store: S, name: impl Into<String>, keys: KeyRing) -> Self {
        Self::with(Arc::new(store), Sealer { name: name.into(), ring: keys, hidden: false })
    }

    pub(crate) fn with(store: Arc<S>, sealer: Sealer) -> Self {
        Self { store, sealer: Arc::new(sealer), checked: Arc::default() }
    }

    /// Hides stored keys and partitions, which have the ids of users, clients and tenants: they are
    /// HMACs in the store. Sections and expiries stay legible. The store has to be empty, or to have been
    /// written with hidden names.
    ///
    /// # Errors
    ///
    /// [`SealFailure::Keys`] where the key ring has no key for names.
    pub fn hide_names(self) -> Result<Self> {
        if !self.sealer.ring.can_hide_names() {
            let lacks = "it has no key that hides names; add a line `names`";
            return Err(SealFailure::keys("the key ring", lacks));
        }
        let Sealer { name, ring, .. } = Sealer::clone(&self.sealer);
        Ok(Self::with(self.store, Sealer { name, ring, hidden: true }))
    }

    /// The store whose records are sealed.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The keys.
    pub fn keys(&self) -> &KeyRing {
        &self.sealer.ring
    }

    /// Checks, once for each handle, that what is stored can be opened. Otherwise a look-up in a store
    /// with other names finds nothing, as in an empty cache.
    async fn check(&self, store: &impl AsyncCacheStore) -> Result<()> {
        if self.checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        // A few records, one for each client; where there are none, there may be other ones.
        let mut found = records(store.list(Some(&CredentialType::AppMetadata), None).await?)?;
        if found.is_empty() {
            found = records(store.list(None, None).await?)?;
        }
        // One record is enough to show that the keys are the right ones, and the names.
        for record in found.iter().take(8) {
            self.open_either(record)?;
        }
        if let Some(record) = found.first() {
            self.check_place(store, record).await?;
        }
        self.checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Checks that a record of a listing is in its partition: a document puts it elsewhere.
    async fn check_place(&self, store: &impl AsyncCacheStore, record: &Record) -> Result<()> {
        let opened = self.sealer.open(record, None)?;
        let inner = self.sealer.partition(opened.partition())?;
        for _ in 0..3 {
            if records(store.load(&inner, None).await?)?.iter().any(|it| it.has_key_of(record)) {
                return Ok(());
            }
            // It may have been deleted, moved or replaced meanwhile.
            let listed = records(store.list(Some(record.credential_type()), None).await?)?;
            if !listed.contains(record) {
                return Ok(());
            }
        }
        Err(SealFailure::Document.into())
    }

    /// Opens a record, and names the reason if it was sealed with the other kind of names.
    fn open_either(&self, record: &Record) -> Result<()> {
        let Err(error) = self.sealer.open(record, None) else { return Ok(()) };
        if is_sealed(record) && self.sealer.ring.can_hide_names() {
            let hidden = !self.sealer.hidden;
            let other = Sealer { hidden, ..Sealer::clone(&self.sealer) };
            if other.open(record, None).is_ok() {
                return Err(SealFailure::Names { hidden }.into());
            }
        }
        Err(error)
    }

    fn open_all(&self, load: Load, from: Option<(&Partition, &Partition)>) -> Result<Load> {
        let Load::Snapshot(snapshot) = load else { return Ok(Load::Unchanged) };
        let opened = snapshot.records().iter().map(|record| self.sealer.open(record, from));
        Ok(Load::Snapshot(Snapshot::new(snapshot.revision(), opened.collect::<Result<_>>()?)))
    }

    async fn load_from(
        &self,
        store: &impl AsyncCacheStore,
        partition: &Partition,
        known: Option<Revision>,
    ) -> Result<Load> {
        if known.is_none() {
            self.check(store).await?;
        }
        let inner = self.sealer.partition(partition)?;
        let load = store.load(&inner, known).await?;
        self.open_all(load, Some((partition, &inner)))
    }

    async fn load_many_from(
        &self,
        store: &impl AsyncCacheStore,
        wanted: &[(&Partition, Option<Revision>)],
    ) -> Result<Vec<Load>> {
        self.check(store).await?;
        let names = wanted.iter().map(|(partition, _)| self.sealer.partition(partition));
        let names = names.collect::<Result<Vec<_>>>()?;
        let inner: Vec<_> =
            names.iter().zip(wanted).map(|(name, (_, known))| (&**name, *known)).collect();
        let loads = store.load_many(&inner).await?;
        let opened = loads.into_iter().zip(wanted).zip(&names);
        opened.map(|((load, (it, _)), name)| self.open_all(load, Some((it, name)))).collect()
    }

    async fn commit_to(
        &self,
        store: &impl AsyncCacheStore,
        batch: &Batch,
    ) -> Result<Vec<Revision>> {
        self.check(store).await?;
        let mut sealed = Batch::new();
        for change in batch.changes() {
            let partition = self.sealer.partition(change.partition())?;
            let to = sealed.change(&*partition, change.expect());
            for op in change.ops() {
                match op {
                    Op::Put(record) => to.put(self.sealer.seal(&partition, record)?),
                    Op::Delete { credential_type, key } if self.sealer.hidden => {
                        let key = self.sealer.key(credential_type, key)?;
                        to.delete(credential_type.clone(), key.into())
                    }
                    Op::Delete { credential_type, key } => {
                        to.delete(credential_type.clone(), key.clone())
                    }
                };
            }
        }
        let revisions = store.commit(&sealed).await?;
        let misplaced = |(change, revision): (&Change, &Revision)| {
            *revision == Revision::ABSENT && matches!(change.ops().last(), Some(Op::Put(_)))
        };
        // A partition with a new record isn't empty.
        if sealed.changes().iter().zip(&revisions).any(misplaced) {
            return Err(SealFailure::Document.into());
        }
        Ok(revisions)
    }

    async fn list_from(
        &self,
        store: &impl AsyncCacheStore,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        if known.is_none() {
            self.check(store).await?;
        }
        self.open_all(store.list(credential_type, known).await?, None)
    }
}

/// The records of a load without a known revision.
pub(crate) fn records(load: Load) -> Result<Vec<Record>> {
    match load {
        Load::Snapshot(snapshot) => Ok(snapshot.into_records()),
        Load::Unchanged => Err(Error::backend(
            "sealed",
            "the inner store reported `Unchanged` to a caller that knows no revision",
        )),
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: CacheStore> CacheStore for Sealed<S> {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        now(self.load_from(&Ready(&*self.store), partition, known))
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        now(self.load_many_from(&Ready(&*self.store), wanted))
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        now(self.commit_to(&Ready(&*self.store), batch))
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        now(self.list_from(&Ready(&*self.store), credential_type, known))
    }

    fn purge(&self, at: i64) -> Result<u64> {
        self.store.purge(at)
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.store.guard(&*self.sealer.partition(partition)?, wait)
    }

    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.store.watch(signal)
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        match self.sealer.partition(partition) {
            Ok(inner) => self.store.is_unchanged(&inner, known),
            Err(_) => false,
        }
    }

    /// No: no other MSAL library can read them.
    fn is_shared(&self) -> bool {
        false
    }

    fn is_immediate(&self) -> bool {
        self.store.is_immediate()
    }

    fn detached(self: Arc<Self>) -> Option<Arc<dyn CacheStore>> {
        let store = self.store.clone().detached()?;
        Some(Arc::new(Sealed {
            store: Arc::new(store),
            sealer: self.sealer.clone(),
            checked: self.checked.clone(),
        }))
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: AsyncCacheStore> AsyncCacheStore for Sealed<S> {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.load_from(&*self.store, partition, known).await
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.load_many_from(&*self.store, wanted).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.commit_to(&*self.store, batch).await
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.list_from(&*self.store, credential_type, known).await
    }

    async fn purge(&self, at: i64) -> Result<u64> {
        self.store.purge(at).await
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        let inner = self.sealer.partition(partition)?;
        self.store.guard(&inner, wait).await
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.store.watch(signal).await
    }

    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        match self.sealer.partition(partition) {
            Ok(inner) => self.store.is_unchanged(&inner, known),
            Err(_) => false,
        }
    }

    /// As in the blocking form.
    fn is_shared(&self) -> bool {
        false
    }
}

impl<S: fmt::Debug> fmt::Debug for Sealed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("store", &self.store)
            .field("name", &self.sealer.name)
            .field("keys", &self.sealer.ring)
            .finish_non_exhaustive()
    }
}
