use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use msal_cache_core::internal::now;
use msal_cache_core::{
    AsyncCacheStore, Batch, CacheStore, Change, ChangeSignal, CredentialType, Error, Expect, Load,
    Op, Partition, Ready, Record, RefreshGuard, Result, Revision, Snapshot, Watch,
};

use crate::SealFailure;
use crate::header::{ATTEMPTS, Header, PLACE, contended, is_header};
use crate::names::Names;
use crate::record::Sealer;
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
    /// How the names in the store are kept, once that is known.
    pub(crate) header: Arc<RwLock<Option<Arc<Header>>>>,
}

impl<S> Sealed<S> {
    /// Encrypts the records of `store` as those of the cache with this name. Nothing is read yet.
    ///
    /// A name tells caches apart that have the same keys: a record of one is refused in another.
    pub fn new(store: S, name: impl Into<String>, keys: KeyRing) -> Self {
        Self::with(Arc::new(store), Sealer { name: name.into(), ring: keys, hidden: false })
    }

    pub(crate) fn with(store: Arc<S>, sealer: Sealer) -> Self {
        Self { store, sealer: Arc::new(sealer), header: Arc::default() }
    }

    /// Hides stored keys and partitions, which have the ids of users, clients and tenants: they are
    /// HMACs in the store. Sections and expiries stay legible.
    ///
    /// The first commit decides for the store, and draws the key of the HMACs, which is kept sealed in the
    /// store. A store of the other kind is refused with [`SealFailure::Names`].
    #[must_use]
    pub fn hide_names(self) -> Self {
        let Sealer { name, ring, .. } = Sealer::clone(&self.sealer);
        Self::with(self.store, Sealer { name, ring, hidden: true })
    }

    /// The store whose records are sealed.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The keys.
    pub fn keys(&self) -> &KeyRing {
        &self.sealer.ring
    }

    /// The partition of the inner store in which the records of this one are.
    fn inner<'p>(&self, header: &Header, partition: &'p Partition) -> Cow<'p, Partition> {
        header.names.partition(&self.sealer.name, partition)
    }

    fn open_all(&self, load: Load, from: Option<(&Partition, &Partition)>) -> Result<Load> {
        let Load::Snapshot(snapshot) = load else { return Ok(Load::Unchanged) };
        let stored = snapshot.records().iter().filter(|it| !is_header(it));
        let opened = stored.map(|record| self.sealer.open(record, from));
        Ok(Load::Snapshot(Snapshot::new(snapshot.revision(), opened.collect::<Result<_>>()?)))
    }

    /// Whether the inner store knows that a partition is unchanged.
    #[inline]
    fn is_still(
        &self,
        partition: &Partition,
        known: Revision,
        is_unchanged: impl Fn(&Partition, Revision) -> bool,
    ) -> bool {
        if !self.sealer.hidden && is_certain(Some(known)) {
            return is_unchanged(partition, known);
        }
        let header = self.header.read().unwrap_or_else(PoisonError::into_inner);
        let Some(header) = &*header else { return false };
        let is_still = match &header.names {
            Names::Legible => is_unchanged(partition, known),
            Names::Hidden(hider) => {
                hider.with(&self.sealer.name, partition, |inner| is_unchanged(inner, known))
            }
        };
        is_still && (is_certain(Some(known)) || is_unchanged(&PLACE, header.revision))
    }

    async fn load_from(
        &self,
        store: &impl AsyncCacheStore,
        partition: &Partition,
        known: Option<Revision>,
        is_local: bool,
    ) -> Result<Load> {
        // What is there proves that the names are as they were. Where a call is a round trip, the header is
        // read by the same one, since what is loaded without a known revision may be absent.
        if is_local || is_certain(known) {
            let Some(header) = self.header(store).await? else { return Ok(empty(known)) };
            let inner = self.inner(&header, partition);
            let load = store.load(&inner, known).await?;
            if !is_absent(&load, known)
                && let Ok(load) = self.open_all(load, Some((partition, &inner)))
            {
                return Ok(load);
            }
        }
        let mut loads = self.load_many_from(store, &[(partition, known)]).await?;
        Ok(loads.pop().unwrap_or_else(|| empty(known)))
    }

    async fn load_many_from(
        &self,
        store: &impl AsyncCacheStore,
        wanted: &[(&Partition, Option<Revision>)],
    ) -> Result<Vec<Load>> {
        for _ in 0..ATTEMPTS {
            let Some(header) = self.header(store).await? else {
                return Ok(wanted.iter().map(|(_, known)| empty(*known)).collect());
            };
            let names: Vec<_> = wanted.iter().map(|(it, _)| self.inner(&header, it)).collect();
            let mut inner: Vec<_> =
                names.iter().zip(wanted).map(|(name, (_, known))| (&**name, *known)).collect();
            // Read at the same moment: what is absent may be there under another name.
            inner.push((&PLACE, Some(header.revision)));
            let mut loads = store.load_many(&inner).await?;
            if !matches!(loads.pop(), Some(Load::Unchanged)) {
                self.forget_header();
                continue;
            }
            let opened = loads.into_iter().zip(wanted).zip(&names);
            let opened =
                opened.map(|((load, (it, _)), name)| self.open_all(load, Some((it, name))));
            return opened.collect();
        }
        Err(contended())
    }

    async fn commit_to(
        &self,
        store: &impl AsyncCacheStore,
        batch: &Batch,
    ) -> Result<Vec<Revision>> {
        if batch.changes().is_empty() {
            return store.commit(batch).await;
        }
        for _ in 0..ATTEMPTS {
            let header = self.header(store).await?;
            let names = match &header {
                Some(header) => header.names.clone(),
                None => Names::new(self.sealer.hidden)?,
            };
            let mut sealed = self.seal_batch(&names, batch)?;
            let known = header.as_ref().map_or(Revision::ABSENT, |it| it.revision);
            let is_new = header.is_none() && batch.changes().iter().any(puts);
            if is_new {
                let header = self.sealer.seal_header(&names)?;
                sealed.change(&*PLACE, Expect::Revision(known)).put(header);
            } else if !batch.changes().iter().all(|it| is_certain(expected(it))) {
                sealed.change(&*PLACE, Expect::Revision(known));
            }
            let mut revisions = match store.commit(&sealed).await {
                Err(Error::Conflict) if self.has_moved(store, known).await? => continue,
                done => done?,
            };
            let misplaced =
                |(it, at): (&Change, &Revision)| *at == Revision::ABSENT && puts_last(it);
            // A partition with a new record isn't empty.
            if sealed.changes().iter().zip(&revisions).any(misplaced) {
                return Err(SealFailure::Document.into());
            }
            if is_new && let Some(&revision) = revisions.last() {
                self.has_put(names, revision);
            }
            revisions.truncate(batch.changes().len());
            return Ok(revisions);
        }
        Err(contended())
    }

    fn seal_batch(&self, names: &Names, batch: &Batch) -> Result<Batch> {
        let mut sealed = Batch::new();
        for change in batch.changes() {
            let partition = names.partition(&self.sealer.name, change.partition());
            let to = sealed.change(&*partition, change.expect());
            for op in change.ops() {
                match op {
                    Op::Put(record) => to.put(self.sealer.seal(names, &partition, record)?),
                    Op::Delete { credential_type, key } => {
                        let key = names.key(&self.sealer.name, credential_type, key);
                        to.delete(credential_type.clone(), key)
                    }
                };
            }
        }
        Ok(sealed)
    }

    async fn list_from(
        &self,
        store: &impl AsyncCacheStore,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        for _ in 0..ATTEMPTS {
            let header = self.header(store).await?;
            let load = store.list(credential_type, known).await?;
            let at = header.map_or(Revision::ABSENT, |it| it.revision);
            let is_empty = match &load {
                Load::Unchanged => !is_certain(known),
                Load::Snapshot(snapshot) => snapshot.records().iter().all(is_header),
            };
            match self.open_all(load, None) {
                Ok(load) if !is_empty => return Ok(load),
                // The header may have changed, and with it the names.
                opened => {
                    if !self.has_moved(store, at).await? {
                        return opened;
                    }
                }
            }
        }
        Err(contended())
    }
}

/// Whether a revision is that of a partition which has records. Then the store still has the names that
/// it had when that revision was read: they change only with all records.
fn is_certain(known: Option<Revision>) -> bool {
    known.is_some_and(|known| known != Revision::ABSENT)
}

fn expected(change: &Change) -> Option<Revision> {
    match change.expect() {
        Expect::Revision(known) => Some(known),
        Expect::Any => None,
    }
}

fn puts(change: &Change) -> bool {
    change.ops().iter().any(|op| matches!(op, Op::Put(_)))
}

fn puts_last(change: &Change) -> bool {
    matches!(change.ops().last(), Some(Op::Put(_)))
}

/// What an empty store has of a partition.
fn empty(known: Option<Revision>) -> Load {
    match known {
        Some(Revision::ABSENT) => Load::Unchanged,
        _ => Load::Snapshot(Snapshot::new(Revision::ABSENT, Vec::new())),
    }
}

fn is_absent(load: &Load, known: Option<Revision>) -> bool {
    match load {
        Load::Unchanged => !is_certain(known),
        Load::Snapshot(snapshot) => snapshot.revision() == Revision::ABSENT,
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
        now(self.load_from(&Ready(&*self.store), partition, known, true))
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
        let inner = now(self.guarded_partition(&Ready(&*self.store), partition))?;
        self.store.guard(&inner, wait)
    }

    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.store.watch(signal)
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        self.is_still(partition, known, |inner, known| self.store.is_unchanged(inner, known))
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
            header: self.header.clone(),
        }))
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: AsyncCacheStore> AsyncCacheStore for Sealed<S> {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.load_from(&*self.store, partition, known, false).await
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
        let inner = self.guarded_partition(&*self.store, partition).await?;
        self.store.guard(&inner, wait).await
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.store.watch(signal).await
    }

    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        self.is_still(partition, known, |inner, known| self.store.is_unchanged(inner, known))
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
